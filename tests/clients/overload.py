"""Fills the queue of a server, so that it refuses whoever comes next with a 429."""

import json
import select
import socket
import time
import urllib.parse
import urllib.request

PROMPTS_MAX = 128  # of one request
RUNNING = 8  # sequences that the server runs at once
SIZE = ("--max-model-len", "2048", "--max-num-seqs", str(RUNNING),
        "--kv-cache-memory-bytes", "256M")
# Their answers fit into its cache and last for long: nobody comes in from the queue.
TOKENS = 1200


class FullQueue:
    """A context manager: inside, until `leave`, the queue is full. The server is of that SIZE."""

    def __init__(self, base_url, model):
        self.base_url = base_url
        self.model = model
        self.sockets = []

    def requests(self):
        """How many run, and how many wait."""
        with urllib.request.urlopen(self.base_url.removesuffix("/v1") + "/health") as answer:
            state = json.load(answer)["models"][self.model]
        return state["running"], state["waiting"]

    def send(self, prompts):
        """Whether the server took a request of so many prompts."""
        url = urllib.parse.urlsplit(self.base_url)
        body = json.dumps({"model": self.model, "prompt": [[1]] * prompts, "max_tokens": TOKENS,
                           "ignore_eos": True})
        head = (f"POST {url.path}/completions HTTP/1.1\r\nHost: {url.netloc}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n")
        connection = socket.create_connection((url.hostname, url.port))
        wanted = sum(self.requests()) + prompts
        connection.sendall((head + body).encode())
        while sum(self.requests()) < wanted:
            if select.select([connection], [], [], 0.01)[0]:
                answer = connection.recv(65536)
                assert answer.startswith(b"HTTP/1.1 429 "), answer
                connection.close()
                return False
        self.sockets.append(connection)
        return True

    def leave(self):
        for connection in self.sockets:
            connection.close()
        self.sockets.clear()

    def __enter__(self):
        assert self.send(RUNNING)
        while self.requests() != (RUNNING, 0):
            time.sleep(0.02)
        for prompts in (PROMPTS_MAX, 1):
            while self.send(prompts):
                pass
        return self

    def __exit__(self, *_):
        self.leave()
        while sum(self.requests()) > 0:
            time.sleep(0.02)
