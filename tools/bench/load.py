#!/usr/bin/env python3
"""From a model on disk to weights in memory: read and packed at every start, or mapped from a
folder of `vsurge quantize`; peak memory against the size of the packed weights; and, with --large,
the start of a model of 8 billion parameters, whose packed folder is made here of random numbers
and removed again (9.3 GB on the disk, and as much memory for the page cache).

Every file was read just before, so that the disk is not measured. Seconds are those the program
logs; memory is sampled from /proc/PID/status until the weights are there.

usage: load.py [--program vsurge] [--model FOLDER] [--formats 8bit,int4] [--runs 3] [--large]
               [--folder FOLDER] [--json FILE]"""

import argparse
import json
import os
import pathlib
import random
import re
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tools" / "load"), str(ROOT / "tools" / "bench")]
import served  # noqa: E402
from report import BUILD, Report, add_arguments  # noqa: E402

LOADED = re.compile(r"weights: (\d+) MiB (?:mapped|read and packed) in ([\d.]+) s")
MIB = 1 << 20
DATA_UNIT, SECTION_UNIT, TAIL = 2 << 20, 4096, 64  # src/model/packed_file.h

# Sides of Qwen3-8B, for its configuration and its matrices.
LARGE = {
    "model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"], "hidden_size": 4096,
    "intermediate_size": 12288, "num_hidden_layers": 36, "num_attention_heads": 32,
    "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 151936, "rms_norm_eps": 1e-6,
    "max_position_embeddings": 40960, "rope_theta": 1000000, "tie_word_embeddings": False,
}  # fmt: skip


def memory_of(pid):
    """Resident bytes: (all, of no file); zeros once the process has ended."""
    try:
        text = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return 0, 0
    found = {key: int(value) * 1024 for key, value in re.findall(r"^(\w+):\s+(\d+) kB", text, re.M)}
    return found.get("VmRSS", 0), found.get("RssAnon", 0)


def start(program, model, options):
    """One start: seconds of the weights, their bytes, peak bytes in all and of no file, and seconds
    from the start of the program until the weights are there, its tokenizer read before them."""
    command = [str(program), "generate", str(model), "--prompt", "a", "--max-tokens", "1",
               "--max-length", "128", "--log-level", "info", *options]  # fmt: skip
    peak, peak_anonymous = 0, 0
    with tempfile.TemporaryFile() as log:
        began = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log)
        found, whole = None, None
        while process.poll() is None and found is None:
            every, anonymous = memory_of(process.pid)
            found = LOADED.search(os.pread(log.fileno(), 1 << 16, 0).decode())
            if found is None:
                peak, peak_anonymous = max(peak, every), max(peak_anonymous, anonymous)
            else:
                whole = time.monotonic() - began
            time.sleep(0.003)
        if whole is None:
            whole = time.monotonic() - began
        process.wait(300)
        text = os.pread(log.fileno(), 1 << 16, 0).decode()
    found = LOADED.search(text)
    if process.returncode != 0 or found is None:
        raise RuntimeError(f"{' '.join(command)} failed:\n{text[-2000:]}")
    return float(found.group(2)), int(found.group(1)) * MIB, peak, peak_anonymous, whole


def read_all(path):
    """Brings a file or a folder's files into the page cache."""
    for file in [path] if path.is_file() else sorted(p for p in path.iterdir() if p.is_file()):
        with open(file, "rb", buffering=0) as stream:
            while stream.read(8 << 20):
                pass


