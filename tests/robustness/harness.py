"""A server under abuse, and what must hold after every row: the same process, the sentinel's bytes
as they were before the first row, and pages, requests, descriptors and threads back where they
were. Standard library only."""

import json
import os
import pathlib
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "tools" / "load"))
import served  # noqa: E402
import tiny_model  # noqa: E402
import wire  # noqa: E402

GROWN_MIB_MAX = 192  # of resident memory over all rows: some hold bodies of 10 MiB
SETTLE_S = 10  # until what a row left behind must be gone
# What every prompt holds and no line of the log may.
SECRET = "zanzibar"
SIZE = ("--max-model-len", "512", "--max-num-seqs", "8", "--kv-cache-memory-bytes", "16M",
        "--max-num-batched-tokens", "512", "--threads", "1", "--served-model-name", "m")
CONTEXT = 512

MESSAGES = [{"role": "user", "content": SECRET}]
SENTINEL = {"model": "m", "messages": MESSAGES, "max_tokens": 12, "temperature": 0,
            "ignore_eos": True, "logprobs": True, "return_token_ids": True}


def path_of(body):
    return "/v1/completions" if "prompt" in body else "/v1/chat/completions"


def chat(**fields):
    """A body of /v1/chat/completions; a field that is ... is left out."""
    body = {"model": "m", "messages": MESSAGES, "max_tokens": 4, "temperature": 0, **fields}
    return {key: value for key, value in body.items() if value is not ...}


def text(**fields):
    """A body of /v1/completions."""
    body = {"model": "m", "prompt": SECRET, "max_tokens": 4, "temperature": 0, **fields}
    return {key: value for key, value in body.items() if value is not ...}


class Server(served.Served):
    """The tiny model, served; `check` after every row. `headers`: of each of its requests."""

    headers = ()  # of every request: what a group of rows wants, and the server's own

    def __init__(self, program, folder, options=(), tls=None, size=SIZE, headers=(), **more):
        self.tls = tls
        self.headers = [*type(self).headers, *headers]
        super().__init__(program, folder, options, size=size, **more)
        self.program = program
        self.slowest_sentinel_s = 0
        self.slowest_row = ""
        self.golden = self.sentinel()
        self.baseline = self._resources()
        self.memory_before = self.memory_bytes()

    def connect(self, **options):
        return wire.Wire(self.port, **{"tls": self.tls, **options})

    def request(self, path, *arguments, headers=(), **more):
        return wire.request(path, *arguments, headers=[*self.headers, *headers], **more)

    def get(self, path):
        return self.send(self.request(path, method="GET")).json()

    def send(self, data):
        """The answer to some bytes on a connection of their own."""
        with self.connect() as connection:
            connection.send(data)
            return connection.answer()

    def post(self, path, body, headers=()):
        return self.send(self.request(path, body, headers=headers))

    def ask(self, body):
        """The answer to a body made by chat() or text()."""
        return self.post(path_of(body), body)

    def sentinel(self):
        answer = self.ask(SENTINEL)
        assert answer.status == 200, f"the sentinel got {answer}"
        return json.dumps(answer.json()["choices"])

    def _resources(self):
        """Once the connections that are closing have closed."""
        process = pathlib.Path("/proc") / str(self.process.pid)
        return len(os.listdir(process / "fd")), len(os.listdir(process / "task"))

    def memory_bytes(self):
        pages = (pathlib.Path("/proc") / str(self.process.pid) / "statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def _at_rest(self):
        health = self.get("/health")
        work = {key: sum(model[key] for model in health["models"].values())
                for key in ("running", "waiting", "pages_used")}
        work["active"] = health["active_requests"]
        busy = {key: value for key, value in work.items() if value}
        if busy:
            return f"still busy: {busy}"
        now = self._resources()
        if now != self.baseline:
            return f"descriptors and threads: {self.baseline} before, {now} now"
        return None

    def check(self, row):
        status = self.process.poll()
        assert status is None, f"the server ended with {status}\n" + "".join(self.lines[-30:])
        begin = time.monotonic()
        sentinel = self.sentinel()
        took = time.monotonic() - begin
        if took > self.slowest_sentinel_s:
            self.slowest_sentinel_s, self.slowest_row = took, row
        assert sentinel == self.golden, f"the sentinel's answer changed: {sentinel}"
        end = time.monotonic() + SETTLE_S
        while (fault := self._at_rest()) and time.monotonic() < end:
            time.sleep(0.01)
        assert fault is None, fault

    def sanitized(self, by=("libasan", "libtsan")):
        maps = (pathlib.Path("/proc") / str(self.process.pid) / "maps").read_text()
        return any(library in maps for library in by)

    def thread_sanitized(self):
        return self.sanitized(by=("libtsan",))

    def check_end(self):
        """After the last row."""
        self.grown_mib = (self.memory_bytes() - self.memory_before) / (1 << 20)
        # Sanitizers keep what was freed.
        assert self.sanitized() or self.grown_mib < GROWN_MIB_MAX, f"{self.grown_mib:.0f} MiB more"
        assert self.stop() == 0, "SIGTERM must end the server with status 0"
        told = [line for line in self.lines if SECRET in line]
        assert not told, f"the log tells what a prompt says: {told[0]}"
