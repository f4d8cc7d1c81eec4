"""O: the fields of requests. S: those of sampling."""

import json
import threading

from expect import finish, ok, refused, status, stream
from harness import CONTEXT, MESSAGES, SECRET, chat, text
from table import Row, call, row
from wire import request

FUNCTION = {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}}
TOOL = {"type": "function", "function": FUNCTION}
IMAGES = ("http://127.0.0.1/a.png", "file:///etc/passwd", "data:image/png;base64,AAAA",
          "http://169.254.169.254/latest", "http://a\\@b")


def user(content):
    return [{"role": "user", "content": content}]


def called(**more):
    return {"role": "assistant", "content": None,
            "tool_calls": [{"id": "c1", "type": "function",
                            "function": {"name": "f", "arguments": "{}", **more}}]}


def message_rows():
    for what, messages in (("absent", ...), ("[]", []), ("an object", {}), ("a text", "hi"),
                           ("100,000", MESSAGES * 100_000)):
        yield row("O02", f"messages: {what}", chat(messages=messages), refused(param="messages"))
    for content in (None, 7, {}, []):
        yield row("O04", f"content: {content}", chat(messages=user(content)),
                  refused(param="messages[0].content"))
    tools = [*MESSAGES, called(), {"role": "tool", "tool_call_id": "c1", "content": "1"}]
    yield row("O04", "content: null beside tool_calls", chat(messages=tools), ok())
    for url in IMAGES:
        part = [{"type": "image_url", "image_url": {"url": url}}]
        yield row("O05", f"image_url {url[:20]}", chat(messages=user(part)), refused())
    for part in ("input_audio", "file", "x", ""):
        yield row("O05", f"a part of type '{part}'", chat(messages=user([{"type": part}])),
                  refused())
    yield row("O07", "a tool message without an id",
              chat(messages=[*MESSAGES, called(), {"role": "tool", "content": "1"}]),
              refused(param="messages[2].tool_call_id"))
    yield row("O07", "a tool message with another's id",
              chat(messages=[*MESSAGES, called(),
                             {"role": "tool", "tool_call_id": "c2", "content": "1"}]),
              refused(param="messages[2].tool_call_id"))
    for arguments in ('{"a": tru', "", "[1", "\\ud800"):
        yield row("O07", f"arguments that are no JSON: {arguments}",
                  chat(messages=[*MESSAGES, called(arguments=arguments), *tools[2:]]), ok())
    for role in ("robot", "", 7, None):
        yield row("O02", f"role: {role}", chat(messages=[{"role": role, "content": "a"}]),
                  refused(param="messages[0].role"))
    yield Row("O09", "special tokens in the text of a completion's stop", stop_is_text)


def stop_is_text(server):
    """A special token's text as a stop string is text like any other."""
    ok()(server.ask(text(stop=["<|im_end|>"], max_tokens=8, ignore_eos=True)))


def prompt_rows():
    for what, prompt in (("[]", []), ("[[]]", [[]]), ("10,000 texts", ["a"] * 10_000),
                         ("mixed", ["a", 1]), ("mixed ids", [1, "a"]), ("three deep", [[[1]]]),
                         ("an object", {}), ("null", None), ("absent", ...),
                         ("an id of -1", [-1]), ("an id past the vocabulary", [263]),
                         ("an id of 2^40", [1 << 40]), ("half an id", [1.5]),
                         ("129 texts", ["a"] * 129)):
        yield row("O10", f"prompt: {what}", text(prompt=prompt), refused())
    yield row("O10", "prompt: 128 texts", text(prompt=["a"] * 128, max_tokens=1),
              ok(lambda body: len(body["choices"]) == 128))
    for what, prompt in (('""', ""), ('[""]', [""])):
        yield row("O10", f"prompt: {what}, of no token", text(prompt=prompt), refused())
    fits = [65] * (CONTEXT - 1)
    yield row("O12", "one token less than the context", text(prompt=fits, max_tokens=1), ok())
    yield row("O12", "it and two tokens asked for", text(prompt=fits, max_tokens=2),
              refused("context_length_exceeded", says=str(CONTEXT)))
    for more in (1, 2):
        yield row("O12", f"{CONTEXT - 1 + more} tokens", text(prompt=fits + [65] * more),
                  refused("context_length_exceeded", says=str(len(fits) + more)))


