"""The unpatched LiteLLM against a running server, as openai/ and as anthropic/:
test_litellm.py BASE_URL"""

import asyncio
import json
import os
import sys
import urllib.request

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it asks the network for one
import litellm  # noqa: E402

litellm.suppress_debug_info = True
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
ASK = [{"role": "user", "content": "What is the weather in Paris?"}]
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 20}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOL = {"type": "function",
        "function": {"name": "get_weather", "description": "Weather", "parameters": SCHEMA}}


def raises(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"expected {kind.__name__}")


def check_completion(options):
    options = options | {"messages": QUESTION, "max_tokens": 24}
    whole = litellm.completion(**options)
    text = whole.choices[0].message.content
    assert "Paris" in text and whole.usage.completion_tokens > 0, whole
    assert whole.choices[0].finish_reason in ("stop", "length"), whole
    chunks = list(litellm.completion(**options, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == text, chunks
    built = litellm.stream_chunk_builder(chunks, messages=QUESTION)
    assert built.choices[0].message.content == text, built
    assert built.choices[0].finish_reason == whole.choices[0].finish_reason, built
    assert "Paris" not in litellm.completion(**options, stop=["Paris"]).choices[0].message.content

    async def several():
        return await asyncio.gather(*(litellm.acompletion(**options) for _ in range(4)))

    assert {each.choices[0].message.content for each in asyncio.run(several())} == {text}


def check_tools(options):
    options = options | {"messages": ASK, "max_tokens": 80, "tools": [TOOL], "tool_choice": {
        "type": "function", "function": {"name": "get_weather"}}}
    whole = litellm.completion(**options)
    call = whole.choices[0].message.tool_calls[0]
    assert whole.choices[0].finish_reason == "tool_calls", whole
    assert call.function.name == "get_weather" and list(json.loads(call.function.arguments)) == [
        "city"], call
    chunks = list(litellm.completion(**options, stream=True))
    streamed = litellm.stream_chunk_builder(chunks, messages=ASK).choices[0].message.tool_calls[0]
    assert streamed.function.name == call.function.name, streamed
    assert json.loads(streamed.function.arguments) == json.loads(call.function.arguments), streamed
    history = [*ASK, whole.choices[0].message,
               {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
    after = litellm.completion(**options | {"messages": history, "tool_choice": "auto"})
    assert after.choices[0].finish_reason in ("stop", "length", "tool_calls"), after


def check_errors(options):
    error = raises(litellm.BadRequestError, lambda: litellm.completion(
        **options | {"messages": QUESTION, "temperature": 3}))
    assert "temperature" in str(error), error
    provider = options["model"].split("/")[0]
    raises(litellm.NotFoundError, lambda: litellm.completion(
        **options | {"model": provider + "/no-such-model", "messages": QUESTION}))


def check_openai_only(options):
    """What LiteLLM does over OpenAI's API alone."""
    answer = litellm.completion(**options, messages=[{"role": "user", "content": "Paris"}],
                                max_tokens=60, response_format={
        "type": "json_schema", "json_schema": {"name": "place", "strict": True, "schema": SCHEMA}})
    assert list(json.loads(answer.choices[0].message.content)) == ["city"], answer
    text = litellm.text_completion(**options, prompt="The capital of France is", max_tokens=8)
    assert "Paris" in text.choices[0].text, text
    response = litellm.responses(**options, input="Say hi.", max_output_tokens=20)
    assert response.output[0].content[0].text, response
    types = [event.type for event in litellm.responses(**options, input="Say hi.",
                                                       max_output_tokens=20, stream=True)]
    assert types[0] == "response.created", types
    assert types[-1] in ("response.completed", "response.incomplete"), types
    options = {name: value for name, value in options.items() if name != "temperature"}
    error = raises(litellm.BadRequestError, lambda: litellm.embedding(**options, input=["a"]))
    assert "embedding" in str(error), error


def main():
    base_url = sys.argv[1]
    with urllib.request.urlopen(base_url + "/models", timeout=60) as answer:
        model = json.load(answer)["data"][0]["id"]
    common = {"api_key": "none", "temperature": 0, "max_retries": 0}
    openai = common | {"model": "openai/" + model, "api_base": base_url}
    # This one adds /v1 itself.
    claude = common | {"model": "anthropic/" + model, "api_base": base_url.removesuffix("/v1")}
    for check in (check_completion, check_tools, check_errors):
        for options in (openai, claude):
            check(options)
            print(f"{check.__name__} {options['model']}: ok")
    check_openai_only(openai)
    print("check_openai_only: ok")


if __name__ == "__main__":
    main()
