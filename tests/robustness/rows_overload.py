"""Ten times what the server can do, from clients that come again: P6 of the catalogue.

VSURGE_OVERLOAD_SECONDS says for how long; figures are printed and judged by nobody, since they
depend on what else the machine does."""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import harness
from expect import stream
from harness import text
from table import Row

HERE = pathlib.Path(__file__).resolve().parent
SECONDS = float(os.environ.get("VSURGE_OVERLOAD_SECONDS", "8"))
PATIENCE_S = SECONDS + 240  # only a hang takes so long
TIMES = 10
PROCESSES = 2  # of clients
RUNNING, QUEUE = 4, 32
CONTEXT = 4096
SIZE = ("--max-model-len", str(CONTEXT), "--max-num-seqs", str(RUNNING), "--kv-cache-memory-bytes",
        "32M", "--max-num-batched-tokens", "512", "--threads", "1", "--served-model-name", "m")
OPTIONS = ("--max-queue-requests", str(QUEUE))
# Long answers to short questions: the engine is what there is too little of. A tenth of it where a
# sanitizer makes everything slow.
TOKENS = 3000
GOLDEN = text(max_tokens=60, ignore_eos=True, stream=True, seed=7, temperature=1)
ADMITTED, REFUSED = "vsurge:requests_admitted_total", "vsurge:requests_refused_total"
ENDS = [f"vllm:request_success_total.{reason}" for reason in ("stop", "length", "abort", "error")]
WAITING, STEPS = "vllm:num_requests_waiting", "vsurge:engine_steps_total"


