#!/usr/bin/env python3
"""What every sampling parameter means, in NumPy: distributions that the tests draw against.

    sampling_goldens.py [--check]

Writes tests/golden/sampling.json: one case per parameter alone and 20 random combinations.
  logits    float32, as the model gives them
  prompt, answer   the tokens so far
  params    fields of SamplingParams that are set
  edited    the logits after bias, penalties and bans, float32; null = banned
  p         [token, probability] of all that can be drawn, in double
  top       [token, log-probability] of the 20 likeliest by the logits as the model gives them
No decision lies so near its limit that rounding could turn it. Where transformers has the
parameters too, its processors are asked and must say the same. --check compares with the file.
Needs numpy, torch and transformers; the normal tests only read the result.
"""

import argparse
import json
import math
import pathlib

import numpy as np
import torch
from transformers.generation import logits_process as hf

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/sampling.json"
EOS = [1, 2]
F32 = np.float32


def dry_penalties(text, dry):
    """Token -> penalty. Every earlier place whose end equals the end of the text counts."""
    if dry.get("range", 0):
        text = text[-dry["range"] :]
    breakers = set(dry.get("sequence_breakers", []))
    lengths = {}
    for end in range(len(text) - 1):
        n = 0
        while n <= end and text[end - n] == text[-1 - n] and text[end - n] not in breakers:
            n += 1
        follower = text[end + 1]
        if n >= dry["allowed_length"] and follower not in breakers:
            lengths[follower] = max(lengths.get(follower, 0), n)
    multiplier, base = float(F32(dry["multiplier"])), float(F32(dry["base"]))
    grow = lambda n: multiplier * base ** (n - dry["allowed_length"])
    return {t: F32(min(grow(n), 1e6)) for t, n in lengths.items()}


def banned(case):
    params, text = case["params"], case["prompt"] + case["answer"]
    gone = set(params.get("suppress_tokens", []))
    for word in params.get("bad_words", []):
        head = word[:-1]
        if not head or text[-len(head) :] == head:
            gone.add(word[-1])
    if len(case["answer"]) < params.get("min_tokens", 0):
        gone |= set(EOS) | set(params.get("stop_token_ids", []))
    allowed = params.get("allowed_token_ids")
    if allowed:
        gone |= set(range(len(case["logits"]))) - set(allowed)
    return gone


def edited(case):
    params = case["params"]
    x = np.array(case["logits"], F32)
    thinking = params.get("thinking")
    if thinking and len(case["answer"]) >= thinking["tokens"]:  # open since the prompt
        only = np.full_like(x, -np.inf)
        only[thinking["end_token"]] = x[thinking["end_token"]]
        return only
    for token, bias in params.get("logit_bias", []):
        x[token] += F32(bias)
    repetition = F32(params.get("repetition_penalty", 1))
    for token in set(case["prompt"] + case["answer"]):
        x[token] = x[token] / repetition if x[token] > 0 else x[token] * repetition
    for token in set(case["answer"]):
        count = F32(case["answer"].count(token))
        x[token] -= F32(params.get("frequency_penalty", 0)) * count + F32(
            params.get("presence_penalty", 0)
        )
    if "dry" in params:
        for token, penalty in dry_penalties(case["prompt"] + case["answer"], params["dry"]).items():
            x[token] -= penalty
    x[list(banned(case))] = -np.inf
    return x


def softmax(x):
    w = np.exp(x - x.max())
    return w / w.sum()


def keep(x, chosen):
    """x with everything but the chosen places banned."""
    out = np.full_like(x, -np.inf)
    out[chosen] = x[chosen]
    return out


def by_probability(x):
    return np.lexsort((np.arange(len(x)), -x))


