"""What a stream says as a whole, beyond the shape of each of its events."""

import shape
import shapes_anthropic
import shapes_openai
import shapes_responses


def check_chunks(events, chunk_shape, request):
    """OpenAI's chunks: [(None, object), ..., (None, "[DONE]")]."""
    *chunks, done = [data for name, data in events]
    assert done == "[DONE]", done
    for chunk in chunks:
        shape.check(chunk, chunk_shape, "chunk")
    for key in ("id", "created", "model", "object", "system_fingerprint"):
        assert len({chunk[key] for chunk in chunks}) == 1, key
    options = request.get("stream_options", {})
    if options.get("include_usage"):
        last = chunks.pop()
        assert last["choices"] == [] and last["usage"] is not None, last
        continuous = options.get("continuous_usage_stats", False)
        assert all("usage" in each and (each["usage"] is not None) == continuous for each in chunks)
    else:
        assert all("usage" not in chunk for chunk in chunks)
    states = {}
    for chunk in chunks:
        assert len(chunk["choices"]) == 1, chunk
        choice = chunk["choices"][0]
        index = choice["index"]
        assert states.get(index) != "finished", chunk
        if index not in states and "delta" in choice:
            assert choice["delta"]["role"] == "assistant", chunk
        states[index] = "finished" if choice["finish_reason"] else "open"
    prompts = request.get("prompt")
    several = len(prompts) if isinstance(prompts, list) and isinstance(prompts[0], str) else 1
    assert states == {i: "finished" for i in range(several * request.get("n", 1))}, states


def check_response_events(events):
    """Those of responses, in their order; what they tell piece by piece is what they tell whole."""
    for number, (name, data) in enumerate(events):
        assert name == data["type"] and data["sequence_number"] == number, (name, data)
        shape.check(data, shapes_responses.EVENTS[name], name)
    names = [name.removeprefix("response.") for name, _ in events]
    assert names[:2] == ["created", "in_progress"], names
    assert names[-1] in ("completed", "incomplete", "failed"), names
    items, place = [], 2
    while place < len(names) - 1:
        place = check_item(events, names, place, items)
    last = events[-1][1]["response"]
    assert last["status"] == names[-1], last
    if last["status"] != "failed":
        assert last["output"] == items, (last["output"], items)


def check_response_failed(events):
    check_response_events(events)
    assert events[-1][0] == "response.failed", events[-1]


def check_item(events, names, place, items):
    """The events of one item from `place`; where the next begins."""
    begin = place
    data = [each for _, each in events]
    added = data[begin]["item"]
    assert names[begin] == "output_item.added" and added["status"] == "in_progress", data[begin]
    is_call = added["type"] == "function_call"
    kind = {"message": "output_text", "reasoning": "reasoning_text",
            "function_call": "function_call_arguments"}[added["type"]]
    place += 1
    if not is_call:
        assert names[place] == "content_part.added" and data[place]["part"]["text"] == "", names
        place += 1
    text = ""
    while names[place] == kind + ".delta":
        text += data[place]["delta"]
        place += 1
    if names[place] == "failed":
        return place
    assert names[place] == kind + ".done", names[begin:place + 1]
    assert data[place]["arguments" if is_call else "text"] == text, data[place]
    place += 1
    if not is_call:
        assert names[place] == "content_part.done" and data[place]["part"]["text"] == text, names
        place += 1
    done = data[place]["item"]
    assert names[place] == "output_item.done" and done["id"] == added["id"], data[place]
    for each in data[begin + 1:place]:
        assert each["item_id"] == added["id"] and each["output_index"] == len(items), each
    items.append(done)
    return place + 1


def check_message_events(events):
    """Those of Anthropic's messages, in their order."""
    for name, data in events:
        assert name == data["type"], (name, data)
        shape.check(data, shapes_anthropic.EVENTS[name], name)
    events = [(name, data) for name, data in events if name != "ping"]
    names = [name for name, _ in events]
    assert names[0] == "message_start" and events[0][1]["message"]["content"] == [], events[0]
    if names[-1] == "error":
        return
    assert names[-2:] == ["message_delta", "message_stop"], names
    kinds = {"text": {"text_delta"}, "tool_use": {"input_json_delta"},
             "thinking": {"thinking_delta", "signature_delta"}}
    index, block = -1, None
    for name, data in events[1:-2]:
        if name == "content_block_start":
            assert block is None, data
            block, index = data["content_block"], index + 1
        else:
            assert block is not None, data
        assert data["index"] == index, (data, index)
        if name == "content_block_delta":
            assert data["delta"]["type"] in kinds[block["type"]], data
        elif name == "content_block_stop":
            block = None
    assert block is None, events[-3]


def check_broken_chunks(events):
    """A stream of chunks that a failure ends: the error comes last, without [DONE]."""
    *chunks, error = [data for _, data in events]
    for chunk in chunks:
        shape.check(chunk, shapes_openai.CHUNK, "chunk")
    shape.check(error, shapes_openai.ERROR, "error")
