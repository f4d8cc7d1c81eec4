"""What OpenAI's documents say of responses, their items and their events."""

from shape import (COUNT, NAME, NUMBER, OBJECT, TEXT, TRUTH, any_of, list_of, one_of, or_null,
                   shape)
from shapes_openai import TOKENS

STATUS = one_of("in_progress", "completed", "incomplete")
ERROR_CODES = one_of("server_error", "rate_limit_exceeded", "invalid_prompt")
TEXT_PART = shape({"type": one_of("output_text"), "text": TEXT, "annotations": list_of(OBJECT),
                   "logprobs": TOKENS})
REASONING_PART = shape({"type": one_of("reasoning_text"), "text": TEXT})
PART = any_of(TEXT_PART, REASONING_PART)
ITEM = any_of(
    shape({"id": NAME, "type": one_of("message"), "role": one_of("assistant"), "status": STATUS,
           "content": list_of(TEXT_PART)}),
    shape({"id": NAME, "type": one_of("function_call"), "status": STATUS, "call_id": NAME,
           "name": NAME, "arguments": TEXT}),
    shape({"id": NAME, "type": one_of("reasoning"), "status": STATUS, "summary": list_of(OBJECT),
           "content": list_of(REASONING_PART)}),
)
USAGE = shape({
    "input_tokens": COUNT,
    "input_tokens_details": shape({"cached_tokens": COUNT}),
    "output_tokens": COUNT,
    "output_tokens_details": shape({"reasoning_tokens": COUNT}),
    "total_tokens": COUNT,
})
TOOL = shape({"type": one_of("function"), "name": NAME, "parameters": or_null(OBJECT),
              "strict": or_null(TRUTH)}, {"description": or_null(TEXT)})
RESPONSE = shape(
    {
        "id": NAME,
        "object": one_of("response"),
        "created_at": COUNT,
        "status": one_of("completed", "failed", "in_progress", "cancelled", "queued", "incomplete"),
        "error": or_null(shape({"code": ERROR_CODES, "message": NAME})),
        "incomplete_details": or_null(
            shape({"reason": one_of("max_output_tokens", "content_filter")})),
        "instructions": or_null(TEXT),
        "max_output_tokens": or_null(COUNT),
        "metadata": or_null(OBJECT),
        "model": NAME,
        "output": list_of(ITEM),
        "parallel_tool_calls": TRUTH,
        "previous_response_id": or_null(NAME),
        "reasoning": or_null(shape({"effort": or_null(NAME), "summary": or_null(NAME)})),
        "store": TRUTH,
        "temperature": or_null(NUMBER),
        "text": shape({"format": OBJECT}, {"verbosity": NAME}),
        "tool_choice": any_of(one_of("none", "auto", "required"), OBJECT),
        "tools": list_of(TOOL),
        "top_p": or_null(NUMBER),
        "truncation": one_of("auto", "disabled"),
        "usage": or_null(USAGE),
    },
    {
        "background": or_null(TRUTH),
        "completed_at": or_null(COUNT),
        "conversation": or_null(shape({"id": NAME})),
        "max_tool_calls": or_null(COUNT),
        "prompt_cache_key": or_null(TEXT),
        "safety_identifier": or_null(TEXT),
        "service_tier": or_null(one_of("auto", "default", "flex", "priority")),
        "top_logprobs": or_null(COUNT),
        "user": or_null(TEXT),
    },
)
DELETED = shape({"id": NAME, "object": one_of("response"), "deleted": one_of(True)})
INPUT_TOKENS = shape({"object": one_of("response.input_tokens"), "input_tokens": COUNT})
INPUT_ITEM = any_of(
    shape({"id": NAME, "type": one_of("message"), "status": STATUS,
           "role": one_of("user", "system", "developer", "assistant"),
           "content": list_of(shape({"type": one_of("input_text", "output_text"), "text": TEXT},
                                    {"annotations": list_of(OBJECT), "logprobs": TOKENS}))}),
    shape({"id": NAME, "type": one_of("function_call"), "call_id": NAME, "name": NAME,
           "arguments": TEXT}, {"status": STATUS}),
    shape({"id": NAME, "type": one_of("function_call_output"), "call_id": NAME, "output": TEXT},
          {"status": STATUS}),
)
INPUT_ITEMS = shape({"object": one_of("list"), "data": list_of(INPUT_ITEM),
                     "first_id": or_null(NAME), "last_id": or_null(NAME), "has_more": TRUTH})


def events():
    item = {"item_id": NAME, "output_index": COUNT}
    content = {**item, "content_index": COUNT}
    padding = {"obfuscation": TEXT}
    members = {
        "output_item.added": ({"output_index": COUNT, "item": ITEM}, {}),
        "output_item.done": ({"output_index": COUNT, "item": ITEM}, {}),
        "content_part.added": ({**content, "part": PART}, {}),
        "content_part.done": ({**content, "part": PART}, {}),
        "output_text.delta": ({**content, "delta": TEXT, "logprobs": TOKENS}, padding),
        "output_text.done": ({**content, "text": TEXT, "logprobs": TOKENS}, {}),
        "reasoning_text.delta": ({**content, "delta": TEXT}, padding),
        "reasoning_text.done": ({**content, "text": TEXT}, {}),
        "function_call_arguments.delta": ({**item, "delta": TEXT}, padding),
        "function_call_arguments.done": ({**item, "name": NAME, "arguments": TEXT}, {}),
    }
    for state in ("created", "queued", "in_progress", "completed", "incomplete", "failed"):
        members[state] = ({"response": RESPONSE}, {})
    return {f"response.{name}": shape({"type": one_of(f"response.{name}"), "sequence_number": COUNT,
                                       **required}, optional)
            for name, (required, optional) in members.items()}


EVENTS = events()
