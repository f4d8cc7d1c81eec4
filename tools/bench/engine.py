#!/usr/bin/env python3
"""What the engine costs beside the model, and what it gives: scheduler and sampler on models that
take no time (Google Benchmark), then a server with the default model: the time between tokens of
eight streams while a long prompt arrives, and the time to the first token of a cached prompt.

usage: engine.py [--program vsurge] [--model FILE] [--rounds 3] [--json FILE]"""

import argparse
import http.client
import json
import os
import pathlib
import statistics
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tools" / "load"), str(ROOT / "tools" / "bench")]
import served  # noqa: E402
from report import Report, add_arguments  # noqa: E402

BUILD = pathlib.Path(os.environ.get("VSURGE_BUILD", ROOT / "build" / "release"))
STREAMS = 8
ANSWER = 400
WORDS = ("river", "stone", "lamp", "paper", "garden", "silver", "window", "letter", "summer",
         "bridge", "forest", "engine")  # fmt: skip


def run_benchmark(name, rounds, choose=None):
    """The medians by benchmark: time in microseconds and counters; {} where it is not built.
    choose: makes a filter of the names there are."""
    built = subprocess.run(["ninja", "-C", str(BUILD), name], capture_output=True, check=False)
    if built.returncode != 0:
        print(f"{name}: not built (libbenchmark-dev is not there?)", file=sys.stderr)
        return {}
    command = [str(BUILD / "bin" / name), "--benchmark_format=json",
               f"--benchmark_repetitions={rounds}", "--benchmark_min_time=0.1"]  # fmt: skip
    if choose is not None:
        listed = subprocess.run([command[0], "--benchmark_list_tests"], capture_output=True,
                                text=True, check=True).stdout.split()  # fmt: skip
        command.append(f"--benchmark_filter={choose(listed)}")
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    micro = {"ns": 1e-3, "us": 1.0, "ms": 1e3, "s": 1e6}
    found = {}
    for entry in json.loads(output)["benchmarks"]:
        if entry.get("aggregate_name") != "median" and "aggregate_name" in entry:
            continue
        key = entry["run_name"].split("/iterations")[0].split("/manual")[0]
        entry["us"] = entry["real_time"] * micro[entry["time_unit"]]
        if entry.get("aggregate_name") == "median" or key not in found:
            found[key] = entry
    return found


def add_scheduler(report, rounds):
    rows = run_benchmark("scheduler_bench", rounds)
    if not rows:
        return None
    report.add("calibration: 1,000 dependent multiplications", rows["calibration"]["us"], "us")
    for metric, key, limit, aim in (
        ("plan + commit, 16 running", "step/16", 15.0, 6.0),
        ("plan + commit, 256 running", "step/256", 60.0, 25.0),
        ("admission, 4k prompt found in 100k pages", "admission/1", 100.0, 40.0),
        ("admission, 4k prompt, nothing found", "admission/0", 100.0, 40.0),
    ):
        report.add(metric, rows[key]["us"], "us", limit=limit, must=1.0, aim=aim / limit,
                   better="lower")  # fmt: skip
    report.add("plan + commit, 4,096 by 16 x 256 running", rows["step/4096"]["us"], "us",
               limit=16 * rows["step/256"]["us"], must=1.3, aim=1.0, better="lower")  # fmt: skip
    report.add("service of two clients, 10:1 offered", rows["fairness"]["service_ratio"], "ratio",
               limit=1.0, must=1.3, aim=1.1, better="lower")  # fmt: skip
    return rows["no_hits/1"]["ns_per_token"] - rows["no_hits/0"]["ns_per_token"]


def add_sampler(report, rounds):
    def choose(names):
        best = next(level for level in ("avx512", "avx512_vnni", "avx2", "scalar")
                    if any(name.startswith(f"{level}/") for name in names))  # fmt: skip
        return f"read_row|{best}/(greedy|full_chain|top_p_0.95|logprobs_20)/(normal|peaked)"

    for key, row in run_benchmark("sample_bench", rounds, choose).items():
        if key == "read_row":
            report.add("calibration: reading such a row", row["us"], "us")
            continue
        greedy = "greedy" in key
        limit, aim = (60.0, 30.0) if greedy else (250.0, 120.0)
        judged = greedy or "full_chain" in key
        report.add(f"sample a row of 151,936: {key}", row["us"], "us", limit=limit,
                   must=1.0 if judged else None, aim=aim / limit, better="lower")  # fmt: skip


