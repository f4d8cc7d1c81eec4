#!/usr/bin/env python3
"""The same request gets the same bytes, alone or among others: a server with the default model,
many streams of different lengths at once, some of which leave early; then each request alone.

usage: bytes.py [--program vsurge] [--model FILE] [--streams 32] [--rounds 1] [--seed 1]
                [--patience 120] [--json FILE]"""

import argparse
import concurrent.futures
import http.client
import json
import os
import pathlib
import random
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tools" / "load"), str(ROOT / "tools" / "bench")]
import served  # noqa: E402
from report import Report  # noqa: E402

SUBJECTS = (
    "a fox", "the sea", "winter", "a clock", "bread", "the moon", "a small town", "numbers",
    "a violin", "rain", "an old map", "the colour red", "trains", "a lighthouse", "salt", "birds",
)  # fmt: skip
ASKS = ("Write a poem about {}.", "Tell me three facts about {}.", "What do you think of {}? {}")


def make_requests(model, count, chance):
    """Prompts of 10 to 600 tokens, answers of 4 to 80; half greedy, half sampled with a seed."""
    requests = []
    for number in range(count):
        subject = SUBJECTS[number % len(SUBJECTS)]
        padding = " ".join(chance.choices(SUBJECTS, k=chance.choice((0, 5, 40, 150))))
        content = ASKS[number % len(ASKS)].format(subject, padding)
        request = {
            "model": model,
            "messages": [{"role": "user", "content": content}],
            "max_tokens": chance.randint(4, 80),
        }
        if number % 2 == 0:
            request["temperature"] = 0
        else:
            request |= {"temperature": 1.0, "top_p": 0.95, "seed": chance.randrange(2**31)}
        requests.append(request)
    return requests


class Outcome:
    def __init__(self):
        self.text = ""
        self.finish = None
        self.tokens = 0
        self.finished = False  # [DONE] came


def read_stream(answer, leave_after, outcome):
    """Reads events; leaves after so many when that is not None."""
    events = 0
    while line := answer.readline():
        if not line.startswith(b"data: "):
            continue
        if line.strip() == b"data: [DONE]":
            outcome.finished = True
            return
        event = json.loads(line[6:])
        if "error" in event:
            raise RuntimeError(event["error"])
        if event["choices"]:
            choice = event["choices"][0]
            outcome.text += choice["delta"].get("content") or ""
            outcome.finish = choice["finish_reason"] or outcome.finish
        elif event.get("usage"):
            outcome.tokens = event["usage"]["completion_tokens"]
        events += 1
        if leave_after is not None and events >= leave_after:
            return


def run_request(server, request, delay=0.0, leave_after=None, stream=True):
    time.sleep(delay)
    outcome = Outcome()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=server.patience_s)
    body = request | ({"stream": True, "stream_options": {"include_usage": True}} if stream else {})
    headers = {"Content-Type": "application/json"}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
    answer = connection.getresponse()
    if answer.status != 200:
        raise RuntimeError(f"HTTP {answer.status}: {answer.read().decode()}")
    if stream:
        read_stream(answer, leave_after, outcome)
    else:
        whole = json.load(answer)
        choice = whole["choices"][0]
        outcome.text, outcome.finish = choice["message"]["content"], choice["finish_reason"]
        outcome.tokens, outcome.finished = whole["usage"]["completion_tokens"], True
    answer.close()
    connection.close()
    return outcome


class Tally:
    def __init__(self):
        self.finished = self.equal = self.left = self.prefixes = 0
        self.whole_equal = self.whole = 0
        self.tokens = self.together_s = self.alone_s = 0.0
        self.differences = []

    def compare(self, number, among, alone, whole):
        same = among.text == alone.text and among.finish == alone.finish
        if among.finished:
            self.finished += 1
            self.equal += same and among.tokens == alone.tokens
            self.tokens += among.tokens
        else:
            self.left += 1
            same = alone.text.startswith(among.text)
            self.prefixes += same
        if not same:
            self.differences.append((number, among.text, alone.text))
        if whole is not None:
            self.whole += 1
            self.whole_equal += whole.text == alone.text and whole.finish == alone.finish


def run_round(server, arguments, chance, tally):
    requests = make_requests(server.model_name(), arguments.streams, chance)
    leaves = [chance.randint(1, 12) if chance.random() < 0.25 else None for _ in requests]
    begin = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(arguments.streams) as threads:
        running = [
            threads.submit(run_request, server, request, chance.random() * 0.5, leave)
            for request, leave in zip(requests, leaves)
        ]
        among = [future.result() for future in running]
    tally.together_s += time.monotonic() - begin
    for number, request in enumerate(requests):
        begin = time.monotonic()
        alone = run_request(server, request)
        if among[number].finished:
            tally.alone_s += time.monotonic() - begin
        whole = run_request(server, request, stream=False) if number % 8 == 0 else None
        tally.compare(number, among[number], alone, whole)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    build = pathlib.Path(os.environ.get("VSURGE_BUILD", ROOT / "build" / "release"))
    parser.add_argument("--program", default=str(build / "bin" / "vsurge"))
    parser.add_argument("--model", default=served.test_model())
    parser.add_argument("--streams", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--patience", type=int, default=120, help="seconds without an answer")
    parser.add_argument("--json")
    arguments = parser.parse_args()
    if arguments.model is None:
        print("skipped: no default model (./dev setup fetches it)")
        return served.SKIP
    chance = random.Random(arguments.seed)
    tally = Tally()
    with served.Served(arguments.program, arguments.model) as server:
        server.patience_s = arguments.patience
        for _ in range(arguments.rounds):
            run_round(server, arguments, chance, tally)
        pages = server.wait_idle()
        status = server.stop()
    report = Report("bytes")
    for metric, ours, limit in (
        ("finished texts equal to the request alone", tally.equal, tally.finished),
        ("texts cut by the client that begin the same", tally.prefixes, tally.left),
        ("unstreamed texts equal to the streamed", tally.whole_equal, tally.whole),
    ):
        report.add(metric, ours, "texts", limit=limit, must=1.0 if limit else None)
    report.add("pages in use afterwards", pages, "pages")
    report.add("tokens/s of all together", tally.tokens / tally.together_s, "tokens/s")
    report.add("tokens/s one after the other", tally.tokens / max(tally.alone_s, 1e-9), "tokens/s")
    failed = report.finish(arguments.json)
    for number, among, alone in tally.differences[:3]:
        print(f"request {number}: among others {among!r}, alone {alone!r}")
    good = (
        tally.finished > 0
        and tally.equal == tally.finished
        and tally.prefixes == tally.left
        and tally.whole_equal == tally.whole
        and pages == 0
        and status == 0
    )
    return 0 if good and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
