#!/usr/bin/env python3
"""What the server costs beside the model: HTTP, JSON, templates, tokens to text, events, TLS.

usage: server.py [--rounds 3] [--rows sse,whole,...] [--json FILE]

Most rows load `vsurge_mock`, which is the server with all its parts but the model: steps take a set
time and everybody is told the same text, with the default model's tokenizer and template. "Per
core" is by the seconds of CPU that the server's process used, the kernel's work on its sockets
included, so the clients beside it do not matter. The clients are `vsurge_load`, one thread; its own
limit, against answers made before, is the first row. Figures are medians of the rounds. `model` and
`idle` need the default model.

In `event` clients read once in 3 ms, as if from another machine: no send wakes one of them. Its
limit is the time from the first to each one of bare sends of as many bytes to as many sockets."""

import argparse
import contextlib
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from report import ROOT, Report, add_arguments, build_program

sys.path.insert(0, str(ROOT / "tools" / "load"))
import served  # noqa: E402

MIB = 1 << 20
TICKS = os.sysconf("SC_CLK_TCK")
ROWS = ("yardstick", "sse", "whole", "event", "many", "tls", "overload", "idle", "model")
PEOPLE = {"type": "array", "minItems": 200, "items": {
    "type": "object", "required": ["name", "age"], "additionalProperties": False,
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}}}  # fmt: skip


def cpu_s(pid):
    words = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / TICKS


def resident(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text).group(1)) * 1024


def load(port, *words):
    """Figures of one load; ends the program when a request failed."""
    with tempfile.NamedTemporaryFile("r") as out:
        done = subprocess.run([build_program("vsurge_load"), "--port", str(port or 1), "--json",
                               out.name, *map(str, words)], stdout=subprocess.DEVNULL)
        if done.returncode != 0:
            sys.exit(f"server: vsurge_load {' '.join(map(str, words))} failed")
        return json.load(out)


class Mock:
    """A running vsurge_mock; a context manager. `times` after its end."""

    def __init__(self, *options):
        self.command = [build_program("vsurge_mock"), served.test_model(), *map(str, options)]
        self.times = {}

    def __enter__(self):
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(self.command, stdout=self.log, stderr=self.log)
        self.pid = self.process.pid
        end = time.monotonic() + 60
        while (found := re.search(r"ready \S+:(\d+)", self.text())) is None:
            if self.process.poll() is not None or time.monotonic() > end:
                sys.exit(f"server: the mock did not start:\n{self.text()[-1000:]}")
            time.sleep(0.05)
        self.port = int(found.group(1))
        return self

    def text(self):
        return os.pread(self.log.fileno(), 1 << 26, 0).decode(errors="replace")

    def load(self, *words):
        """Figures, with the seconds of CPU that the server used."""
        before = cpu_s(self.pid)
        figures = load(self.port, *words)
        figures["server_cpu"] = cpu_s(self.pid) - before
        return figures

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(60)
        words = self.text().rsplit("\n", 2)[-2].split()
        self.times = {key: float(value) for key, value in zip(words[::2], words[1::2])}
        self.log.close()


def median(rounds, measure):
    """Of each figure that `measure` gives as a dictionary."""
    found = [measure() for _ in range(rounds)]
    return {key: statistics.median(one[key] for one in found) for key in found[0]}


def yardstick(report, rounds):
    def once():
        f = load(None, "--yardstick", "--clients", 256, "--requests", 2048, "--answer-tokens", 1000)
        return {"rate": f["tokens"] / f["clients_cpu"]}
    report.add("the clients' own limit, per core", median(rounds, once)["rate"], "tokens/s")


def sse_once(streams, *more, tls=()):
    with Mock("--streams", streams, "--rate", 4000, *tls) as mock:
        f = mock.load("--clients", streams, "--answer-tokens", 1900, *more)
    return {"core": f["tokens"] / f["server_cpu"], "rate": f["tokens_rate"],
            "sends": mock.times["sends"] / f["tokens"]}


def sse(report, rounds):
    found = median(rounds, lambda: sse_once(256))
    report.add("SSE, 256 streams, per core", found["core"], "tokens/s", limit=250e3, must=1,
               aim=2.4)
    report.add("SSE: sends a token", found["sends"], "")


def whole(report, rounds):
    def once():
        with Mock("--streams", 64) as mock:
            f = mock.load("--clients", 64, "--whole", "--requests", 20_000, "--answer-tokens", 32,
                          "--prompt-words", 4)
        return {"core": f["good"] / f["server_cpu"]}
    report.add("whole chats of 32 tokens, per core", median(rounds, once)["core"], "requests/s",
               limit=20e3, must=1, aim=3)


