"""Runs a client's script against a real server: run.py PROGRAM KIND
KIND: one of CLIENTS, signals or faults

Exit status 77, with one line that says why, when the model or the client is not there."""

import concurrent.futures
import http.client
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "tools" / "load"))
import overload  # noqa: E402
import served  # noqa: E402

# Everything takes some twenty times as long: no sound step may seem to hang there, and streams that
# are begun one by one must all have begun before the engine fails.
SANITIZED = "VSURGE_TEST_SANITIZED" in os.environ
PATIENCE_S = 1000 if SANITIZED else 240

# The script of each kind, the environment that it runs in, and the package that must be there.
CLIENTS = {
    "python": ("test_openai.py", "venv", "openai"),
    "sampling": ("test_sampling.py", "venv", "openai"),
    "embeddings": ("test_embeddings.py", "venv", "openai"),
    "responses": ("test_responses.py", "venv", "openai"),
    "openapi": ("test_openapi.py", "venv", "openapi_spec_validator"),
    "anthropic": ("test_anthropic.py", "venv", "anthropic"),
    "retries": ("test_retries.py", "venv", "anthropic"),
    "shapes": ("test_shapes.py", "venv", "jsonschema"),
    "langchain": ("test_langchain.py", "venv-frameworks", "langchain_tests"),
    "litellm": ("test_litellm.py", "venv-frameworks", "litellm"),
    "node": ("test_openai.mjs", "node", "openai"),
    "anthropic_node": ("test_anthropic.mjs", "node", "@anthropic-ai/sdk"),
    "vercel": ("test_vercel.mjs", "node", "ai"),
}


def skip(why):
    print(f"skipped: {why}")
    sys.exit(served.SKIP)


def client_command(kind):
    script, environment, package = CLIENTS[kind]
    if environment == "node":
        program = shutil.which("node")
        have = program is not None and (HERE / "node_modules" / package).is_dir()
    else:
        program = str(served.cache_folder() / environment / "bin" / "python")
        find = f"import importlib.util as u, sys; sys.exit(u.find_spec('{package}') is None)"
        have = (pathlib.Path(program).exists() and
                subprocess.run([program, "-c", find]).returncode == 0)
    if not have:
        skip(f"no {package} package for {environment} (./dev setup installs it)")
    return [program, str(HERE / script)]


def run_client(program, model, kind, command):
    options = () if kind == "retries" else ("--speculative-tokens", "4")
    size = overload.SIZE if kind == "retries" else served.SMALL
    with served.Served(program, model, options, size=size) as server:
        status = subprocess.run([*command, server.url + "/v1"], timeout=PATIENCE_S).returncode
        used = server.wait_idle()
        assert status == 0, f"the client's script failed\n{''.join(server.lines[-20:])}"
        assert used == 0, f"{used} pages are still in use"
        assert server.stop() == 0, "SIGTERM must end the server with status 0"


def run_embeddings(program):
    command = client_command("embeddings")
    for name in ("embedding", "classifier"):
        model = HERE.parent / "golden" / "pooling" / name
        size = ("--max-model-len", "512", "--max-num-seqs", "8", "--kv-cache-memory-bytes", "64M")
        with served.Served(program, model, size=size) as server:
            url = server.url + "/v1"
            for arguments in ([*command, url, str(model / "golden.json")],
                              [*client_command("shapes"), url]):
                status = subprocess.run(arguments, timeout=120).returncode
                assert status == 0, f"the client's script failed\n{''.join(server.lines[-20:])}"
            assert server.wait_idle() == 0, "pages are still in use"
            assert server.stop() == 0, "SIGTERM must end the server with status 0"


def start_stream(server, name, max_tokens):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    body = {
        "model": name,
        "messages": [{"role": "user", "content": "Tell me a long story about a fox."}],
        "max_tokens": max_tokens,
        "temperature": 0,
        "stream": True,
    }
    headers = {"Content-Type": "application/json"}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    answer.readline()  # an event has come: it runs
    return answer


def run_signals(program, model):
    # SIGTERM during answers: they finish, nobody new is let in, the status is 0.
    with served.Served(program, model, ("--drain-timeout", "240")) as server:
        name = server.model_name()
        answers = [start_stream(server, name, 60) for _ in range(3)]
        server.process.send_signal(signal.SIGTERM)
        with concurrent.futures.ThreadPoolExecutor() as threads:
            texts = list(threads.map(lambda answer: answer.read().decode(), answers))
        assert all(text.rstrip().endswith("data: [DONE]") for text in texts), texts
        assert server.process.wait(30) == 0, server.process.returncode
    # After the drain time the others are told so, and end properly.
    with served.Served(program, model, ("--drain-timeout", "1")) as server:
        answer = start_stream(server, server.model_name(), 1900)
        begin = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        events = answer.read().decode().rstrip().split("\n\n")  # raises when it is cut off
        error = json.loads(events[-1].removeprefix("data: "))["error"]
        assert error["code"] == "shutting_down" and error["type"] == "server_error", error
        answer.close()
        assert server.process.wait(30) == 0, server.process.returncode
        took = time.monotonic() - begin
        assert took < 5, f"the end took {took:.1f} s"
    # A second SIGTERM does not wait.
    with served.Served(program, model) as server:
        answer = start_stream(server, server.model_name(), 1900)
        begin = time.monotonic()
        for _ in range(2):
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.2)
        assert server.process.wait(30) == 0, server.process.returncode
        took = time.monotonic() - begin
        assert took < 5, f"the end took {took:.1f} s"
        answer.close()
    print("signals: all checks pass")


def fault_error(answer):
    """Of the last event of a stream, which must end properly."""
    events = answer.read().decode().rstrip().split("\n\n")
    return json.loads(events[-1].removeprefix("data: "))["error"]


def run_faults(program, model):
    # One row's NaN ends that request alone.
    with served.Served(program, model, ("--failpoint", "nan@20")) as server:
        name = server.model_name()
        error = fault_error(start_stream(server, name, 200))
        assert error["code"] == "numerical_error", error
        answer = start_stream(server, name, 20).read().decode()
        assert answer.rstrip().endswith("data: [DONE]"), answer
    # A failure of the engine, and one that hangs: open streams are told, the process ends.
    step, watchdog = (100, "6") if SANITIZED else (20, "0.3")
    for failpoint in f"throw@{step}", f"hang@{step}":
        options = ("--failpoint", failpoint, "--watchdog", watchdog)
        with served.Served(program, model, options) as server:
            answers = [start_stream(server, server.model_name(), 400) for _ in range(3)]
            for answer in answers:
                error = fault_error(answer)
                assert error["code"] == "engine_unavailable", error
            assert server.process.wait(30) == 4, server.process.returncode
    # Kept alive it says so to all who ask.
    options = ("--failpoint", "throw@20", "--exit-on-fault=false")
    with served.Served(program, model, options) as server:
        assert fault_error(start_stream(server, server.model_name(), 400))
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        connection.request("GET", "/health")
        health = connection.getresponse()
        assert health.status == 503 and json.loads(health.read())["status"] == "error"
    print("faults: all checks pass")


def main():
    program, kind = sys.argv[1:]
    if kind == "embeddings":  # it brings its own models
        return run_embeddings(program)
    model = served.test_model()
    if model is None:
        skip("no default model (./dev setup fetches it; VSURGE_TEST_MODEL names another)")
    if kind in ("signals", "faults"):
        (run_signals if kind == "signals" else run_faults)(program, model)
    else:
        run_client(program, model, kind, client_command(kind))


if __name__ == "__main__":
    main()
