#!/usr/bin/env python3
"""What is left of decoding when a foreign process takes one of the cores.

usage: fair.py [--model MODEL] [--threads N] [--streams 1,8] [--rounds 3] [--json FILE]

A process that never rests is bound to one core. The system gives it half of that core, so a fair
share of N cores is (N - 1/2) / N of the speed without it; that is the limit here. Runs with and
without it are interleaved; figures are medians of the rounds."""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys

import llama_peer
from report import Report, add_arguments, build_program

MUST, AIM = 0.80, 0.95


@contextlib.contextmanager
def busy(core):
    """A process that does nothing but take time of this core."""
    other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    os.sched_setaffinity(other.pid, {core})
    try:
        yield
    finally:
        other.kill()
        other.wait()


def decode(program, a):
    """Tokens/s by streams."""
    command = [program, a.model, "--threads", a.threads, "-s", a.streams, "-p", 32, "-n", 64]
    lines = subprocess.run(list(map(str, command)), check=True, text=True, stdout=subprocess.PIPE)
    rows = [json.loads(line) for line in lines.stdout.splitlines()]
    return {row["streams"]: row["decode"] for row in rows}


def main():
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    cores = sorted(os.sched_getaffinity(0))
    p.add_argument("--model", default=llama_peer.cache() / llama_peer.MODEL)
    p.add_argument("--threads", type=int, default=len(cores))
    p.add_argument("--streams", default="1,8")
    p.add_argument("--rounds", type=int, default=3)
    add_arguments(p)
    a = p.parse_args()
    program = build_program("vsurge_bench")
    alone, shared = [], []
    for _ in range(a.rounds):
        alone.append(decode(program, a))
        with busy(cores[0]):
            shared.append(decode(program, a))
    report = Report(f"fair: {a.threads} threads on {len(cores)} cores, one of them shared")
    for streams in alone[0]:
        fair = statistics.median(row[streams] for row in alone) * (a.threads - 0.5) / a.threads
        ours = statistics.median(row[streams] for row in shared)
        report.add(f"{streams} streams beside a busy process", ours, "tokens/s", limit=fair,
                   must=MUST, aim=AIM)  # fmt: skip
    sys.exit(report.finish(a.json))


if __name__ == "__main__":
    main()
