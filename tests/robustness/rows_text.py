"""U: Unicode and text. G: structured output."""

import json
import re

from expect import finish, ok, refused, status, stream
from harness import chat, text
from table import Row, call, row
from wire import request

MIB = 1 << 20
FLOODS = {"1 Mi letters": "A" * MIB, "1 Mi blanks": " " * MIB, "1 Mi lines": "\n" * MIB,
          "1 Mi underscores": "_" * MIB, "300 Ki characters of 3 bytes": "漢" * (300 << 10),
          "350 Ki words": "us " * (340 << 10), "U+FDFA": "\ufdfa" * (300 << 10)}
TEXTS = {"a NUL": "a\0b", "emoji": "😀 e\u0301 é \u202e x",
         "every ASCII": "".join(map(chr, range(128))),
         "special tokens": "<|im_start|>system\n</think><tool_call></s><|vision_start|>"}


def tokens_back(content):
    """The text of a text's tokens is that text."""
    def act(server):
        tokens = server.post("/tokenize", {"prompt": content}).json()["tokens"]
        answer = server.post("/detokenize", {"tokens": tokens})
        assert answer.json()["prompt"] == content, answer
    return act


def same_tokens(server):
    """An escaped pair and the character itself."""
    raw = '{"prompt":"\U0001F600"}'.encode()
    escaped = b'{"prompt":"\\ud83d\\ude00"}'
    first, second = (server.post("/tokenize", body).json()["tokens"] for body in (raw, escaped))
    assert first == second and len(first) == 4, (first, second)


def half_character(server):
    """Three of an emoji's four bytes, then the end: one U+FFFD, streamed or not."""
    choices = "".join(re.escape(c) for c in "😀")
    body = text(guided_regex=choices, max_tokens=3)
    answer = server.ask(body)
    finish("length")(answer)
    whole = answer.json()["choices"][0]["text"]
    assert whole == "\ufffd", whole
    events = server.ask({**body, "stream": True}).events()
    told = "".join(choice["text"] for event in events[:-1]
                   for choice in json.loads(event)["choices"])
    assert told == whole, told


def text_rows():
    for what, content in FLOODS.items():
        yield call("U02", what, "/tokenize", {"prompt": content},
                   ok(lambda body: body["count"] > 100_000))
        yield row("U02", f"{what} as a prompt", text(prompt=content),
                  refused("context_length_exceeded"))
    for what, content in TEXTS.items():
        yield Row("U05", f"{what}: bytes of its tokens", tokens_back(content))
        yield row("U12", f"{what} in a message",
                  chat(messages=[{"role": "user", "content": content}]), ok())
    yield Row("U07", "an answer that ends within a character", half_character)
    yield Row("U14", "a surrogate pair's escape and the character", same_tokens)
    for stop in ("<|im_end|>", "</think", "\ufffd", "\0", "é"):
        yield row("U09", f"stop: {stop!r}", chat(stop=stop, max_tokens=30), ok())
        yield row("U09", f"stop: {stop!r}, streamed", chat(stop=stop, max_tokens=30, stream=True),
                  stream())
    for stop in ("", ["a"] * 5, "a" * 1025, [""]):
        yield row("U09", f"stop: {str(stop)[:30]}", chat(stop=stop), refused())


def schema(value, **more):
    return chat(response_format={"type": "json_schema", "json_schema": {
        "name": "s", "schema": value}}, max_tokens=30, **more)


def properties(**members):
    return {"type": "object", "properties": members, "required": list(members),
            "additionalProperties": False}


REFS = {"missing": {"$ref": "#/$defs/x"}, "http": {"$ref": "http://127.0.0.1/x"},
        "file": {"$ref": "file:///etc/passwd"}}
UNSATISFIABLE = {"minLength > maxLength": {"type": "string", "minLength": 2, "maxLength": 1},
                 "minimum > maximum": {"type": "integer", "minimum": 2, "maximum": 1},
                 "enum: []": {"enum": []}, "false": False, "not: {}": {"not": {}}}
COUNTS = {"minItems: 10^9": {"type": "array", "minItems": 10**9},
          "minLength: 10^9": {"type": "string", "minLength": 10**9},
          "pattern {0,1000000}": {"type": "string", "pattern": "^a{0,1000000}$"}}
UNSUPPORTED = {"unevaluatedProperties": False, "if": {}, "contains": {"type": "integer"},
               "propertyNames": {"maxLength": 1}, "$dynamicRef": "#x", "uniqueItems": True}
NUMBERS = {"1e400": '{"type":"number","minimum":1e400}', "2^53+1": json.dumps(
    {"type": "integer", "minimum": 2**53 + 1, "maximum": 2**53 + 1})}
REGEXES = ("[", "(", "*a", "a{2,1}", r"\p{Foo}", "(?<=x)", r"(a)\1", r"\u{110000}", "(?!a)",
           "(" * 5000)
LINEAR = ("(a+)+b", "(a|aa)+", "(.*)*", "((a*)*)*", "^?[0-9]$", "(?:a|b)*?")
GRAMMARS = {"no root": 'a ::= "x"', "an undefined rule": "root ::= b", "a NUL": 'root ::= "\0',
            "60,000 (": "root ::= " + "(" * 60_000, "no rule": "root", "nothing": "",
            "an open quote": 'root ::= "a', "an open class": "root ::= [a",
            "a number too many": 'root ::= "a"{99999999999}'}
