#!/usr/bin/env python3
"""Speed of a model with random weights of the Qwen3-0.6B shape, beside llama.cpp and the machine's
limits, all in one run.

usage: cpu.py [--streams 1,2,4,8,16,32] [--prompt 512] [--answer 24] [--rounds 3] [--threads N]
              [--methods none,8bit,int4] [--json FILE] [--write]

Rounds are interleaved: roofs, then ours and the peer for each class (none: BF16; 8bit: Q8_0; int4:
Q4_0). Figures are medians. The limit of N streams is N / max(bytes / read, operations / vpdpbusd);
vpdpbusd, not AMX, where the CPU has both; bytes: what a step reads of the weights, without the
embedding; read and vpdpbusd: the best of the run, because one that others disturbed would flatter.
The model and its GGUF files are made once into the cache, with the tools of VSURGE_TEST_DATA/peers.
--write puts the table into docs/PERFORMANCE.md."""

import argparse
import datetime
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys

import llama_peer
from report import Report, add_arguments, write_section

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("VSURGE_BUILD") or ROOT / "build/release")
SHAPE = "qwen3-0.6b"
LAYER_WEIGHTS = 28 * (4096 * 1024 + 2048 * 1024 + 3 * 3072 * 1024)
HEAD_WEIGHTS = 151936 * 1024
# class: peer's type, bits of a layer's weight and of the head's with scales, musts by streams
# against llama.cpp's best type of the class, and against the limit
CLASSES = {
    "none": ("BF16", 16, 16, {1: 1.0}, {}),
    "8bit": ("Q8_0", 8.25, 8.25, {1: 1.0, 4: 2, 8: 3, 16: 3, 32: 3},
             {1: 0.88, 4: 0.70, 8: 0.70, 16: 0.65, 32: 0.60}),
    "int4": ("Q4_0", 5, 8.25, {1: 1.0, 4: 2, 8: 3, 16: 3, 32: 3},
             {1: 0.80, 4: 0.60, 8: 0.55, 16: 0.50, 32: 0.50}),
}  # fmt: skip


def output(command, **options):
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, text=True, **options)
    if done.returncode != 0:
        sys.exit(f"cpu: {command[0]} ends with {done.returncode}")
    return done.stdout


def prepare(types, binaries):
    """The checkpoint, and a GGUF file of each type."""
    models = llama_peer.cache() / "models"
    folder = models / f"{SHAPE}-random"
    tools = llama_peer.test_data() / "peers"
    if not (folder / "model.safetensors").exists():
        output([sys.executable, tools / "make_random_model.py", SHAPE, folder])
    prefix = models / f"{SHAPE}-random"
    wanted = [t for t in types if t != "BF16"]
    if not all(pathlib.Path(f"{prefix}-{t}.gguf").exists() for t in types):
        output(["bash", tools / "gguf_convert.sh", llama_peer.source(), binaries.parent, folder,
                prefix, *wanted], env=llama_peer.environment(binaries), stderr=subprocess.DEVNULL)
    return folder, {t: f"{prefix}-{t}.gguf" for t in types}


def roofs(program):
    """GB/s of reading, GOP/s of vpdpbusd, all threads."""
    rows = [json.loads(line) for line in output([program, "1", "3", "probe"]).splitlines() if line]
    most = max(row["threads"] for row in rows)
    rows = [row for row in rows if row["threads"] == most]
    read = max(row["median"] for row in rows if row["unit"] == "GB/s")
    return read, max((r["median"] for r in rows if "vpdpbusd" in r["roof"]), default=float("inf"))


def machine():
    """The name of the CPU, and how busy other processes keep it."""
    found = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text())
    return f"{found[1] if found else 'unknown CPU'}, load at the end {os.getloadavg()[0]:.1f}"


def run_ours(a, folder, method):
    """Decoding by streams; prefill from all but the first run, which finds its memory cold."""
    lines = output([BUILD / "bin/vsurge_bench", folder, "--quantization", method, "-s", a.streams,
                    "-p", a.prompt, "-n", a.answer, "--threads", a.threads,
                    "--max-concurrent-prefill", 64]).splitlines()  # all streams start at once
    rows = [json.loads(line) for line in lines]
    found = {row["streams"]: row["decode"] for row in rows}
    found["prefill"] = statistics.median(row["prefill"] for row in rows[1:] or rows)
    return found