def length_rows():
    yield row("O14", "both limits, equal", chat(max_completion_tokens=4), ok())
    yield row("O14", "both limits, different", chat(max_completion_tokens=5), refused())
    for value in (0, -1, 1 << 31, 10**18, 10**30):
        yield row("O14", f"max_tokens: {value}", chat(max_tokens=value), refused())
    for n in (0, -1, 129, 1 << 31, 10**18):
        yield row("O15", f"n: {n}", chat(n=n), refused(param="n"))
    yield row("O15", "n: 128", chat(n=128, max_tokens=1),
              ok(lambda body: len(body["choices"]) == 128))
    yield row("O15", "n: 128 of 9 prompts", text(n=128, prompt=["a"] * 9), refused())
    yield row("O17", "a stream of 128 choices", chat(n=128, stream=True), stream(128))
    yield row("O17", "stream_options without a stream",
              chat(stream_options={"include_usage": True}), refused(param="stream_options"))
    yield row("O17", "include_usage", chat(stream=True, stream_options={"include_usage": True}),
              stream(usage=1))


def first_token(server):
    """The text of the first token, which then stops the same answer."""
    body = text(max_tokens=1, ignore_eos=True, prompt="stop" + SECRET)
    first = server.ask(body).json()["choices"][0]["text"]
    answer = server.ask({**body, "stop": [first], "logprobs": 1, "max_tokens": 4})
    choice = answer.json()["choices"][0]
    assert choice["text"] == "" and choice["finish_reason"] == "stop", answer
    assert choice["logprobs"]["tokens"] == [], answer


def bias_rows():
    yield Row("O19", "a stop string that is the first token, with logprobs", first_token)
    for key in ("-1", "263", "4294967297", "AI", "1.5", " 1", "", "0x1", "1e2"):
        yield row("O20", f"logit_bias of '{key}'", chat(logit_bias={key: 1}), refused())
    for value in (101, -101, 1e308, "NaN", None, True):
        yield row("O20", f"logit_bias to {value}", chat(logit_bias={"1": value}), refused())
    yield row("O20", "biases at their limits", chat(logit_bias={"1": 100, "2": -100}), ok())
    yield row("O20", "1,025 biases", chat(logit_bias={str(i): 1 for i in range(1025)}), refused())
    every = {str(i): -100 for i in range(263)}
    yield row("O20", "every token at -100", chat(logit_bias=every, ignore_eos=True), ok())
    yield row("S09", "every filter at its tightest, too",
              chat(logit_bias=every, top_p=1e-30, top_k=1, min_p=1, typical_p=1e-9, temperature=2,
                   top_n_sigma=1e-9), ok())
    yield row("O20", "no token left", chat(suppress_tokens=list(range(263))),
              refused("invalid_value"))
    yield row("O20", "allowed and suppressed",
              chat(allowed_token_ids=[65], suppress_tokens=[65]), refused("invalid_value"))
    yield row("O20", "allowed and suppressed, streamed",
              chat(allowed_token_ids=[65], suppress_tokens=[65], stream=True),
              refused("invalid_value"))


