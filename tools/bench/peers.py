"""The engines that `./dev bench cpu` compares with; tools/setup/peers.sh installs them.

PEERS is the table. Each entry gives, for a Job, tokens a second by ("decode", streams) and
("prefill", tokens): decoding starts from prompts of 16 tokens, greedy, to the last token asked for.
What a peer needs to run at its best is set here: threads, arithmetic, batching, packing at load."""

import dataclasses
import json
import os
import pathlib
import re
import subprocess
from collections.abc import Callable

import llama_peer

PATIENCE_S = 560


class PeerError(Exception):
    """A peer that does not do the job; the benchmark tells it and goes on without that peer."""


@dataclasses.dataclass(frozen=True)
class Job:
    model: pathlib.Path  # the Hugging Face folder; files of the peers lie beside it
    streams: tuple
    prompts: tuple  # numbers of tokens to prefill
    answer: int  # tokens that each stream decodes
    threads: int


@dataclasses.dataclass(frozen=True)
class Peer:
    name: str
    bits: int  # of its weights: its class
    files: Callable[[pathlib.Path], list]  # what there must be: programs, model
    measure: Callable[[Job], dict]

    def missing(self, model: pathlib.Path):
        """The first file that is not there, or None."""
        return next((path for path in self.files(model) if not path.exists()), None)


def run(command, env=None):
    """Both outputs of a command; PeerError with the end of them when it fails."""
    try:
        # There, because some write logs where they stand.
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=env,
                              timeout=PATIENCE_S, cwd=llama_peer.cache())
    except subprocess.TimeoutExpired as error:
        raise PeerError(f"{command[0]}: not done after {PATIENCE_S} s") from error
    if done.returncode != 0:
        end = (done.stderr or done.stdout).strip()[-400:]
        raise PeerError(f"{command[0]} ends with {done.returncode}: {end}")
    return done.stdout, done.stderr


# llama.cpp, ik_llama.cpp --------------------------------------------------------------------------


def llama(name, kind, bits, folders, repack=False):
    """folders: builds below the cache, by preference: a build without AMX is made only where the
    other one fails. repack: while loading, which ik_llama.cpp wants to be fast."""

    def programs():
        built = [llama_peer.cache() / "peers" / one / "bin" for one in folders]
        return next((one for one in built if (one / "llama-bench").exists()), built[-1])

    def files(model):
        return [programs() / "llama-batched-bench", llama_peer.gguf(model, kind)]

    def measure(job):
        folder, model = programs(), llama_peer.gguf(job.model, kind)
        env = llama_peer.environment(folder)
        common = ["-m", model, "-t", job.threads]
        found = {}
        # Streams of 16 + answer tokens each.
        context = max(4096, max(job.streams) * (job.answer + 32))
        table = run([folder / "llama-batched-bench", *common, "-tb", job.threads, "-c", context,
                     "-npp", 16, "-ntg", job.answer, "-npl", ",".join(map(str, job.streams)),
                     # With flash attention ik_llama.cpp fails on several streams.
                     *(["-rtr", "-fa", "off"] if repack else [])], env)
        for line in "\n".join(table).splitlines():  # ik_llama.cpp prints it as an error
            cells = [cell.strip() for cell in line.strip("| ").split("|")]
            if len(cells) >= 8 and re.fullmatch(r"\d+", cells[0]):
                found["decode", int(cells[2])] = float(cells[7])
        rows, _ = run([folder / "llama-bench", *common, "-p", ",".join(map(str, job.prompts)),
                       "-n", 0, "-r", 1, "-o", "json", *(["-rtr", 1] if repack else [])], env)
        for row in json.loads(rows):
            found["prefill", row["n_prompt"]] = row["avg_ts"]
        return found

    return Peer(name, bits, files, measure)


# Engines that come as Python packages -------------------------------------------------------------


def packaged(name, bits, place, backend, suffix, *, dtype="bfloat16", settings=None):
    """place: its environment below peers/ in the cache; backend: what peer_bench.py calls it;
    suffix: of the model's folder; settings: makes additions to the process environment."""

    def files(model):
        return [llama_peer.cache() / "peers" / place / "bin/python",
                model.with_name(model.name + suffix)]

    def measure(job):
        program, model = files(job.model)
        script = llama_peer.test_data() / "peers/peer_bench.py"
        env = dict(os.environ, HF_HUB_OFFLINE="1", OMP_NUM_THREADS=str(job.threads))
        if settings is not None:
            env |= settings()

        def call(streams, prompt, answer):
            command = [program, script, backend, model, "--streams", ",".join(map(str, streams)),
                       "-p", prompt, "-o", answer, "--rounds", 1, "-t", job.threads,
                       "--dtype", dtype]
            return [json.loads(line) for line in run(command, env)[0].splitlines()
                    if line.startswith("{")]

        found = {}
        for i, prompt in enumerate(job.prompts):
            # The long prompts on their own: a single short decode, which does not count.
            streams, answer = (job.streams, job.answer + 1) if i == 0 else ((1,), 2)
            for row in call(streams, prompt, answer):
                test = row.get("test", "")
                if test == f"pp{prompt}":
                    found["prefill", prompt] = row["median"]
                elif i == 0 and (decode := re.match(r"decode B=(\d+)", test)):
                    found["decode", int(decode[1])] = row["median"]
        return found

    return Peer(name, bits, files, measure)


def vllm_settings(zentorch):
    """tcmalloc and Intel's OpenMP, where there are any, as vLLM's manual for CPUs asks for."""
    folder = llama_peer.cache() / "peers"
    libraries = [pathlib.Path("/usr/lib/x86_64-linux-gnu/libtcmalloc_minimal.so.4"),
                 folder / "vllm/lib/libiomp5.so"]
    found = {"LD_PRELOAD": ":".join(str(one) for one in libraries if one.exists())}
    if zentorch:
        found["PYTHONPATH"] = str(folder / "zentorch")
    return found


LLAMA = ("llama-no-amx", "llama")
PEERS = (
    llama("llama.cpp BF16", "BF16", 16, LLAMA),
    llama("ik_llama BF16", "BF16", 16, ("ik",), repack=True),
    packaged("OpenVINO bf16", 16, "openvino", "ov", "-ov-bf16"),
    packaged("vLLM bf16", 16, "vllm", "vllm", "", settings=lambda: vllm_settings(False)),
    packaged("vLLM + zentorch bf16", 16, "vllm", "vllm", "", settings=lambda: vllm_settings(True)),
    llama("llama.cpp Q8_0", "Q8_0", 8, LLAMA),
    llama("ik_llama Q8_0", "Q8_0", 8, ("ik",), repack=True),
    packaged("OpenVINO int8", 8, "openvino", "ov", "-ov-int8"),
    packaged("CTranslate2 int8", 8, "ctranslate2", "ct2", "-ct2-int8"),
    llama("llama.cpp Q4_0", "Q4_0", 4, LLAMA),
    llama("llama.cpp Q4_K_M", "Q4_K_M", 4, LLAMA),
    llama("ik_llama Q4_0", "Q4_0", 4, ("ik",), repack=True),
    packaged("OpenVINO int4", 4, "openvino", "ov", "-ov-int4"),
    packaged("onnxruntime-genai int4", 4, "onnxruntime", "ort", "-ort-int4"),
)
