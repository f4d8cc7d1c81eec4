"""The unpatched Python client against a running server: python test_openai.py BASE_URL"""

import asyncio
import json
import sys
import time
import urllib.request

import openai

QUESTION = [{"role": "user", "content": "What is the capital of France?"}]


def raises(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"expected {kind.__name__}")


def tokens(answer):
    """Usage but for its times."""
    times = ("tokens_per_second", "processing_time", "first_token_time")
    return {key: value for key, value in answer.usage.model_dump().items() if key not in times}


def check_models(client, model):
    found = client.models.retrieve(model)
    assert found.id == model and found.object == "model", found
    error = raises(openai.NotFoundError, lambda: client.models.retrieve("no-such-model"))
    assert error.code == "model_not_found", error.body


def check_chat(client, model):
    options = dict(model=model, messages=QUESTION, temperature=0, max_tokens=24)
    # Caches of their own: nothing of the second may be found because of the first.
    whole = client.chat.completions.create(**options, extra_body={"cache_salt": "whole"})
    choice = whole.choices[0]
    assert whole.object == "chat.completion" and whole.model == model, whole
    assert choice.message.role == "assistant" and "Paris" in choice.message.content, choice
    assert choice.finish_reason in ("stop", "length"), choice
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens
    assert whole.system_fingerprint and whole.created > 1_600_000_000

    stream_options = {"include_usage": True}
    chunks = list(
        client.chat.completions.create(
            **options,
            stream=True,
            stream_options=stream_options,
            extra_body={"cache_salt": "stream"},
        )
    )
    assert all(chunk.object == "chat.completion.chunk" for chunk in chunks)
    assert len({chunk.id for chunk in chunks}) == 1
    assert {chunk.system_fingerprint for chunk in chunks} == {whole.system_fingerprint}
    assert chunks[0].choices[0].delta.role == "assistant", chunks[0]
    assert chunks[-1].choices == [] and tokens(chunks[-1]) == tokens(whole), chunks[-1]
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == choice.message.content, (text, choice.message.content)
    ends = [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason]
    assert ends == [choice.finish_reason], ends
    plain = list(client.chat.completions.create(**options, stream=True))
    assert all(chunk.choices and chunk.usage is None for chunk in plain)


def check_completions(client, model):
    options = dict(model=model, temperature=0, max_tokens=12)
    whole = client.completions.create(prompt="The capital of France is", **options)
    assert whole.object == "text_completion" and whole.choices[0].text, whole
    streamed = client.completions.create(
        prompt="The capital of France is", stream=True, **options
    )
    text = "".join(chunk.choices[0].text for chunk in streamed)
    assert text == whole.choices[0].text, (text, whole.choices[0].text)
    both = client.completions.create(prompt=["The capital of France is", "One, two,"], **options)
    assert [choice.index for choice in both.choices] == [0, 1], both
    assert both.choices[0].text == whole.choices[0].text
    limited = client.completions.create(
        model=model, prompt="Count: one, two, three,", temperature=0, max_tokens=3
    )
    assert limited.choices[0].finish_reason == "length"
    assert limited.usage.completion_tokens == 3, limited.usage


def check_sampling(client, model):
    def answer(**more):
        whole = client.chat.completions.create(
            model=model, messages=QUESTION, max_tokens=16, **more
        )
        return whole.choices[0].message.content

    seeded = [answer(temperature=1.2, top_p=0.95, seed=7) for _ in range(2)]
    assert seeded[0] == seeded[1], seeded
    assert "Paris" not in answer(temperature=0, stop=["Paris"])
    assert "Par" not in answer(temperature=0, stop=["Par", "is"])


