"""Every field of sampling against a running server: python test_sampling.py BASE_URL

Each has an effect on what a real model says. The server has --speculative-tokens 4."""

import json
import sys
import urllib.error
import urllib.request

import openai

PROMPT = "The capital of France is"
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]


class Server:
    def __init__(self, base_url):
        self.base_url = base_url
        self.client = openai.OpenAI(base_url=base_url, api_key="none", max_retries=0)
        self.model = self.client.models.list().data[0].id

    def post(self, path, **fields):
        """Status and body of a request, as it stands in the bytes."""
        request = urllib.request.Request(
            self.base_url + path,
            json.dumps({"model": self.model} | fields).encode(),
            {"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def complete(self, prompt=PROMPT, **fields):
        options = {"prompt": prompt, "temperature": 0, "max_tokens": 8} | fields
        status, body = self.post("/completions", **options)
        assert status == 200, (fields, body)
        return body

    def text(self, prompt=PROMPT, **fields):
        return self.complete(prompt, **fields)["choices"][0]["text"]

    def ids(self, prompt=PROMPT, **fields):
        body = self.complete(prompt, return_token_ids=True, **fields)
        return body["choices"][0]["token_ids"]

    def id_of(self, text):
        """The token that a text is."""
        body = self.complete(text, return_token_ids=True, max_tokens=1)
        ids = body["choices"][0]["prompt_token_ids"]
        assert len(ids) == 1, (text, ids)
        return ids[0]


def check_bans(server):
    plain = server.text()
    assert plain.startswith(" Paris"), plain
    paris, london = server.id_of(" Paris"), server.id_of(" London")
    assert server.text(logit_bias={str(london): 100}, max_tokens=3) == " London" * 3
    for fields in (
        {"logit_bias": {str(paris): -100}},
        {"suppress_tokens": [paris]},
        {"bad_words": ["Paris"]},
        {"bad_words": "Paris"},
    ):
        assert " Paris" not in server.text(**fields), fields
    allowed = server.ids(allowed_token_ids=[paris, london], temperature=1, seed=1, max_tokens=20)
    assert set(allowed) <= {paris, london} and len(allowed) == 20, allowed
    assert server.ids(allowed_token_ids=[paris], max_tokens=2) == [paris, paris]


def check_ends(server):
    def chat(**fields):
        options = {"messages": QUESTION, "temperature": 0, "max_tokens": 60} | fields
        status, body = server.post("/chat/completions", **options)
        assert status == 200, (fields, body)
        return body["choices"][0], body["usage"]["completion_tokens"]

    choice, length = chat()
    assert choice["finish_reason"] == "stop" and length < 50, choice
    assert "stop_reason" not in choice, choice
    assert chat(min_tokens=length + 10)[1] >= length + 10
    choice, length = chat(ignore_eos=True)
    assert (choice["finish_reason"], length) == ("length", 60), choice
    dot = server.id_of(".")
    choice, _ = chat(stop_token_ids=[dot])
    assert choice["stop_reason"] == dot and "." not in choice["message"]["content"], choice
    choice, _ = chat(stop_token_ids=[dot], include_stop_str_in_output=True)
    assert choice["message"]["content"].endswith("."), choice
    choice, _ = chat(stop="Paris", include_stop_str_in_output=True)
    assert choice["stop_reason"] == "Paris", choice
    assert choice["message"]["content"].endswith("Paris"), choice
    choice, _ = chat(skip_special_tokens=False, include_stop_str_in_output=True)
    assert choice["message"]["content"].endswith("<|im_end|>"), choice


def check_penalties(server):
    prompt = "one two one two one two one two one two"

    def repeats(**fields):
        ids = server.ids(prompt, max_tokens=40, ignore_eos=True, **fields)
        return len(ids) - len(set(ids))

    plain = repeats()
    assert plain > 20, plain
    for fields in (
        {"presence_penalty": 2},
        {"frequency_penalty": 2},
        {"repetition_penalty": 1.5},
        {"repeat_penalty": 1.5},
        {"dry_multiplier": 5, "dry_base": 2},
    ):
        assert repeats(**fields) < plain, (fields, plain)
    for fields in (
        {"repetition_penalty": 1},
        {"dry_multiplier": 5, "dry_penalty_last_n": 0},
        {"dry_multiplier": 5, "dry_sequence_breakers": [" one", " two"]},
    ):
        assert repeats(**fields) == plain, (fields, plain)


def check_truncation(server):
    greedy = server.text()
    hot = {"temperature": 1.5, "seed": 3}
    assert server.text(**hot) != greedy
    for fields in ({"top_k": 1}, {"top_p": 1e-6}, {"min_p": 1}, {"top_n_sigma": 0.001}):
        assert server.text(**hot, **fields) == greedy, fields
    # One token is left at each place, though it is not the likeliest.
    typical = {server.text(temperature=1, seed=seed, typical_p=0.001) for seed in range(3)}
    assert len(typical) == 1, typical
    assert len({server.text(temperature=1, seed=seed) for seed in range(3)}) > 1
    xtc = {"xtc_probability": 1, "xtc_threshold": 0.05}
    for seed in range(4):
        assert not server.text(temperature=1, seed=seed, **xtc).startswith(" Paris")


def check_logprobs(server):
    client, model = server.client, server.model
    options = dict(model=model, messages=QUESTION, temperature=0, max_tokens=12)
    options |= dict(logprobs=True, top_logprobs=3)
    whole = client.chat.completions.create(**options)
    content = whole.choices[0].logprobs.content
    assert whole.choices[0].logprobs.refusal is None
    assert "".join(token.token for token in content) == whole.choices[0].message.content
    for token in content:
        assert bytes(token.bytes).decode() == token.token, token
        top = [each.logprob for each in token.top_logprobs]
        assert len(top) == 3 and top == sorted(top, reverse=True), token
        assert token.top_logprobs[0].token == token.token, token  # greedy
        assert token.logprob == top[0] <= 0, token
    streamed = []
    for chunk in client.chat.completions.create(**options, stream=True):
        choice = chunk.choices[0]
        text = choice.delta.content or ""
        told = choice.logprobs.content if choice.logprobs else []
        assert "".join(token.token for token in told) == text, chunk
        streamed += told
    assert streamed == content
    cut = client.chat.completions.create(**options, stop="Paris")
    assert cut.choices[0].logprobs.content == content[: len(cut.choices[0].logprobs.content)]
    told = "".join(token.token for token in cut.choices[0].logprobs.content)
    assert told.startswith(cut.choices[0].message.content), told


def check_echo(server):
    client, model = server.client, server.model
    options = dict(model=model, temperature=0, max_tokens=6, logprobs=2)
    whole = client.completions.create(prompt=PROMPT, **options)
    told = whole.choices[0].logprobs
    assert "".join(told.tokens) == whole.choices[0].text
    for token, offset in zip(told.tokens, told.text_offset, strict=True):
        assert whole.choices[0].text[offset:].startswith(token), (token, offset)
    echoed = client.completions.create(prompt=PROMPT, echo=True, **options).choices[0]
    assert echoed.text == PROMPT + whole.choices[0].text, echoed
    assert echoed.logprobs.token_logprobs[0] is None
    assert echoed.logprobs.token_logprobs[-6:] == told.token_logprobs
    assert "".join(echoed.logprobs.tokens) == echoed.text
    for token, offset in zip(echoed.logprobs.tokens, echoed.logprobs.text_offset, strict=True):
        assert echoed.text[offset:].startswith(token), (token, offset)
    # Read as a prompt, the answer has the logprobs it had as an answer.
    scored = client.completions.create(
        model=model, prompt=echoed.text, echo=True, max_tokens=0, logprobs=0
    ).choices[0]
    assert scored.text == echoed.text and scored.finish_reason == "length", scored
    assert scored.logprobs.token_logprobs == echoed.logprobs.token_logprobs
    chunks = list(client.completions.create(prompt=PROMPT, echo=True, stream=True, **options))
    assert "".join(c.choices[0].text for c in chunks) == echoed.text
    parts = [c.choices[0].logprobs for c in chunks if c.choices[0].logprobs]
    offsets = [offset for part in parts for offset in part.text_offset]
    assert offsets == echoed.logprobs.text_offset, offsets
    prompt = server.complete(prompt_logprobs=1)["choices"][0]["prompt_logprobs"]
    assert prompt[0] is None and len(prompt) == 5, prompt
    for place, logprob in zip(prompt[1:], echoed.logprobs.token_logprobs[1:5], strict=True):
        first = next(iter(place.values()))
        assert first["logprob"] == logprob and first["rank"] >= 1, (place, logprob)
        assert any(each["rank"] == 1 for each in place.values()), place


def check_choices(server):
    options = dict(temperature=1, seed=11, max_tokens=8)
    three = server.complete(n=3, **options)
    texts = [choice["text"] for choice in three["choices"]]
    assert [choice["index"] for choice in three["choices"]] == [0, 1, 2]
    assert len(set(texts)) == 3 and texts[0] == server.text(**options), texts
    assert texts == [choice["text"] for choice in server.complete(n=3, **options)["choices"]]
    assert three["usage"]["prompt_tokens"] == 5 and three["usage"]["completion_tokens"] <= 24
    streamed = ["", "", ""]
    for chunk in server.client.completions.create(
        model=server.model, prompt=PROMPT, n=3, stream=True, **options
    ):
        streamed[chunk.choices[0].index] += chunk.choices[0].text
    assert streamed == texts, streamed
    both = server.complete([PROMPT, "One, two,"], n=2, **options)
    assert [choice["index"] for choice in both["choices"]] == [0, 1, 2, 3]
    assert [choice["text"] for choice in both["choices"][:2]] == texts[:2]

    def mean(choice):
        logprobs = choice["logprobs"]["token_logprobs"]
        return sum(logprobs) / len(logprobs)

    best = server.complete(n=2, best_of=6, logprobs=0, ignore_eos=True, **options)
    every = server.complete(n=6, logprobs=0, ignore_eos=True, **options)["choices"]
    means = sorted((mean(choice) for choice in every), reverse=True)
    assert [mean(choice) for choice in best["choices"]] == means[:2]
    assert best["usage"]["completion_tokens"] == 48, best["usage"]


def check_beams(server):
    fields = dict(prompt=PROMPT, max_tokens=8, n=3, use_beam_search=True, logprobs=0)
    status, body = server.post("/completions", **fields)
    assert status == 200, body
    sums = [sum(choice["logprobs"]["token_logprobs"]) for choice in body["choices"]]
    greedy = sum(server.complete(logprobs=0)["choices"][0]["logprobs"]["token_logprobs"])
    assert len({choice["text"] for choice in body["choices"]}) == 3, body
    assert sums[0] >= greedy - 1e-3, (sums, greedy)
    status, body = server.post("/completions", **fields, temperature=0.7)
    assert status == 400 and body["error"]["param"] == "temperature", body


def check_service(server):
    loop = "One, two, three, one, two, three, one, two,"
    plain = server.text(loop, max_tokens=40, speculative_tokens=0)
    for guesses in (1, 4):
        assert server.text(loop, max_tokens=40, speculative_tokens=guesses) == plain
    status, body = server.post("/completions", prompt=PROMPT, speculative_tokens=5)
    assert status == 400 and body["error"]["param"] == "speculative_tokens", body
    status, body = server.post("/completions", prompt=PROMPT, thinking_token_budget=5)
    assert status == 400 and body["error"]["param"] == "thinking_token_budget", body
    status, body = server.post("/completions", prompt=PROMPT, max_tokens=1500, ignore_eos=True,
                               timeout=0.3)
    assert status == 408 and body["error"]["code"] == "deadline_exceeded", body
    assert server.text(priority=-1, timeout=60) == server.text(priority=1)

    def cached(**fields):
        prompt = "The quick brown fox jumps over the lazy dog. " * 20
        usage = server.complete(prompt, max_tokens=1, **fields)["usage"]
        return usage["prompt_tokens_details"]["cached_tokens"]

    assert cached(cache_salt="a") == 0
    assert cached(cache_salt="a") > 0
    assert cached(cache_salt="b") == 0
    named = server.complete(logprobs=1, return_tokens_as_token_ids=True, return_token_ids=True)
    choice = named["choices"][0]
    assert choice["logprobs"]["tokens"] == [f"token_id:{i}" for i in choice["token_ids"]], choice
    chunks = list(
        server.client.completions.create(
            model=server.model, prompt=PROMPT, max_tokens=5, temperature=0, stream=True,
            stream_options={"include_usage": True, "continuous_usage_stats": True},
        )
    )
    counts = [chunk.usage.completion_tokens for chunk in chunks]
    assert counts == sorted(counts) and counts[-1] == 5 and counts[0] >= 1, counts


def main():
    server = Server(sys.argv[1])
    for check in (check_bans, check_ends, check_penalties, check_truncation, check_logprobs,
                  check_echo, check_choices, check_beams, check_service):
        check(server)
    print("sampling: all checks pass")


if __name__ == "__main__":
    main()
