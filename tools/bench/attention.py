#!/usr/bin/env python3
"""Attention alone: decode against the bandwidth of reading the cache, prompts in GFLOP/s.

usage: attention.py [--shapes 16/8/128,9/3/64,32/8/128] [--types bf16,int8] [--isa LEVEL]
                    [--threads 0] [--cases 1x4096,p512@4096,ragged,...] [--json FILE]

A shape is heads/kv_heads/head_dim; a case SEQUENCESxCONTEXT, pTOKENS@POSITION of a prompt, or
ragged: one context of 32768 among 31 of 256. The cache is larger than the processor's own ones."""

import argparse
import re
import subprocess
import sys

from report import Report, add_arguments, build_program

LINE = re.compile(r"\s*(\S+)\s+(\S+)\s+(\S+)\s+([\d.]+) ms\s+(\d+) GFLOP/s\s+([\d.]+) GB/s"
                  r"\s+([\d.]+) of ([\d.]+)")  # fmt: skip


def add_rows(report, shapes, types, isa, threads, cases):
    """Runs attention_bench, adds a row for each of its lines; returns its first line."""
    program = build_program("attention_bench")
    command = [program, shapes, types, isa, str(threads), cases]
    lines = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout
    for line in lines.splitlines()[1:]:
        match = LINE.match(line)
        if not match:
            continue
        shape, dtype, case, _, gflop_s, gb_s, _, roof = match.groups()
        name = f"attention {shape} {dtype} {case}"
        if case.startswith("p"):
            report.add(name, float(gflop_s), "GFLOP/s")
            continue
        # Short contexts are no must: their keys may come out of the processor's caches.
        long = case == "ragged" or int(case.split("x")[1]) >= 4096
        report.add(name, float(gb_s), "GB/s", limit=float(roof), must=0.70 if long else None,
                   aim=0.85)  # fmt: skip
    return lines.splitlines()[0]


def main():
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--shapes", default="16/8/128,9/3/64,32/8/128")
    p.add_argument("--types", default="bf16,int8")
    p.add_argument("--isa", default="")
    p.add_argument("--threads", default="0")
    p.add_argument("--cases", default="1x512,16x512,1x4096,4x4096,16x4096,1x32768,4x32768,ragged,"
                   "p512@0,p512@4096,p512@32768")  # fmt: skip
    add_arguments(p)
    a = p.parse_args()
    report = Report("")
    head = add_rows(report, a.shapes, a.types, a.isa, a.threads, a.cases)
    report.title = f"attention: {head}"
    sys.exit(report.finish(a.json))


if __name__ == "__main__":
    main()
