"""Embeddings by the unpatched openai client, and scores: test_embeddings.py BASE_URL GOLDEN_JSON

The server has one of the checkpoints in tests/golden/pooling; its golden.json says which."""

import base64
import concurrent.futures
import json
import math
import struct
import sys
import urllib.error
import urllib.request

import openai

base_url, golden_path = sys.argv[1:]
golden = json.loads(open(golden_path, encoding="utf-8").read())
client = openai.OpenAI(base_url=base_url, api_key="none", max_retries=0)
model = client.models.list().data[0].id


def cosine(a, b):
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(x * x for x in b))


def length(a):
    return math.sqrt(sum(x * x for x in a))


def post(path, body):
    request = urllib.request.Request(
        base_url.removesuffix("/v1") + path,
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def refused(call, param):
    try:
        call()
    except openai.BadRequestError as error:
        assert error.param == param, error.body
    else:
        raise AssertionError(f"{param}: not refused")


def embed(texts, **more):
    return client.embeddings.create(model=model, input=texts, **more)


def check_vectors():
    texts = [row["text"] for row in golden["texts"]]
    answer = embed(texts)  # the client asks for base64
    assert answer.object == "list" and answer.model == model
    assert [item.index for item in answer.data] == list(range(len(texts)))
    tokens = sum(len(row["ids"]) for row in golden["texts"])
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == tokens, answer.usage
    for item, row in zip(answer.data, golden["texts"], strict=True):
        assert cosine(item.embedding, row["vector"]) > 0.9999, row["text"]
        assert abs(length(item.embedding) - 1) < 1e-5
    plain = embed(texts, encoding_format="float")
    for a, b in zip(answer.data, plain.data, strict=True):
        same = [struct.unpack("<f", struct.pack("<f", x))[0] for x in b.embedding]
        assert list(a.embedding) == same, "base64 and float differ"
    ids = embed([row["ids"] for row in golden["texts"]])
    assert [item.embedding for item in ids.data] == [item.embedding for item in answer.data]
    assert embed(golden["texts"][0]["ids"]).data[0].embedding == answer.data[0].embedding
    return answer.data[0].embedding


def check_dimensions(vector):
    for dimensions in (1, 8, len(vector)):
        cut = embed(golden["texts"][0]["text"], dimensions=dimensions).data[0].embedding
        assert len(cut) == dimensions
        assert abs(length(cut) - 1) < 1e-5
        assert cosine(cut, vector[:dimensions]) > 0.999999
    refused(lambda: embed("a", dimensions=len(vector) + 1), "dimensions")
    refused(lambda: embed("a", dimensions=0), "dimensions")
    refused(lambda: embed([]), "input")
    refused(lambda: embed(["a", "b" * 5000]), "input[1]")
    refused(lambda: embed("a", extra_body={"nonsense": 1}), "nonsense")


def check_company():
    texts = [f"{i} " + "word " * (i % 40) for i in range(60)]
    alone = [embed(text).data[0].embedding for text in texts]
    together = [item.embedding for item in embed(texts).data]
    assert alone == together, "company changes a vector"
    with concurrent.futures.ThreadPoolExecutor(12) as threads:
        parallel = list(threads.map(lambda text: embed(text).data[0].embedding, texts))
    assert alone == parallel, "company changes a vector"


def check_embeddings():
    vector = check_vectors()
    check_dimensions(vector)
    check_company()
    status, answer = post("/rerank", {"query": "q", "documents": ["a"]})
    assert status == 400 and answer["error"]["param"] == "model", answer
    try:
        client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": "hi"}], max_tokens=2
        )
    except openai.BadRequestError:
        pass
    else:
        raise AssertionError("a checkpoint of embeddings must not talk")
    status, answer = post(
        "/embeddings", {"model": model, "input": "hello", "encoding_format": "base64"}
    )
    raw = base64.b64decode(answer["data"][0]["embedding"], validate=True)
    assert list(struct.unpack(f"<{len(raw) // 4}f", raw)) == list(vector)


def check_scores():
    pairs = golden["pairs"]
    status, answer = post(
        "/v1/score",
        {
            "model": model,
            "text_1": [row["query"] for row in pairs],
            "text_2": [row["document"] for row in pairs],
        },
    )
    assert status == 200 and answer["object"] == "list", answer
    assert answer["usage"]["prompt_tokens"] == sum(len(row["ids"]) for row in pairs)
    for item, row in zip(answer["data"], pairs, strict=True):
        assert abs(item["score"] - row["score"]) < 2e-3, (item, row)
    same = [row for row in pairs if row["query"] == pairs[0]["query"]]
    status, answer = post(
        "/v1/rerank", {"query": same[0]["query"], "documents": [row["document"] for row in same]}
    )
    assert status == 200, answer
    scores = [result["relevance_score"] for result in answer["results"]]
    assert scores == sorted(scores, reverse=True)
    for result in answer["results"]:
        row = same[result["index"]]
        assert result["document"]["text"] == row["document"]
        assert abs(result["relevance_score"] - row["score"]) < 2e-3
    refused(lambda: client.embeddings.create(model=model, input="a"), "model")


if "texts" in golden:
    check_embeddings()
else:
    check_scores()
print("embeddings: all checks pass")