class Clients:
    """Processes of sdk_clients.py; `told` waits for their ends."""

    def __init__(self, server, seconds, rate=0.0, clients=0, leavers=0):
        tokens = TOKENS // 10 if server.sanitized() else TOKENS
        plans = [{"seed": seed, "seconds": seconds, "rate": rate / PROCESSES,
                  "clients": clients // PROCESSES, "streams": 25, "leavers": leavers,
                  "patience_s": 0.2,
                  "body": text(max_tokens=tokens, ignore_eos=True)} for seed in range(PROCESSES)]
        # Files: what they tell is more than a pipe holds.
        self.files = [tempfile.TemporaryFile("w+") for _ in plans]
        self.processes = [subprocess.Popen(
            [sys.executable, HERE / "sdk_clients.py", str(server.port), json.dumps(plan)],
            stdout=file) for plan, file in zip(plans, self.files)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """Some are still there when a check has failed."""
        for process, file in zip(self.processes, self.files):
            process.kill()
            process.wait()
            file.close()

    def run(self):
        return any(process.poll() is None for process in self.processes)

    def told(self):
        statuses = [process.wait(PATIENCE_S) for process in self.processes]
        assert not any(statuses), f"clients ended with {statuses}"
        for file in self.files:
            file.seek(0)
        parts = [json.load(file) for file in self.files]
        sums = {key: sum(part[key] for part in parts)
                for key in ("begun", "attempts", "left", "given_up", "cpu")}
        after = {}
        for part in parts:
            for value, count in part["retry_after"].items():
                after[value] = after.get(value, 0) + count
        faults = [fault for part in parts for fault in part["faults"]]
        assert not faults, f"{len(faults)} faults: {faults[0]}"
        return {**sums, "retry_after": after,
                "first": min(part["first"] for part in parts),
                "last": max(part["last"] for part in parts),
                "good": [at for part in parts for at in part["good"]],
                "refusals": sorted(took for part in parts for took in part["refusals"])}


def rate_of(told):
    """Good answers a second until nobody new arrives."""
    return sum(at <= told["last"] for at in told["good"]) / (told["last"] - told["first"])


def golden(server):
    """The events of a stream but for what differs each time; asked until it is not refused."""
    end = time.monotonic() + PATIENCE_S
    while (answer := server.ask(GOLDEN)).status == 429:
        assert time.monotonic() < end, "refused for minutes"
        time.sleep(0.05)
    stream()(answer)
    return [json.loads(event)["choices"] for event in answer.events()[:-1]]


def settled(server):
    """Metrics once nothing is on its way any more."""
    end = time.monotonic() + harness.SETTLE_S
    while True:
        now = server.metrics()
        ended = sum(now[name] for name in ENDS)
        if now["vsurge:requests_in_flight"] == 0 and ended == now[ADMITTED]:
            return now
        assert time.monotonic() < end, \
            f"ledger: {now[ADMITTED]:.0f} admitted, {ended:.0f} finished, failed or cancelled"
        time.sleep(0.02)


def engine_cpu_s(server):
    """Of the thread that works most."""
    stats = [(task / "stat").read_text().rpartition(")")[2].split()
             for task in pathlib.Path(f"/proc/{server.process.pid}/task").iterdir()]
    return max(int(stat[11]) + int(stat[12]) for stat in stats) / os.sysconf("SC_CLK_TCK")


def watch(server, clients, before):
    """The golden stream again and again beside them; samples of metrics."""
    samples = []
    goldens = 0
    while clients.run():
        assert golden(server) == before, "under overload a stream has other bytes"
        goldens += 1
        samples.append(server.metrics())
        most = samples[-1][WAITING]
        assert most <= QUEUE, f"{most:.0f} wait, at most {QUEUE} may"
        time.sleep(0.2)  # the cores are the server's
    return samples, goldens


def check_ledger(told, goldens, begin, end):
    """What the clients did is what the server counted; who left may have been in any place."""
    new = {key: end[key] - begin[key] for key in (ADMITTED, REFUSED, *ENDS)}
    asked = told["attempts"] + goldens
    heard = len(told["refusals"])
    good = len(told["good"]) + goldens
    assert good <= new[ENDS[1]] <= good + told["left"], (good, told["left"], new)
    assert new[ENDS[3]] == 0 and new[ENDS[0]] == 0, new
    assert new[ENDS[2]] <= told["left"], (told["left"], new)
    assert heard <= new[REFUSED], (heard, new)
    # Refusals of the golden stream are in the server's count alone.
    assert new[ADMITTED] <= asked, (asked, new)
    assert told["begun"] == len(told["good"]) + told["left"] + told["given_up"], told["begun"]


def per_cent(sorted_values, share):
    return sorted_values[int(share * (len(sorted_values) - 1))]


def refusals_by_log(server):
    """Milliseconds of each, from its arrival to its end in the server."""
    lines = [line for line in server.lines if " status=429 " in line]
    return sorted(float(re.search(r"total_ms=(\S+)", line).group(1)) for line in lines)


def tell(server, one, told, cpu, grown):
    took = told["last"] - told["first"]
    by_cpu = (len(told["good"]) / (cpu[2] - cpu[1])) / (len(one["good"]) / (cpu[1] - cpu[0]))
    heard = [seconds * 1000 for seconds in told["refusals"]]
    logged = refusals_by_log(server)
    print(f"{TIMES} x overload for {took:.0f} s: {rate_of(one):.1f} answers/s at 1 x; "
          f"{told['begun'] / took:.0f} requests/s, {told['attempts']} attempts in all, "
          f"{told['left']} left; goodput {rate_of(told) / rate_of(one):.3f} of 1 x, "
          f"{by_cpu:.3f} by the CPU that the engine got; {len(heard)} refusals, "
          f"p99 {per_cent(heard, 0.99):.1f} ms as clients saw it, "
          f"{per_cent(logged, 0.99):.1f} ms by the log, Retry-After {told['retry_after']}; "
          f"clients took {told['cpu']:.1f} s of CPU; {grown:+.0f} MiB")


def overload(server):
    before = golden(server)
    cpu = [engine_cpu_s(server)]
    with Clients(server, max(3.0, SECONDS / 4), clients=RUNNING + QUEUE // 2) as clients:
        one = clients.told()
    assert not one["refusals"], "refused though the queue has room"
    begin = settled(server)
    cpu.append(engine_cpu_s(server))
    memory = server.memory_bytes()
    with Clients(server, SECONDS, rate=TIMES * rate_of(one), leavers=10) as clients:
        samples, goldens = watch(server, clients, before)
        told = clients.told()
    grown = (server.memory_bytes() - memory) / (1 << 20)
    end = settled(server)
    cpu.append(engine_cpu_s(server))
    check_ledger(told, goldens, begin, end)
    refusals = told["refusals"]
    assert len(refusals) > len(told["good"]), "no overload: more was answered than refused"
    assert len(told["retry_after"]) > 1, f"all are told the same: {told['retry_after']}"
    assert told["left"] > 0, "nobody left"
    busy = [sample[STEPS] for sample in samples if sample[WAITING] > 0]
    assert len(busy) > 1 and busy[-1] > busy[0], "the engine stood still"
    tell(server, one, told, cpu, grown)


def rows(_):
    yield Row("P6", f"{TIMES} x overload for {SECONDS:g} s", overload)
