"""What a row may expect: each function gives one that looks at an answer and raises."""

import json


def ok(look=None):
    """200, and `look` at its JSON."""
    def check(answer):
        assert answer.status == 200, f"expected 200, got {answer}"
        if look is not None:
            assert look(answer.json()), f"not as expected: {answer}"
    return check


def refused(code=None, param=..., status=400, says=""):
    """An error of OpenAI's shape that names the code, the field, and holds some words."""
    def check(answer):
        assert answer.status == status, f"expected {status}, got {answer}"
        error = answer.error()
        assert set(error) >= {"message", "type", "param", "code"}, error
        assert status in (408, 429) or status >= 500 or \
            error["type"] == "invalid_request_error", error
        if code is not None:
            assert error["code"] == code, f"expected the code {code}: {error}"
        if param is not ...:
            assert error["param"] == param, f"expected the param {param}: {error}"
        assert says in error["message"], f"expected '{says}': {error}"
        assert len(error["message"]) < 5000, "the message has no bound"
    return check


def status(*allowed):
    def check(answer):
        assert answer.status in allowed, f"expected one of {allowed}, got {answer}"
    return check


def stream(choices=1, usage=0):
    """200 and a stream whose every choice ends once, then [DONE] once, and nothing after it."""
    def check(answer):
        assert answer.status == 200, answer
        events = answer.events()
        assert events[-1] == "[DONE]" and events.count("[DONE]") == 1, events[-3:]
        chunks = [json.loads(event) for event in events[:-1]]
        assert not any("error" in chunk for chunk in chunks), chunks
        ends = [c["index"] for chunk in chunks for c in chunk["choices"] if c["finish_reason"]]
        assert sorted(ends) == list(range(choices)), f"choices that end: {ends}"
        assert sum(chunk.get("usage") is not None for chunk in chunks) == usage, chunks[-1]
    return check


def stream_error(code):
    """A stream that ends with one error event and no [DONE]."""
    def check(answer):
        assert answer.status == 200, answer
        last = answer.events()[-1]
        error = json.loads(last).get("error")
        assert error and error["code"] == code, last
        assert "[DONE]" not in answer.events()
    return check


def finish(reason):
    return ok(lambda body: all(c["finish_reason"] == reason for c in body["choices"]))