def run_peer(a, binaries, file):
    env = llama_peer.environment(binaries)
    table = output([binaries / "llama-batched-bench", "-m", file, "-t", a.threads, "-tb", a.threads,
                    "-c", 4096, "-npp", 16, "-ntg", a.answer, "-npl", a.streams],
                   env=env, stderr=subprocess.DEVNULL)
    found = {}
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.strip("| ").split("|")]
        if len(cells) >= 8 and re.fullmatch(r"\d+", cells[0]):
            found[int(cells[2])] = float(cells[7])
    rows = json.loads(output([binaries / "llama-bench", "-m", file, "-t", a.threads, "-p", a.prompt,
                              "-n", 0, "-r", 1, "-o", "json"], env=env, stderr=subprocess.DEVNULL))
    found["prefill"] = rows[0]["avg_ts"]
    return found


def main():
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--streams", default="1,2,4,8,16,32")
    p.add_argument("--prompt", type=int, default=512)
    p.add_argument("--answer", type=int, default=24)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--methods", default="none,8bit,int4")
    p.add_argument("--write", action="store_true", help="put the table into docs/PERFORMANCE.md")
    add_arguments(p)
    a = p.parse_args()
    methods = a.methods.split(",")
    binaries = llama_peer.binaries()
    folder, files = prepare([CLASSES[m][0] for m in methods], binaries)
    probe = llama_peer.cache() / "peers/roofs"
    if not probe.exists():
        source = llama_peer.test_data() / "peers/roofs.cpp"
        flags = ["-march=x86-64-v4", "-mavx512vnni", "-mavx512bf16", "-pthread"]
        output(["g++", "-O3", *flags, source, "-o", probe])
    limits, ours, peer = [], {m: [] for m in methods}, {m: [] for m in methods}
    for _ in range(a.rounds):
        for m in methods:
            limits.append(roofs(probe))
            ours[m].append(run_ours(a, folder, m))
            peer[m].append(run_peer(a, binaries, files[CLASSES[m][0]]))
    # The best of them: a roof that others disturbed would flatter.
    read, dots = (max(values) for values in zip(*limits))
    report = Report(f"cpu: {SHAPE} shape, {a.threads} threads, {a.rounds} rounds; read {read:.1f} "
                    f"GB/s, vpdpbusd {dots:.0f} GOP/s")
    operations = 2.0 * (LAYER_WEIGHTS + HEAD_WEIGHTS)
    for m in methods:
        name, bits, head_bits, by_peer, by_limit = CLASSES[m]
        step_s = (LAYER_WEIGHTS * bits + HEAD_WEIGHTS * head_bits) / 8 / (read * 1e9)

        def middle(rows, key):
            return statistics.median(row[key] for row in rows)

        for n in map(int, a.streams.split(",")):
            mine = middle(ours[m], n)
            limit = n / max(step_s, n * operations / (dots * 1e9))
            report.add(f"{m}, {n} streams", mine, "tokens/s", limit=limit, must=by_limit.get(n))
            report.add(f"{m}, {n} streams, by the peer", mine, "tokens/s", peer=f"llama.cpp {name}",
                       peer_value=middle(peer[m], n), must=by_peer.get(n))
        if m != "none" and all(n in ours[m][0] for n in (1, 2)):
            report.add(f"{m}, 2 streams by 1 stream", middle(ours[m], 2), "tokens/s",
                       peer="1 stream", peer_value=middle(ours[m], 1), must=1.85, aim=1.95)
        mine = middle(ours[m], "prefill")
        limit = dots * 1e9 / (2.0 * LAYER_WEIGHTS)
        report.add(f"{m}, prefill {a.prompt}", mine, "tokens/s", limit=limit,
                   must=0.58 if m == "8bit" else None)
        report.add(f"{m}, prefill {a.prompt}, by the peer", mine, "tokens/s",
                   peer=f"llama.cpp {name}", peer_value=middle(peer[m], "prefill"), must=1.4)
    if a.write:
        write_section(ROOT / "docs/PERFORMANCE.md", "bench cpu",
                      f"{datetime.date.today()}, {machine()}. {report.markdown()}")
    sys.exit(report.finish(a.json))


if __name__ == "__main__":
    main()
