#!/usr/bin/env python3
"""How long a start takes and how much memory it needs, from a checkpoint in bfloat16 and from the
folder that `vsurge quantize` makes of it.

usage: load.py [--shape qwen3-0.6b|qwen3-1.7b|qwen3-4b|qwen3-8b] [--method 8bit|int4|nf4|none]
               [--rounds 3] [--keep] [--program vsurge] [--json FILE]

A start is the time from the command to "ready"; the files are in the system's memory by then, where
they fit. Memory is the peak of the process, file pages included, without the KV cache (256 MiB), by
the size of the packed weights. The checkpoint (random weights) is made into the cache once; with
--keep both stay there, else what this made goes away again. A shape needs 3 times its bytes in
bfloat16 on the disk."""

import argparse
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

import llama_peer
from report import BUILD, Report, add_arguments

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "load"))
import served  # noqa: E402

KV_BYTES = 256 << 20
SIZE = ("--max-model-len", "1024", "--max-num-seqs", "4", "--kv-cache-memory-bytes", str(KV_BYTES))
START_S = 2.0  # of a packed folder of 8 billion parameters


def checkpoint(shape):
    """The folder, and whether it was made now."""
    folder = llama_peer.cache() / "models" / f"{shape}-random"
    if (folder / "tokenizer.json").exists():
        return folder, False
    tools = llama_peer.test_data() / "peers"
    tokenizer = llama_peer.test_data() / "tokenizers/qwen3"
    subprocess.run([sys.executable, tools / "make_random_model.py", shape, folder, "--tokenizer",
                    tokenizer], check=True, stdout=sys.stderr)
    return folder, True


def peak_bytes(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) << 10
    return 0


def start(program, model, options=()):
    """Seconds to ready, and the peak of memory in bytes without the KV cache."""
    begin = time.monotonic()
    server = served.Served(str(program), model, options, patience_s=1800, size=SIZE)
    seconds = time.monotonic() - begin
    peak = peak_bytes(server.process.pid) - KV_BYTES
    server.stop()
    return seconds, peak


def median_start(program, model, rounds, options=()):
    starts = [start(program, model, options) for _ in range(rounds)]
    return statistics.median(s for s, _ in starts), max(peak for _, peak in starts)


def measure(a, source, packed):
    begin = time.monotonic()
    subprocess.run([a.program, "quantize", source, "--format", a.method, "-o", packed], check=True,
                   stdout=sys.stderr)
    written = time.monotonic() - begin
    size = (packed / "weights.vsurge").stat().st_size
    start(a.program, packed)  # brings the file into the system's memory
    quick, quick_peak = median_start(a.program, packed, a.rounds)
    options = () if a.method == "none" else ("--quantization", a.method)
    slow, slow_peak = median_start(a.program, source, a.rounds, options)
    report = Report(f"load: {a.shape} shape, {a.method}, {size / 1e9:.2f} GB packed, median of "
                    f"{a.rounds} starts")
    report.add("vsurge quantize", written, "s")
    report.add("start from the checkpoint", slow, "s")
    eight = a.shape == "qwen3-8b"
    report.add("start from the packed folder", quick, "s", limit=START_S if eight else None,
               must=1.0 if eight else None, better="lower")
    report.add("packed by checkpoint", quick, "s", peer="from the checkpoint", peer_value=slow,
               better="lower")
    report.add("peak memory, from the checkpoint", slow_peak / 1e9, "GB", limit=size / 1e9,
               must=1.15, aim=1.05, better="lower")
    report.add("peak memory, from the packed folder", quick_peak / 1e9, "GB", limit=size / 1e9,
               must=1.15, aim=1.05, better="lower")
    return report


def main():
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--shape", default="qwen3-0.6b")
    p.add_argument("--method", default="8bit")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--keep", action="store_true")
    p.add_argument("--program", default=BUILD / "bin/vsurge")
    add_arguments(p)
    a = p.parse_args()
    source, made = checkpoint(a.shape)
    packed = source.with_name(f"{a.shape}-packed-{a.method}")
    try:
        report = measure(a, source, packed)
    finally:
        if not a.keep:
            shutil.rmtree(packed, ignore_errors=True)
            if made:
                shutil.rmtree(source)
    sys.exit(report.finish(a.json))


if __name__ == "__main__":
    main()
