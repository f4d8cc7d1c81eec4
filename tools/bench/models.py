#!/usr/bin/env python3
"""What models of one server take from each other.

usage: models.py [--model MODEL] [--streams 1,8] [--tokens 96] [--rounds 3] [--json FILE]

The same model under two names in one server, whose engines take turns, beside two servers of one
model, whose steps the system schedules. With both at work, and with one of them idle, where a
server of that model alone is the limit. Runs are interleaved; figures are medians of the rounds."""

import argparse
import contextlib
import json
import pathlib
import statistics
import sys
import threading
import time
import urllib.request

from report import ROOT, Report, add_arguments, build_program

sys.path.insert(0, str(ROOT / "tools" / "load"))
import served  # noqa: E402

SIZE = ("--max-model-len", "512", "--max-num-seqs", "16", "--kv-cache-memory-bytes", "1G")


def answer(url, model, tokens, told):
    body = {"model": model, "prompt": "Once upon a time", "max_tokens": tokens,
            "ignore_eos": True, "temperature": 0}
    request = urllib.request.Request(f"{url}/v1/completions", json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=600) as response:
        told.append(json.load(response)["usage"]["completion_tokens"])


def rate(places, streams, tokens):
    """Tokens/s of so many streams of each (url, model)."""
    told = []
    threads = [threading.Thread(target=answer, args=(*place, tokens, told))
               for place in places for _ in range(streams)]
    begin = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == len(threads), "a request failed"
    return sum(told) / (time.monotonic() - begin)


def main():
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--model", type=pathlib.Path, default=served.test_model())
    p.add_argument("--streams", default="1,8")
    p.add_argument("--tokens", type=int, default=96)
    p.add_argument("--rounds", type=int, default=3)
    add_arguments(p)
    a = p.parse_args()
    if a.model is None:
        sys.exit("models: no default model; ./dev setup fetches it")
    program = build_program("vsurge")
    streams = [int(text) for text in a.streams.split(",")]
    with contextlib.ExitStack() as stack:
        def start(model, *options):
            return stack.enter_context(served.Served(program, model, options, size=SIZE)).url
        two = start(f"a={a.model}", "--model", f"b={a.model}")
        first, second = start(f"a={a.model}"), start(f"b={a.model}")
        cases = {"both": [(two, "a"), (two, "b")], "apart": [(first, "a"), (second, "b")],
                 "one": [(two, "a")], "alone": [(first, "a")]}
        for places in cases.values():
            rate(places, max(streams), 16)  # warm
        rates = {(name, n): [] for name in cases for n in streams}
        for _ in range(a.rounds):
            for name, n in rates:
                rates[name, n].append(rate(cases[name], n, a.tokens))
    report = Report(f"models: two of {a.model.name} in one server")
    median = {key: statistics.median(values) for key, values in rates.items()}
    for n in streams:
        report.add(f"both at work, {n} streams each", median["both", n], "tokens/s",
                   peer="two servers", peer_value=median["apart", n], must=0.95)
        report.add(f"one at work, {n} streams", median["one", n], "tokens/s",
                   limit=median["alone", n], must=0.95)
    sys.exit(report.finish(a.json))


if __name__ == "__main__":
    main()
