"""Two of our servers behind a router: run.py PROGRAM ROUTER
ROUTER: sglang, vllm or nginx

Streams, keys and metrics, a client that leaves, and a restart of both servers one after the other
under load, in which no request may be lost. The model is the tiny one of tests/robustness. Exit
status 77, with one line that says why, when the router is not there."""

import contextlib
import json
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "robustness")]
import routers  # noqa: E402
import tiny_model  # noqa: E402
from expect import ok, refused  # noqa: E402
from routers import Router, served  # noqa: E402
from rows_process import free_port, wait_until_ready  # noqa: E402
from wire import Wire, request  # noqa: E402

SIZE = ("--max-model-len", "2048", "--max-num-seqs", "8", "--kv-cache-memory-bytes", "16M",
        "--max-num-batched-tokens", "256", "--threads", "1", "--served-model-name", "m")
CLIENTS = 6
TEXT = {"model": "m", "prompt": "abc", "max_tokens": 60, "temperature": 0, "ignore_eos": True}
CHAT = {"model": "m", "messages": [{"role": "user", "content": "abc"}], "max_tokens": 60,
        "temperature": 0, "ignore_eos": True}
PATHS = (("/v1/completions", TEXT), ("/v1/chat/completions", CHAT))


class Worker:
    """One of our servers, which can be ended and started anew at the same address."""

    def __init__(self, program, model, keys):
        self.port = free_port()
        self.command = [program, "serve", str(model), "--port", str(self.port), *SIZE,
                        "--api-key-file", str(keys), "--metrics-without-key",
                        "--drain-timeout", "60"]
        self.log = tempfile.TemporaryFile("w+")
        self.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=self.log, stderr=self.log)
        wait_until_ready(self.port, self.process)

    def drain(self):
        """SIGTERM, and what ran until then is answered."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(60) == 0, self.process.returncode

    def health(self):
        with Wire(self.port) as connection:
            connection.send(request("/health", method="GET"))
            return next(iter(connection.answer().json()["models"].values()))

    def metric(self, name):
        """The lines of it; read without a key, as gateways do."""
        with Wire(self.port) as connection:
            connection.send(request("/metrics", method="GET"))
            text = connection.answer().body.decode()
        return [line for line in text.splitlines() if line.split("{")[0].split(" ")[0] == name]

    def value(self, name):
        """The sum over its labels."""
        return sum(float(line.rpartition(" ")[2]) for line in self.metric(name))

    def kill(self):
        self.process.kill()
        self.process.wait()


def ask(port, path, body, key, headers=()):
    with Wire(port) as connection:
        connection.send(request(path, body, headers=[*key, *headers]))
        return connection.answer()


def told(answer):
    """What of an answer is the same each time: texts, ends and the count of tokens."""
    if answer.body.startswith(b"data: "):
        assert answer.events()[-1] == "[DONE]", answer.events()[-1]
        chunks = [json.loads(event) for event in answer.events()[:-1]]
    else:
        chunks = [answer.json()]
    return [chunk["choices"] for chunk in chunks], chunks[-1]["usage"]["total_tokens"]


def bodies():
    for path, body in PATHS:
        yield path, body
        yield path, {**body, "stream": True, "stream_options": {"include_usage": True}}


def same_answers(router, workers, key):
    """Through the router everything is as it is without."""
    wanted = []
    for path, body in bodies():
        direct = ask(workers[0].port, path, body, key)
        ok()(direct)
        wanted.append((path, body, told(direct)))
        for _ in workers:
            routed = ask(router.port, path, body, key)
            ok()(routed)
            assert told(routed) == wanted[-1][2], f"{path}: other bytes behind the router"
    return wanted


def streams_flow(router, key):
    """Events come while the answer is made, not at its end: at least once, as a busy client may
    find all of them."""
    body = {**TEXT, "max_tokens": 1500, "stream": True}

    def flows():
        with Wire(router.port) as connection:
            connection.send(request("/v1/completions", body, headers=key))
            connection.until(b"data: ")
            first = time.monotonic()
            connection.until(b"[DONE]")
            return time.monotonic() - first > 0.005

    assert any(flows() for _ in range(10)), "whole streams came at once"


def key_rules(router, key):
    """Clients' keys reach the servers, and their refusals reach the clients."""
    for headers in ((), [("Authorization", "Bearer vs-wrong")]):
        answer = ask(router.port, *PATHS[1], headers)
        assert answer.status == 401 and answer.error()["code"] == "invalid_api_key", answer
    for _ in range(25):  # who asks wrongly shuts nobody out
        refused(status=400, param="temperature")(
            ask(router.port, PATHS[0][0], {**TEXT, "temperature": 9}, key))
    ok()(ask(router.port, *PATHS[0], key))


