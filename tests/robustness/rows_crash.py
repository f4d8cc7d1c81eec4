"""kill -9 at random moments: what was acknowledged is there when the server is back.

VSURGE_CRASH_ROUNDS says how often it is killed (12), VSURGE_CRASH_SEED when."""

import collections
import contextlib
import json
import os
import pathlib
import random
import subprocess
import tempfile
import threading
import time

import harness
import tiny_model
from expect import ok
from rows_process import Fresh
from table import Row
from wire import request

ROUNDS = int(os.environ.get("VSURGE_CRASH_ROUNDS", "12"))
SEED = int(os.environ.get("VSURGE_CRASH_SEED", "1"))
WRITERS = 4
KILL_AFTER_S = (0.0, 0.5)  # of writing
CONVERSATIONS = 900  # a store keeps 1,000, the latest
LOOKED_AT_MAX = 400  # stored entries that are asked for after each start
BODY = {"model": "m", "input": harness.SECRET, "max_output_tokens": 3, "temperature": 0}


def with_key(key):
    return [("Authorization", f"Bearer {key}")]


class Memory:
    """What was acknowledged: path to what must be answered there, None for 404. A deletion that
    was sent and not acknowledged may have been done or not: `open` has those."""

    def __init__(self):
        self.lock = threading.Lock()
        self.known = {}
        self.open = set()
        self.conversations = collections.deque()

    def put(self, path, value):
        with self.lock:
            self.known[path] = value
            self.open.discard(path)

    def put_conversation(self, path, value):
        """Those that a store may have dropped are forgotten."""
        self.put(path, value)
        with self.lock:
            self.conversations.append(path)
            if len(self.conversations) > CONVERSATIONS:
                self.known.pop(self.conversations.popleft())

    def begin_erasing(self, dice):
        """One that nobody else erases, or None."""
        with self.lock:
            left = [path for path, value in self.known.items() if value and path not in self.open]
            path = dice.choice(left) if left else None
            self.open.update([path] if left else [])
        return path

    def check(self, server, key, dice):
        """Whether a sample of it is as it was told, the latest always; how many were looked at."""
        paths = list(self.known)
        older = paths[:-LOOKED_AT_MAX // 2]
        paths = paths[-LOOKED_AT_MAX // 2:] + dice.sample(older, min(len(older),
                                                                    LOOKED_AT_MAX // 2))
        with server.connect() as connection:
            for path in paths:
                connection.send(request(path, method="GET", headers=with_key(key)))
                answer = connection.answer()
                gone = answer.status == 404
                if path in self.open:
                    self.put(path, None if gone else self.known[path])
                elif self.known[path] is None:
                    assert gone, f"{path} was deleted, and is back: {answer}"
                else:
                    assert not gone, f"{path} was acknowledged and is lost"
                    assert answer.json() == self.known[path], f"{path} was told otherwise: {answer}"
        return len(paths)


def store_response(connection, key, memory, dice):
    """By a stream half the time: its last event tells what is stored."""
    body = {**BODY, "stream": dice.random() < 0.5, "metadata": {"n": str(dice.random())}}
    connection.send(request("/v1/responses", body, headers=with_key(key)))
    answer = connection.answer()
    ok()(answer)
    told = answer.json() if not body["stream"] else next(
        event["response"] for event in map(json.loads, answer.events()[-1:]))
    assert told["status"] in ("completed", "incomplete"), told
    memory.put(f"/v1/responses/{told['id']}", told)


def store_conversation(connection, key, memory, dice):
    body = {"metadata": {"n": str(dice.random())}, "items": [
        {"type": "message", "role": "user", "content": harness.SECRET}]}
    connection.send(request("/v1/conversations", body, headers=with_key(key)))
    answer = connection.answer()
    ok()(answer)
    memory.put_conversation(f"/v1/conversations/{answer.json()['id']}", answer.json())


def erase_one(connection, key, memory, dice):
    path = memory.begin_erasing(dice)
    if path is None:
        return
    connection.send(request(path, method="DELETE", headers=with_key(key)))
    ok()(connection.answer())
    memory.put(path, None)


def write_until_killed(server, key, memory, seed, faults):
    """Until the connection ends, as it does when the server is killed."""
    dice = random.Random(seed)
    kinds = [store_response] * 5 + [store_conversation] * 3 + [erase_one] * 2
    try:
        with server.connect() as connection:
            while True:
                dice.choice(kinds)(connection, key, memory, dice)
    except (EOFError, OSError):
        pass
    except Exception as error:  # noqa: BLE001: told by the row
        faults.append(repr(error))


def kill_amid_writing(server, key, memory, dice):
    faults = []
    writers = [threading.Thread(target=write_until_killed,
                                args=(server, key, memory, dice.random(), faults))
               for _ in range(WRITERS)]
    for writer in writers:
        writer.start()
    time.sleep(dice.uniform(*KILL_AFTER_S))
    server.process.kill()
    for writer in writers:
        writer.join()
    server.process.wait()
    assert not faults, faults[0]


def add_key(program, path, name):
    done = subprocess.run([program, "keys", "add", name, "--key-file", path], check=True,
                          capture_output=True, text=True)
    return done.stdout.strip()


def stored(server):
    """Responses, conversations and deletions, by four writers at once."""
    dice, memory, looked = random.Random(SEED), Memory(), 0
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        model = tiny_model.write(folder / "model")
        key = add_key(server.program, folder / "keys", "a")
        options = ("--response-store", str(folder / "store"), "--api-key-file",
                   str(folder / "keys"))
        for _ in range(ROUNDS):
            with Keyed(server.program, model, options, key) as fresh:
                looked += memory.check(fresh, key, dice)
                kill_amid_writing(fresh, key, memory, dice)
        with Keyed(server.program, model, options, key) as fresh:
            looked += memory.check(fresh, key, dice)
            assert fresh.stop() == 0
    assert len(memory.known) > ROUNDS, f"only {len(memory.known)} were acknowledged"
    print(f"crash: {ROUNDS} times killed (seed {SEED}): {len(memory.known)} acknowledged, "
          f"{looked} looked at")


class Keyed(Fresh):
    """A server that wants a key."""

    def __init__(self, program, model, options, key):
        self.key = key
        super().__init__(program, model, options)

    def send(self, data):
        """The key of a request that brings none."""
        if b"\r\nAuthorization: " not in data:
            line, rest = data.split(b"\r\n", 1)
            data = line + f"\r\nAuthorization: Bearer {self.key}\r\n".encode() + rest
        return super().send(data)


def killed(command, after_s):
    """What it printed, or None where it was killed before its end."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          text=True) as process:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(after_s)
        process.kill()
        told = process.stdout.read().strip()
        return told if process.wait() == 0 else None


def usual_s(program, folder):
    """How long `keys add` takes."""
    begin = time.monotonic()
    for i in range(5):
        add_key(program, folder / "other", f"k{i}")
    return (time.monotonic() - begin) / 5


def keys(server):
    """`vsurge keys` is killed amid its work, and the server that reads the file too. Who got a key
    can use it; who was revoked cannot."""
    dice, good, gone, cut = random.Random(SEED), {}, set(), 0
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        path = folder / "keys"
        first = add_key(server.program, path, "first")
        took = usual_s(server.program, folder)
        model = tiny_model.write(folder / "model")
        for turn in range(max(2, ROUNDS // 4)):
            with Keyed(server.program, model, ("--api-key-file", str(path)), first) as fresh:
                for step in range(16):
                    name = f"{turn}.{step}"
                    command = [server.program, "keys", "add", name, "--key-file", path]
                    told = killed(command, dice.uniform(0, 4 * took))
                    good.update({name: told} if told else {})
                    cut += told is None
                for name in dice.sample(sorted(good), min(len(good), 3)):
                    command = [server.program, "keys", "revoke", name, "--key-file", path]
                    done = killed(command, dice.uniform(0, 4 * took)) is not None
                    secret = good.pop(name)  # not done: neither is known
                    gone.update({secret} if done else ())
                time.sleep(dice.uniform(0, 0.2))
                fresh.process.kill()
                fresh.process.wait()
            with Keyed(server.program, model, ("--api-key-file", str(path)), first) as fresh:
                check_keys(fresh, good, gone)
                assert fresh.stop() == 0
        add_key(server.program, path, "last")  # nobody who was killed holds the file
    assert good and gone and cut, f"{len(good)} keys, {len(gone)} revoked, {cut} killed"
    print(f"crash: {cut} `vsurge keys` killed (seed {SEED}); {len(good)} keys good, {len(gone)} "
          "revoked")


def check_keys(server, good, gone):
    for secrets, status in ((good.values(), 200), (gone, 401)):
        for secret in secrets:
            answer = server.send(request("/v1/models", method="GET", headers=with_key(secret)))
            assert answer.status == status, f"a key got {answer}, not {status}"


def rows(_):
    yield Row("P-05", f"SIGKILL amid writing, {ROUNDS} times: no stored response is lost", stored)
    yield Row("P-05", "SIGKILL of `vsurge keys` and of the server: no key is lost", keys)