def check_choices(client, model):
    options = dict(model=model, messages=QUESTION, temperature=1, seed=4, max_tokens=10, n=2)
    whole = client.chat.completions.create(**options, logprobs=True, top_logprobs=2)
    assert [choice.index for choice in whole.choices] == [0, 1], whole
    for choice in whole.choices:
        content = choice.logprobs.content
        assert "".join(token.token for token in content) == choice.message.content, choice
        assert all(len(token.top_logprobs) == 2 for token in content), choice
    texts = ["", ""]
    for chunk in client.chat.completions.create(**options, stream=True):
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    assert texts == [choice.message.content for choice in whole.choices], texts
    again = client.chat.completions.create(**options)
    assert [choice.message.content for choice in again.choices] == texts
    alone = client.chat.completions.create(**options | {"n": 1})
    assert alone.choices[0].message.content == texts[0]


def check_errors(client, model):
    def create(**more):
        options = dict(model=model, messages=QUESTION, max_tokens=4) | more
        return lambda: client.chat.completions.create(**options)

    error = raises(openai.NotFoundError, create(model="gpt-none"))
    assert error.code == "model_not_found" and error.param == "model", error.body
    assert set(error.body) == {"message", "type", "param", "code"}, error.body
    cases = [
        ({"temperature": -1}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_p": 2}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"n": 0}, "n"),
        ({"n": 129}, "n"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"logit_bias": {"x": 1}}, "logit_bias"),
        ({"frequency_penalty": 2.5}, "frequency_penalty"),
        ({"stop": ["a"] * 5}, "stop"),
        ({"messages": []}, "messages"),
        ({"extra_body": {"no_such_field": 1}}, "no_such_field"),
    ]
    for more, param in cases:
        error = raises(openai.BadRequestError, create(**more))
        assert error.param == param, (more, error.body)
        assert error.type == "invalid_request_error", error.body
        # The same request as a stream fails in the same way, before any event.
        streamed = raises(openai.BadRequestError, create(stream=True, **more))
        assert streamed.body == error.body, (streamed.body, error.body)
    error = raises(openai.BadRequestError, create(max_tokens=10_000_000))
    assert error.code == "context_length_exceeded", error.body
    # This model makes no embeddings, and says so.
    error = raises(openai.BadRequestError,
                   lambda: client.embeddings.create(model=model, input="a"))
    assert error.param == "model", error.body


def check_cancel(client, model, base_url):
    stream = client.chat.completions.create(
        model=model, messages=QUESTION, stream=True, max_tokens=1500, temperature=1.5,
        extra_body={"min_p": 0.0},
    )
    for count, _ in enumerate(stream):
        if count == 2:
            break
    stream.close()
    health = base_url.removesuffix("/v1") + "/health"
    end = time.monotonic() + 5
    used = None
    while time.monotonic() < end:
        with urllib.request.urlopen(health) as answer:
            state = json.load(answer)
        used = sum(entry["pages_used"] for entry in state["models"].values())
        if used == 0:
            return
        time.sleep(0.02)
    raise AssertionError(f"{used} pages are in use 5 s after the client left")


async def check_async(base_url, model):
    async with openai.AsyncOpenAI(base_url=base_url, api_key="none", max_retries=0) as client:

        async def one(number):
            stream = await client.chat.completions.create(
                model=model, messages=QUESTION, temperature=0, max_tokens=8 + number, stream=True
            )
            return "".join([c.choices[0].delta.content or "" async for c in stream])

        texts = await asyncio.gather(*(one(number) for number in range(8)))
    longest = max(texts, key=len)
    assert all(longest.startswith(text) for text in texts), texts


def main():
    base_url = sys.argv[1]
    client = openai.OpenAI(base_url=base_url, api_key="none", max_retries=0)
    model = client.models.list().data[0].id
    check_models(client, model)
    check_chat(client, model)
    check_completions(client, model)
    check_sampling(client, model)
    check_choices(client, model)
    check_errors(client, model)
    check_cancel(client, model, base_url)
    asyncio.run(check_async(base_url, model))
    print(f"openai-python {openai.__version__}: all checks pass")


if __name__ == "__main__":
    main()
