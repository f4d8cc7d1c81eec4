"""The unpatched Anthropic client for Python: test_anthropic.py BASE_URL"""

import sys

import anthropic

TOOL = {
    "name": "get_weather",
    "description": "Weather",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 20}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
ASK = [{"role": "user", "content": "What is the weather in Paris?"}]


def raises(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"expected {kind.__name__}")


def check_messages(client, model):
    options = dict(model=model, max_tokens=40, extra_body={"temperature": 0}, system="Be brief.",
                   messages=[{"role": "user", "content": "What is the capital of France?"}])
    whole = client.messages.create(**options)
    assert whole.role == "assistant" and whole.content[0].type == "text", whole
    assert whole.stop_reason in ("end_turn", "max_tokens"), whole
    with client.messages.stream(**options) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == whole.content[0].text and final.stop_reason == whole.stop_reason, (text, whole)
    assert final.usage.output_tokens == whole.usage.output_tokens, (final.usage, whole.usage)
    stopped = client.messages.create(**options, stop_sequences=[text[5:8]])
    assert stopped.stop_reason == "stop_sequence" and stopped.stop_sequence == text[5:8], stopped
    count = client.messages.count_tokens(model=model, system="Be brief.",
                                         messages=options["messages"]).input_tokens
    used = whole.usage.input_tokens + whole.usage.cache_read_input_tokens
    assert count == used, (count, whole.usage)


def check_tools(client, model):
    options = dict(model=model, max_tokens=60, extra_body={"temperature": 0}, messages=ASK,
                   tools=[TOOL],
                   tool_choice={"type": "tool", "name": "get_weather"})
    whole = client.messages.create(**options)
    call = whole.content[0]
    assert whole.stop_reason == "tool_use" and call.type == "tool_use", whole
    assert list(call.input) == ["city"] and call.id.startswith("toolu_"), call
    with client.messages.stream(**options) as stream:
        for _ in stream:
            pass
        assert stream.get_final_message().content[0].input == call.input
    after = client.messages.create(
        model=model, max_tokens=20, extra_body={"temperature": 0}, tools=[TOOL],
        messages=[*ASK, {"role": "assistant", "content": whole.content},
                  {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id,
                                                "content": "sunny"}]}])
    assert after.content, after


def check_errors(client, model):
    error = raises(anthropic.BadRequestError, lambda: client.messages.create(
        model=model, max_tokens=0, messages=ASK))
    assert error.body["error"]["type"] == "invalid_request_error", error.body
    error = raises(anthropic.NotFoundError, lambda: client.messages.create(
        model="no-such-model", max_tokens=1, messages=ASK))
    assert error.body["error"]["type"] == "not_found_error", error.body
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": ""}}
    error = raises(anthropic.BadRequestError, lambda: client.messages.create(
        model=model, max_tokens=1, messages=[{"role": "user", "content": [image]}]))
    assert "messages[0].content[0].type" in str(error.body), error.body


def main():
    # The client adds /v1 itself.
    client = anthropic.Anthropic(base_url=sys.argv[1].removesuffix("/v1"), api_key="none",
                                 max_retries=0)
    listed = client.models.list().data[0]
    model = listed.id
    assert (listed.type, listed.display_name) == ("model", model), listed
    assert listed.created_at.year > 2000, listed
    assert client.models.retrieve(model).created_at == listed.created_at
    answer = client.messages.create(model=model, max_tokens=2,
                                    messages=[{"role": "user", "content": "Hi"}])
    assert answer._request_id.startswith("req_"), answer._request_id
    for check in (check_messages, check_tools, check_errors):
        check(client, model)
        print(f"{check.__name__}: ok")


if __name__ == "__main__":
    main()
