#!/usr/bin/env python3
"""The real server under a steady load for a long time, and whether anything of it is lost or left.

usage: soak.py --minutes N [--program vsurge] [--json FILE]

`vsurge serve` with the default model at 80 % of the load that it was measured to bear; of the
requests 10 % are left amid their answer and 5 % are malformed. A third of them are whole answers to
a JSON schema, the rest are streams. At the end:
- the ledger: every request that the clients began was answered, refused, told its fault or left by
  them, and those that the engine admitted finished, failed or were cancelled;
- no KV page is used, and descriptors and threads are as many as before the load;
- the slope of resident memory, by least squares over the last three quarters of the time."""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tools" / "load"), str(ROOT / "tools" / "bench")]
import served  # noqa: E402
from report import BUILD, Report, add_arguments  # noqa: E402

MIB = 1 << 20
ADMITTED = "vsurge:requests_admitted_total"
SLOPE_MAX = 8.0  # MiB an hour: a leak of 1 KiB a request would be more
SIZE = ("--max-model-len", "1024", "--max-num-seqs", "16", "--kv-cache-memory-bytes", "128M")
SCHEMA = ('"response_format":{"type":"json_schema","json_schema":{"name":"a","schema":'
          '{"type":"object","properties":{"name":{"type":"string","maxLength":40},'
          '"age":{"type":"integer"}},"required":["name","age"],"additionalProperties":false}}}')
STREAMS = ("--prompt-words", "48", "--answer-tokens", "48")
WHOLE = ("--whole", "--prompt-words", "24", "--answer-tokens", "64", "--members", SCHEMA)


class Load:
    """vsurge_load in the background; `figures` waits for its end."""

    def __init__(self, port, *words):
        self.out = tempfile.NamedTemporaryFile("r")
        self.process = subprocess.Popen(
            [BUILD / "bin/vsurge_load", "--port", str(port), "--json", self.out.name,
             *map(str, words)], stdout=subprocess.DEVNULL)  # fmt: skip

    def figures(self):
        status = self.process.wait()
        text = pathlib.Path(self.out.name).read_text(encoding="ascii")
        if not text:
            sys.exit(f"soak: vsurge_load ended with {status} and told nothing")
        return json.loads(text)


def capacity(server, words, clients):
    """Requests a second of so many clients who never rest."""
    figures = Load(server.port, "--clients", clients, "--seconds", 15, *words).figures()
    return figures["good"] / figures["seconds"]


def slope(samples):
    """Of (seconds, bytes) by least squares, in MiB an hour."""
    late = samples[len(samples) // 4:]
    mean_x = sum(x for x, _ in late) / len(late)
    mean_y = sum(y for _, y in late) / len(late)
    square = sum((x - mean_x) ** 2 for x, _ in late)
    if square == 0:
        return float("nan")
    return sum((x - mean_x) * (y - mean_y) for x, y in late) / square * 3600 / MIB


def run(server, minutes):
    """Figures of all clients together, samples of memory, metrics before and after."""
    streams = capacity(server, STREAMS, 12) * 0.8 * 0.67
    whole = capacity(server, WHOLE, 12) * 0.8 * 0.33
    print(f"soak: {streams:.1f} streams and {whole:.1f} whole answers a second, "
          f"{minutes:g} minutes", flush=True)
    server.wait_idle(60)
    before = server.metrics()
    mixed = ("--clients", 64, "--seconds", minutes * 60, "--cancel-every", 10, "--bad-every", 20)
    loads = [Load(server.port, *mixed, "--rate", streams, *STREAMS),
             Load(server.port, *mixed, "--rate", whole, *WHOLE)]
    begun, samples = time.monotonic(), []
    while any(load.process.poll() is None for load in loads):
        now = server.metrics()
        samples.append((time.monotonic() - begun, now["process_resident_memory_bytes"]))
        time.sleep(2)
    figures = {}
    for load in loads:
        for key, value in load.figures().items():
            figures[key] = figures.get(key, 0) + value
    server.wait_idle(60)
    time.sleep(2)  # the server closes the connections of those who have left
    return figures, samples, before, server.metrics()


def fill(report, figures, samples, before, after):
    ends = {reason: after[name] - before[name] for reason in ("stop", "length", "abort", "error")
            for name in [f"vllm:request_success_total.{reason}"]}
    told = sum(figures[key] for key in ("good", "refused", "bad", "cancelled", "failed"))
    admitted = after[ADMITTED] - before[ADMITTED]
    # Who leaves while the text becomes tokens is gone before the engine hears of it.
    early = figures["begun"] - figures["bad"] - figures["refused"] - admitted
    report.add("requests begun", figures["begun"], "")
    for key in ("good", "cancelled", "bad", "refused"):
        report.add(f"of them {key}", figures[key], "")
    report.add("failed", figures["failed"], "", limit=1, must=0, better="lower")
    report.add("ledger of the clients: begun by all kinds of ends", told, "",
               limit=figures["begun"], must=1)
    report.add("ledger of the engine: finished, failed and cancelled by admitted",
               sum(ends.values()), "", limit=admitted, must=1)
    report.add("left before the engine took them, or cancelled in it", early + ends["abort"], "",
               limit=figures["cancelled"], must=1, better="lower")
    report.add("left before the engine took them", early, "", limit=figures["cancelled"])
    for what, name in (("KV pages used", "vsurge:kv_pages.used"),
                       ("requests in flight", "vsurge:requests_in_flight")):
        report.add(f"{what} at the end", after[name], "", limit=1, must=0, better="lower")
    for what, name in (("descriptors", "process_open_fds"), ("threads", "vsurge:process_threads")):
        report.add(f"{what} at the end", after[name], "", limit=before[name], must=1,
                   better="lower")
    report.add("memory before", before["process_resident_memory_bytes"] / MIB, "MiB")
    report.add("memory after", after["process_resident_memory_bytes"] / MIB, "MiB")
    report.add("slope of memory", slope(samples), "MiB/h", limit=SLOPE_MAX, must=1,
               better="lower")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--program", default=BUILD / "bin" / "vsurge")
    add_arguments(parser)
    arguments = parser.parse_args()
    if served.test_model() is None:
        print("the default model is not there; ./dev setup fetches it")
        return served.SKIP
    report = Report(f"soak: {arguments.minutes:g} minutes, {len(os.sched_getaffinity(0))} cores")
    with served.Served(arguments.program, served.test_model(), size=SIZE) as server:
        fill(report, *run(server, arguments.minutes))
        status = server.stop()
        report.add("exit status", status if status is not None else -1, "", limit=1, must=0,
                   better="lower")
    return report.finish(arguments.json)


if __name__ == "__main__":
    sys.exit(main())