def stages(x, params, nudge=0.0):
    """The logits that are left; every limit is moved by the relative amount `nudge`."""
    move = 1 + nudge
    x = x.astype(np.float64)
    if params.get("top_n_sigma"):
        there = x[np.isfinite(x)]
        x = keep(x, x >= there.max() - params["top_n_sigma"] * move * there.std())
    x = x / params.get("temperature", 1)
    if params.get("top_k"):
        x = keep(x, by_probability(x)[: params["top_k"]])
    if params.get("top_p", 1) < 1:
        order = by_probability(x)
        mass = np.cumsum(softmax(x)[order])
        x = keep(x, order[: 1 + np.searchsorted(mass, params["top_p"] * move)])
    if params.get("min_p"):
        p = softmax(x)
        x = keep(x, p >= min(params["min_p"] * move, 1) * p.max())
    if params.get("typical_p", 1) < 1:
        p = softmax(x)
        surprise = np.where(p > 0, -np.log(np.where(p > 0, p, 1)), np.inf)
        entropy = (p[p > 0] * surprise[p > 0]).sum()
        shift = np.abs(surprise - entropy)
        order = np.argsort(shift, kind="stable")
        last = np.searchsorted(np.cumsum(p[order]), params["typical_p"] * move)
        x = keep(x, shift <= shift[order[min(last, len(order) - 1)]])
    return x


def exclude_top(x, threshold):
    p = softmax(x)
    order = by_probability(x)
    likely = [t for t in order if p[t] >= threshold]
    out = x.copy()
    out[likely[:-1]] = -np.inf
    return out


def distribution(x, params, nudge=0.0):
    x = stages(x, params, nudge)
    p = softmax(x)
    if "xtc" not in params:
        return p
    chance = params["xtc"]["probability"]
    excluded = exclude_top(x, params["xtc"]["threshold"] * (1 + nudge))
    return (1 - chance) * p + chance * softmax(excluded)


def is_sharp(x, params):
    """No decision changes when its limit moves a little."""
    kept = [distribution(x, params, nudge) > 0 for nudge in (-1e-4, 0, 1e-4)]
    return (kept[0] == kept[1]).all() and (kept[1] == kept[2]).all()


# In the order of transformers' own _get_logits_processor.
PROCESSORS = (
    ("logit_bias", lambda pairs: hf.SequenceBiasLogitsProcessor({(t,): b for t, b in pairs})),
    ("repetition_penalty", hf.RepetitionPenaltyLogitsProcessor),
    ("bad_words", hf.NoBadWordsLogitsProcessor),
    ("suppress_tokens", hf.SuppressTokensLogitsProcessor),
    ("temperature", hf.TemperatureLogitsWarper),
    ("top_k", hf.TopKLogitsWarper),
    ("top_p", hf.TopPLogitsWarper),
    ("min_p", hf.MinPLogitsWarper),
    ("typical_p", hf.TypicalLogitsWarper),
)
HF = {name for name, _ in PROCESSORS}


def ask_transformers(case):
    """The distribution by transformers' own processors, in its own order."""
    p = case["params"]
    chain = hf.LogitsProcessorList(make(p[name]) for name, make in PROCESSORS if name in p)
    ids = torch.tensor([case["prompt"] + case["answer"]])
    scores = chain(ids, torch.tensor([case["logits"]], dtype=torch.float32).double())
    return scores.softmax(-1)[0].numpy()


ALONE = {
    "plain": {},
    "temperature_low": {"temperature": 0.6},
    "temperature_high": {"temperature": 1.7},
    "top_k": {"top_k": 7},
    "top_p": {"top_p": 0.8},
    "min_p": {"min_p": 0.08},
    "typical_p": {"typical_p": 0.7},
    "typical_p_small": {"typical_p": 0.2},
    "top_n_sigma": {"top_n_sigma": 1.2},
    "xtc": {"xtc": {"probability": 1.0, "threshold": 0.04}},
    "xtc_half": {"xtc": {"probability": 0.5, "threshold": 0.02}},
    "repetition": {"repetition_penalty": 1.3},
    "repetition_below_one": {"repetition_penalty": 0.8},
    "presence": {"presence_penalty": 0.9},
    "presence_negative": {"presence_penalty": -0.9},
    "frequency": {"frequency_penalty": 0.6},
    "logit_bias": {"logit_bias": [[5, 2.5], [6, -3.0], [7, -100.0]]},
    "suppress_tokens": {"suppress_tokens": [3, 4, 5, 9]},
    "bad_words": {"bad_words": [[8], [9], "ending", [3, 10, 11]]},
    "min_tokens": {"min_tokens": 100, "stop_token_ids": [5]},
    "allowed_token_ids": {"allowed_token_ids": [0, 3, 7, 31, 32, 63, 64, 90]},
    "dry": {"dry": {"multiplier": 0.8, "base": 1.75, "allowed_length": 2}},
    "dry_short": {
        "dry": {"multiplier": 1.2, "base": 1.3, "allowed_length": 1, "range": 20,
                "sequence_breakers": [4]},
    },
    "thinking": {"thinking": {"tokens": 10, "end_token": 12, "open": True}},
}  # fmt: skip


