#!/usr/bin/env python3
"""Write the golden values of GGUF's block formats: src/model/gguf_blocks_golden.txt.

Needs the Python packages gguf and numpy. One line a format: its name, the bytes of one block in
hexadecimal, and what gguf's dequantize makes of them. Bytes are random, scales are sane.
"""

import pathlib

import gguf
import numpy as np

OUT = pathlib.Path(__file__).resolve().parents[2] / "src/model/gguf_blocks_golden.txt"
# Where the half-precision scales of a block lie.
SCALES = {
    "Q4_0": [0],
    "Q4_1": [0, 2],
    "Q5_0": [0],
    "Q5_1": [0, 2],
    "Q8_0": [0],
    "Q4_K": [0, 2],
    "Q5_K": [0, 2],
    "Q6_K": [208],
}


def main():
    rng = np.random.default_rng(20)
    lines = []
    for name, places in SCALES.items():
        kind = gguf.GGMLQuantizationType[name]
        _, size = gguf.GGML_QUANT_SIZES[kind]
        block = rng.integers(0, 256, size, dtype=np.uint8)
        for place in places:
            scale = np.float16(rng.uniform(0.001, 0.1) * rng.choice([-1, 1]))
            block[place : place + 2] = np.frombuffer(scale.tobytes(), np.uint8)
        values = gguf.dequantize(block.reshape(1, -1), kind).reshape(-1)
        text = " ".join(repr(float(np.float32(v))) for v in values)
        lines.append(f"{name} {block.tobytes().hex()} {text}")
    OUT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
