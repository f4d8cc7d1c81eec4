"""Crowds of slow and idle peers, beside answers that must stay as they are."""

import contextlib
import resource
import threading
import time

from harness import text
from table import Row
from wire import request

CROWD = 1000  # a tenth of it where a sanitizer makes everything slow
IDLE, IDLE_BYTES_MAX = 3500, 14_000  # they had 30,000 when each kept its buffers
# Until idle connections have given back what they hold: a second or two, and ten of malloc's.
REST_S, SETTLED_S = 40, 4
PATIENCE_S = 120
CONTEXT = 8192  # tokens; at 300 bytes each more than all buffers on the way hold
SIZE = ("--max-model-len", str(CONTEXT), "--max-num-seqs", "8", "--kv-cache-memory-bytes", "64M",
        "--max-num-batched-tokens", "512", "--threads", "1", "--served-model-name", "m")
MUCH = text(max_tokens=CONTEXT - 40, ignore_eos=True, stream=True, logprobs=5,
            stream_options={"include_usage": True})
GOLDEN = text(max_tokens=60, ignore_eos=True, stream=True, seed=7, temperature=1)


def crowd_of(server, most=CROWD):
    """How many there may be: each is a file here and one in the server."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return min(most // 10 if server.sanitized() else most, hard // 2 - 200)


def golden(server):
    """The text of a stream."""
    answer = server.ask(GOLDEN)
    assert answer.status == 200, answer
    events = answer.events()
    assert events[-1] == "[DONE]", events[-1]
    return [event.split('"choices":')[1].split(',"usage"')[0] for event in events[:-1]]


def waiting(server):
    models = server.get("/health")["models"].values()
    return sum(model["waiting"] for model in models), sum(model["running"] for model in models)


def idle(server):
    """They have asked for a stream and sent a long body, and are kept alive: what they used is
    given back to the system."""
    long = request("/tokenize", {"model": "m", "prompt": "x" * 15_000})
    asked = [request("/v1/completions", text(stream=True, max_tokens=16, ignore_eos=True)), long]
    for data in asked:
        server.send(data)
    before = server.memory_bytes()
    count = crowd_of(server, IDLE)
    with contextlib.ExitStack() as stack:
        crowd = [stack.enter_context(server.connect()) for _ in range(count)]
        for data in asked:
            for connection in crowd:
                connection.send(data)
                assert connection.answer().status == 200
        end = time.monotonic() + REST_S
        least = shrunk = None  # what they hold, and when it last became less
        while (now := time.monotonic()) < end and (least is None or now < shrunk + SETTLED_S):
            held = server.memory_bytes() - before
            if least is None or held < least:
                least, shrunk = held, now
            time.sleep(0.1)
        each = least // count
        print(f"{count} idle connections: {each} bytes each")
        # Sanitizers keep what was freed.
        assert server.sanitized() or each <= IDLE_BYTES_MAX, f"{each} bytes for each that is idle"
        for connection in crowd[::100]:
            connection.send(long)
            assert connection.answer().status == 200, "a connection that rested is not heard"


def readers(server):
    """They read next to nothing. Each is suspended when it is behind, so that the next one has its
    turn and others are answered at once; nobody is cut off meanwhile."""
    before = golden(server)
    count = crowd_of(server)
    with contextlib.ExitStack() as stack:
        crowd = [server.connect(receive_buffer=2048) for _ in range(count)]
        for connection in crowd:
            stack.callback(connection.close)
            connection.send(request("/v1/completions", MUCH))
        begin = nibbled = time.monotonic()
        while (now := waiting(server)) != (count, 0):
            at = time.monotonic()
            assert at < begin + PATIENCE_S, f"waiting and running: {now}, expected {count}, 0"
            if at > nibbled + 10:  # who takes nothing for 30 s is cut off
                nibbled = at
                for connection in crowd:
                    connection.nibble(2048)
            time.sleep(0.1)
        for _ in range(5):
            assert golden(server) == before, "beside slow readers a stream has other bytes"
        # One of them reads on after all, and misses nothing.
        events = crowd[count // 2].answer().events()
        assert events[-1] == "[DONE]", events[-1][:200]
        assert f'"completion_tokens":{CONTEXT - 40},' in events[-2], events[-2]


def senders(server):
    """A byte of the head now and then."""
    before = golden(server)
    stop = threading.Event()
    crowd = [server.connect() for _ in range(crowd_of(server))]
    head = request("/v1/completions", text())[:60]

    def dribble():
        for byte in head:
            for connection in crowd:
                with contextlib.suppress(OSError):
                    connection.send(bytes([byte]))
            if stop.wait(0.05):
                return

    thread = threading.Thread(target=dribble)
    thread.start()
    for _ in range(10):
        assert golden(server) == before, "beside slow senders a stream has other bytes"
    stop.set()
    thread.join()
    for connection in crowd:
        connection.close()


def rows(_):
    yield Row("X13", f"{IDLE} kept alive, their memory", idle)
    yield Row("X02", f"{CROWD} that read nothing", readers)
    yield Row("H09", f"{CROWD} that send a byte now and then", senders)
