"""What OpenAI's documents say of chat completions, completions, embeddings, models and errors."""

from shape import (COUNT, NAME, NULL, NUMBER, TEXT, TRUTH, any_of, list_of, one_of, or_null, shape)

IDS = list_of(COUNT)
TIMES = {"tokens_per_second": NUMBER, "processing_time": NUMBER, "first_token_time": NUMBER}
USAGE = shape(
    {"prompt_tokens": COUNT, "completion_tokens": COUNT, "total_tokens": COUNT},
    {
        "prompt_tokens_details": shape({}, {"cached_tokens": COUNT, "audio_tokens": COUNT}),
        "completion_tokens_details": shape(
            {}, {"reasoning_tokens": COUNT, "audio_tokens": COUNT,
                 "accepted_prediction_tokens": COUNT, "rejected_prediction_tokens": COUNT}),
    },
    ours=TIMES,
)
HEAD = {"id": NAME, "created": COUNT, "model": NAME}
# Of a choice, beyond OpenAI's.
CHOICE_MORE = {"stop_reason": any_of(TEXT, COUNT), "token_ids": IDS}
RANKED = shape({"logprob": NUMBER, "rank": COUNT, "decoded_token": TEXT})
PROMPT_LOGPROBS = list_of(or_null({"type": "object", "additionalProperties": RANKED}))

TOKEN = {"token": TEXT, "logprob": {"type": "number", "maximum": 0},
         "bytes": or_null(list_of({"type": "integer", "minimum": 0, "maximum": 255}))}
TOKENS = list_of(shape({**TOKEN, "top_logprobs": list_of(shape(TOKEN))}))
CHAT_LOGPROBS = or_null(shape({"content": or_null(TOKENS), "refusal": or_null(TOKENS)}))
CHAT_FINISH = one_of("stop", "length", "tool_calls", "content_filter", "function_call")
REASONING = {"reasoning_content": TEXT, "reasoning": TEXT}
FUNCTION = {"name": NAME, "arguments": TEXT}
CALL = shape({"id": NAME, "type": one_of("function"), "function": shape(FUNCTION)})

CHAT = shape(
    {
        **HEAD,
        "object": one_of("chat.completion"),
        "choices": list_of(shape(
            {
                "index": COUNT,
                "message": shape(
                    {"role": one_of("assistant"), "content": or_null(TEXT), "refusal": NULL},
                    {"tool_calls": list_of(CALL, 1), "function_call": shape(FUNCTION)},
                    ours=REASONING),
                "logprobs": CHAT_LOGPROBS,
                "finish_reason": CHAT_FINISH,
            },
            ours=CHOICE_MORE), 1),
        "usage": USAGE,
    },
    {"system_fingerprint": NAME, "metadata": {"type": "object"}},
    ours={"prompt_token_ids": IDS, "prompt_logprobs": PROMPT_LOGPROBS},
)

CALL_DELTA = shape({"index": COUNT}, {"id": NAME, "type": one_of("function"),
                                      "function": shape({}, {"name": NAME, "arguments": TEXT})})
CHUNK = shape(
    {
        **HEAD,
        "object": one_of("chat.completion.chunk"),
        "choices": list_of(shape(
            {
                "index": COUNT,
                "delta": shape(
                    {},
                    {"role": one_of("assistant"), "content": or_null(TEXT), "refusal": NULL,
                     "tool_calls": list_of(CALL_DELTA, 1),
                     "function_call": shape({}, {"name": NAME, "arguments": TEXT})},
                    ours=REASONING),
                "finish_reason": or_null(CHAT_FINISH),
            },
            {"logprobs": CHAT_LOGPROBS},
            ours=CHOICE_MORE)),
    },
    {"system_fingerprint": NAME, "usage": or_null(USAGE), "obfuscation": TEXT},
    ours={"prompt_token_ids": IDS},
)

TEXT_LOGPROBS = or_null(shape({
    "tokens": list_of(TEXT),
    "token_logprobs": list_of(or_null(NUMBER)),
    "text_offset": list_of(COUNT),
    "top_logprobs": list_of(or_null({"type": "object", "additionalProperties": NUMBER})),
}))


def completion(finish, usage):
    choice = shape(
        {"text": TEXT, "index": COUNT, "logprobs": TEXT_LOGPROBS, "finish_reason": finish},
        ours={**CHOICE_MORE, "prompt_token_ids": IDS, "prompt_logprobs": PROMPT_LOGPROBS})
    return shape({**HEAD, "object": one_of("text_completion"), "choices": list_of(choice)},
                 {"system_fingerprint": NAME, "usage": usage, "metadata": {"type": "object"}},
                 ours={"obfuscation": TEXT})


TEXT_FINISH = one_of("stop", "length", "content_filter")
COMPLETION = completion(TEXT_FINISH, USAGE)
COMPLETION_CHUNK = completion(or_null(TEXT_FINISH), or_null(USAGE))

ERROR = shape({"error": shape({"message": NAME, "type": NAME, "param": or_null(NAME),
                               "code": or_null(NAME)})})

MODEL = shape(
    {"id": NAME, "object": one_of("model"), "created": COUNT, "owned_by": NAME},
    ours={
        # Anthropic's names, for its clients.
        "type": one_of("model"), "display_name": NAME, "created_at": NAME,
        "max_model_len": COUNT,
        "metadata": shape({}, ours={
            "name": NAME, "type": NAME, "state": one_of("ready", "loading", "unloading"),
            "architecture": NAME, "embedding_length": COUNT,
            "supports_chat": TRUTH, "supports_embeddings": TRUTH, "supports_rerank": TRUTH,
            "supports_function_calling": TRUTH}),
    },
)
MODELS = shape({"object": one_of("list"), "data": list_of(MODEL, 1)},
               ours={"total": COUNT, "first_id": NAME, "last_id": NAME, "has_more": TRUTH})


def embeddings(vector):
    row = shape({"object": one_of("embedding"), "index": COUNT, "embedding": vector})
    return shape({"object": one_of("list"), "data": list_of(row, 1), "model": NAME,
                  "usage": shape({"prompt_tokens": COUNT, "total_tokens": COUNT})})


EMBEDDINGS = embeddings(list_of(NUMBER, 1))
EMBEDDINGS_BASE64 = embeddings({"type": "string", "pattern": "^[A-Za-z0-9+/]+=*$"})
