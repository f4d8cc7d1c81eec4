"""Every answer and every event against the published shapes: test_shapes.py BASE_URL

Many requests to each endpoint, whole and streamed."""

import json
import sys
import urllib.error
import urllib.request

import shapes_anthropic
import shapes_openai
import shapes_responses
import streams
from shape import check

QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 20}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
FORMAT = {"name": "place", "strict": True, "schema": SCHEMA}
FUNCTION = {"name": "get_weather", "description": "Weather", "parameters": SCHEMA}
TOOL = {"type": "function", "function": FUNCTION}
FLAT_TOOL = {"type": "function", "strict": True, **FUNCTION}
CLAUDE_TOOL = {"name": "get_weather", "description": "Weather", "input_schema": SCHEMA}
NAMED = {"type": "function", "function": {"name": "get_weather"}}
HISTORY = [
    *QUESTION,
    {"role": "assistant", "content": None, "tool_calls": [
        {"id": "call_1", "type": "function",
         "function": {"name": "get_weather", "arguments": '{"city":"Paris","days":3}'}}]},
    {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
]

CHATS = [
    {},
    {"n": 3, "temperature": 1, "seed": 1},
    {"max_tokens": 1},
    {"stop": ["Paris"]},
    {"stop_token_ids": [30], "return_token_ids": True},
    {"logprobs": True},
    {"logprobs": True, "top_logprobs": 4, "n": 2},
    {"tools": [TOOL], "tool_choice": NAMED, "max_tokens": 60},
    {"tools": [TOOL], "tool_choice": "required", "max_tokens": 60},
    {"tools": [TOOL], "tool_choice": NAMED, "max_tokens": 3},
    {"tools": [TOOL], "tool_choice": "auto"},
    {"tools": [TOOL], "messages": HISTORY},
    {"functions": [FUNCTION], "function_call": {"name": "get_weather"}, "max_tokens": 60},
    {"response_format": {"type": "json_schema", "json_schema": FORMAT}, "max_tokens": 60},
    {"response_format": {"type": "json_object"}},
    {"metadata": {"a": "b"}, "user": "u", "service_tier": "auto"},
    {"messages": [{"role": "system", "content": "Speak Japanese: こんにちは"}, *QUESTION]},
    {"continue_final_message": True, "add_generation_prompt": False,
     "messages": [*QUESTION, {"role": "assistant", "content": "It is"}]},
]
COMPLETIONS = [
    {},
    {"prompt": ["The capital of France is", "One, two,"], "n": 2, "temperature": 1},
    {"prompt": [504, 2260], "max_tokens": 1},
    {"logprobs": 3},
    {"logprobs": 0, "echo": True},
    {"echo": True, "return_token_ids": True},
    {"stop": [" Paris"]},
    {"metadata": {"a": "b"}},
]
WHOLE_CHATS = [{"prompt_logprobs": 1}]
WHOLE_COMPLETIONS = [{"prompt_logprobs": 1}, {"max_tokens": 0, "echo": True, "logprobs": 1},
                     {"best_of": 3, "n": 2, "temperature": 1}]
STREAM_OPTIONS = [None, {"include_usage": True},
                  {"include_usage": True, "continuous_usage_stats": True},
                  {"include_obfuscation": True}]
RESPONSES = [
    {},
    {"max_output_tokens": 90},
    {"instructions": "Be brief.", "metadata": {"a": "b"}, "temperature": 0.7, "top_p": 0.9},
    {"input": [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Hello."},
               {"role": "user", "content": [{"type": "input_text", "text": "Bye."}]}]},
    {"tools": [FLAT_TOOL], "tool_choice": {"type": "function", "name": "get_weather"},
     "max_output_tokens": 60},
    {"tools": [FLAT_TOOL], "tool_choice": "required", "max_output_tokens": 3},
    {"tools": [{"type": "function", "name": "f"}], "parallel_tool_calls": False},
    {"input": [{"role": "user", "content": "Weather?"},
               {"type": "function_call", "call_id": "c", "name": "get_weather",
                "arguments": '{"city":"Paris","days":3}'},
               {"type": "function_call_output", "call_id": "c", "output": "sunny"}]},
    {"text": {"format": {"type": "json_schema", **FORMAT}}, "max_output_tokens": 60},
    {"store": False, "user": "u", "truncation": "disabled", "service_tier": "auto"},
]
MESSAGES = [
    {},
    {"system": "Be brief.", "max_tokens": 60},
    {"max_tokens": 1},
    {"stop_sequences": ["Paris"]},
    {"tools": [CLAUDE_TOOL], "tool_choice": {"type": "tool", "name": "get_weather"},
     "max_tokens": 60},
    {"tools": [CLAUDE_TOOL], "tool_choice": {"type": "any"}, "max_tokens": 3},
    {"tools": [CLAUDE_TOOL], "messages": [
        *QUESTION,
        {"role": "assistant", "content": [
            {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {}}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "toolu_1", "content": "sunny"}]}]},
]
# Path and body of what is refused, beside the model's name.
REFUSED = [
    (400, "/chat/completions", {"messages": []}),
    (400, "/chat/completions", {"messages": QUESTION, "temperature": 3}),
    (400, "/chat/completions", {"messages": QUESTION, "no_such_field": 1}),
    (400, "/chat/completions", {"messages": QUESTION, "max_tokens": 1_000_000}),
    (400, "/completions", {}),
    (400, "/completions", {"prompt": "a", "best_of": 1, "n": 2}),
    (400, "/responses", {}),
    (400, "/responses", {"input": "a", "background": True, "store": False}),
    (404, "/responses", {"input": "a", "previous_response_id": "resp_none"}),
    (404, "/chat/completions", {"messages": QUESTION, "model": "none"}),
    (404, "/no-such-path", {}),
]
REFUSED_MESSAGES = [
    (400, {"messages": []}),
    (400, {"messages": QUESTION, "max_tokens": 0}),
    (400, {"messages": QUESTION, "no_such_field": 1}),
    (404, {"messages": QUESTION, "model": "none"}),
]


