"""J: the layer of JSON."""

import json

from expect import ok, refused
from harness import MESSAGES, SECRET, chat
from table import Row, raw, row

WHOLE = json.dumps(chat(max_tokens=1))
INSIDE = WHOLE[:-1]


def with_member(member):
    """A good body and one more member, as bytes."""
    member = member if isinstance(member, bytes) else member.encode()
    return INSIDE.encode() + b"," + member + b"}"


def content(data):
    """A body whose content is these bytes."""
    return (b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"' + data + b'"}]}')


BROKEN = {"trailing garbage": WHOLE + "x", "two documents": WHOLE + WHOLE,
          "trailing comma": INSIDE + ",}", "a line comment": "// a\n" + WHOLE,
          "a block comment": INSIDE + "/* a */}", "single quotes": "{'model':'m'}",
          "a byte order mark": "\ufeff" + WHOLE, "nothing": "", "blanks": "   ",
          "a member twice": INSIDE + ',"model":"m"}', "no colon": '{"model" "m"}',
          "a control character": '{"model":"\n"}', "an escape that is none": '{"model":"\\q"}'}
LITERALS = ("NaN", "Infinity", "-Infinity", "True", "undefined", "nul", "01", ".5", "5.", "+1",
            "0x1", "-", "1e", "1_000", "1e999")
INVALID_UTF8 = {"a lone continuation": b"\x80", "overlong": b"\xc0\xaf",
                "overlong NUL": b"\xc0\x80", "a surrogate's bytes": b"\xed\xa0\x80",
                "beyond U+10FFFF": b"\xf5\x80\x80\x80", "truncated": b"\xf0\x9f\x98",
                "0xff": b"\xff"}


def cut_everywhere(server):
    data = WHOLE.encode()
    with server.connect() as connection:
        for size in range(len(data)):
            connection.send(raw(data[:size]))
            refused("invalid_json")(connection.answer())


def syntax_rows():
    yield Row("J02", "cut at every byte", cut_everywhere)
    for what, body in BROKEN.items():
        yield row("J04", what, raw(body.encode()), refused("invalid_json"))
    for literal in LITERALS:
        yield row("J05", f"temperature: {literal}"[:40],
                  raw(with_member(f'"top_p":{literal}')), refused("invalid_json"))
    for what, data in INVALID_UTF8.items():
        yield row("J09", what, raw(content(data)), refused("invalid_utf8"))
    for what, data in (("half a surrogate pair", b"\\ud800"), ("reversed", b"\\ude00\\ud83d")):
        yield row("J10", what, raw(content(data)), refused("invalid_unicode"))
    yield row("J10", "U+0000 in content", raw(content(b"a\\u0000b")), ok())
    yield row("J10", "U+0000 in the model's name",
              raw(b'{"model":"m\\u0000","messages":[]}'), refused("invalid_value", "model"))
    yield row("J19", "a form", raw(b"model=m&messages=hi"), refused("invalid_json"))
    yield row("J19", "multipart", raw(b"--x\r\nContent-Disposition: form-data\r\n\r\n--x--"),
              refused("invalid_json"))


def size_rows():
    deep = "[" * 70 + "]" * 70
    yield row("J12", "70 levels in an unknown field", raw(with_member(f'"x":{deep}')),
              refused("invalid_json"))
    yield row("J12", "100,000 levels", raw(b"[" * 100_000), refused("invalid_json"))
    yield row("J12", "a string of 9 MiB", raw(content(b"a" * (9 << 20))),
              refused("context_length_exceeded"))
    yield row("J12", "3,000,000 empty objects",
              raw(with_member(b'"x":[' + b"{}," * 3_000_000 + b"{}]")), refused("invalid_json"))
    yield row("J20", "1 MiB of blanks behind the body", raw(WHOLE.encode() + b" " * (1 << 20)),
              ok())
    yield row("J20", "1 MiB of blanks, then a letter",
              raw(WHOLE.encode() + b" " * (1 << 20) + b"x"), refused("invalid_json"))
    yield row("J12", "10,000 members", raw(
        b"{" + b",".join(b'"k%d":1' % i for i in range(10_000)) + b"}"), refused())


def type_rows():
    for field, value in (("stream", "true"), ("n", "2"), ("max_tokens", 16.5), ("seed", 1.5),
                         ("temperature", "1"), ("messages", {}), ("stop", [1]),
                         ("logprobs", 1), ("model", 7), ("stream_options", [])):
        yield row("J15", f"{field}: {value!r}", chat(**{field: value}), refused(param=...))
    yield row("J15", "max_tokens: 16.0", chat(max_tokens=16.0, ignore_eos=True),
              ok(lambda body: body["usage"]["completion_tokens"] == 16))
    yield row("J17", "an unknown field", chat(zzz=1), refused("unknown_parameter", "zzz"))
    yield row("J17", "an unknown member of a field", chat(stream=True, stream_options={"z": 1}),
              refused("unknown_parameter", "stream_options.z"))
    yield row("J17", "a field that others have", chat(logit_processors=[]),
              refused("unknown_parameter", "logit_processors"))
    for field in ("moderation", "web_search_options", "audio"):
        yield row("J17", f"{field}, known and refused", chat(**{field: {"x": 1}}),
                  refused("unsupported_value", field))


VALUES = (True, -1, 0.5, 10**19, "", SECRET, [], [None], {}, {"type": {}})
BASES = {"/v1/chat/completions": chat(max_tokens=1),
         "/v1/completions": {"model": "m", "prompt": SECRET, "max_tokens": 1},
         "/v1/messages": {"model": "m", "messages": MESSAGES, "max_tokens": 1},
         "/v1/responses": {"model": "m", "input": SECRET, "max_output_tokens": 16}}


def every_type(path, base, field):
    """Taken, or a 400 that names a field; null is the same as absent, where one may be absent."""
    def act(server):
        with server.connect() as connection:
            for value in (*VALUES, None):
                # Bounded by the context, whatever the field makes of its value.
                body = {**base, field: value}
                connection.send(raw(json.dumps(body).encode(), path))
                answer = connection.answer()
                assert answer.status in (200, 400, 404), f"{value!r}: {answer}"
                if answer.status == 200:
                    continue
                error = answer.error()
                names = [field, *base, "tools", "tool_choice", "logprobs", "stream"]
                named = error["param"] or error["message"]
                assert any(name in named for name in names), f"{value!r}: {answer}"
                assert value is not None or field in base, f"null: {answer}"
    return act


def field_rows(server):
    """J14, made of the server's own list of fields."""
    paths = server.get("/openapi.json")["paths"]
    for path, base in BASES.items():
        schema = paths[path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        for field in schema["properties"]:
            yield Row("J14", f"{path} {field}: a value of every type",
                      every_type(path, base, field))


def rows(server):
    yield from syntax_rows()
    yield from size_rows()
    yield from type_rows()
    yield from field_rows(server)
