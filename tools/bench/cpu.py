#!/usr/bin/env python3
"""Speed of a model with random weights beside every peer that tools/setup/peers.sh has installed
and the machine's limits, all in one run.

usage: cpu.py [--shape qwen3-0.6b|qwen3-1.7b] [--streams 1,2,4,8,16,32] [--prompts 512]
              [--answer 24] [--rounds 3] [--threads N] [--methods none,8bit,int4]
              [--peers TEXT[,TEXT]] [--json FILE] [--write]

Rounds are interleaved: roofs, then ours and the peers, class by class (none: 16 bits; 8bit: peers
of 8 bits or more; int4: of 4 bits). Figures are medians over the rounds; with more than one, the
range of ours stands behind the name. The limit of N streams is N / max(bytes / read, operations /
vpdpbusd); vpdpbusd (of prefill in bfloat16: vdpbf16ps), not AMX, where the CPU has both; bytes:
what a step reads of the weights, without the embedding; read: the better of before and behind the
method, as the memory of some machines has a slow and a fast state that change within minutes; the
others: the best of the run, because one that others disturbed would flatter. Attention of one
stream over long contexts stands beside the same bandwidth, of its own run. --peers: only those
with a TEXT in their name, if no name has it none. The model is made once into the cache, with the
tools of VSURGE_TEST_DATA/peers. --write puts the table into docs/PERFORMANCE.md."""

import argparse
import dataclasses
import datetime
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys

import attention
import llama_peer
import peers
from report import BUILD, ROOT, Report, add_arguments, write_section

# layers, weights of a layer's matrices, of the head
SHAPES = {
    "qwen3-0.6b": (28, 4096 * 1024 + 2048 * 1024 + 3 * 3072 * 1024, 151936 * 1024),
    "qwen3-1.7b": (28, 4096 * 2048 + 2048 * 2048 + 3 * 6144 * 2048, 151936 * 2048),
}
HEADS = "16/8/128"  # of both: heads/KV heads/width
LLAMA = {1: (1.0, None), 4: (2, 3), 8: (3, 5), 16: (3, 5), 32: (3, 5)}


@dataclasses.dataclass(frozen=True)
class Class:
    """A method of quantising, and (must, aim) of the ratios by streams."""

    bits: int
    layer_bits: float  # a weight's, scales included
    head_bits: float
    by_limit: dict
    by_peer: dict
    prefill: tuple
    roof: str


CLASSES = {
    "none": Class(16, 16, 16, {1: (0.90, 0.95)}, {1: (1.0, 1.1)}, (0.80, 0.88), "vdpbf16ps"),
    "8bit": Class(8, 8.0625, 8.0625,
                  {1: (0.88, 0.93), 4: (0.70, 0.80), 8: (0.70, 0.80), 16: (0.65, 0.80),
                   32: (0.60, 0.80)},
                  {1: (1.0, 1.1), 4: (1.2, 1.4), 8: (1.6, 1.8), 16: (2.2, 2.7), 32: (2.3, 2.8)},
                  (0.58, 0.75), "vpdpbusd"),
    "int4": Class(4, 4.25, 8.0625,
                  {1: (0.80, 0.90), 4: (0.60, 0.70), 8: (0.55, 0.70), 16: (0.50, 0.70),
                   32: (0.50, 0.70)},
                  {1: (1.0, 1.1), 4: (1.4, 1.7), 8: (2.0, 2.4), 16: (2.2, 2.8), 32: (2.3, 2.8)},
                  (None, None), "vpdpbusd"),
}  # fmt: skip
PREFILL_BY_PEER = {512: (1.4, 1.8), 4096: (1.7, 2.3)}


def output(command):
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"cpu: {command[0]} ends with {done.returncode}")
    return done.stdout


def checkpoint(shape):
    folder = llama_peer.cache() / "models" / f"{shape}-random"
    if not (folder / "model.safetensors").exists():
        tool = llama_peer.test_data() / "peers/make_random_model.py"
        python = llama_peer.cache() / "peers/checkpoint/bin/python"  # tools/setup/peers.sh made it
        output([python if python.exists() else sys.executable, tool, shape, folder, "--tokenizer",
                llama_peer.test_data() / "tokenizers/qwen3"])
    return folder


