#!/usr/bin/env python3
"""Beam search as transformers does it, on tiny models whose rows are known.

usage: beam_goldens.py [--out tests/golden/beams.json]

A GPT-2 without layers: the logits depend on the last token and its place alone, so that the whole
model is a table. Writes {models: [{logits: [place][token][vocabulary]}], cases: [...]}; a case is
{model, prompt, width, length_penalty, early_stopping, stops, min_tokens, max_tokens, answers:
[{tokens, stop, worth}]}, the answers as generate(num_beams=width, do_sample=False) returns them,
best first; `stop` is the token that ended it, or -1, `worth` its sequences_score.
Each search is also done plainly, in doubles: both must agree, and cases in which any two numbers
that are compared lie closer than 1e-4 are left out.
Needs torch (CPU) and transformers; the tests only read the result.
"""

import argparse, itertools, json, pathlib, random

import numpy as np
import torch
from transformers import GPT2Config, GPT2LMHeadModel

VOCABULARY, PLACES, CLOSE = 14, 20, 1e-4
HERE = pathlib.Path(__file__).resolve().parent


class TooClose(Exception):
    pass


def make(seed):
    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=VOCABULARY, n_positions=PLACES, n_embd=16, n_layer=0, n_head=2,
        tie_word_embeddings=False, bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    model = GPT2LMHeadModel(config).eval()
    for name, p in model.named_parameters():
        p.data.copy_(torch.randn(p.shape) * (0.45 if "lm_head" in name else 1.0))
    rows = []
    with torch.no_grad():
        for place in range(PLACES):
            ids = torch.arange(VOCABULARY)[:, None]
            places = torch.full_like(ids, place)
            logits = model(input_ids=ids, position_ids=places).logits[:, 0]
            rows.append(np.round(logits.numpy().astype(np.float64), 6).tolist())
    return model, rows


def apart(values):
    """All of them are told from each other beyond doubt."""
    values = sorted(values)
    if any(b - a < CLOSE for a, b in zip(values, values[1:])):
        raise TooClose


def search(rows, case):
    """The same search, plainly."""
    logits = np.array(rows)
    top = logits.max(-1, keepdims=True)
    table = logits - top - np.log(np.exp(logits - top).sum(-1, keepdims=True))
    width, stops, penalty = case["width"], case["stops"], case["length_penalty"]
    live, done = [(0.0, case["prompt"])], []
    for answer in range(1, case["max_tokens"] + 1):
        found = []
        for score, tokens in live:
            row = table[len(tokens) - 1][tokens[-1]]
            for token in range(VOCABULARY):
                if token in stops and answer <= case["min_tokens"]:
                    continue
                found.append((score + row[token], tokens + [token]))
        found.sort(reverse=True)
        apart([score for score, _ in found[: width * (2 + len(stops)) + 1]])
        last = answer == case["max_tokens"]
        ends = [f for f in found[:width] if last or f[1][-1] in stops]
        live = [f for f in found if f[1][-1] not in stops][:width]
        done += [(score / answer**penalty, tokens) for score, tokens in ends]
        apart([worth for worth, _ in done])
        done = sorted(done, reverse=True)[:width]
        if len(done) < width:
            continue
        if case["early_stopping"] is True:
            break
        grown = case["early_stopping"] == "never" and penalty > 0
        hope = live[0][0] / (case["max_tokens"] if grown else answer) ** penalty
        apart([hope, done[-1][0]])
        if hope <= done[-1][0]:
            break
    return done


def generate(model, case):
    ids = torch.tensor([case["prompt"]])
    out = model.generate(
        ids, attention_mask=torch.ones_like(ids), do_sample=False, num_beams=case["width"],
        num_return_sequences=case["width"], max_new_tokens=case["max_tokens"],
        min_new_tokens=case["min_tokens"] or None, length_penalty=case["length_penalty"],
        early_stopping=case["early_stopping"], eos_token_id=case["stops"] or None,
        pad_token_id=case["stops"][0] if case["stops"] else 0, use_cache=False,
        return_dict_in_generate=True, output_scores=True,
    )  # fmt: skip
    answers = []
    for sequence, worth in zip(out.sequences.tolist(), out.sequences_scores.tolist()):
        tokens, stop = sequence[len(case["prompt"]) :], -1
        for i, token in enumerate(tokens):
            if token in case["stops"]:
                tokens, stop = tokens[:i], token
                break
        answers.append({"tokens": tokens, "stop": stop, "worth": round(worth, 6)})
    return answers


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=HERE.parents[1] / "tests/golden")
    out = parser.parse_args().out / "beams.json"
    dice = random.Random(7)
    models = [make(seed) for seed in range(4)]
    grid = itertools.product(
        range(len(models)), (2, 3, 5, 8), (0.0, 0.6, 1.0, 2.0, -1.0), (False, True, "never"),
        (0, 1, 2),
    )  # fmt: skip
    cases, close = [], 0
    for number, width, penalty, early, stops in grid:
        case = {
            "model": number,
            "prompt": [dice.randrange(VOCABULARY) for _ in range(dice.randint(1, 5))],
            "width": width, "length_penalty": penalty, "early_stopping": early,
            "stops": dice.sample(range(VOCABULARY), stops),
            "max_tokens": dice.choice((1, 2, 6, 10, 14)),
        }  # fmt: skip
        case["min_tokens"] = min(dice.choice((0, 0, 0, 3)), case["max_tokens"])
        model, rows = models[number]
        try:
            plain = search(rows, case)
        except TooClose:
            close += 1
            continue
        case["answers"] = generate(model, case)
        assert len(plain) == width == len(case["answers"]), case
        for (worth, tokens), answer in zip(plain, case["answers"]):
            stop = [] if answer["stop"] < 0 else [answer["stop"]]
            assert case["prompt"] + answer["tokens"] + stop == tokens, (case, plain)
            assert abs(worth - answer["worth"]) < 1e-4, (case, plain)
        cases.append(case)
    ends = [answer["stop"] >= 0 for case in cases for answer in case["answers"]]
    early = sum(
        all(len(a["tokens"]) + 1 < c["max_tokens"] for a in c["answers"]) for c in cases
    )
    print(f"{len(cases)} cases, {close} left out; {sum(ends)} of {len(ends)} answers stop, "
          f"{early} searches end early")  # fmt: skip
    text = {"models": [{"logits": rows} for _, rows in models], "cases": cases}
    out.write_text(json.dumps(text, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
