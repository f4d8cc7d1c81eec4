"""/openapi.json as a published validator sees it, and answers against its schemas.

test_openapi.py BASE_URL"""

import json
import sys
import urllib.error
import urllib.request

import jsonschema
import openapi_spec_validator

QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
BODIES = {
    "/v1/chat/completions": [
        {"messages": QUESTION, "max_tokens": 4},
        {"messages": QUESTION, "max_tokens": 4, "n": 2, "logprobs": True, "top_logprobs": 2},
        {"messages": QUESTION, "max_tokens": 4, "tools": [TOOL], "tool_choice": "auto"},
        {"messages": QUESTION, "max_tokens": 4, "stop": ["a"], "seed": 1, "logit_bias": {"5": 1}},
        {"messages": QUESTION, "max_tokens": 40, "response_format": {"type": "json_object"}},
    ],
    "/v1/completions": [
        {"prompt": "One,", "max_tokens": 4},
        {"prompt": [[5, 6], [7]], "max_tokens": 4, "echo": True, "logprobs": 1},
    ],
    "/v1/responses": [
        {"input": "Say hi.", "max_output_tokens": 4},
        {"input": "Say hi.", "max_output_tokens": 4, "background": True},
        {"input": [{"role": "user", "content": "x"}], "max_output_tokens": 4,
         "include": ["message.output_text.logprobs"]},
    ],
    "/v1/responses/input_tokens": [{"input": "Say hi."}],
    "/v1/messages": [{"messages": QUESTION, "max_tokens": 4},
                     {"messages": QUESTION, "max_tokens": 4, "system": "Be short.",
                      "stop_sequences": ["x"], "top_k": 5}],
    "/v1/messages/count_tokens": [{"messages": QUESTION}],
    "/tokenize": [{"prompt": "One, two"}, {"messages": QUESTION}, {"content": "a"}],
    "/detokenize": [{"tokens": [504, 2260]}],
    "/apply-template": [{"messages": QUESTION}],
}
# What both the document and the server refuse.
WRONG = {"temperature": 3, "top_p": 0, "max_tokens": 0.5, "stream": "yes", "n": 0, "stop": [""],
         "robot": 1, "service_tier": "flex"}


def call(root, method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(root + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


class Document:
    def __init__(self, root):
        self.value = call(root, "GET", "/openapi.json")[1]
        openapi_spec_validator.validate(self.value)

    def complaints(self, schema, value):
        whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema,
                 "components": self.value["components"]}
        return list(jsonschema.Draft202012Validator(whole).iter_errors(value))

    def body(self, path):
        content = self.value["paths"][path]["post"]["requestBody"]["content"]
        return content["application/json"]["schema"]

    def answer(self, method, path, status):
        responses = self.value["paths"][path][method]["responses"]
        content = responses.get(str(status), responses["default"])["content"]
        return content["application/json"]["schema"]


def main():
    root = sys.argv[1].removesuffix("/v1")
    document = Document(root)
    model = call(root, "GET", "/v1/models")[1]["data"][0]["id"]
    for path, bodies in BODIES.items():
        for body in ({"model": model, **each} for each in bodies):
            assert not document.complaints(document.body(path), body), (path, body)
            status, answer = call(root, "POST", path, body)
            assert status == 200, (path, body, answer)
            found = document.complaints(document.answer("post", path, status), answer)
            assert not found, (path, answer, found)
    for path in ("/v1/chat/completions", "/v1/completions"):
        for field, value in WRONG.items():
            body = {"model": model, **BODIES[path][0], field: value}
            assert document.complaints(document.body(path), body), (path, field)
            status, answer = call(root, "POST", path, body)
            assert status == 400 and answer["error"]["param"].startswith(field), (path, answer)
            assert not document.complaints(document.answer("post", path, status), answer), answer
    for path in ("/v1/models", "/v1/tools", "/live", "/ready", "/health", "/version"):
        status, answer = call(root, "GET", path)
        assert not document.complaints(document.answer("get", path, status), answer), (path, answer)
    print("openapi: all checks pass")


if __name__ == "__main__":
    main()