LEGAL = {"left recursion": 'root ::= root "a" | "b"', "indirect":
         'root ::= x "a" | "b"\nx ::= root', "self only": "root ::= root",
         "hidden": 'root ::= e root "a" | "b"\ne ::= ""', "nested stars": 'root ::= ("a"*)*',
         "a chain of 3,000": "root ::= r0\n" + "\n".join(
             f"r{i} ::= r{i + 1}" for i in range(3000)) + '\nr3000 ::= "a"'}


def schema_rows():
    node = {"$defs": {"n": properties(v={"type": "integer"}, next={
        "anyOf": [{"$ref": "#/$defs/n"}, {"type": "null"}]})}, "$ref": "#/$defs/n"}
    yield row("G02", "$ref through an object", schema(node), ok())
    yield row("G02", "$ref to itself", schema({"$ref": "#"}), status(200, 400))
    for what, value in REFS.items():
        yield row("G02", f"$ref: {what}", schema(properties(a=value)), refused())
    for what, value in COUNTS.items():
        yield row("G04", what, schema(properties(a=value)), status(200, 400))
    for what, value in UNSATISFIABLE.items():
        yield row("G05", what, schema(properties(a=value)), refused())
    for keyword, value in UNSUPPORTED.items():
        yield row("G07", keyword, schema({"type": "object", keyword: value}),
                  refused(says=keyword))
    for what, value in NUMBERS.items():
        yield row("G09", what, chat(json_schema=value), refused())
    yield row("G09", "multipleOf 0.01", schema({"type": "number", "multipleOf": 0.01}), ok())
    deep = {"type": "string"}
    for _ in range(200):
        deep = {"type": "array", "items": deep}
    yield row("G02", "200 levels", chat(json_schema=json.dumps(deep)), refused())
    yield row("G02", "300 KiB", chat(json_schema=json.dumps({"description": "a" * 300_000})),
              refused())
    for value in (7, [], "x", {"type": 7}, {"type": "x"}, {"properties": []}):
        yield row("G02", f"a schema that is none: {value}", chat(guided_json=value), refused())


def regex_rows():
    for pattern in REGEXES:
        yield row("G10", f"regex {pattern[:20]}", chat(guided_regex=pattern), refused())
        yield row("G10", f"pattern {pattern[:20]}",
                  schema(properties(a={"type": "string", "pattern": pattern})), refused())
    for pattern in LINEAR:
        yield row("G12", f"regex {pattern}", chat(guided_regex=pattern, max_tokens=20),
                  status(200, 400))
    yield row("G14", "a regex that matches nothing but the empty text", chat(guided_regex=""),
              status(200, 400))
    yield row("G14", "a regex that nothing matches", chat(guided_regex="[a&&b]"),
              status(200, 400))
    yield row("G12", "a wide automaton", chat(guided_regex="(a|b)*a(a|b){300}", max_tokens=20),
              status(200, 400))


def grammar_rows():
    for what, grammar in GRAMMARS.items():
        yield row("G15", what, chat(guided_grammar=grammar), refused())
    for what, grammar in LEGAL.items():
        yield row("G15", what, chat(guided_grammar=grammar), status(200, 400))
    yield row("G19", "JSON cut by max_tokens",
              schema(properties(a={"type": "string", "minLength": 60})), finish("length"))
    yield row("G20", "blanks without end",
              chat(response_format={"type": "json_object"}, logit_bias={"32": 100, "10": 100},
                   max_tokens=64), ok(blanks_are_bounded))
    yield row("G24", "with logprobs, a stop string, choices and a seed",
              schema(properties(a={"enum": ["x", "y"]}), n=4, logprobs=True, stop="}}",
                     temperature=1, seed=3, logit_bias=NO_THINKING), ok(all_read))
    tools = [{"type": "function", "function": {"name": f"f{i}", "strict": True, "parameters":
              properties(a={"type": "string", "pattern": f"^x{i}$"})}} for i in range(128)]
    yield row("G27", "128 strict tools", chat(tools=tools, tool_choice="required", max_tokens=40),
              status(200, 400))
    for both in ({"guided_regex": "a", "guided_choice": ["a"]}, {"guided_choice": []},
                 {"guided_choice": [1]}, {"structured_outputs": {}},
                 {"response_format": {"type": "x"}}, {"guided_regex": "a", "ignore_eos": True}):
        yield row("G07", f"{both}", chat(**both), refused())


def blanks_are_bounded(body):
    content = body["choices"][0]["message"]["content"]
    return re.search(r"\s{33}", content) is None


NO_THINKING = {"259": -100}


def all_read(body):
    return all(json.loads(choice["message"]["content"])["a"] in "xy" for choice in body["choices"])


def floods(server):
    """One schema that takes long, from many at once, while others are answered."""
    wide = properties(**{f"k{i}": {"type": "string", "pattern": f"^(a|b){{{i % 9 + 1}}}$"}
                         for i in range(120)})
    wires = [server.connect() for _ in range(24)]
    for wire in wires:
        wire.send(request("/v1/chat/completions", schema(wide)))
    for wire in wires:
        status(200, 400)(wire.answer())
        wire.close()


def rows(_):
    yield from text_rows()
    yield from schema_rows()
    yield from regex_rows()
    yield from grammar_rows()
    yield Row("G22", "one costly schema 24 times at once", floods)


SKIPPED = {"U10": "the tokenizers' library does it; tests/text compares it with the goldens",
           "G17": "every byte is a token here, as in every vocabulary that is loaded",
           "G25": "tests/structured and src/engine have rejected guesses under a grammar"}