def combination(rng):
    pick = lambda share, **fields: fields if rng.random() < share else {}
    number = lambda low, high: round(float(rng.uniform(low, high)), 3)
    token = lambda: int(rng.integers(12))
    params = pick(0.8, temperature=number(0.4, 1.8)) | pick(0.5, top_k=int(rng.integers(3, 60)))
    params |= pick(0.5, top_p=number(0.5, 0.98)) | pick(0.4, min_p=number(0.01, 0.15))
    params |= pick(0.4, typical_p=number(0.3, 0.95)) | pick(0.4, top_n_sigma=number(0.8, 2.5))
    params |= pick(0.7, xtc={"probability": number(0.2, 1), "threshold": number(0.01, 0.2)})
    params |= pick(0.5, repetition_penalty=number(0.7, 1.8))
    params |= pick(0.5, presence_penalty=number(-1, 1.5))
    params |= pick(0.5, frequency_penalty=number(-0.5, 1))
    params |= pick(0.4, logit_bias=[[t, number(-3, 3)] for t in {token(), token()}])
    params |= pick(0.4, suppress_tokens=[token(), token()])
    params |= pick(0.4, bad_words=[[token()], "ending"]) | pick(0.3, min_tokens=100)
    dry = {"multiplier": number(0.3, 2), "base": number(1, 2), "allowed_length": 1}
    return params | pick(0.4, dry=dry)


def make_case(name, params, rng):
    while True:
        size = int(rng.choice([97, 128, 201]))
        logits = [float(F32(round(float(v), 4))) for v in rng.normal(0, 1.6, size)]
        case = {"name": name, "logits": logits}
        # Few different tokens, so that there is much to repeat.
        case["prompt"] = [int(t) for t in rng.integers(3, 11, 12)]
        case["answer"] = [int(t) for t in rng.integers(3, 11, 20)]
        case["answer"][-3:] = case["answer"][5:8]
        ending = case["answer"][-2:] + [int(rng.integers(3, 12))]
        words = [ending if w == "ending" else w for w in params.get("bad_words", [])]
        case["params"] = params | ({"bad_words": words} if words else {})
        x = edited(case)
        if not np.isfinite(x).any() or not is_sharp(x, case["params"]):
            continue
        p = distribution(x, case["params"])
        if name not in ALONE and (p > 0).sum() < 4:
            continue
        if set(case["params"]) <= HF:
            theirs = ask_transformers(case)
            assert np.allclose(p, theirs, atol=1e-6), name
            assert ((p > 0) == (theirs > 0)).all(), name
        case["edited"] = [float(v) if np.isfinite(v) else None for v in x]
        case["p"] = [[t, float(f"{p[t]:.12g}")] for t in range(size) if p[t] > 0]
        raw = np.array(logits, np.float64)
        log_p = raw - raw.max() - math.log(np.exp(raw - raw.max()).sum())
        case["top"] = [[int(t), float(f"{log_p[t]:.9g}")] for t in by_probability(raw)[:20]]
        return case


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    rng = np.random.default_rng(20)
    cases = [make_case(name, params, rng) for name, params in ALONE.items()]
    cases += [make_case(f"combination_{i}", combination(rng), rng) for i in range(20)]
    text = "[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]\n"
    if check:
        assert OUT.read_text() == text, f"{OUT} differs"
    else:
        OUT.write_text(text)
    print(f"{len(cases)} cases, {len(text)} bytes")


if __name__ == "__main__":
    main()
