"""Starts the vsurge program for a test or a benchmark, and ends it again. Standard library only."""

import json
import os
import pathlib
import re
import signal
import subprocess
import threading
import time
import urllib.request

# Enough for the tests, and little enough memory for several servers beside each other.
SMALL = ("--max-model-len", "2048", "--max-num-seqs", "32", "--kv-cache-memory-bytes", "256M")
SKIP = 77  # exit status that ctest reads as "skipped"


def cache_folder():
    return pathlib.Path(os.environ.get("VSURGE_CACHE", pathlib.Path.home() / ".cache" / "vsurge"))


def test_model():
    """The model for tests: VSURGE_TEST_MODEL, else the default model; None when it is absent."""
    default = cache_folder() / "models" / "smollm2-135m-instruct-q4_1.gguf"
    path = pathlib.Path(os.environ.get("VSURGE_TEST_MODEL", default))
    return path if path.exists() else None


class Served:
    """A running `vsurge serve` on a free port of this machine; a context manager. `through`: a
    command that runs the one behind it."""

    def __init__(self, program, model, options=(), patience_s=300, size=SMALL, through=(),
                 pass_fds=()):
        command = [*through, program, "serve", str(model), "--port", "0", *size, *options]
        self.lines = []
        self.url = None
        self._ready = threading.Event()
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, pass_fds=pass_fds,
                                        stderr=subprocess.STDOUT, text=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._ready.wait(patience_s)
        if self.url is None:
            self.process.kill()
            self.process.wait()
            raise RuntimeError("the server did not get ready:\n" + "".join(self.lines[-40:]))

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line)
            if self.url is not None:
                continue
            if found := re.search(r"ready.*?(https?://[^/\s]+)", line):
                self.url = found.group(1)
                self._ready.set()
        self._ready.set()

    @property
    def port(self):
        return int(self.url.rsplit(":", 1)[1])

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            return json.load(answer)

    def metrics(self):
        """Sums by name; of those by reason or state, by `name.reason`."""
        with urllib.request.urlopen(self.url + "/metrics", timeout=60) as answer:
            text = answer.read().decode()
        found = {}
        for name, labels, value in re.findall(r"^([\w:]+)(?:\{(.*)\})? (\S+)$", text, re.M):
            reason = re.search(r'finished_reason="(\w+)"', labels)
            state = re.search(r'state="(\w+)"', labels)
            key = name + "".join("." + one.group(1) for one in (reason, state) if one)
            found[key] = found.get(key, 0) + float(value)
        return found

    def model_name(self):
        return self.get("/v1/models")["data"][0]["id"]

    def pages_used(self):
        return sum(model["pages_used"] for model in self.get("/health")["models"].values())

    def wait_idle(self, patience_s=10):
        """Waits until no page is in use; the number that still is."""
        end = time.monotonic() + patience_s
        while (used := self.pages_used()) > 0 and time.monotonic() < end:
            time.sleep(0.02)
        return used

    def stop(self, patience_s=60):
        """SIGTERM; the exit status, or None when the program had to be killed."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            status = None
        self._reader.join(5)
        return status

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