class Stream(threading.Thread):
    """One streaming completion; the times at which its pieces came."""

    def __init__(self, port, model, prompt, answer):
        super().__init__(daemon=True)
        self.port, self.times = port, []
        self.body = {"model": model, "prompt": prompt, "max_tokens": answer, "temperature": 0,
                     "stream": True}  # fmt: skip
        self.begin = 0.0

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        self.begin = time.monotonic()
        connection.request("POST", "/v1/completions", json.dumps(self.body),
                           {"Content-Type": "application/json"})  # fmt: skip
        answer = connection.getresponse()
        if answer.status != 200:
            raise RuntimeError(answer.read().decode())
        while line := answer.readline():
            if line.startswith(b"data: {"):
                self.times.append(time.monotonic())
        connection.close()

    def first_token(self):
        return self.times[0] - self.begin


def text_of(words, salt):
    return " ".join(WORDS[(i * 7 + i // 5 + salt) % len(WORDS)] for i in range(words)) + f" {salt}"


def gaps(streams, begin, end):
    found = []
    for stream in streams:
        times = [t for t in stream.times if begin <= t <= end]
        found += [b - a for a, b in zip(times, times[1:])]
    return found


def p99(values):
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.99))]


def stretch(port, model, salt):
    """p99 of the time between tokens of eight streams: while a 4k prompt is read, and without."""
    streams = [Stream(port, model, text_of(20, salt + i), ANSWER) for i in range(STREAMS)]
    for stream in streams:
        stream.start()
    while min(len(stream.times) for stream in streams) < 60:
        time.sleep(0.01)
    begin = time.monotonic()
    long = Stream(port, model, text_of(3600, salt + 100), 1)
    long.start()
    long.join()
    end = time.monotonic()
    quiet = gaps(streams, 0, begin)
    busy = gaps(streams, begin, end)
    for stream in streams:
        stream.join()
    quiet = quiet[STREAMS * 10 :]
    return p99(busy), p99(quiet), end - begin


def cached_share(port, model, salt):
    """Time to the first token of a 2k prompt, cold, then with only its end new."""
    prompt = text_of(1900, salt)
    times = []
    for end in ("one", "two"):
        stream = Stream(port, model, f"{prompt} {end}", 1)
        stream.start()
        stream.join()
        times.append(stream.first_token())
    return times[1], times[0]


def add_live(report, arguments, cache_ns):
    size = ("--max-model-len", "8192", "--max-num-seqs", "16", "--kv-cache-memory-bytes", "1G")
    with served.Served(arguments.program, arguments.model, size=size) as server:
        model, port = server.model_name(), server.port
        Stream(port, model, "warm up", 8).run()
        stretched = [stretch(port, model, 1000 * i) for i in range(arguments.rounds)]
        cached = [cached_share(port, model, 5000 + i) for i in range(arguments.rounds)]
        server.stop()
    middle = sorted(stretched, key=lambda pair: pair[0] / pair[1])[len(stretched) // 2]
    report.add("p99 between tokens, 8 streams, 4k prompt arrives", middle[0] * 1e3, "ms",
               peer="without it", peer_value=middle[1] * 1e3, must=2.5, aim=1.5,
               better="lower")  # fmt: skip
    report.add("  that prompt's time to its token", middle[2], "s")
    middle = sorted(cached, key=lambda pair: pair[0] / pair[1])[len(cached) // 2]
    report.add("first token, 2k prefix cached", middle[0] * 1e3, "ms", peer="cold",
               peer_value=middle[1] * 1e3, must=0.05, aim=0.025, better="lower")  # fmt: skip
    if cache_ns is not None:
        token_ns = statistics.median(pair[1] for pair in cached) / 2000 * 1e9
        report.add("prefix cache at 0 % hits", max(0.0, cache_ns), "ns/token",
                   peer="a token of a prompt", peer_value=token_ns, must=0.005, aim=0.002,
                   better="lower")  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--program", default=str(BUILD / "bin" / "vsurge"))
    parser.add_argument("--model", default=served.test_model())
    parser.add_argument("--rounds", type=int, default=3)
    add_arguments(parser)
    arguments = parser.parse_args()
    report = Report("engine")
    cache_ns = add_scheduler(report, arguments.rounds)
    add_sampler(report, arguments.rounds)
    if arguments.model is None:
        print("no default model (./dev setup fetches it): the live figures are left out")
    else:
        add_live(report, arguments, cache_ns)
    return report.finish(arguments.json)


if __name__ == "__main__":
    sys.exit(main())