def value_rows():
    for seed in (-(1 << 63), (1 << 64) - 1, 0, None):
        yield row("O24", f"seed: {seed}", chat(seed=seed, temperature=1), ok())
    for seed in (1 << 64, -(1 << 63) - 1, 1.5, "1", True):
        yield row("O24", f"seed: {seed}", chat(seed=seed), refused(param="seed"))
    yield row("O25", "a user of 1 MiB", chat(user="a" * (1 << 20)), refused(param="user"))
    for what, value in (("1 MiB", {"a": "b" * (1 << 20)}), ("17", {str(i): "" for i in range(17)}),
                        ("deep", {"a": {"b": {}}}), ("a number", {"a": 1})):
        yield row("O25", f"metadata: {what}", chat(metadata=value), refused())
    for field, value in (("service_tier", "x"), ("store", True)):
        yield row("O25", f"{field}: {value}", chat(**{field: value}),
                  refused("unsupported_value", field))
    for field in ("prompt_embeds", "image_embeds", "tensors"):
        yield row("O32", field, chat(**{field: "gASV"}), refused("unknown_parameter", field))
    for value in ("", "a" * (1 << 20), 7, "a" * 257):
        yield row("O35", f"cache_salt: {str(value)[:9]}", chat(cache_salt=value),
                  refused(param="cache_salt"))
    yield row("O34", "a backend of the client's choice",
              chat(structured_outputs={"regex": "a", "backend": "outlines"}), refused())
    for name in ("x", "a%2Fb", "a/b", "%F0%9F%98%80", "..%2f..%2fetc"):
        yield row("O37", f"/v1/models/{name}", request(f"/v1/models/{name}", method="GET"),
                  refused("model_not_found", status=404))
    yield row("O37", "a body for a model that is not there", chat(model="x" * 256),
              refused("model_not_found", status=404))
    yield row("O37", "a name of 100,000 bytes", chat(model="x" * 100_000), refused(param="model"))


def tool_rows():
    def of(**function):
        return [{"type": "function", "function": {**FUNCTION, **function}}]

    for what, tools in (("513", [{"type": "function", "function": {"name": f"f{i}"}}
                                 for i in range(513)]),
                        ("without a name", [{"type": "function", "function": {}}]),
                        ("a long name", of(name="a" * 129)), ("blanks", of(name="a b")),
                        ("unicode", of(name="é")), ("an empty name", of(name="")),
                        ("twice", [TOOL, TOOL]), ("parameters: []", of(parameters=[])),
                        ("parameters: a text", of(parameters="{}")),
                        ("type custom", [{"type": "custom", "custom": {"name": "f"}}]),
                        ("no type", [{"function": FUNCTION}]), ("a text", ["f"])):
        yield row("O27", f"tools: {what}", chat(tools=tools), refused())
    broken = of(strict=True, parameters={"type": "object", "properties": {
        "a": {"type": "string", "pattern": "["}}, "required": ["a"]})
    choice = {"type": "function", "function": {"name": "f"}}
    yield row("O27", "a pattern that is none, enforced", chat(tools=broken, tool_choice=choice),
              refused())
    yield row("O27", "a choice that is not among them",
              chat(tools=[TOOL], tool_choice={"type": "function", "function": {"name": "g"}}),
              refused())
    yield row("O27", "a choice without tools", chat(tool_choice="required"), refused())
    yield Row("O30", "arguments cut by max_tokens", cut_arguments)
    yield row("O29", "one call only", chat(tools=[TOOL], tool_choice="required", max_tokens=280,
                                           parallel_tool_calls=False, temperature=1, seed=1),
              ok(lambda body: len(body["choices"][0]["message"].get("tool_calls") or []) == 1))


def cut_arguments(server):
    choice = {"type": "function", "function": {"name": "f"}}
    body = chat(tools=[TOOL], tool_choice=choice, max_tokens=24)
    answer = server.ask(body)
    finish("length")(answer)
    calls = answer.json()["choices"][0]["message"].get("tool_calls") or []
    for each in calls:
        assert not each["function"]["arguments"].endswith("}"), answer
    stream()(server.ask({**body, "stream": True}))


