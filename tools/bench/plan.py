#!/usr/bin/env python3
"""`vsurge plan` against reality: what it predicts for three loads of the default model, and what a
server does under the same arrivals (Poisson, from a seed).

Lengths are drawn from a trace where --lengths names one (CSV as vsurge plan reads it), shortened so
that a run is short; else from a log-normal distribution. The machine is measured before each live
run, as the server itself does when it starts.

usage: plan.py [--program vsurge] [--model FILE] [--lengths FILE] [--seconds 60] [--seed 1]
               [--json FILE]"""

import argparse
import csv
import http.client
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tools" / "load"), str(ROOT / "tools" / "bench")]
import served  # noqa: E402
from report import Report, add_arguments  # noqa: E402

BUILD = pathlib.Path(os.environ.get("VSURGE_BUILD", ROOT / "build" / "release"))
SIZE = ("--max-model-len", "2048", "--max-num-seqs", "32", "--kv-cache-memory-bytes", "1G")
LOADS = (0.3, 0.6, 0.9)
PROMPT_MAX, ANSWER_MAX, SHORTER = 800, 120, 4


def lengths(arguments, count, dice):
    """Pairs of tokens: prompt, answer."""
    if arguments.lengths:
        with open(arguments.lengths, encoding="utf-8") as file:
            rows = [(int(row["ContextTokens"]), int(row["GeneratedTokens"]))
                    for row in csv.DictReader(file)]  # fmt: skip
        pairs = dice.choices(rows, k=count)
    else:
        pairs = [(int(dice.lognormvariate(6.5, 0.9)), int(dice.lognormvariate(5.0, 0.7)))
                 for _ in range(count)]  # fmt: skip
    return [(max(16, min(PROMPT_MAX, prompt // SHORTER)),
             max(4, min(ANSWER_MAX, answer // SHORTER))) for prompt, answer in pairs]  # fmt: skip


def make_trace(arguments, rate, seed):
    dice = random.Random(seed)
    times, now = [], 0.0
    while now < arguments.seconds:
        times.append(now)
        now += dice.expovariate(rate)
    pairs = lengths(arguments, len(times), dice)
    return [(at, prompt, answer) for at, (prompt, answer) in zip(times, pairs)]


def write_trace(path, trace):
    with open(path, "w", encoding="utf-8") as file:
        for at, prompt, answer in trace:
            file.write(json.dumps({"timestamp": round(at * 1000), "input_length": prompt,
                                   "output_length": answer}) + "\n")  # fmt: skip


def plan(arguments, *options):
    command = [arguments.program, "plan", arguments.model, *SIZE, *options]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def predict(arguments, machine, path, rate=0.0):
    text = plan(arguments, "--machine", machine, "--trace", path, "--replicas", "1", "--json",
                "--rate", str(rate))  # fmt: skip
    return json.loads(text)["rows"][0]


class Client(threading.Thread):
    """One streamed completion at its time."""

    def __init__(self, port, model, begin, request, number):
        super().__init__(daemon=True)
        self.port, self.begin = port, begin
        self.at, prompt, answer = request
        dice = random.Random(number)
        self.body = json.dumps({"model": model, "max_tokens": answer, "ignore_eos": True,
                                "temperature": 0, "stream": True,
                                "prompt": [dice.randrange(1000, 40000) for _ in range(prompt)]})
        self.first = self.end = None

    def run(self):
        time.sleep(max(0.0, self.begin + self.at - time.monotonic()))
        start = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        connection.request("POST", "/v1/completions", self.body,
                           {"Content-Type": "application/json"})  # fmt: skip
        answer = connection.getresponse()
        if answer.status != 200:
            raise RuntimeError(answer.read().decode())
        while line := answer.readline():
            if line.startswith(b"data: {") and self.first is None:
                self.first = time.monotonic() - start
        self.end = time.monotonic() - self.begin
        connection.close()


def live(arguments, trace):
    """Tokens per second from the first arrival to the last end, and the median first token."""
    with served.Served(arguments.program, arguments.model, size=SIZE) as server:
        model = server.model_name()
        begin = time.monotonic() + 1.0
        clients = [Client(server.port, model, begin, request, i)
                   for i, request in enumerate(trace)]  # fmt: skip
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        server.stop()
    if any(client.end is None for client in clients):
        sys.exit("plan: a request failed")
    tokens = sum(answer for _, _, answer in trace)
    return tokens / max(c.end for c in clients), statistics.median(c.first for c in clients)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--program", default=str(BUILD / "bin" / "vsurge"))
    parser.add_argument("--model", default=served.test_model())
    parser.add_argument("--lengths")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    add_arguments(parser)
    arguments = parser.parse_args()
    if arguments.model is None:
        sys.exit("plan: no default model; ./dev setup fetches it")
    arguments.model = str(arguments.model)
    report = Report("plan: predicted by live")
    with tempfile.TemporaryDirectory() as folder:
        machine, path = f"{folder}/machine.json", f"{folder}/trace.jsonl"
        plan(arguments, "--measure", machine)
        write_trace(path, make_trace(arguments, 8.0, arguments.seed))
        capacity = predict(arguments, machine, path, rate=1000.0)["requests_per_second"]
        print(f"capacity: {capacity:.2f} requests/s predicted", file=sys.stderr)
        for share in LOADS:
            trace = make_trace(arguments, share * capacity, arguments.seed + round(100 * share))
            write_trace(path, trace)
            plan(arguments, "--measure", machine)
            row = predict(arguments, machine, path)
            tokens, first = live(arguments, trace)
            for name, ours, unit, theirs in (
                ("tokens/s", row["answer_tokens_per_second"], "tokens/s", tokens),
                ("first token p50", row["ttft_s"]["p50"], "s", first),
            ):
                made = report.add(f"{name} at {share:.0%} of capacity, {len(trace)} requests",
                                  ours, unit, peer="live", peer_value=theirs)  # fmt: skip
                made["must"], made["holds"] = 0.2, abs(made["ratio"] - 1) <= 0.2
    print("must: the ratio is within 0.2 of 1")
    return report.finish(arguments.json)


if __name__ == "__main__":
    sys.exit(main())
