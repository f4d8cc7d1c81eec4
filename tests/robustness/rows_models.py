"""M: several models in one server, those that come and go while it runs, and keys for some of them.
The bytes of each are those that it writes alone."""

import contextlib
import json
import pathlib
import subprocess
import tempfile
import threading
import time

import harness
import tiny_model
import wire
from expect import ok, refused, stream, stream_error
from program import ENVIRONMENT, SMALL, USAGE, expect, run
from served import Served
from table import Row

ADMIN = "an-admin-key-for-tests"
HEADERS = (("Authorization", f"Bearer {ADMIN}"),)
# Little memory, so that its division shows.
SIZE = tuple({"16M": "1536K"}.get(s, s) for s in harness.SIZE
             if s not in ("--served-model-name", "m"))
WATCHDOG_S = 0.5  # a step that is ten times as old never ends
PLACE = {}  # where prepare() has put things


def prepare(folder):
    """Beside the model of the harness: `b` of other weights, and a folder to load from."""
    root = pathlib.Path(folder) / "models"
    for name, seed in (("two", 2), ("three", 3)):
        tiny_model.write(root / name, seed=seed)
    (root / "bad").mkdir()
    (root / "bad" / "config.json").write_text("{")
    (root / "out").symlink_to(folder)
    PLACE.update(folder=folder, root=root, keys=pathlib.Path(folder) / "keys")
    PLACE["keys"].write_text('{"vsurge_keys":1}\n')
    PLACE["keys"].chmod(0o600)
    options = ("--model", f"b,second={root / 'two'}", "--model-memory", "b=2",
               "--model-folder", str(root), "--models-max", "3", "--api-key", ADMIN,
               "--api-key-file", str(PLACE["keys"]))
    return options, None


def name_model(path):
    return f"m={path}"


def chat(model, **fields):
    return harness.chat(model=model, **fields)


def choices(server, model, **fields):
    answer = server.ask(chat(model, max_tokens=16, ignore_eos=True, logprobs=True,
                             return_token_ids=True, **fields))
    assert answer.status == 200, answer
    return json.dumps(answer.json()["choices"])


def alone(server, name):
    """What a server of this model alone writes."""
    if name not in PLACE:
        with Served(server.program, PLACE["root"] / name, size=harness.SIZE) as single:
            request = chat("m", max_tokens=16, ignore_eos=True, logprobs=True,
                           return_token_ids=True)
            with wire.Wire(single.port) as connection:
                connection.send(wire.request("/v1/chat/completions", request))
                PLACE[name] = json.dumps(connection.answer().json()["choices"])
            assert single.stop() == 0
    return PLACE[name]


def load(server, name="c", path="three", **fields):
    return server.post("/v1/models/load", {"model": name, "path": path, **fields})


def unload(server, name="c", **fields):
    return server.post("/v1/models/unload", {"model": name, **fields})


def states(server):
    models = server.get("/v1/models")["data"]
    return {model["id"]: model["metadata"]["state"] for model in models}


