#!/usr/bin/env python3
"""Requests of a real service, at the times at which they came, scaled to this machine: our server
and others under the same load.

usage: replay.py [--trace FILE] [--shorter 4] [--loads 0.3,0.6,0.9] [--rates R,...] [--seconds 60]
                 [--rounds 1] [--begin 600] [--streams 32] [--first-ms 1000] [--between-ms 100]
                 [--threads N] [--vllm-model FOLDER] [--json FILE]

The trace is that of Azure's conversations of 2023 (CSV: time, tokens in, tokens out). Two factors
scale it: each prompt and each answer is --shorter times shorter, and the time between arrivals is
stretched until the mean rate is the wanted one: a share (--loads) of what our server does when all
requests are there at once, measured first, or requests a second (--rates). The bursts of the trace
stay. Arrivals wait for nobody: when a server falls behind, its queue grows. Prompts are random
words, so no prefix cache helps; answers are as long as the trace says, whatever the model would
like.

Goodput counts the requests a second whose first token came within --first-ms and whose others came
--between-ms apart or less on average, counted from the time at which a request was due. A round is
a window of the trace, the first --begin seconds into it; percentiles are over the requests of all
rounds. Every server has the default model and --streams places: llama-server the same GGUF file;
vLLM, which wants a Hugging Face folder, its weights in bfloat16, as `./dev bench quality --as-bf16`
leaves them (--vllm-model: another), and 64 places. Those that tools/setup/peers.sh has not
installed are told and left out."""

import argparse
import csv
import dataclasses
import datetime
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

import llama_peer
import server_peers
from report import BUILD, Report, add_arguments
from server_peers import Job, Kind, Server, ServerError

TRACE = "corpora/AzureLLMInferenceTrace_conv.csv"
PROMPT_MAX, ANSWER_MAX, CONTEXT = 1536, 384, 2048  # tokens; what is longer is cut, and counted
CLIENTS = 10_000  # more than are ever at work at once, as none may wait for another
CAPACITY_REQUESTS = 96
PERCENTILES = (50, 90, 99)


def vsurge_command(job, port):
    return [BUILD / "bin/vsurge", "serve", job.model, "--port", port, "--threads", job.threads,
            "--max-num-seqs", job.clients, "--max-model-len", CONTEXT, "--log-level", "warning"]


def llama_command(job, port):
    return [server_peers.llama_folder() / "llama-server", "-m", job.model, "--port", port,
            "--host", "127.0.0.1", "-np", job.clients, "-c", job.clients * CONTEXT,
            "-t", job.threads, "-tb", job.threads]


def kinds(a):
    """Ours first."""
    def vllm(job):
        return dataclasses.replace(job, model=pathlib.Path(a.vllm_model))
    return (
        Kind("vSurge", lambda job: [BUILD / "bin/vsurge", job.model], vsurge_command),
        Kind("llama-server",
             lambda job: [server_peers.llama_folder() / "llama-server", job.model], llama_command,
             lambda: llama_peer.environment(server_peers.llama_folder())),
        Kind("vLLM + zentorch bf16", lambda job: server_peers.vllm_files(vllm(job)),
             lambda job, port: server_peers.vllm_command(vllm(job), port)),
    )


@dataclasses.dataclass(frozen=True)
class Request:
    at_s: float
    prompt: int
    answer: int


def read_trace(path, begin_s, shorter):
    """Requests from so many seconds on, and how many of all are too long."""
    requests, cut, origin = [], 0, None
    with open(path, encoding="utf-8") as file:
        for row in csv.DictReader(file):
            at = datetime.datetime.fromisoformat(row["TIMESTAMP"][:26]).timestamp()
            origin = at if origin is None else origin
            prompt, answer = (max(1, round(int(row[name]) / shorter))
                              for name in ("ContextTokens", "GeneratedTokens"))
            cut += prompt > PROMPT_MAX or answer > ANSWER_MAX
            if at - origin >= begin_s:
                requests.append(Request(at - origin, min(prompt, PROMPT_MAX),
                                        min(answer, ANSWER_MAX)))
    return requests, cut


