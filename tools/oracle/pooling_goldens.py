#!/usr/bin/env python3
"""Tiny checkpoints that make vectors and scores, and what transformers computes on them.

usage: pooling_goldens.py [--check] [--out tests/golden/pooling]

Without --check writes
  OUT/embedding/   a Qwen3 as Qwen3-Embedding is saved: names without "model.", no head,
                   modules.json (Transformer, Pooling by the last token, Normalize), a byte-level
                   tokenizer.json that adds one token after each text
  OUT/classifier/  a Qwen3ForSequenceClassification with one label and the same tokenizer
  and in each a golden.json: {ids: [[...]], ...} with, per list of ids,
    embedding: last, mean, first (the states of these tokens after the final norm; not normalised)
               and texts: [{text, ids, vector}] with the vector of length 1
    classifier: logits, and pairs: [{query, document, ids, score}] with the sigmoid
All in float32. --check computes it again from the stored checkpoints and compares.
Needs torch (CPU), transformers and tokenizers; the normal tests only read the results.
"""

import argparse, json, pathlib, shutil, sys

import numpy as np
import tokenizers
import torch
import transformers

from families import BASE
from run import fill

HERE = pathlib.Path(__file__).resolve().parent
END = "<|endoftext|>"
VOCABULARY = 264
LENGTHS = (1, 2, 17, 64, 200)
TEXTS = ["hello", "The quick brown fox jumps over the lazy dog.", "日本語 🙂", "a" * 120]
PAIRS = [("what is red?", "a rose"), ("what is red?", "the sea"), ("q", "")]
torch.set_num_threads(2)
transformers.utils.logging.disable_progress_bar()


def tokenizer():
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    made = tokenizers.Tokenizer(
        tokenizers.models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[])
    )
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    made.add_special_tokens([END])
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single=f"$A {END}",
        pair=f"$A $B {END}",
        special_tokens=[(END, made.token_to_id(END))],
    )
    return made


def write_json(path, value):
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value, indent=1) + "\n")


def save(folder, cls, seed, config, architecture):
    shutil.rmtree(folder, ignore_errors=True)
    values = BASE | dict(vocab_size=VOCABULARY, head_dim=32, **config)
    model = cls(cls.config_class(**values)).eval()
    fill(model, torch.Generator().manual_seed(seed))
    model.to(torch.bfloat16).save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    written = json.loads((folder / "config.json").read_text())
    written["architectures"] = [architecture]
    write_json(folder / "config.json", written)
    tokenizer().save(str(folder / "tokenizer.json"))
    write_json(
        folder / "tokenizer_config.json",
        dict(tokenizer_class="PreTrainedTokenizerFast", eos_token=END, pad_token=END),
    )


def make(out):
    save(out / "embedding", transformers.Qwen3Model, 5, {}, "Qwen3ForCausalLM")
    kinds = ["Transformer", "Pooling", "Normalize"]
    modules = [
        dict(
            idx=i,
            name=str(i),
            path=f"{i}_{kind}" if i else "",
            type=f"sentence_transformers.models.{kind}",
        )
        for i, kind in enumerate(kinds)
    ]
    write_json(out / "embedding" / "modules.json", modules)
    write_json(
        out / "embedding" / "1_Pooling" / "config.json",
        dict(
            word_embedding_dimension=BASE["hidden_size"],
            pooling_mode_cls_token=False,
            pooling_mode_mean_tokens=False,
            pooling_mode_lasttoken=True,
            include_prompt=True,
        ),
    )
    save(
        out / "classifier",
        transformers.Qwen3ForSequenceClassification,
        6,
        dict(num_labels=1, pad_token_id=VOCABULARY - 1),
        "Qwen3ForSequenceClassification",
    )
    for path in out.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def load(cls, folder):
    return cls.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


@torch.no_grad()
def compute(out):
    random = np.random.default_rng(11)
    ids = [random.integers(0, 256, n).tolist() for n in LENGTHS]
    text = tokenizer()
    model = load(transformers.Qwen3Model, out / "embedding")
    states = lambda tokens: model(torch.tensor([tokens])).last_hidden_state[0].double()
    rows = [states(tokens) for tokens in ids]
    embedding = dict(
        ids=ids,
        last=[r[-1].tolist() for r in rows],
        mean=[r.mean(0).tolist() for r in rows],
        first=[r[0].tolist() for r in rows],
        texts=[],
    )
    for t in TEXTS:
        tokens = text.encode(t).ids
        vector = states(tokens)[-1]
        embedding["texts"].append(
            dict(text=t, ids=tokens, vector=(vector / vector.norm()).tolist())
        )
    model = load(transformers.Qwen3ForSequenceClassification, out / "classifier")
    logit = lambda tokens: float(model(torch.tensor([tokens])).logits[0, 0])
    classifier = dict(ids=ids, logits=[logit(tokens) for tokens in ids], pairs=[])
    for query, document in PAIRS:
        tokens = text.encode(query, document).ids
        score = 1 / (1 + np.exp(-logit(tokens)))
        classifier["pairs"].append(
            dict(query=query, document=document, ids=tokens, score=float(score))
        )
    return dict(embedding=embedding, classifier=classifier)


def rounded(value):
    if isinstance(value, float):
        return float(np.float32(value))
    if isinstance(value, list):
        return [rounded(x) for x in value]
    if isinstance(value, dict):
        return {key: rounded(x) for key, x in value.items()}
    return value


def numbers(value):
    if isinstance(value, dict):
        value = [value[key] for key in sorted(value)]
    if isinstance(value, list):
        return [x for item in value for x in numbers(item)]
    return [value] if isinstance(value, (int, float)) else []


def main():
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--check", action="store_true")
    p.add_argument(
        "--out", type=pathlib.Path, default=HERE.parent.parent / "tests" / "golden" / "pooling"
    )
    a = p.parse_args()
    if not a.check:
        a.out.mkdir(parents=True, exist_ok=True)
        make(a.out)
    good = True
    for name, golden in compute(a.out).items():
        path = a.out / name / "golden.json"
        if not a.check:
            path.write_text(json.dumps(rounded(golden)) + "\n")
        old, new = (np.array(numbers(x)) for x in (json.loads(path.read_text()), golden))
        error = float(np.abs(old - new).max()) if old.shape == new.shape else np.inf
        good &= error < 1e-4
        verdict = "ok" if error < 1e-4 else "BAD"
        print(f"{name:12} {len(new)} numbers  max error {error:.1e}  {verdict}")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