def each_alone(server):
    together = [None] * 8
    def ask(i):
        together[i] = choices(server, "b" if i % 2 else "second")
    threads = [threading.Thread(target=ask, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    server.sentinel()
    for thread in threads:
        thread.join()
    assert set(together) == {alone(server, "two")}, together
    assert alone(server, "two") != alone(server, "three")


def endpoints(server):
    for path, body in {"/tokenize": {"prompt": "ab"}, "/detokenize": {"tokens": [97]},
                       "/v1/responses": {"input": "ab", "max_output_tokens": 4},
                       "/v1/messages": {"messages": harness.MESSAGES, "max_tokens": 4},
                       "/v1/completions": {"prompt": "ab", "max_tokens": 4}}.items():
        for model in ("m", "second"):
            ok()(server.post(path, {"model": model, **body}))
        refused("model_not_found", status=404)(server.post(path, {"model": "none", **body})) \
            if path != "/v1/messages" else None
    refused(param="model", says="several")(server.post("/tokenize", {"prompt": "ab"}))
    refused(param="model", says="'m'")(server.post("/v1/completions", {"prompt": "ab"}))


def told_apart(server):
    assert states(server) == {"b": "ready", "second": "ready", "m": "ready"}, states(server)
    health = server.get("/health")
    assert {name: model["status"] for name, model in health["models"].items()} == \
        {"b": "ready", "m": "ready"}, health
    total = {name: model["pages_total"] for name, model in health["models"].items()}
    assert 1.8 < total["b"] / total["m"] < 2.2, f"the memory is not divided by weights: {total}"
    text = server.send(wire.request("/metrics", method="GET", headers=HEADERS)).body.decode()
    for name in ("m", "b"):
        assert f'vllm:kv_cache_usage_perc{{model_name="{name}",engine="0"}}' in text
    assert text.count("# TYPE vllm:num_requests_running ") == 1
    def is_told():  # the log is some milliseconds behind
        return any(" request " in line and "model=b" in line for line in server.lines)
    end = time.monotonic() + 5
    while not is_told() and time.monotonic() < end:
        time.sleep(0.05)
    assert is_told(), "no line of the log names the model"


def keys(server):
    secret = subprocess.run([server.program, "keys", "add", "limited", "--models", "b",
                             "--key-file", str(PLACE["keys"])],
                            check=True, capture_output=True, text=True).stdout.split()[-1]
    time.sleep(1.2)  # until the file is looked at again
    def ask(model):
        return server.send(wire.request("/v1/chat/completions", chat(model),
                                        headers=[("x-api-key", secret)]))
    ok()(ask("second"))
    answer = ask("m")
    assert answer.status == 403 and answer.error()["param"] == "model", answer
    listed = server.send(wire.request("/v1/models", method="GET",
                                      headers=[("x-api-key", secret)])).json()
    assert {model["id"] for model in listed["data"]} == {"b", "second"}
    for path in ("load", "unload"):
        answer = server.send(wire.request(f"/v1/models/{path}", {"model": "b"},
                                          headers=[("x-api-key", secret)]))
        assert answer.status == 403, answer


def comes_and_goes(server):
    ok(lambda body: body["model"]["id"] == "c")(load(server, aliases=["third"]))
    assert states(server)["third"] == "ready"
    assert choices(server, "third") == alone(server, "three")
    assert choices(server, "b") == alone(server, "two")
    ok()(unload(server, "third"))
    assert "c" not in states(server)
    refused("model_not_found", status=404)(server.ask(chat("c")))


def again_and_again(server):
    for _ in range(5):
        ok()(load(server))
        assert choices(server, "c") == alone(server, "three")
        ok()(unload(server))


def under_load(server):
    """A stream of the model that goes ends whole; others see nothing."""
    ok()(load(server))
    long = chat("c", max_tokens=300, ignore_eos=True, stream=True)
    with server.connect() as going, server.connect() as staying:
        going.send(wire.request("/v1/chat/completions", long, headers=HEADERS))
        staying.send(wire.request("/v1/chat/completions", {**long, "model": "b"}, headers=HEADERS))
        while b"data:" not in going.buffer:
            going._more()
        done = []
        thread = threading.Thread(target=lambda: done.append(unload(server)))
        thread.start()
        while states(server).get("c") == "ready":
            time.sleep(0.005)
        if not done:
            assert server.ask(chat("c")).status in (404, 503)
        stream()(going.answer())
        stream()(staying.answer())
        thread.join()
        ok()(done[0])


def at_odds(server):
    """Loads and unloads of one name at once: each is done or refused, and what is left is sound."""
    answers = []
    def act(i):
        answers.append((load if i % 2 else unload)(server))
        answers.append(server.ask(chat("c")))
    threads = [threading.Thread(target=act, args=(i,)) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    got = {answer.status for answer in answers}
    assert got <= {200, 404, 409, 503}, got
    if "c" in states(server):
        ok()(unload(server))


def without_waiting(server):
    assert load(server, wait=False).status == 202
    while states(server).get("c") == "loading":
        time.sleep(0.01)
    assert choices(server, "c") == alone(server, "three")
    assert unload(server, wait=False).status == 202
    while "c" in states(server):
        time.sleep(0.01)


def refuses_paths(server):
    for path in ("..", "/etc", "../models", "out", "none", "out/keys", "two/../.."):
        refused(param="path", says="model folder")(load(server, path=path))
    answer = load(server, path="bad")
    assert answer.status == 400, answer
    assert "c" not in states(server)


def no_more_than_places(server):
    ok()(load(server))
    refused("conflict", status=409, says="3 models")(load(server, "d"))
    refused("conflict", status=409, says="'b'")(load(server, "b"))
    ok()(unload(server))


def drained(server):
    ok()(server.post("/v1/engine/drain", {"model": "b"}))
    assert server.ask(chat("second")).status == 503
    server.sentinel()
    ready = [server.send(wire.request(f"/ready{query}", method="GET")).status
             for query in ("", "?model=m", "?model=b")]
    assert ready == [200, 200, 503], ready
    ok()(server.post("/v1/engine/resume", {}))
    ok()(server.ask(chat("second")))


def two(server, failpoint, *options):
    """A server of `m` and `b` with this failpoint, which is both models' unless it names one."""
    root = PLACE["root"]
    options = ("--model", f"b={root / 'three'}", "--failpoint", failpoint, "--watchdog",
               str(WATCHDOG_S), *options)
    return Served(server.program, f"m={root / 'two'}", options, size=SIZE)


def begin_stream(served, model):
    connection = wire.Wire(served.port)
    connection.send(wire.request("/v1/chat/completions", chat(
        model, max_tokens=400, ignore_eos=True, stream=True), headers=HEADERS))
    return connection


def ask(served, path, body=b"", method="POST"):
    with wire.Wire(served.port) as connection:
        connection.send(wire.request(path, body, method=method, headers=HEADERS))
        return connection.answer()


def health_when_broken(served):
    """The first that is no 200. One that is says of no step that it is older than the watchdog
    allows and a second."""
    end = time.monotonic() + wire.PATIENCE_S
    while (answer := ask(served, "/health", method="GET")).status == 200:
        assert time.monotonic() < end, "no engine breaks"
        ages = [model["step_age_seconds"] for model in answer.json()["models"].values()]
        assert max(ages) < WATCHDOG_S + 1, f"200 while steps are so old: {ages}"
        time.sleep(0.01)
    return answer


def one_fails(failpoint, word, ends_with):
    """Its own clients are told, the other model's answers go on, and probes say how it stands."""
    def act(server):
        broken = refused("engine_unavailable", status=503)
        with two(server, f"b:{failpoint}") as served:
            with begin_stream(served, "m") as staying, begin_stream(served, "b") as failing:
                assert health_when_broken(served).status == 503
                stream_error("engine_unavailable")(failing.answer())
                stream()(staying.answer())
            broken(ask(served, "/v1/chat/completions", chat("b")))
            health = ask(served, "/health", method="GET")
            told = {name: model["status"] for name, model in health.json()["models"].items()}
            assert health.status == 503 and told == {"m": "ready", "b": word}, health
            ready = [ask(served, f"/{probe}", method="GET").status
                     for probe in ("ready", "ready?model=m", "ready?model=b", "live")]
            assert ready == [200, 200, 503, 200], ready
            fields = {"max_tokens": 16, "ignore_eos": True, "logprobs": True,
                      "return_token_ids": True}
            answer = ask(served, "/v1/chat/completions", chat("m", **fields))
            assert json.dumps(answer.json()["choices"]) == alone(server, "two"), answer
            assert served.process.poll() is None, "one of two ended the process"
            assert served.stop() == ends_with, served.process.returncode
    return act


def all_fail(failpoint):
    """Everybody is told, and the process ends by itself."""
    def act(server):
        broken = refused("engine_unavailable", status=503)
        with two(server, failpoint) as served:
            streams = [begin_stream(served, model) for model in ("m", "b") * 2]
            for connection in streams:
                answer = connection.answer()
                late = answer.status != 200  # its engine failed before it was heard
                (broken if late else stream_error("engine_unavailable"))(answer)
                connection.close()
            assert served.process.wait(wire.PATIENCE_S) == ENVIRONMENT, served.process.returncode
    return act


def in_hand(served, model):
    state = ask(served, "/health", method="GET").json()["models"][model]
    return state["waiting"] + state["running"]


@contextlib.contextmanager
def loading(server):
    """A server in which a model never ends loading, and the connection of who waits for it. Running
    answers would get an hour."""
    options = ("--model-folder", str(PLACE["root"]), "--api-key", ADMIN, "--failpoint",
               "c:hang@load", "--drain-timeout", "3600")
    with Served(server.program, f"m={PLACE['root'] / 'two'}", options, size=SIZE) as served, \
            wire.Wire(served.port) as waiting:
        waiting.send(wire.request("/v1/models/load", {"model": "c", "path": "three"},
                                  headers=HEADERS))
        end = time.monotonic() + wire.PATIENCE_S
        while " model 'c': loading" not in "".join(served.lines):
            assert time.monotonic() < end, "it does not begin to load"
            time.sleep(0.01)
        yield served, waiting


def ended_while_loading(server):
    """Running answers end whole, and nobody waits for the model."""
    with loading(server) as (served, waiting), begin_stream(served, "m") as running:
        running.until(b"data:")
        served.process.terminate()
        refused("shutting_down", status=503)(waiting.answer())
        running.until(b"data: [DONE]")
        assert served.process.wait(wire.PATIENCE_S) == 0, served.process.returncode


def ended_at_once_while_loading(server):
    """Nor at a second signal, with an answer that would never end."""
    with loading(server) as (served, waiting), wire.Wire(served.port) as held:
        ok()(ask(served, "/v1/engine/pause", {}))
        held.send(wire.request("/v1/chat/completions", chat("m"), headers=HEADERS))
        end = time.monotonic() + wire.PATIENCE_S
        while not in_hand(served, "m"):
            assert time.monotonic() < end, "the request does not come"
        served.process.terminate()
        refused("shutting_down", status=503)(waiting.answer())
        assert served.process.poll() is None, "it did not wait for the answer"
        served.process.terminate()
        assert served.process.wait(wire.PATIENCE_S) == 0, served.process.returncode


def starts(*models, says, options=()):
    def act(server):
        three = PLACE["root"] / "three"
        names = [text for name in models for text in ("--model", f"{name}={three}")]
        sizes = [s for pair in zip(SMALL[::2], SMALL[1::2]) if pair[0] not in options for s in pair]
        got = run(server.program, "serve", *names, "--port", "0", *sizes, *options)
        expect(got, USAGE, says)
    return act


def by_file(server):
    """The same as keys of a TOML file."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "s.toml"
        root = PLACE["root"]
        path.write_text(f'[serve]\nmodel = ["x,y={root / "two"}", "z={root / "three"}"]\n'
                        'model_memory = ["z=3"]\n')
        command = [server.program, "serve", "--port", "0", "--config", str(path), *SMALL]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   text=True)
        ready = next((line for line in process.stdout if "ready:" in line), "")
        process.terminate()
        told = process.stdout.read()
        assert process.wait(60) == 0, told
        assert "serves x, z" in ready, ready + told


def rows(server):
    yield Row("M01", "the named model answers, with its own bytes", each_alone)
    yield Row("M02", "every endpoint has all models", endpoints)
    yield Row("M03", "lists, health, metrics and log tell them apart", told_apart)
    yield Row("M04", "a key for one of them", keys)
    yield Row("M05", "a model comes and goes", comes_and_goes)
    yield Row("M05", "five times", again_and_again)
    yield Row("M06", "unloaded under load", under_load)
    yield Row("M07", "twelve admins at odds", at_odds)
    yield Row("M08", "without waiting", without_waiting)
    yield Row("M09", "paths that lead out, and a checkpoint that is none", refuses_paths)
    yield Row("M10", "no more models than places", no_more_than_places)
    yield Row("M11", "one of them drained", drained)
    yield Row("M12", "a name twice", starts("a", "b,a", says="'a'"))
    yield Row("M12", "a weight for nobody",
              starts("a", says="'x'", options=("--model-memory", "x=1")))
    yield Row("M12", "a served name beside names",
              starts("a", "b", says="served-model-name", options=("--served-model-name", "n")))
    yield Row("M12", "too little memory for a share",
              starts("a", "b", says="one context", options=("--kv-cache-memory-bytes", "1M")))
    yield Row("M12", "a folder that is none",
              starts("a", says="model_folder", options=("--model-folder", "/no/such")))
    yield Row("M13", "a file of settings", by_file)
    yield Row("M14", "one of two engines fails", one_fails("throw@300", "error", 0))
    yield Row("M14", "one of two engines hangs", one_fails("hang@300", "stuck", ENVIRONMENT))
    yield Row("M14", "both fail", all_fail("throw@300"))
    yield Row("M14", "both hang", all_fail("hang@300"))
    yield Row("M14", "a failpoint that is none",
              starts("a", "b", says="failpoint", options=("--failpoint", "a:x@1")))
    yield Row("M15", "ended while a model loads", ended_while_loading)
    yield Row("M15", "ended at once while a model loads", ended_at_once_while_loading)