def stretched(requests, rate):
    """The same from second 0 on, at so many a second on average; and by what factor."""
    span = requests[-1].at_s - requests[0].at_s
    factor = (len(requests) - 1) / rate / span if span > 0 else 1
    return [dataclasses.replace(one, at_s=(one.at_s - requests[0].at_s) * factor)
            for one in requests], factor


def run_load(server, requests, template):
    """Figures of vsurge_load and its records, one of each request. A prompt's words are a token
    each; `template` is how many tokens stand around them."""
    with tempfile.TemporaryDirectory() as folder:
        schedule, records, figures = (pathlib.Path(folder) / name for name in "srf")
        schedule.write_text("".join(f"{one.at_s:.4f} {max(1, one.prompt - template)} {one.answer}\n"
                                    for one in requests), encoding="ascii")
        subprocess.run([BUILD / "bin/vsurge_load", "--port", str(server.port), "--model",
                        server.model, "--clients", str(CLIENTS), "--fresh", "--schedule", schedule,
                        "--members", '"ignore_eos":true', "--records", records,
                        "--json", figures], stdout=subprocess.DEVNULL, check=False)
        if not figures.exists():
            raise ServerError(f"{server.kind.name}: the load could not be sent")
        with open(records, encoding="ascii") as file:
            rows = [{key: float(value) for key, value in row.items()}
                    for row in csv.DictReader(file)]
        return json.loads(figures.read_text(encoding="ascii")), rows


def template_tokens(port, model):
    """Tokens of a prompt without words."""
    body = json.dumps({"model": model, "max_tokens": 1, "messages": [
        {"role": "user", "content": "Tell a long story with these words: "}]})
    answer = json.loads(server_peers.post(port, "/v1/chat/completions", body))
    return answer["usage"]["prompt_tokens"]


def capacity(kind, job, requests):
    """Requests a second, with all there at once."""
    together = [dataclasses.replace(one, at_s=0) for one in requests]
    with Server(kind, job) as server:
        template = template_tokens(server.port, server.model)
        run_load(server, together[:8], template)
        figures, _ = run_load(server, together, template)
    if figures["good"] != len(requests):
        raise ServerError(f"{kind.name}: {figures['good']:g} of {len(requests)} were answered")
    return figures["good"] / figures["seconds"]


@dataclasses.dataclass
class Result:
    """Of one server under one load, all rounds together."""

    records: list = dataclasses.field(default_factory=list)
    seconds: float = 0
    clients_cpu: float = 0

    def add(self, figures, records):
        self.records += records
        self.seconds += figures["seconds"]
        self.clients_cpu += figures["clients_cpu"]

    def good(self):
        return [one for one in self.records if one["tokens"] >= 0]

    def percentile(self, key, percent, of=None):
        values = sorted(one[key] for one in (self.good() if of is None else of))
        return values[round((len(values) - 1) * percent / 100)] if values else float("nan")

    def within(self, a):
        return sum(one["first_ms"] <= a.first_ms and one["between_ms"] <= a.between_ms
                   for one in self.good())


def say(text):
    print(f"replay: {text}", file=sys.stderr, flush=True)


def measure(a, job, chosen, windows):
    """Results by server. Ours has to work; a peer that fails is left out."""
    results = {kind: Result() for kind in chosen}
    for window in windows:
        for kind in list(results):
            try:
                with Server(kind, job) as server:
                    template = template_tokens(server.port, server.model)
                    run_load(server, [Request(0, 64, 8)] * 4, template)
                    found = run_load(server, window, template)
            except (ServerError, OSError) as error:
                if kind is chosen[0]:
                    sys.exit(f"replay: {error}")
                say(f"{kind.name} left out: {error}")
                del results[kind]
                continue
            results[kind].add(*found)
            say(f"{kind.name}: {len(results[kind].good())} of {len(results[kind].records)} "
                f"answered, {results[kind].within(a)} in time; "
                f"{found[0]['seconds']:.0f} s, first token p50 {found[0]['first_p50']:.0f} ms")
    return results