class Sections:
    """Places of the data, and what writes them: pieces of random bytes, or one repeated value."""

    def __init__(self):
        self.end = 0
        self.parts = []

    def add(self, size, pattern):
        at = self.end
        self.parts.append((at, size, pattern))
        self.end = -(-(at + size) // SECTION_UNIT) * SECTION_UNIT
        return at


def large_header(sections, noise):
    """Qwen3-8B in 8 bits in groups of 128, its embedding in bfloat16, as the program packs it."""
    hidden, inner = LARGE["hidden_size"], LARGE["intermediate_size"]
    heads = LARGE["num_attention_heads"] * LARGE["head_dim"]
    both = heads + 2 * LARGE["num_key_value_heads"] * LARGE["head_dim"]
    scale, minimum = struct.pack("<e", 2e-4), struct.pack("<e", -0.0255)

    def matrix(rows, cols):
        padded = -(-rows // 16) * 16
        groups = padded * (cols // 128) * 2
        return {"kind": "int8_min", "group": 128, "rotated": True, "one_plane": False, "rows": rows,
                "cols": cols, "values": sections.add(padded * cols, noise),
                "scales": sections.add(groups, scale),
                "minima": sections.add(groups, minimum)}  # fmt: skip

    def vector(size):
        return {"size": size, "values": sections.add(size * 4, struct.pack("<f", 1.0))}

    table = {"kind": "bfloat16", "group": 0, "rotated": False, "one_plane": False,
             "rows": LARGE["vocab_size"], "cols": hidden}  # fmt: skip
    # bfloat16 from random bytes: signs and mantissas as they come, one exponent.
    small = bytes(b if i % 2 == 0 else (b & 0x80) | 0x3C for i, b in enumerate(noise[: 1 << 20]))
    table["values"] = sections.add(LARGE["vocab_size"] * hidden * 2, small)
    matrices, vectors = {"embedding": table}, {}
    for layer in range(LARGE["num_hidden_layers"]):
        at = f"layers.{layer}."
        vectors[at + "attention_norm"] = vector(hidden)
        vectors[at + "mlp_norm"] = vector(hidden)
        vectors[at + "q_norm"] = vector(LARGE["head_dim"])
        vectors[at + "k_norm"] = vector(LARGE["head_dim"])
        matrices[at + "qkv"] = matrix(both, hidden)
        matrices[at + "o"] = matrix(hidden, heads)
        matrices[at + "gate_up"] = matrix(2 * inner, hidden)
        matrices[at + "down"] = matrix(hidden, inner)
    vectors["final_norm"] = vector(hidden)
    matrices["head"] = matrix(LARGE["vocab_size"], hidden)
    return {"format": 1, "layout": 2, "weights": "8bit", "parameters": 8_190_735_360,
            "weight_format": "int8 g128 with minimum", "checkpoint": "random",
            "source": {"path": "/none", "files": {"model.safetensors": "0 0 0"}},
            "matrices": matrices, "vectors": vectors}  # fmt: skip


def write_large(folder, tokenizer):
    """No part is a hole or zeros: every page has bytes of its own file."""
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tokenizer / name, folder)
    (folder / "config.json").write_text(json.dumps(LARGE), encoding="utf-8")
    noise = random.Random(1).randbytes(32 << 20)
    sections = Sections()
    header = large_header(sections, noise)
    header["bytes"] = DATA_UNIT + sections.end + TAIL
    text = json.dumps(header, separators=(",", ":")).encode()
    with open(folder / "weights.vsurge", "wb") as file:
        file.write(b"vsurge w" + struct.pack("<Q", len(text)) + text)
        for at, size, pattern in sections.parts:
            file.seek(DATA_UNIT + at)
            block = pattern * max(1, min(size, 1 << 20) // len(pattern))
            while size > 0:
                size -= file.write(block[:size])
        file.truncate(header["bytes"])


def quantize(arguments, name, folder):
    """Packs the model; peak resident bytes, which have no tokenizer in them."""
    process = subprocess.Popen([str(arguments.program), "quantize", str(arguments.model),
                                "--format", name, "-o", str(folder)],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise RuntimeError(f"vsurge quantize ended with {status}")
    return usage.ru_maxrss * 1024


def measure(report, arguments, name, folder, cold, peak):
    """Starts from the checkpoint (`cold`: its path and options, or None) and from its folder."""
    os.sync()  # what was just written is not written while we measure
    packed = []
    read_all(folder)
    for _ in range(arguments.runs):
        packed.append(start(arguments.program, folder, []))
    seconds = statistics.median(run[0] for run in packed)
    size = packed[0][1]
    if cold is not None:
        read_all(cold[0])
        runs = [start(arguments.program, *cold) for _ in range(arguments.runs)]
        report.add(f"{name}: weights read and packed", statistics.median(r[0] for r in runs), "s")
        report.add(f"{name}: peak memory while packing", peak / MIB, "MiB",
                   limit=size / MIB, must=1.15, aim=1.05, better="lower")  # fmt: skip
        report.add(f"{name}: with the tokenizer", max(r[2] for r in runs) / MIB, "MiB",
                   limit=size / MIB, better="lower")  # fmt: skip
        report.add(f"{name}: of it, in no file", max(r[3] for r in runs) / MIB, "MiB",
                   limit=size / MIB, better="lower")  # fmt: skip
    large = {"limit": 2.0, "must": 1.0, "better": "lower"} if cold is None else {}
    report.add(f"{name}: weights from the packed folder", seconds, "s")
    report.add(f"{name}: program started until they are there",
               statistics.median(run[4] for run in packed), "s", **large)  # fmt: skip
    report.add(f"{name}: memory in no file then", max(r[3] for r in packed) / MIB, "MiB")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--program", default=BUILD / "bin" / "vsurge")
    parser.add_argument("--model", type=pathlib.Path,
                        default=served.cache_folder() / "models" / "qwen3-0.6b-random")
    parser.add_argument("--formats", default="8bit,int4")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--large", action="store_true", help="8 billion parameters as well")
    parser.add_argument("--folder", type=pathlib.Path, help="where the packed folders are made")
    add_arguments(parser)
    arguments = parser.parse_args()
    if not arguments.model.exists():
        print(f"{arguments.model} is not there: give --model")
        return served.SKIP
    report = Report("load")
    for name in arguments.formats.split(",") if arguments.formats else []:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as home:
            folder = pathlib.Path(home) / "packed"
            peak = quantize(arguments, name, folder)
            measure(report, arguments, name, folder,
                    (arguments.model, ["--quantization", name]), peak)
    if arguments.large:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as home:
            write_large(pathlib.Path(home), arguments.model)
            measure(report, arguments, "8B, 8bit", pathlib.Path(home), None, 0)
    return report.finish(arguments.json)


if __name__ == "__main__":
    sys.exit(main())