def stampede(server):
    """The same cold prompt many times at once: one answer."""
    body = text(prompt="stampede " * 40 + SECRET, max_tokens=8, ignore_eos=True, logprobs=2)
    answers = [None] * 48

    def ask(i):
        answers[i] = server.ask(body)

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(len(answers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({json.dumps(answer.json()["choices"]) for answer in answers}) == 1


def bleed(server):
    """Many requests with parameters of their own in one batch answer as they do alone."""
    bodies = [text(temperature=0.25 * (i % 8), top_p=0.5 + i % 5 / 10, top_k=i % 7, seed=i,
                   presence_penalty=i % 4 - 2, logit_bias={str(60 + i): 5}, max_tokens=8)
              for i in range(32)]
    alone = [server.ask(body).json()["choices"] for body in bodies]
    together = [None] * len(bodies)

    def ask(i):
        together[i] = server.ask(bodies[i]).json()["choices"]

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(len(bodies))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == alone


RANGES = {"S02": {"top_p": (0, 1.0001, -0.1, 1e308)}, "S04": {"min_p": (-0.1, 1.1, "NaN")},
          "S05": {"typical_p": (0, -1, 1.1)},
          "S07": {"repetition_penalty": (0, -1, 1e308, 10.1), "presence_penalty": (-2.1, 2.1),
                  "frequency_penalty": (-2.1, 1e308), "temperature": (-0.1, 2.1, 1e308),
                  "top_k": (-2, 0.5, 1 << 40), "dry_base": (0, 11), "xtc_threshold": (-1, 0.6),
                  "min_tokens": (-1, 5), "length_penalty": (-11,)}}


def sampling_rows():
    for id, fields in RANGES.items():
        for field, values in fields.items():
            for value in values:
                yield row(id, f"{field}: {value}", chat(**{field: value}), refused(param=field))
    for field, value in (("top_p", 1), ("top_p", 1e-30), ("min_p", 0), ("min_p", 1),
                         ("typical_p", 1e-30), ("repetition_penalty", 1e-308),
                         ("repetition_penalty", 10), ("temperature", 2), ("top_n_sigma", 0)):
        yield row("S02", f"{field}: {value}", chat(**{"temperature": 1, field: value}), ok())
    yield row("S10", "ties: two tokens at +100",
              text(logit_bias={"65": 100, "66": 100}, logprobs=1), ok())
    yield row("S14", "ignore_eos up to the context",
              text(ignore_eos=True, max_tokens=CONTEXT - len(SECRET)), finish("length"))
    yield row("S14", "and no limit", chat(ignore_eos=True, max_tokens=...), finish("length"))
    yield Row("S15", "32 with different parameters in one batch", bleed)


def other_rows():
    """The same faults where other APIs tell them."""
    for path, base in (("/v1/messages", {"messages": MESSAGES, "max_tokens": 4}),
                       ("/v1/responses", {"input": SECRET})):
        for what, body in (("no model", base), ("another model", {"model": "x", **base}),
                           ("an unknown field", {"model": "m", **base, "zzz": 1}),
                           ("temperature: 3", {"model": "m", **base, "temperature": 3}),
                           ("no member but the model", {"model": "m"})):
            yield call("O34", f"{path}: {what}", path, body, status(400, 404))
    for path in ("/v1/embeddings", "/v1/rerank", "/v1/score"):
        yield call("O34", f"{path} of a model that has none", path,
                   {"model": "m", "input": "a", "query": "a", "documents": ["b"]}, refused())
    for path, body in (("/tokenize", {}), ("/tokenize", {"prompt": 7}),
                       ("/detokenize", {"tokens": [263]}), ("/detokenize", {"tokens": ["a"]}),
                       ("/detokenize", {"tokens": [-1]}), ("/apply-template", {})):
        yield call("O34", f"{path} {body}", path, body, refused())


SKIPPED = {"O22": "memory of prompt logprobs is reserved at the start, and there is no device",
           "O40": "while loading nothing listens; the engine's death needs a failpoint",
           "S12": "a NaN needs a failpoint or a broken checkpoint: src/engine has the unit tests"}


def rows(_):
    yield from message_rows()
    yield from prompt_rows()
    yield from length_rows()
    yield from bias_rows()
    yield from value_rows()
    yield from tool_rows()
    yield Row("O39", "48 times the same cold prompt at once", stampede)
    yield from sampling_rows()
    yield from other_rows()
