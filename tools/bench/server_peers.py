"""Servers of the OpenAI API side by side: how each is started at its best, and the load on it.

VSURGE, LLAMA and VLLM are the kinds. A Server is a process of ours on a free port of this machine,
and a context manager; `load` is N clients of /v1/completions, each with one request after the
other."""

import contextlib
import dataclasses
import json
import os
import pathlib
import random
import re
import selectors
import signal
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable

import llama_peer
from report import BUILD

PATIENCE_S = 400  # for a server to get ready
SILENCE_S = 300  # of all connections, after which a load is given up
CONTEXT = 512  # tokens of a sequence: prompt and answer
WORDS = ("time year people way day man thing woman life child world school state family student "
         "group country problem hand part place case week company system program question work "
         "government number night point home water room mother area money story fact month lot "
         "right study book eye job word business issue side kind head house service friend").split()
TEXT = re.compile(rb'"text":\s*"(?!")')


class ServerError(Exception):
    """A server that does not start, or a request that it does not answer in full."""


@dataclasses.dataclass(frozen=True)
class Job:
    model: pathlib.Path  # the Hugging Face folder; files of the peers lie beside it
    clients: int
    threads: int


@dataclasses.dataclass(frozen=True)
class Kind:
    name: str
    files: Callable[[Job], list]  # what there must be
    command: Callable[[Job, int], list]  # for a port
    environment: Callable[[], dict] = lambda: dict(os.environ)

    def missing(self, job):
        """The first file that is not there, or None."""
        return next((path for path in self.files(job) if not path.exists()), None)


def vsurge_command(job, port):
    return [BUILD / "bin/vsurge", "serve", job.model, "--port", port, "--quantization", "8bit",
            "--threads", job.threads, "--max-num-seqs", job.clients, "--max-model-len", CONTEXT,
            "--log-level", "warning"]


def llama_folder():
    built = [llama_peer.cache() / "peers" / name / "bin" for name in ("llama-no-amx", "llama")]
    return next((one for one in built if (one / "llama-server").exists()), built[-1])


def llama_command(job, port):
    return [llama_folder() / "llama-server", "-m", llama_peer.gguf(job.model, "Q8_0"), "--port",
            port, "--host", "127.0.0.1", "-np", job.clients, "-c", job.clients * CONTEXT,
            "-t", job.threads, "-tb", job.threads]


def vllm_files(job):
    peers = llama_peer.cache() / "peers"
    return [llama_peer.test_data() / "peers/serve_vllm.sh", peers / "vllm/bin/vllm",
            peers / "zentorch", job.model]


def vllm_command(job, port):
    script, _, zentorch, model = vllm_files(job)
    return ["bash", script, llama_peer.cache() / "peers/vllm", model, port, zentorch]


VSURGE = Kind("vSurge int8", lambda job: [BUILD / "bin/vsurge", job.model], vsurge_command)
LLAMA = Kind("llama-server Q8_0",
             lambda job: [llama_folder() / "llama-server", llama_peer.gguf(job.model, "Q8_0")],
             llama_command, lambda: llama_peer.environment(llama_folder()))