def both_work(workers):
    """Each server counts its share, by the names and labels that the endpoint pickers of llm-d and
    of the Gateway API inference extension read."""
    for worker in workers:
        assert worker.value("vllm:request_success_total") >= 4
        for name in ("vllm:num_requests_waiting", "vllm:num_requests_running",
                     "vllm:kv_cache_usage_perc"):
            assert len(worker.metric(name)) == 1 and worker.value(name) == 0, worker.metric(name)
        layout = worker.metric("vllm:cache_config_info")
        assert len(layout) == 1, layout
        for label in ("block_size", "num_gpu_blocks"):
            found = re.search(f'[{{,]{label}="([0-9]+)"', layout[0])
            assert found and int(found.group(1)) > 0, f"{label}: {layout}"


def leave(router, workers, key):
    """A client that leaves the router leaves the server."""
    body = {**TEXT, "max_tokens": 2000, "stream": True}
    with Wire(router.port) as connection:
        connection.send(request("/v1/completions", body, headers=key))
        connection.until(b"data: ")
    end = time.monotonic() + 30
    while any(worker.health()["running"] for worker in workers):
        assert time.monotonic() < end, "the answer goes on for nobody"
        time.sleep(0.02)


class Load:
    """Clients that never rest; every answer has to be whole, and the one that is wanted. A 5xx is
    asked again, as OpenAI's clients do: routers keep connections, and write a request now and then
    into one that the server is closing. It must be rare."""

    def __init__(self, router, wanted, key):
        self.router, self.wanted, self.key = router, wanted, key
        self.stopping, self.faults, self.count = threading.Event(), [], 0
        self.repeated = 0
        self.threads = [threading.Thread(target=self.client, args=(i,)) for i in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def client(self, number):
        while not self.stopping.is_set():
            path, body, wanted = self.wanted[number % len(self.wanted)]
            number += 1
            self.count += 1
            try:
                answer = ask(self.router.port, path, body, self.key)
                for _ in range(2):
                    if answer.status < 500:
                        break
                    self.repeated += 1
                    time.sleep(0.1)
                    answer = ask(self.router.port, path, body, self.key)
                ok()(answer)
                assert told(answer) == wanted, "other bytes"
            except Exception as error:  # noqa: BLE001: told by the test
                self.faults.append(f"{path}: {type(error).__name__}: {error}"[:600])

    def end(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        assert not self.faults, f"{len(self.faults)} of {self.count}: {self.faults[0]}"
        assert self.repeated <= max(8, self.count // 200), \
            f"{self.repeated} of {self.count} repeated"
        return self.count


def served_anew(worker):
    """Waits until the router gives the server work again."""
    end = time.monotonic() + 30
    while worker.value("vllm:request_success_total") == 0:
        assert time.monotonic() < end, "the router does not come back to a server"
        time.sleep(0.1)


def restart_each(router, workers, wanted, key):
    """How many requests were asked meanwhile; each was answered."""
    load = Load(router, wanted, key)
    try:
        for worker in workers:
            time.sleep(1)
            worker.drain()
            time.sleep(1)
            worker.start()
            served_anew(worker)
    finally:
        count = load.end()
    return count


def run(program, name):
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        model = tiny_model.write(folder / "model")
        secret = subprocess.run([program, "keys", "add", "a", "--key-file", folder / "keys"],
                                check=True, capture_output=True, text=True).stdout.strip()
        key = [("Authorization", f"Bearer {secret}")]
        workers = [Worker(program, model, folder / "keys") for _ in range(2)]
        for worker in workers:
            stack.callback(worker.kill)
        router = stack.enter_context(Router(name, free_port(), free_port(),
                                            [worker.url for worker in workers], dict(key)))
        wanted = same_answers(router, workers, key)
        streams_flow(router, key)
        key_rules(router, key)
        both_work(workers)
        leave(router, workers, key)
        count = restart_each(router, workers, wanted, key)
    print(f"router {name}: all checks pass; {count} requests during the restart of both servers")


def main():
    program, name = sys.argv[1:]
    if missing := routers.ROUTERS[name][1]():
        print(f"skipped: {missing}")
        sys.exit(served.SKIP)
    run(program, name)


if __name__ == "__main__":
    main()
