#!/usr/bin/env python3
"""Our server beside llama-server and vLLM under the same clients, and what a server costs beside
the model.

usage: served.py [--clients 16] [--small-clients 64] [--prompt 127] [--answer 48] [--each 4]
                 [--rounds 3] [--threads N] [--scenes model,small] [--json FILE]

Two scenes: "model", a model with random weights of the Qwen3-0.6B shape, in int8; "small", one of
two layers with the same vocabulary of 151,936, where the time goes into HTTP, sampling and the
head. In each round every server is started, asked once, loaded, and ended again; figures are
medians over the rounds. Streams of /v1/completions, greedy, each client with --each requests one
after the other. The time to the first token is the median over the requests of a round; "CPU a
token" is what the server's processes used under the load, threads that wait by spinning included.
Peers that tools/setup/peers.sh has not installed are told and left out."""

import argparse
import dataclasses
import os
import statistics
import sys

import llama_peer
import server_peers
from cpu import checkpoint
from report import Report, add_arguments
from server_peers import LLAMA, VLLM, VSURGE


@dataclasses.dataclass(frozen=True)
class Scene:
    shape: str
    peers: dict  # by server: (must, aim) of tokens/s, and of the time to the first token


SCENES = {
    "model": Scene("qwen3-0.6b", {LLAMA: ((5, 8), (0.1, 0.06)), VLLM: ((2, 3), (0.4, 0.25))}),
    "small": Scene("qwen3-tiny", {LLAMA: ((10, 30), (None, None))}),
}


def say(text):
    print(f"served: {text}", file=sys.stderr, flush=True)


def prepare(name, clients, threads):
    """The job of a scene, and the servers that can do it."""
    scene = SCENES[name]
    job = server_peers.Job(checkpoint(scene.shape), clients, threads)
    if (server_peers.llama_folder() / "llama-server").exists():
        llama_peer.convert(job.model, ["Q8_0"])
    chosen = []
    for kind in (VSURGE, *scene.peers):
        missing = kind.missing(job)
        if missing is None:
            chosen.append(kind)
        elif kind is VSURGE:
            sys.exit(f"served: {missing} is not there; ./dev build makes it")
        else:
            say(f"no {kind.name}: {missing} is not there; tools/setup/peers.sh makes it")
    return job, chosen


def measure(a, job, chosen):
    """Results by server, one of each round. Ours has to work; a peer that fails is left out."""
    results = {kind: [] for kind in chosen}
    for number in range(a.rounds):
        for kind in list(results):
            try:
                with server_peers.Server(kind, job) as server:
                    server_peers.load(server, 1, a.prompt, a.answer, f"warm {number}")
                    found = server_peers.load(server, a.each * job.clients, a.prompt, a.answer,
                                              str(number))
            except (server_peers.ServerError, OSError) as error:
                if kind is VSURGE:
                    sys.exit(f"served: {error}")
                say(f"{kind.name} left out: {error}")
                del results[kind]
                continue
            say(f"{kind.name}, {job.clients} clients: "
                + ", ".join(f"{key} {value:.3g}" for key, value in found.items()))
            results[kind].append(found)
    return results


def fill(report, name, job, results):
    """A row for each figure and peer."""
    def middle(kind, key):
        return statistics.median(row[key] for row in results[kind])

    label = f"{name}, {job.clients} clients"
    for kind, (rate, first) in SCENES[name].peers.items():
        if kind not in results:
            continue
        for key, what, unit, (must, aim), better in (
            ("rate", "answers", "tokens/s", rate, "higher"),
            ("first_ms", "first token, p50", "ms", first, "lower"),
            ("cpu_ms", "CPU a token", "ms", (None, None), "lower"),
        ):
            report.add(f"{label}: {what}", middle(VSURGE, key), unit, peer=kind.name,
                       peer_value=middle(kind, key), must=must, aim=aim, better=better)
    if len(results) == 1:
        report.add(f"{label}: answers", middle(VSURGE, "rate"), "tokens/s")
        report.add(f"{label}: first token, p50", middle(VSURGE, "first_ms"), "ms")
        report.add(f"{label}: CPU a token", middle(VSURGE, "cpu_ms"), "ms")
    for kind, rows in results.items():
        # The clients and the server share the cores: near 1 the clients would be the limit.
        busiest = max(row["client_cpu"] for row in rows)
        report.add(f"{label}: clients beside {kind.name}", busiest, "cores")


def main():
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--clients", type=int, default=16)
    p.add_argument("--small-clients", type=int, default=64)
    p.add_argument("--prompt", type=int, default=127)
    p.add_argument("--answer", type=int, default=48)
    p.add_argument("--each", type=int, default=4, help="requests of a client")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--scenes", default="model,small")
    add_arguments(p)
    a = p.parse_args()
    names = a.scenes.split(",")
    if min(a.clients, a.small_clients, a.prompt, a.answer, a.each, a.rounds) < 1:
        p.error("every number has to be at least 1")
    if a.prompt + a.answer > server_peers.CONTEXT - 16:
        p.error(f"prompt and answer: together at most {server_peers.CONTEXT - 16} tokens")
    if unknown := [name for name in names if name not in SCENES]:
        p.error(f"no scene {unknown[0]}: {', '.join(SCENES)}")
    report = Report(f"served: {a.prompt} tokens in, {a.answer} out, {a.each} requests a client, "
                    f"{a.threads} threads, {a.rounds} rounds")
    for name in names:
        clients = a.clients if name == "model" else a.small_clients
        job, chosen = prepare(name, clients, a.threads)
        fill(report, name, job, measure(a, job, chosen))
    sys.exit(report.finish(a.json))


if __name__ == "__main__":
    main()
