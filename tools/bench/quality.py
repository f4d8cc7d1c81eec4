#!/usr/bin/env python3
"""How near the answers of this program are to the reference, on a real text.

usage: quality.py [--model FILE.gguf|FOLDER] [--text FILE] [--tokens 4000] [--window 1000]
                  [--weights auto|f32|bf16|i8|i4|nf4] [--kv bf16|f32|i8] [--isa LEVEL] [--last N]
                  [--peer bf16|Q4_0|Q8_0] [--as-bf16 [--rescaled]]
                  [--json FILE]

Teacher-forced: windows of the text through transformers (float32, dequantised weights) and
through vsurge_logits, the same token ids; KL divergence and top token of every position. --peer
measures another the same way: transformers in bfloat16, of which ours (--weights bf16) must lose at
most 1.2 times as much; or transformers in float32 with the layers' matrices rounded to a type of
llama.cpp's, of which ours must lose at most as much (llama.cpp itself rounds its head and
activations too, and loses more). --as-bf16 takes the dequantised weights of a GGUF file, as a
checkpoint in bfloat16 that is made once into the cache: what 8bit, int4 and nf4 lose shows there;
--rescaled: with other weights for the same function, which lie on no grid of a quantised file.
--last N compares the last N tokens of each window, for windows whose logits fill the memory. Needs
torch (CPU), transformers and gguf in the Python
environment.
"""

import argparse
import math
import os
import pathlib
import subprocess
import sys

from report import Report, add_arguments

ROOT = pathlib.Path(__file__).resolve().parents[2]
PEER_LIMITS = {"bf16": 1.2}  # others: 1
# mean KL divergence, same top token; by what weights are rounded to
LIMITS = {"i8": (0.002, 0.975)}
OTHER_LIMITS = (0.005, 0.97)


def arguments():
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    cache = pathlib.Path(os.environ.get("VSURGE_CACHE") or pathlib.Path.home() / ".cache/vsurge")
    data = pathlib.Path(os.environ.get("VSURGE_TEST_DATA") or ROOT.parent / "shared")
    p.add_argument(
        "--model", type=pathlib.Path, default=cache / "models/smollm2-135m-instruct-q4_1.gguf"
    )
    p.add_argument("--text", type=pathlib.Path, default=data / "corpora/wikitext-2-test.txt")
    p.add_argument("--tokens", type=int, default=4000)
    p.add_argument("--window", type=int, default=1000)
    p.add_argument("--weights", default="auto")
    p.add_argument("--kv", default="bf16")
    p.add_argument("--isa", default="")
    p.add_argument("--threads", type=int, default=0)
    p.add_argument("--last", type=int, default=0, help="0: all of a window")
    p.add_argument("--peer", default="")
    p.add_argument("--as-bf16", action="store_true")
    p.add_argument("--rescaled", action="store_true")
    add_arguments(p)
    a = p.parse_args()
    a.build = pathlib.Path(os.environ.get("VSURGE_BUILD") or ROOT / "build/release")
    for path in (a.model, a.text):
        if not path.exists():
            sys.exit(f"quality: {path}: not found")
    kind = "as-bf16-rescaled" if a.rescaled else "as-bf16"
    a.folder = cache / "models" / f"{a.model.stem}-{kind}"
    a.last = a.last or a.window
    return a