def roofs_program():
    program = llama_peer.cache() / "peers/roofs"
    if not program.exists():
        source = llama_peer.test_data() / "peers/roofs.cpp"
        flags = ["-march=x86-64-v4", "-mavx512vnni", "-mavx512bf16", "-pthread"]
        output(["g++", "-O3", *flags, source, "-o", program])
    return program


def roofs(*options):
    """GB/s of reading as "read", GOP/s of vpdpbusd, and of vdpbf16ps without "probe"; by all
    threads."""
    lines = output([roofs_program(), "1", "3", *options]).splitlines()
    rows = [json.loads(line) for line in lines if line]
    most = max(row["threads"] for row in rows)
    rows = [row for row in rows if row["threads"] == most]
    memory = [row["median"] for row in rows if re.match("read_(huge|4k)", row["roof"])]
    found = {"read": max(memory)}
    for name in ("vpdpbusd", "vdpbf16ps"):
        values = [row["median"] for row in rows if name in row["roof"]]
        if values:
            found[name] = max(values)
    return found


def machine():
    """The name of the CPU, and how busy other processes keep it."""
    found = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text())
    return f"{found[1] if found else 'unknown CPU'}, load at the end {os.getloadavg()[0]:.1f}"


def run_ours(job, method):
    """Decoding by streams; prefill from all but the first run, which finds its memory cold."""
    found = {}
    for i, prompt in enumerate(job.prompts):
        streams = job.streams if i == 0 else (1, 1)
        answer = job.answer if i == 0 else 1
        lines = output([BUILD / "bin/vsurge_bench", job.model, "--quantization", method, "-s",
                        ",".join(map(str, streams)), "-p", prompt, "-n", answer, "--threads",
                        job.threads, "--max-model-len", max(4096, prompt + 64),
                        "--max-concurrent-prefill", 64]).splitlines()  # all streams start at once
        rows = [json.loads(line) for line in lines]
        found["prefill", prompt] = statistics.median(row["prefill"] for row in rows[1:] or rows)
        if i == 0:
            found |= {("decode", row["streams"]): row["decode"] for row in rows}
    return found


def measure(a, job, chosen):
    """Results by name, a list of a round each: "roofs", the methods, the peers."""
    results = {}
    failed = set()

    def keep(name, found):
        print(f"cpu: {name}: {found}", file=sys.stderr, flush=True)
        results.setdefault(name, []).append(found)

    keep("roofs", roofs())
    for _ in range(a.rounds):
        for method in a.methods.split(","):
            before = roofs("probe")
            found = run_ours(job, method)
            after = roofs("probe")
            keep("roofs", before)
            keep("roofs", after)
            keep(method, found | {"read": max(before["read"], after["read"])})
            for peer in chosen:
                if peer.bits != CLASSES[method].bits or peer.name in failed:
                    continue
                try:
                    keep(peer.name, peer.measure(job))
                except peers.PeerError as error:
                    failed.add(peer.name)
                    print(f"cpu: {peer.name} left out: {error}", file=sys.stderr, flush=True)
    return results


