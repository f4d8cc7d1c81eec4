#!/usr/bin/env python3
"""Decode and prefill of the default model beside llama.cpp's, on the same file and threads.

usage: quick.py [--json FILE] [--rounds 5] [--model FILE.gguf] [--threads N] [--prompt 512]
                [--answer 128]

Rounds are interleaved, so that the drifts of a shared machine touch both; figures are medians. The
limit of decoding: the speed at which reading every weight once a token uses up the read bandwidth
that was measured in the same process."""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

import llama_peer
from report import Report, add_arguments


def run_ours(options, program):
    command = [program, "-p", str(options.prompt), "-n", str(options.answer),
               "--threads", str(options.threads), options.model]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(result.stdout.splitlines()[0])


def run_peer(options, folder):
    command = [folder / "llama-bench", "-m", options.model, "-t", str(options.threads),
               "-p", str(options.prompt), "-n", str(options.answer), "-r", "1", "-o", "json"]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                            check=True, env=llama_peer.environment(folder))
    rows = json.loads(result.stdout)
    return {"prefill": next(row["avg_ts"] for row in rows if row["n_gen"] == 0),
            "decode": next(row["avg_ts"] for row in rows if row["n_gen"] > 0)}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", default=str(llama_peer.cache() / llama_peer.MODEL))
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--answer", type=int, default=128)
    options = parser.parse_args()
    folder = llama_peer.binaries()
    root = pathlib.Path(__file__).resolve().parents[2]
    build = pathlib.Path(os.environ.get("VSURGE_BUILD", root / "build/release"))
    program = build / "bin/vsurge_bench"
    ours, peer = [], []
    for _ in range(options.rounds):
        ours.append(run_ours(options, program))
        peer.append(run_peer(options, folder))

    def middle(rows, key):
        return statistics.median(row[key] for row in rows)

    report = Report(f"quick: {pathlib.Path(options.model).name}, {options.threads} threads, "
                    f"{ours[0]['isa']}, {options.rounds} rounds")
    bandwidth = middle(ours, "read_gb_s")
    limit = bandwidth * 1e9 / ours[0]["weight_bytes"]
    report.add("decode, 1 stream", middle(ours, "decode"), "tokens/s", peer="llama.cpp",
               peer_value=middle(peer, "decode"), limit=limit, must=0.8, aim=1.0)
    report.add(f"prefill, {options.prompt} tokens", middle(ours, "prefill"), "tokens/s",
               peer="llama.cpp", peer_value=middle(peer, "prefill"), must=0.5, aim=1.0)
    report.add("decode, weights read", middle(ours, "decode") * ours[0]["weight_bytes"] / 1e9,
               "GB/s", limit=bandwidth)
    sys.exit(report.finish(options.json))


if __name__ == "__main__":
    main()
