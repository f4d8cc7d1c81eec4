#!/usr/bin/env python3
"""All linear layers of a decoder of the Qwen3-0.6B shape, head included, without attention: rows/s,
beside what reading the packed weights allows in the same run.

usage: linear.py [--formats bf16,i8256r,i464r] [--rows 1,2,4,8,16,32,512]
                 [--isa LEVEL] [--threads 0] [--rounds 3] [--json FILE]

A format is a kind and its group, then r when groups are rotated, then 2 for activations in two
planes. `8bit` serves i8256r, `int4` i464r. Median of the rounds."""

import argparse
import statistics
import subprocess
import sys

from report import Report, add_arguments, build_program


def main():
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--formats", default="bf16,i8256r,i464r")
    p.add_argument("--rows", default="1,2,4,8,16,32,512")
    p.add_argument("--isa", default="")
    p.add_argument("--threads", default="0")
    p.add_argument("--rounds", type=int, default=3)
    add_arguments(p)
    a = p.parse_args()
    program = build_program("linear_bench")
    found = {}
    level = ""
    for _ in range(a.rounds):
        command = [program, a.formats, a.rows, a.isa, a.threads]
        out = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        level, _, *lines = out.splitlines()
        for line in lines:
            name, rows, speed, operations, read, share = line.split()
            roof = float(read) / float(share) if float(share) > 0 else 0
            found.setdefault((name, int(rows)), []).append(
                (float(speed), float(operations), float(read), roof))
    report = Report(f"linear: {level}, {a.rounds} rounds; limit: reading the weights alone")
    for (name, rows), values in found.items():
        middle = [statistics.median(v[i] for v in values) for i in range(4)]
        report.add(f"{name}, {rows} rows: {middle[0]:.0f} rows/s, {middle[1]:.0f} GOP/s", middle[2],
                   "GB/s", limit=max(v[3] for v in values))
    sys.exit(report.finish(a.json))


if __name__ == "__main__":
    main()