def fill(report, a, label, windows, results):
    ours, *peers = results
    offered_s = sum(window[-1].at_s for window in windows)
    count = sum(map(len, windows))

    def goodput(kind):
        return results[kind].within(a) / offered_s

    mine = results[ours]
    report.add(f"{label}: goodput by what came", goodput(ours), "1/s", limit=count / offered_s)
    for peer in peers:
        report.add(f"{label}: goodput", goodput(ours), "1/s", peer=peer.name,
                   peer_value=goodput(peer))
    for key, what in (("first_ms", "first token"), ("between_ms", "between tokens"),
                      ("gap_ms", "longest gap")):
        for percent in PERCENTILES:
            value = mine.percentile(key, percent)
            if not peers:
                report.add(f"{label}: {what}, p{percent}", value, "ms")
            for peer in peers:
                report.add(f"{label}: {what}, p{percent}", value, "ms", peer=peer.name,
                           peer_value=results[peer].percentile(key, percent), better="lower")
    for kind, result in results.items():
        report.add(f"{label}: sent late, p99, to {kind.name}",
                   result.percentile("late_ms", 99, result.records), "ms")
        report.add(f"{label}: clients beside {kind.name}", result.clients_cpu / result.seconds,
                   "cores")


def arguments():
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--trace", default=llama_peer.test_data() / TRACE)
    p.add_argument("--shorter", type=float, default=4)
    p.add_argument("--loads", default="0.3,0.6,0.9")
    p.add_argument("--rates")
    p.add_argument("--seconds", type=float, default=60)
    p.add_argument("--rounds", type=int, default=1)
    p.add_argument("--begin", type=float, default=600)
    p.add_argument("--streams", type=int, default=32)
    p.add_argument("--first-ms", type=float, default=1000)
    p.add_argument("--between-ms", type=float, default=100)
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--vllm-model",
                   default=llama_peer.cache() / "models/smollm2-135m-instruct-q4_1-as-bf16")
    add_arguments(p)
    a = p.parse_args()
    if min(a.shorter, a.seconds, a.rounds, a.streams, a.threads) <= 0:
        p.error("every number has to be above 0")
    return a


def choose(a, job):
    found = []
    for kind in kinds(a):
        missing = kind.missing(job)
        if missing is None:
            found.append(kind)
        elif not found:
            sys.exit(f"replay: {missing} is not there; ./dev setup and ./dev build make it")
        else:
            say(f"no {kind.name}: {missing} is not there")
    return found


def main():
    a = arguments()
    if not pathlib.Path(a.trace).exists():
        sys.exit(f"replay: {a.trace}: not there (VSURGE_TEST_DATA)")
    job = Job(llama_peer.cache() / llama_peer.MODEL, a.streams, a.threads)
    chosen = choose(a, job)
    requests, cut = read_trace(a.trace, a.begin, a.shorter)
    if a.rates:
        loads = [(f"{rate} requests/s", float(rate)) for rate in a.rates.split(",")]
    else:
        try:
            top = capacity(chosen[0], job, requests[:CAPACITY_REQUESTS])
        except (ServerError, OSError) as error:
            sys.exit(f"replay: {error}")
        say(f"{chosen[0].name} does {top:.3g} requests/s")
        loads = [(f"load {share}", float(share) * top) for share in a.loads.split(",")]
    report = Report(
        f"replay: lengths by 1/{a.shorter:g} ({statistics.mean(r.prompt for r in requests):.0f} "
        f"tokens in, {statistics.mean(r.answer for r in requests):.0f} out; {cut} of the trace's "
        f"requests cut), {a.seconds:g} s, {a.rounds} rounds, {a.threads} threads, "
        f"{a.streams} streams; in time: first token {a.first_ms:g} ms, then {a.between_ms:g} ms")
    for label, rate in loads:
        count = max(2, round(rate * a.seconds))
        windows, factors = zip(*(stretched(requests[i * count:(i + 1) * count], rate)
                                 for i in range(a.rounds)))
        label = f"{label} ({rate:.3g}/s, time by {statistics.mean(factors):.2g})"
        say(label)
        fill(report, a, label, windows, measure(a, job, chosen, windows))
    sys.exit(report.finish(a.json))


if __name__ == "__main__":
    main()
