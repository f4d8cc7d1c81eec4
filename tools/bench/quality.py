#!/usr/bin/env python3
"""How near the answers of this program are to the reference, on a real text.

usage: quality.py [--model FILE.gguf|FOLDER] [--text FILE] [--tokens 4000] [--window 1000]
                  [--weights auto|f32|bf16|i8|i4] [--kv bf16|f32] [--isa LEVEL] [--bf16-peer]
                  [--json FILE]

Teacher-forced: windows of the text through transformers (float32, dequantised weights) and
through vsurge_logits, the same token ids; KL divergence and top token of every position. With
--bf16-peer transformers' own bfloat16 is measured the same way, and ours (--weights bf16) must
lose at most 1.2 times as much. Needs torch (CPU), transformers and gguf in the Python
environment.
"""

import argparse, json, math, os, pathlib, subprocess, sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
KL_LIMIT, TOP_LIMIT, BF16_LIMIT = 0.005, 0.97, 1.2


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
    p.add_argument("--bf16-peer", action="store_true")
    p.add_argument("--json", type=pathlib.Path)
    a = p.parse_args()
    a.build = pathlib.Path(os.environ.get("VSURGE_BUILD") or ROOT / "build/release")
    for path in (a.model, a.text):
        if not path.exists():
            sys.exit(f"quality: {path}: not found")
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
        ] + (["--isa", a.isa] if a.isa else [])
        self.process = subprocess.Popen(
            list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
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
        return self.read(len(ids) * self.vocabulary, "<f4").reshape(len(ids), self.vocabulary)


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


def row(metric, ours, unit, **more):
    empty = dict.fromkeys(("peer", "peer_value", "limit", "ratio", "must", "aim", "holds"))
    return dict(metric=metric, ours=ours, unit=unit) | empty | more


def rows_of(sums, peer, bf16):
    kl, same = sums.kl / sums.positions, sums.same / sums.positions
    ppl, ppl_reference = (math.exp(x / sums.predicted) for x in (sums.nll, sums.nll_reference))
    rows = [
        row(
            "mean KL divergence",
            kl,
            "nat",
            limit=KL_LIMIT,
            must=f"<= {KL_LIMIT}",
            holds=kl <= KL_LIMIT,
        ),
        row(
            "same top token",
            same,
            "share",
            limit=TOP_LIMIT,
            must=f">= {TOP_LIMIT}",
            holds=same >= TOP_LIMIT,
        ),
        row("largest KL divergence", sums.kl_max, "nat"),
        row(
            "perplexity",
            ppl,
            "",
            peer=peer + " float32",
            peer_value=ppl_reference,
            ratio=ppl / ppl_reference,
        ),
    ]
    if bf16:
        other = bf16.kl / bf16.positions
        rows.append(
            row(
                "KL beside bfloat16",
                kl,
                "nat",
                peer=peer + " bfloat16",
                peer_value=other,
                ratio=kl / other,
                limit=BF16_LIMIT,
                must=f"<= {BF16_LIMIT} x",
                holds=kl <= BF16_LIMIT * other,
            )
        )
        rows.append(
            row(
                "same top token, peer", bf16.same / bf16.positions, "share", peer=peer + " bfloat16"
            )
        )
    return rows


def measure(a, torch, reference):
    """Sums of ours and, when asked for, of transformers in bfloat16."""
    ids = reference.token_ids(a.model, a.text, a.tokens)
    model, ours, sums = reference.load(a.model), Ours(a), Sums()
    peer, peer_sums = (
        (reference.load(a.model, torch.bfloat16), Sums()) if a.bf16_peer else (None, None)
    )
    for begin in range(0, len(ids), a.window):
        window = ids[begin : begin + a.window]
        with torch.no_grad():
            expected = model(torch.tensor([window])).logits[0]
            if peer:
                peer_sums.add(
                    torch, expected, peer(torch.tensor([window])).logits[0].float(), window
                )
        sums.add(torch, expected, torch.from_numpy(ours.logits(window).copy()), window)
        print(f"quality: {begin + len(window)} of {len(ids)} tokens", file=sys.stderr)
    return sums, peer_sums


def main():
    a = arguments()
    import torch
    import quality_reference as reference

    sums, bf16 = measure(a, torch, reference)
    rows = rows_of(sums, f"transformers {reference.transformers.__version__}", bf16)
    print(
        f"{a.model.name}, {sums.positions} tokens of {a.text.name} in windows of {a.window}, "
        f"weights {a.weights}"
    )
    print(f"{'metric':24}{'ours':>12}{'reference':>12}  {'must':10}{'holds'}")
    for r in rows:
        value = "" if r["peer_value"] is None else f"{r['peer_value']:.5g}"
        print(
            f"{r['metric']:24}{r['ours']:12.5g}{value:>12}  {r['must'] or '':10}"
            f"{'' if r['holds'] is None else 'yes' if r['holds'] else 'NO'}"
        )
    if a.json:
        a.json.write_text(json.dumps(rows, indent=1) + "\n")
    sys.exit(0 if all(r["holds"] is not False for r in rows) else 1)


if __name__ == "__main__":
    main()
