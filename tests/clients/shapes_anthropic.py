"""What Anthropic's documents say of messages, their events and errors."""

from shape import COUNT, NAME, NULL, OBJECT, TEXT, any_of, list_of, one_of, or_null, shape

USAGE = shape({"input_tokens": COUNT, "output_tokens": COUNT,
               "cache_creation_input_tokens": or_null(COUNT),
               "cache_read_input_tokens": or_null(COUNT)})
STOP_REASON = one_of("end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal")
BLOCK = any_of(
    shape({"type": one_of("text"), "text": TEXT}),
    shape({"type": one_of("tool_use"), "id": NAME, "name": NAME, "input": OBJECT}),
    shape({"type": one_of("thinking"), "thinking": TEXT, "signature": TEXT}),
)


def message(stop_reason):
    return shape({"id": NAME, "type": one_of("message"), "role": one_of("assistant"), "model": NAME,
                  "content": list_of(BLOCK), "stop_reason": stop_reason,
                  "stop_sequence": or_null(TEXT), "usage": USAGE})


MESSAGE = message(STOP_REASON)
COUNTED = shape({"input_tokens": COUNT})
ERROR = shape({
    "type": one_of("error"),
    "error": shape({"type": one_of("invalid_request_error", "authentication_error",
                                   "permission_error", "not_found_error", "request_too_large",
                                   "rate_limit_error", "api_error", "timeout_error",
                                   "overloaded_error"),
                    "message": NAME}, ours={"param": NAME}),
}, {"request_id": NAME})

DELTA = any_of(
    shape({"type": one_of("text_delta"), "text": TEXT}),
    shape({"type": one_of("input_json_delta"), "partial_json": TEXT}),
    shape({"type": one_of("thinking_delta"), "thinking": TEXT}),
    shape({"type": one_of("signature_delta"), "signature": TEXT}),
)
EVENTS = {
    name: shape({"type": one_of(name), **members})
    for name, members in {
        "message_start": {"message": message(NULL)},
        "ping": {},
        "content_block_start": {"index": COUNT, "content_block": BLOCK},
        "content_block_delta": {"index": COUNT, "delta": DELTA},
        "content_block_stop": {"index": COUNT},
        "message_delta": {"delta": shape({"stop_reason": STOP_REASON,
                                          "stop_sequence": or_null(TEXT)}), "usage": USAGE},
        "message_stop": {},
    }.items()
}
EVENTS["error"] = ERROR