class Ours:
    """vsurge_logits: token ids in, logits out."""

    def __init__(self, a):
        import numpy

        self.np = numpy
        program = next(
            (
                p
                for p in (a.build / "bin/vsurge_logits", a.build / "tests/vsurge_logits")
                if p.exists()
            ),
            None,
        )
        if program is None:
            sys.exit(f"quality: no vsurge_logits under {a.build}; ./dev build makes it")
        command = [
            program,
            a.model,
            "--weights",
            a.weights,
            "--kv",
            a.kv,
            "--threads",
            str(a.threads),
            "--context",
            str(a.window),
            "--last",
            str(a.last),
        ] + (["--isa", a.isa] if a.isa else [])
        self.process = subprocess.Popen(
            list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.last = a.last
        self.vocabulary = int(self.read(1, "<i4")[0])

    def read(self, count, dtype):
        size = count * 4
        data = self.process.stdout.read(size)
        if len(data) != size:
            sys.exit("quality: vsurge_logits ended early")
        return self.np.frombuffer(data, dtype)

    def logits(self, ids):
        self.process.stdin.write(self.np.array([len(ids), *ids], "<i4").tobytes())
        self.process.stdin.flush()
        rows = min(len(ids), self.last)
        return self.read(rows * self.vocabulary, "<f4").reshape(rows, self.vocabulary)


class Sums:
    """Sums over positions of one text."""

    def __init__(self):
        self.positions, self.kl, self.same, self.kl_max = 0, 0.0, 0, 0.0
        self.predicted, self.nll, self.nll_reference = 0, 0.0, 0.0

    def add(self, torch, reference, ours, ids):
        for begin in range(0, len(ids), 100):  # in parts: double logits of a whole window are large
            part = slice(begin, min(begin + 100, len(ids)))
            p = torch.log_softmax(reference[part].double(), -1)
            q = torch.log_softmax(ours[part].double(), -1)
            kl = (p.exp() * (p - q)).sum(-1)
            self.kl += float(kl.sum())
            self.kl_max = max(self.kl_max, float(kl.max()))
            self.same += int((p.argmax(-1) == q.argmax(-1)).sum())
            self.positions += len(kl)
            following = torch.tensor(ids[part.start + 1 : part.stop + 1])
            at = torch.arange(len(following))
            self.nll -= float(q[at, following].sum())
            self.nll_reference -= float(p[at, following].sum())
            self.predicted += len(following)


def report_of(a, sums, peer, other):
    report = Report(
        f"quality: {a.model.name}, {sums.positions} tokens of {a.text.name} in windows of "
        f"{a.window}, weights {a.weights}, against {peer} float32"
    )
    kl, same = sums.kl / sums.positions, sums.same / sums.positions
    ppl, ppl_reference = (math.exp(x / sums.predicted) for x in (sums.nll, sums.nll_reference))
    kl_limit, top_limit = LIMITS.get(a.weights, OTHER_LIMITS)
    if a.weights not in ("i4", "nf4"):  # these have no bar of their own
        report.add("mean KL divergence", kl, "nat", limit=kl_limit, must=1.0, better="lower")
        report.add("same top token", same, "share", limit=top_limit, must=1.0)
    else:
        report.add("mean KL divergence", kl, "nat")
        report.add("same top token", same, "share")
    report.add("largest KL divergence", sums.kl_max, "nat")
    report.add("perplexity", ppl, "", peer=f"{peer} float32", peer_value=ppl_reference)
    if other:
        name = f"{peer} {a.peer}"
        report.add(f"mean KL divergence, beside {a.peer}", kl, "nat", peer=name,
                   peer_value=other.kl / other.positions, must=PEER_LIMITS.get(a.peer, 1.0),
                   better="lower")
        report.add(f"same top token, beside {a.peer}", same, "share", peer=name,
                   peer_value=other.same / other.positions)
    return report


def measure(a, torch, reference):
    """Sums of ours and, when asked for, of the peer."""
    ids = reference.token_ids(a.model, a.text, a.tokens)
    model, ours, sums = reference.load(a.model), Ours(a), Sums()
    peer, peer_sums = None, None
    if a.peer:
        peer, peer_sums = reference.peer(a.model, a.peer), Sums()
    for begin in range(0, len(ids), a.window):
        window = ids[begin : begin + a.window]
        kept = window[-a.last :]
        inputs = dict(input_ids=torch.tensor([window]), logits_to_keep=len(kept))
        with torch.no_grad():
            expected = model(**inputs).logits[0]
            if peer:
                peer_sums.add(torch, expected, peer(**inputs).logits[0].float(), kept)
        sums.add(torch, expected, torch.from_numpy(ours.logits(window).copy()), kept)
        print(f"quality: {begin + len(window)} of {len(ids)} tokens", file=sys.stderr)
    return sums, peer_sums


def main():
    a = arguments()
    try:
        import torch
        import quality_reference as reference
    except ImportError as error:
        sys.exit(f"quality: {error}; tools/setup/oracle.sh installs torch, transformers and gguf")
    if a.as_bf16:
        a.model = reference.bf16_folder(a.model, a.folder, a.rescaled)
    sums, other = measure(a, torch, reference)
    peer = f"transformers {reference.transformers.__version__}"
    sys.exit(report_of(a, sums, peer, other).finish(a.json))


if __name__ == "__main__":
    main()