def event(report, rounds):
    shape = ("--clients", 64, "--turn-ms", 3)

    def once():
        floor = load(None, "--floor", *shape)
        with Mock("--streams", 64, "--rate", 50) as mock:
            f = mock.load(*shape, "--answer-tokens", 300)
        return {"floor": floor["send_p99"], "p50": mock.times["p50_us"],
                "p99": mock.times["p99_us"], "cpu": f["server_cpu"] / f["tokens"] * 1e6}
    found = median(rounds, once)
    report.add("event to send(), 64 streams, p50", found["p50"], "us")
    report.add("event to send(), 64 streams, p99", found["p99"], "us", limit=300, must=1, aim=0.33,
               better="lower")
    report.add("the same by bare sends", found["p99"], "us", limit=found["floor"], better="lower")
    report.add("CPU a token sent alone", found["cpu"], "us")


def many(report, _):
    with Mock("--streams", 4096, "--rate", 5, "--context", 512) as mock:
        idle = resident(mock.pid)
        peak = [idle]
        ended = threading.Event()

        def watch():
            while not ended.wait(0.1):
                peak[0] = max(peak[0], resident(mock.pid))
        watcher = threading.Thread(target=watch)
        watcher.start()
        figures = mock.load("--clients", 4096, "--answer-tokens", 60)
        ended.set()
        watcher.join()
    report.add("4,096 streams at 5 tokens/s: answered", figures["good"], "", limit=4096, must=1)
    report.add("4,096 streams: memory over idle", (peak[0] - idle) / MIB, "MiB", limit=150, must=1,
               aim=0.53, better="lower")


@contextlib.contextmanager
def certificate():
    with tempfile.TemporaryDirectory() as folder:
        key, cert = f"{folder}/key.pem", f"{folder}/cert.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", cert,
                        "-days", "1", "-subj", "/CN=localhost"], check=True, capture_output=True)
        yield ("--ssl-keyfile", key, "--ssl-certfile", cert)


def tls(report, rounds):
    with certificate() as options:
        def once():
            plain, secret = sse_once(64), sse_once(64, "--tls", tls=options)
            return {key: 1 - secret[key] / plain[key] for key in ("core", "rate")}
        found = median(max(rounds, 3), once)
    report.add("tokens/s lost by TLS, 64 streams", found["rate"], "", limit=0.10, must=1, aim=0.5,
               better="lower")
    report.add("tokens/s per core lost by TLS", found["core"], "")


def overload(report, rounds):
    def at(rate):
        with Mock("--streams", 16, "--rate", 100, "--queue", 64) as mock:
            return mock.load("--clients", 4000, "--rate", rate, "--seconds", 15, "--answer-tokens",
                             32, "--retries", 2)

    def once():
        one, ten = at(50), at(500)  # of 50 a second
        return {"goodput": ten["tokens_rate"] / one["tokens_rate"], "refusal": ten["refusal_p99"]}
    found = median(rounds, once)
    report.add("goodput at 10 x overload by that at 1 x", found["goodput"], "", limit=1, must=0.95,
               aim=0.98)
    report.add("a refusal, p99", found["refusal"], "ms", limit=10, must=1, aim=0.3, better="lower")


def idle(report, _):
    with served.Served(build_program("vsurge"), served.test_model()) as server:
        time.sleep(2)
        before = cpu_s(server.process.pid)
        time.sleep(20)
        used = (cpu_s(server.process.pid) - before) / 20
    report.add("CPU of an idle server", used, "cores", limit=0.01, must=1, aim=0.2, better="lower")


def model(report, rounds):
    """What fields cost beside the model. Ordinary schemas are in structured_bench; this one never
    ends, so that answers are of one length."""
    schema = {"type": "json_schema", "json_schema": {"name": "people", "schema": PEOPLE}}
    kinds = {"": '"ignore_eos":true', "logprobs = 5":
             '"ignore_eos":true,"logprobs":true,"top_logprobs":5',
             "a JSON schema": '"response_format":' + json.dumps(schema)}
    with served.Served(build_program("vsurge"), served.test_model()) as server:
        def rate(members):
            return load(server.port, "--clients", 8, "--requests", 16, "--answer-tokens", 128,
                        "--members", members)["tokens_rate"]
        rate(kinds[""])

        def once():
            found = {name: rate(members) for name, members in kinds.items()}
            return {name: 1 - value / found[""] for name, value in found.items()}
        lost = median(max(rounds, 3), once)
    for name in list(kinds)[1:]:
        report.add(f"tokens/s lost by {name}, 8 streams", lost[name], "", limit=0.10, must=1,
                   aim=0.3, better="lower")


def main():
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--rows", default=",".join(ROWS))
    add_arguments(p)
    a = p.parse_args()
    if unknown := set(a.rows.split(",")) - set(ROWS):
        p.error(f"no row {unknown.pop()}: {', '.join(ROWS)}")
    if served.test_model() is None:
        sys.exit("server: the default model is not there; ./dev setup fetches it")
    report = Report(f"server: medians of {a.rounds} rounds")
    for name in ROWS:
        if name in a.rows.split(","):
            print(f"server: {name}", file=sys.stderr, flush=True)
            globals()[name](report, a.rounds)
    sys.exit(report.finish(a.json))


if __name__ == "__main__":
    main()