VLLM = Kind("vLLM + zentorch bf16", vllm_files, vllm_command)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def post(port, path, body):
    """The answer to a JSON body."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body.encode(),
                                     {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
        return answer.read()


def family(pid):
    """The process and all that descend from it, with the seconds of CPU each has used."""
    parent, used = {}, {}
    for entry in pathlib.Path("/proc").iterdir():
        try:
            words = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # not a process, or ended just now
            continue
        if not entry.name.isdigit():
            continue
        parent[int(entry.name)] = int(words[1])
        used[int(entry.name)] = (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
    found = {pid} & used.keys()
    while more := {one for one, of in parent.items() if of in found} - found:
        found |= more
    return {one: used[one] for one in found}


class Server:
    """Runs from the start of the `with` block, ready for requests, to its end."""

    def __init__(self, kind, job):
        self.kind, self.job, self.port = kind, job, free_port()
        self.log = tempfile.TemporaryFile()
        self.model = ""

    def __enter__(self):
        command = list(map(str, self.kind.command(self.job, self.port)))
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log,
                                        stdin=subprocess.DEVNULL, env=self.kind.environment())
        end = time.monotonic() + PATIENCE_S
        try:
            while not self.ready():
                if self.process.poll() is not None or time.monotonic() > end:
                    raise ServerError(f"{self.kind.name} did not get ready: {self.log_end()}")
                time.sleep(0.2)
            self.model = json.loads(self.get("/v1/models"))["data"][0]["id"]
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        """Asks the process to end; what is left of it and of its children is killed."""
        children = family(self.process.pid)
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        for pid in still_running(children):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
            return answer.read()

    def ready(self):
        try:
            self.get("/health")
            return True
        except (OSError, urllib.error.URLError):
            return False

    def log_end(self):
        self.log.seek(0, os.SEEK_END)
        self.log.seek(max(0, self.log.tell() - 600))
        return self.log.read().decode(errors="replace").strip()

    def cpu_s(self):
        return sum(family(self.process.pid).values())


def still_running(pids):
    """Those of the processes that are there and are ours: seconds of CPU never shrink, and a number
    that was given anew would have used less."""
    found = set()
    for pid, used in pids.items():
        if family(pid).get(pid, -1) >= used:
            found.add(pid)
    return found


# The load -----------------------------------------------------------------------------------------


class Client:
    """A connection for each request, because some servers close those they were to keep."""

    def __init__(self, port, body):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.begin = time.monotonic()
        self.first_s = None
        self.answer = bytearray()
        self.socket.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                            b"Connection: close\r\nContent-Type: application/json\r\n"
                            b"Content-Length: %d\r\n\r\n" % len(body) + body)

    def read(self):
        """Takes what is there; whether the answer has ended."""
        piece = self.socket.recv(1 << 16)
        self.answer += piece
        if self.first_s is None and TEXT.search(self.answer):
            self.first_s = time.monotonic() - self.begin
        if piece and b"data: [DONE]" not in self.answer[-64:]:
            return False
        self.socket.close()
        return True

    def counts(self):
        """Tokens of the prompt and of the answer, as the server says at the end."""
        found = [re.findall(rb'"%s_tokens":\s*(\d+)' % name, self.answer)
                 for name in (b"prompt", b"completion")]
        if not re.match(rb"HTTP/1\.\d 200", self.answer) or not all(found) or self.first_s is None:
            raise ServerError(f"an answer without text or count: {bytes(self.answer[-300:])!r}")
        return tuple(int(values[-1]) for values in found)


def load(server, requests, prompt, answer, seed):
    """Figures of so many requests, each with words of its own, prompt and answer tokens long."""
    def body(number):
        draw = random.Random(f"{seed}/{number}")
        words = " ".join(["the", *(draw.choice(WORDS) for _ in range(prompt - 1))])
        return json.dumps({"model": server.model, "prompt": words, "max_tokens": answer,
                           "temperature": 0, "ignore_eos": True, "stream": True,
                           "stream_options": {"include_usage": True}}).encode()

    bodies = [body(i) for i in range(requests)]
    done, started = [], 0
    cpu_s, own_s, begin = server.cpu_s(), time.process_time(), time.monotonic()
    with selectors.DefaultSelector() as waiting:
        while len(done) < requests:
            while started < requests and len(waiting.get_map()) < server.job.clients:
                client = Client(server.port, bodies[started])
                waiting.register(client.socket, selectors.EVENT_READ, client)
                started += 1
            events = waiting.select(SILENCE_S)
            if not events:
                raise ServerError(f"{server.kind.name}: nothing for {SILENCE_S} s")
            for key, _ in events:
                handle, client = key.fileobj, key.data
                if client.read():
                    waiting.unregister(handle)
                    done.append(client)
    seconds = time.monotonic() - begin
    counts = [client.counts() for client in done]
    tokens = sum(count for _, count in counts)
    if tokens != requests * answer:
        raise ServerError(f"{server.kind.name}: {tokens} tokens, not {requests * answer}")
    return {"rate": tokens / seconds,
            "first_ms": 1e3 * statistics.median(client.first_s for client in done),
            "cpu_ms": 1e3 * (server.cpu_s() - cpu_s) / tokens,
            "prompt": statistics.mean(count for count, _ in counts),
            "client_cpu": (time.process_time() - own_s) / seconds}