class Server:
    def __init__(self, base_url):
        self.base_url = base_url
        self.models = self.ask("GET", "/models", None)[1]
        self.model = self.models["data"][0]["id"]

    def open(self, method, path, body):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base_url + path, data, method=method,
                                         headers={"Content-Type": "application/json"})
        try:
            return urllib.request.urlopen(request, timeout=120)
        except urllib.error.HTTPError as error:
            return error

    def ask(self, method, path, body):
        with self.open(method, path, body) as answer:
            assert answer.headers["Content-Type"].startswith("application/json"), answer.headers
            return answer.status, json.load(answer)

    def post(self, path, body):
        status, answer = self.ask("POST", path, {"model": self.model, **body})
        assert status == 200, (path, body, answer)
        return answer

    def events(self, path, body):
        """[(name or None, object or "[DONE]"), ...], or None when it was refused with a 408."""
        with self.open("POST", path, {"model": self.model, **body, "stream": True}) as answer:
            if answer.status == 408:
                return None
            assert answer.status == 200, answer.read()
            assert answer.headers["Content-Type"].startswith("text/event-stream"), answer.headers
            events = map(read_event, answer.read().decode().split("\n\n"))
            return [event for event in events if event]


def read_event(text):
    """(name or None, object or "[DONE]"); None of a comment."""
    name, data = None, None
    for line in text.split("\n"):
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            data = line.removeprefix("data: ")
        else:
            assert line == "" or line.startswith(":"), repr(line)
    if data is None:
        return None
    return name, data if data == "[DONE]" else json.loads(data)


def check_models(server):
    check(server.models, shapes_openai.MODELS, "models")
    status, model = server.ask("GET", "/models/" + server.model, None)
    assert status == 200
    check(model, shapes_openai.MODEL, "model")


def check_chat(server):
    common = {"messages": QUESTION, "max_tokens": 12, "temperature": 0}
    for fields in CHATS + WHOLE_CHATS:
        check(server.post("/chat/completions", common | fields), shapes_openai.CHAT, fields)
    for i, fields in enumerate(CHATS * 2):
        body = common | fields | with_options(i)
        streams.check_chunks(server.events("/chat/completions", body), shapes_openai.CHUNK, body)


