"""H: framing, limits and routes of HTTP/1.1. X: lives of requests on their connections."""

import json
import threading
import time

from expect import ok, refused, status, stream
from harness import CONTEXT, text
from table import Row
from wire import request

HEAD = b"POST /v1/completions HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
BODY = json.dumps(text(max_tokens=1)).encode()
SIZED = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def chunks(data, size=1):
    return b"".join(b"%x\r\n%s\r\n" % (len(data[i:i + size]), data[i:i + size])
                    for i in range(0, len(data), size))


def closing(id, what, sent, *codes):
    """An error with one of these statuses, told so, and then the end of the connection."""
    def act(server):
        with server.connect() as connection:
            connection.send(sent)
            answer = connection.answer()
            assert answer.status in codes, answer
            assert answer.headers.get("connection") == "close", answer.headers
            assert answer.error()["message"], answer
            connection.half_close()
            assert connection.ended(), "the connection goes on"
    return Row(id, what, act)


def keeping(id, what, sent, expected):
    """An answer, after which the connection takes the next request."""
    def act(server):
        with server.connect() as connection:
            for data, look in ((sent, expected), (request("/version", method="GET"), ok())):
                connection.send(data)
                look(connection.answer(bodiless=data.startswith(b"HEAD")))
    return Row(id, what, act)