class Table:
    """Rows of the report from the results of all rounds."""

    def __init__(self, job, shape, results, chosen):
        self.job, self.results, self.chosen = job, results, chosen
        best = {}
        for row in results["roofs"]:
            best |= {name: max(value, best.get(name, 0)) for name, value in row.items()}
        self.roofs = best
        layers, matrices, self.head = SHAPES[shape]
        self.layers = layers * matrices
        self.report = Report(
            f"cpu: {shape} shape, {job.threads} threads, {len(results['roofs'])} probes; "
            + ", ".join(f"{name} {value:.1f}" if name == "read" else f"{name} {value:.0f}"
                        for name, value in best.items())
            + " (GB/s, GOP/s)")

    def peak(self, name):
        """Operations/s; without bound where the CPU does not have the instruction."""
        return self.roofs.get(name, float("inf")) * 1e9

    def median(self, name, key):
        values = [row[key] for row in self.results.get(name, []) if key in row]
        return statistics.median(values) if values else None

    def best_peer(self, key, accept):
        found = [(self.median(p.name, key), p.name) for p in self.chosen if accept(p)]
        return max(((v, n) for v, n in found if v is not None), default=(None, None))

    def range(self, name, key):
        values = [row[key] for row in self.results[name]]
        return f" ({min(values):.0f}-{max(values):.0f})" if len(values) > 1 else ""

    def add(self, method, label, key, limit, by_limit, by_peer):
        """Ours beside the limit, the best peer of the class, and llama.cpp's best of it."""
        kind = CLASSES[method]
        mine = self.median(method, key)
        must, aim = by_limit
        self.report.add(f"{method}, {label}{self.range(method, key)}", mine, "tokens/s",
                        limit=limit, must=must, aim=aim)

        def of_class(peer):
            return peer.bits == kind.bits or (kind.bits == 8 and peer.bits > 8)

        for what, accept, (must, aim) in (
            ("by the best peer", of_class, by_peer),
            ("by llama.cpp", lambda p: of_class(p) and p.name.startswith("llama.cpp"),
             LLAMA.get(key[1], (None, None)) if key[0] == "decode" and method != "none"
             else (None, None))):  # fmt: skip
            value, name = self.best_peer(key, accept)
            if value:
                self.report.add(f"{method}, {label}, {what}", mine, "tokens/s", peer=name,
                                peer_value=value, must=must, aim=aim)

    def fill(self, method):
        kind = CLASSES[method]
        read = self.median(method, "read")
        step_s = (self.layers * kind.layer_bits + self.head * kind.head_bits) / 8 / (read * 1e9)
        operations = 2.0 * (self.layers + self.head)
        for n in self.job.streams:
            limit = n / max(step_s, n * operations / self.peak("vpdpbusd"))
            self.add(method, f"{n} streams", ("decode", n), limit,
                     kind.by_limit.get(n, (None, None)), kind.by_peer.get(n, (None, None)))
        one, two = self.median(method, ("decode", 1)), self.median(method, ("decode", 2))
        if method != "none" and one and two:
            self.report.add(f"{method}, 2 streams by 1 stream", two, "tokens/s", peer="1 stream",
                            peer_value=one, must=1.85, aim=1.95)
        for prompt in self.job.prompts:
            limit = self.peak(kind.roof) / (2.0 * self.layers)
            self.add(method, f"prefill {prompt}", ("prefill", prompt), limit, kind.prefill,
                     PREFILL_BY_PEER.get(prompt, (None, None)))


def numbers(text):
    return tuple(map(int, text.split(",")))


def main():
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--shape", choices=SHAPES, default="qwen3-0.6b")
    p.add_argument("--streams", type=numbers, default=(1, 2, 4, 8, 16, 32))
    p.add_argument("--prompts", type=numbers, default=(512,))
    p.add_argument("--answer", type=int, default=24)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--methods", default="none,8bit,int4")
    p.add_argument("--peers", default="", help="texts in their names")
    p.add_argument("--write", action="store_true", help="put the table into docs/PERFORMANCE.md")
    add_arguments(p)
    a = p.parse_args()
    job = peers.Job(checkpoint(a.shape), a.streams, a.prompts, a.answer, a.threads)
    chosen = []
    for peer in peers.PEERS:
        missing = peer.missing(job.model)
        if not any(text in peer.name for text in a.peers.split(",")):
            continue
        if missing is None:
            chosen.append(peer)
        else:
            print(f"cpu: no {peer.name}: {missing} is not there; tools/setup/peers.sh makes it",
                  file=sys.stderr)
    results = measure(a, job, chosen)
    table = Table(job, a.shape, results, chosen)
    for method in a.methods.split(","):
        table.fill(method)
    attention.add_rows(table.report, HEADS, "bf16,int8", "", job.threads, "1x4096,1x32768")
    if a.write:
        write_section(ROOT / "docs/PERFORMANCE.md", "bench cpu",
                      f"{datetime.date.today()}, {machine()}. {table.report.markdown()}")
    sys.exit(table.report.finish(a.json))


if __name__ == "__main__":
    main()