def check_completions(server):
    common = {"prompt": "The capital of France is", "max_tokens": 8, "temperature": 0}
    for fields in COMPLETIONS + WHOLE_COMPLETIONS:
        check(server.post("/completions", common | fields), shapes_openai.COMPLETION, fields)
    for i, fields in enumerate(COMPLETIONS * 2):
        body = common | fields | with_options(i)
        events = server.events("/completions", body)
        streams.check_chunks(events, shapes_openai.COMPLETION_CHUNK, body)


def with_options(i):
    options = STREAM_OPTIONS[i % len(STREAM_OPTIONS)]
    return {} if options is None else {"stream_options": options}


def check_responses(server):
    common = {"input": "What is the capital of France?", "max_output_tokens": 12, "temperature": 0}
    for fields in RESPONSES:
        response = server.post("/responses", common | fields)
        check(response, shapes_responses.RESPONSE, fields)
        streams.check_response_events(server.events("/responses", common | fields))
        if not response["store"]:
            continue
        path = "/responses/" + response["id"]
        assert server.ask("GET", path, None) == (200, response)
        check(server.ask("GET", path + "/input_items", None)[1], shapes_responses.INPUT_ITEMS, path)
        check(server.ask("DELETE", path, None)[1], shapes_responses.DELETED, path)
    padded = common | {"stream_options": {"include_obfuscation": True}}
    events = server.events("/responses", padded)
    streams.check_response_events(events)
    assert all("obfuscation" in data for name, data in events if name.endswith(".delta")), events
    count = server.post("/responses/input_tokens", {"input": "Hi."})
    check(count, shapes_responses.INPUT_TOKENS, "input_tokens")


def check_messages(server):
    common = {"messages": QUESTION, "max_tokens": 12, "temperature": 0}
    for fields in MESSAGES:
        check(server.post("/messages", common | fields), shapes_anthropic.MESSAGE, fields)
        streams.check_message_events(server.events("/messages", common | fields))
        count = server.post("/messages/count_tokens", common | fields)
        check(count, shapes_anthropic.COUNTED, fields)


def check_refusals(server):
    for wanted, path, body in REFUSED:
        for more in ({}, {"stream": True}):
            status, answer = server.ask("POST", path, {"model": server.model, **body, **more})
            assert status == wanted, (path, body, status, answer)
            check(answer, shapes_openai.ERROR, body)
    for wanted, body in REFUSED_MESSAGES:
        status, answer = server.ask(
            "POST", "/messages", {"model": server.model, "max_tokens": 4, **body})
        assert status == wanted, (body, status, answer)
        check(answer, shapes_anthropic.ERROR, body)
    status, answer = server.ask("POST", "/embeddings", {"model": server.model, "input": "a"})
    assert status == 400, answer
    check(answer, shapes_openai.ERROR, "embeddings")


def check_broken_streams(server):
    """Streams that a deadline ends. They must have begun by then: it is put off until they have."""
    for path, body, check_events in (
        ("/chat/completions", {"messages": QUESTION, "max_tokens": 1900, "ignore_eos": True},
         streams.check_broken_chunks),
        ("/responses", {"input": QUESTION, "max_output_tokens": 1900, "temperature": 2, "seed": 1},
         streams.check_response_failed),
    ):
        events, seconds = None, 0.1
        while events is None:
            events = server.events(path, body | {"timeout": seconds})
            seconds *= 2
        check_events(events)


def check_embeddings(server):
    for fields in ({}, {"input": ["a", "b"]}, {"dimensions": 2}, {"encoding_format": "float"}):
        answer = server.post("/embeddings", {"input": "a"} | fields)
        check(answer, shapes_openai.EMBEDDINGS, fields)
    answer = server.post("/embeddings", {"input": "a", "encoding_format": "base64"})
    check(answer, shapes_openai.EMBEDDINGS_BASE64, "base64")


def main():
    server = Server(sys.argv[1])
    checks = [check_models]
    facts = server.models["data"][0]["metadata"]
    if facts["supports_chat"]:
        checks += [check_chat, check_completions, check_responses, check_messages, check_refusals,
                   check_broken_streams]
    if facts["supports_embeddings"]:
        checks.append(check_embeddings)
    for each in checks:
        each(server)
        print(f"{each.__name__}: ok")


if __name__ == "__main__":
    main()