def framing_rows():
    yield closing("H02", "a header line without end", HEAD + b"X: " + b"a" * (4 << 20), 431)
    room = (32 << 10) - len(HEAD + SIZED) - len(b"X: \r\n\r\n")
    yield keeping("H04", "a head of 32 KiB",
                  HEAD + SIZED + b"X: " + b"a" * room + b"\r\n\r\n" + BODY, ok())
    yield closing("H04", "and one byte",
                  HEAD + SIZED + b"X: " + b"a" * (room + 1) + b"\r\n\r\n", 431)
    yield closing("H04", "129 fields", HEAD + SIZED + b"X: 1\r\n" * 126 + b"\r\n", 431)
    yield closing("H02", "a target of 9 KiB",
                  b"GET /" + b"a" * (9 << 10) + b" HTTP/1.1\r\nHost: h\r\n\r\n", 414)
    yield closing("H07", "Content-Length of 10 GiB", HEAD + b"Content-Length: 10737418240\r\n\r\n",
                  413)
    lengths = {"twice, different": b"5\r\nContent-Length: 6", "twice, equal":
               b"5\r\nContent-Length: 5", "a list": b"5, 5", "+5": b"+5", "-5": b"-5",
               "0x5": b"0x5", "nothing": b"", "5 5": b"5 5"}
    for what, value in lengths.items():
        yield closing("H12", f"Content-Length {what}",
                      HEAD + b"Content-Length: " + value + b"\r\n\r\nhello", 400)
    yield closing("H12", "Content-Length of 30 digits",
                  HEAD + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n", 400, 413)
    for coding in (b"xchunked", b"chunked, chunked", b"identity", b"\x0bchunked", b"chunked\x0b",
                   b"chunked\r\nTransfer-Encoding: chunked", b"chunked\r\nContent-Length: 5",
                   b"\"chunked\"", b"chunked;q=1", b""):
        yield closing("H14", f"Transfer-Encoding: {coding.decode()!r}",
                      HEAD + b"Transfer-Encoding: " + coding + b"\r\n\r\n0\r\n\r\n", 400, 501)
    yield closing("H14", "Transfer_Encoding", HEAD + b"Transfer_Encoding: chunked\r\n\r\n", 400)
    yield closing("H15", "gzip, chunked",
                  HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501)
    for what, name in (("a blank before the colon", b"Content-Length : 5"),
                       ("a folded line", b"X: a\r\n b"), ("a name with a blank", b"a b: c"),
                       ("no colon", b"abc"), ("no name", b": a"), ("a NUL", b"X: a\0b"),
                       ("a lone CR", b"X: a\rb"), ("a lone LF", b"X: a\nY: b")):
        yield closing("H22", what, HEAD + name + b"\r\n\r\n", 400)
    yield closing("H22", "a blank before the first field",
                  b"GET / HTTP/1.1\r\n Host: h\r\n\r\n", 400)


def chunk_rows():
    whole = CHUNKED + chunks(BODY)
    yield keeping("H17", "a body in chunks of one byte", whole + b"0\r\n\r\n", ok())
    yield closing("H17", "1,000,000 chunks of one byte", CHUNKED + b"1\r\nx\r\n" * 1_000_000, 400)
    yield closing("H17", "3 MiB of 6-byte chunks", CHUNKED + b"1\r\n \r\n" * (1 << 19), 400)
    for what, data in (("a size of 17 digits", b"1" * 17 + b"\r\n"), ("-5", b"-5\r\nhello\r\n"),
                       ("0x5", b"0x5\r\nhello\r\n"), ("no size", b"\r\nhello\r\n"),
                       ("more bytes than said", b"3\r\nhello\r\n"), ("a bare LF", b"5\nhello\n"),
                       ("an extension without end", b"5;" + b"a" * 400_000)):
        yield closing("H17", f"chunk: {what}", CHUNKED + data, 400, 413)
    yield closing("H20", "10,000 trailers", whole + b"0\r\n" + b"X: 1\r\n" * 10_000 + b"\r\n",
                  400, 431)
    yield keeping("H20", "a trailer that frames", whole + b"0\r\nX-A: 5\r\n\r\n",
                  status(200, 400))
    yield Row("H19", "the last chunk missing, then FIN", lambda server: unfinished(server, whole))
    yield Row("H19", "half a body, then FIN",
              lambda server: unfinished(server, HEAD + SIZED + b"\r\n" + BODY[:9]))
    yield Row("H19", "half a head, then FIN", lambda server: unfinished(server, HEAD[:20]))


def unfinished(server, data):
    with server.connect() as connection:
        connection.send(data)
        connection.half_close()
        assert connection.ended(), "half a request is answered"


def target_rows():
    for line, codes in (("TRACE / HTTP/1.1", (404, 405, 501)), ("CONNECT h:80 HTTP/1.1", (400,)),
                        ("post /v1/completions HTTP/1.1", (405, 501, 400)),
                        ("A" * 1024 + " / HTTP/1.1", (400, 405, 501, 404)),
                        ("PRI * HTTP/2.0", (400, 505)), ("GET / HTTP/9.9", (400, 505)),
                        ("GET  / HTTP/1.1", (400,)), ("GET /", (400,)),
                        ("GET http://other/version HTTP/1.1", (400,)), ("GET * HTTP/1.1", (400,)),
                        ("GET /%zz HTTP/1.1", (400,)), ("GET /%00 HTTP/1.1", (400,)),
                        ("GET /\x80 HTTP/1.1", (400,)), ("GET /../etc/passwd HTTP/1.1", (404,)),
                        ("GET /a#b HTTP/1.1", (400,)), ("GET /nothing HTTP/1.1", (404,))):
        sent = f"{line}\r\nHost: h\r\nContent-Length: 0\r\n\r\n".encode("latin-1")
        yield Row("H24" if line[0] != "G" else "H27", line[:40],
                  lambda server, sent=sent, codes=codes: status(*codes)(server.send(sent)))
    for method, path in (("GET", "/v1/chat/completions"), ("DELETE", "/v1/completions"),
                         ("POST", "/health"), ("PUT", "/v1/models"), ("POST", "/version")):
        def not_allowed(answer):
            refused("method_not_allowed", status=405)(answer)
            assert answer.headers["allow"], answer.headers
        yield keeping("H25", f"{method} {path}", request(path, method=method), not_allowed)
    yield keeping("H25", "HEAD /version", request("/version", method="HEAD"), status(200))


FIELDS = (("H29", "Content-Type", "application/json; charset=utf-8", (200,)),
          ("H29", "Content-Type", "text/plain", (415,)),
          ("H29", "Content-Type", "multipart/form-data", (415,)),
          ("H29", "Content-Type", "application/json; charset=utf-16", (415,)),
          ("H30", "Content-Encoding", "gzip", (415,)), ("H30", "Content-Encoding", "br", (415,)),
          ("H30", "Content-Encoding", "deflate, gzip", (415,)),
          ("H24", "Expect", "a miracle", (417,)),
          ("H37", "Range", "bytes=" + ",".join(["0-0"] * 5000), (200,)),
          ("H39", "X-Forwarded-For", "1.2.3.4", (200,)), ("H39", "Forwarded", "for=[::1]", (200,)),
          ("H40", "User-Agent", "a" * 20_000, (200,)),
          ("H40", "User-Agent", "\x1b[31mx", (200, 400)),
          ("H40", "X-Request-ID", "a b\x1b", (200, 400)),
          ("H40", "X-Request-ID", "a" * 129, (200,)),
          ("H42", "Origin", "http://other.example", (200,)))


def field_rows():
    for id, name, value, codes in FIELDS:
        def look(answer, codes=codes):
            status(*codes)(answer)
            allows = [name for name in answer.headers if name.startswith("access-control")]
            assert not allows, allows
        sent = request("/v1/completions", BODY, headers=[(name, value)])
        yield Row(id, f"{name}: {value[:30]}",
                  lambda server, sent=sent, look=look: look(server.send(sent)))
    yield keeping("H42", "a preflight", request("/v1/completions", method="OPTIONS", headers=[
        ("Origin", "http://other.example"), ("Access-Control-Request-Method", "POST")]),
        no_cors)
    yield keeping("H29", "no Content-Type", HEAD.replace(
        b"Content-Type: application/json\r\n", b"") + SIZED + b"\r\n" + BODY, ok())
    yield keeping("H40", "escapes in the model's name", request(
        "/v1/completions", text(model="\x1b[31m\r\nX: y")), refused(status=404))


def no_cors(answer):
    assert answer.status in (204, 405), answer
    assert not any(name.startswith("access-control") for name in answer.headers), answer.headers


def pipeline(server):
    """500 requests in one segment, answered in order, the connection whole afterwards."""
    names = [f"n{i}" for i in range(500)]
    with server.connect() as connection:
        sender = threading.Thread(target=connection.send, args=(b"".join(
            request(f"/v1/models/{name}", method="GET") for name in names),))
        sender.start()
        for name in names:
            assert f"'{name}'" in connection.answer().error()["message"]
        sender.join()


def behind_a_stream(server):
    """Requests behind a stream wait for its end."""
    with server.connect() as connection:
        connection.send(request("/v1/completions", text(stream=True, max_tokens=100,
                                                        ignore_eos=True)) +
                        request("/v1/completions", BODY) + request("/version", method="GET"))
        stream()(connection.answer())
        ok()(connection.answer())
        ok()(connection.answer())


LONG = text(max_tokens=CONTEXT - 40, ignore_eos=True)
STATES = {
    "the head": request("/v1/completions", LONG)[:40],
    "the body": request("/v1/completions", LONG)[:-9],
    "the queue": request("/v1/completions", {**LONG, "n": 64}),
    "the prompt": request("/v1/completions", {**LONG, "prompt": [[65] * 400] * 20,
                                              "max_tokens": 100}),
    "an answer": request("/v1/completions", LONG),
    "a stream": request("/v1/completions", {**LONG, "stream": True}),
    "a stream of 16": request("/v1/completions", {**LONG, "stream": True, "n": 16}),
    "a search": request("/v1/completions", {**LONG, "use_beam_search": True, "best_of": 8}),
    "a schema's compiling": request("/v1/completions", {**LONG, "guided_json": {
        "properties": {f"k{i}": {"pattern": f"^(a|b){{{i % 9 + 1}}}$", "type": "string"}
                       for i in range(200)}}}),
}


def leave(data, how, wait_for_bytes):
    def act(server):
        for _ in range(4):
            connection = server.connect()
            connection.send(data)
            if wait_for_bytes:
                connection.until(b"data: ")
            getattr(connection, how)()
            connection.close()
    return act


def leave_rows():
    for state, data in STATES.items():
        for how, name in (("reset", "RST"), ("half_close", "FIN")):
            yield Row("H34", f"{name} in {state}", leave(data, how, "stream" in state))


def slow_reader(server):
    """It asks for much and takes nothing for a while, then leaves; others are answered."""
    readers = [server.connect(receive_buffer=2048) for _ in range(20)]
    for reader in readers:
        reader.send(STATES["a stream of 16"])
    for _ in range(5):
        ok()(server.ask(text()))
    for reader in readers:
        reader.close()


def queued_cancel(server):
    """One that waits leaves; those that run are told to their end."""
    runs = [server.connect() for _ in range(8)]
    for run in runs:
        run.send(request("/v1/completions", {**LONG, "stream": True}))
        run.until(b"data: ")
        run.buffer = b""
    waits = server.connect()
    waits.send(request("/v1/completions", LONG))
    waits.reset()
    for run in runs:
        run.until(b"data: [DONE]")
        run.close()


def deadline(server):
    answer = server.ask({**LONG, "timeout": 0.001, "n": 64})
    refused("deadline_exceeded", status=408)(answer)


def deadline_in_stream(server):
    """Before the first token a plain error, afterwards an event; once, and no [DONE]."""
    answer = server.ask({**LONG, "timeout": 0.02, "n": 16, "stream": True})
    if answer.status != 200:
        return refused("deadline_exceeded", status=408)(answer)
    errors = [event for event in answer.events() if '"error"' in event]
    assert len(errors) == 1 and "deadline_exceeded" in errors[0], answer.events()[-1]
    assert "[DONE]" not in answer.events()
    return None


def storm(server):
    """Starts and cancels beside answers that must stay as they are."""
    stop = time.monotonic() + 2
    while time.monotonic() < stop:
        connections = [server.connect() for _ in range(16)]
        for i, connection in enumerate(connections):
            connection.send(STATES["a stream" if i % 2 else "an answer"])
        for connection in connections:
            connection.reset()
        ok()(server.ask(text()))


def idle_connections(server):
    """Many that say nothing cost the others nothing."""
    idle = [server.connect() for _ in range(500)]
    ok()(server.ask(text()))
    for connection in idle:
        connection.close()


def slow_rows():
    yield Row("X02", "20 that ask for much and read nothing", slow_reader)
    yield Row("X05", "one in the queue leaves", queued_cancel)
    yield Row("X10", "a deadline before the first token", deadline)
    yield Row("X10", "a deadline within a stream", deadline_in_stream)
    yield Row("X04", "a storm of starts and cancels", storm)
    yield Row("H05", "500 connections that say nothing", idle_connections)
    yield Row("H32", "500 requests in one segment", pipeline)
    yield Row("H32", "requests behind a stream", behind_a_stream)


SKIPPED = {"H10": "a minimum rate has its own test where it is enforced (tests/http_limits_test.cc)",
           "H09": "deadlines of heads and bodies: tests/http_limits_test.cc, with short ones",
           "H35": "idle time and requests of a connection: tests/http_limits_test.cc",
           "X07": "needs a failpoint", "X09": "needs a failpoint",
           "X12": "comments in a stream need a prompt of minutes",
           "202": "HTTP/2 is not offered, nor are 204, 205, 207"}


def rows(_):
    yield from framing_rows()
    yield from chunk_rows()
    yield from target_rows()
    yield from field_rows()
    yield from leave_rows()
    yield from slow_rows()
