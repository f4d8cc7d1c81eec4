"""The unpatched OpenAI client for Python: responses, tools, structured answers.

test_responses.py BASE_URL"""

import json
import sys
import time

import openai
import pydantic

WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 20}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
ASK = "What is the weather in Paris for 3 days?"


class Person(pydantic.BaseModel):
    name: str
    age: int


def raises(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"expected {kind.__name__}")


def check_tool_calls(client, model):
    tool = {"type": "function", "function": {"name": "get_weather", "description": "Weather",
                                             "parameters": WEATHER}}
    options = dict(model=model, messages=[{"role": "user", "content": ASK}], tools=[tool],
                   temperature=0, max_tokens=80,
                   tool_choice={"type": "function", "function": {"name": "get_weather"}})
    whole = client.chat.completions.create(**options).choices[0]
    assert whole.finish_reason == "tool_calls" and whole.message.content is None, whole
    call = whole.message.tool_calls[0]
    assert call.function.name == "get_weather" and call.id, call
    arguments = json.loads(call.function.arguments)
    assert set(arguments) == {"city", "days"} and isinstance(arguments["days"], int), arguments
    # Streamed, the pieces make the same call.
    name, text, reason = "", "", None
    for chunk in client.chat.completions.create(**options, stream=True):
        choice = chunk.choices[0]
        for piece in choice.delta.tool_calls or []:
            name += piece.function.name or ""
            text += piece.function.arguments or ""
        reason = choice.finish_reason or reason
    assert (name, text, reason) == ("get_weather", call.function.arguments, "tool_calls")
    # The call and its result go back.
    messages = [*options["messages"], whole.message,
                {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
    after = client.chat.completions.create(model=model, messages=messages, tools=[tool],
                                           max_tokens=20, temperature=0)
    assert after.choices[0].finish_reason in ("stop", "length", "tool_calls"), after
    messages[-1]["tool_call_id"] = "another"
    error = raises(openai.BadRequestError, lambda: client.chat.completions.create(
        model=model, messages=messages))
    assert error.param == "messages[2].tool_call_id", error.body


def check_old_functions(client, model):
    found = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": ASK}], temperature=0, max_tokens=80,
        functions=[{"name": "get_weather", "parameters": WEATHER}],
        function_call={"name": "get_weather"}).choices[0]
    assert found.finish_reason == "function_call" and found.message.tool_calls is None, found
    assert set(json.loads(found.message.function_call.arguments)) == {"city", "days"}, found


def check_structured(client, model):
    parsed = client.chat.completions.parse(
        model=model, messages=[{"role": "user", "content": "Bob is 7."}], response_format=Person,
        max_tokens=80, temperature=0).choices[0].message.parsed
    assert isinstance(parsed, Person), parsed
    parsed = client.responses.parse(model=model, input="Bob is 7.", text_format=Person,
                                    max_output_tokens=80, temperature=0).output_parsed
    assert isinstance(parsed, Person), parsed
    error = raises(openai.BadRequestError, lambda: client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": "x"}],
        response_format={"type": "json_schema",
                         "json_schema": {"name": "x", "schema": {"$ref": "http://x/y"}}}))
    assert error.param.startswith("response_format"), error.body


def check_responses(client, model):
    first = client.responses.create(model=model, input="Say hi.", max_output_tokens=90,
                                    temperature=0)
    assert first.status == "completed" and first.output_text, first
    assert first.usage.total_tokens == first.usage.input_tokens + first.usage.output_tokens
    assert client.responses.retrieve(first.id).output_text == first.output_text
    second = client.responses.create(model=model, input="Again.", previous_response_id=first.id,
                                     max_output_tokens=16, temperature=0)
    assert second.usage.input_tokens > first.usage.total_tokens - 5, second.usage
    items = client.responses.input_items.list(second.id).data
    assert [item.content[0].text for item in items] == ["Again."], items
    with client.responses.stream(model=model, input="Say hi.", max_output_tokens=90,
                                 temperature=0) as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert final.output_text == first.output_text, final
    assert events[0].type == "response.created" and events[-1].type == "response.completed"
    numbers = [event.sequence_number for event in events]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), numbers
    client.responses.delete(first.id)
    raises(openai.NotFoundError, lambda: client.responses.retrieve(first.id))
    count = client.responses.input_tokens.count(model=model, input="Say hi.")
    assert count.input_tokens == first.usage.input_tokens, count


def check_response_tools(client, model):
    tool = {"type": "function", "name": "get_weather", "parameters": WEATHER, "strict": True}
    found = client.responses.create(model=model, input=ASK, tools=[tool], temperature=0,
                                    tool_choice={"type": "function", "name": "get_weather"},
                                    max_output_tokens=80)
    call = found.output[0]
    assert call.type == "function_call" and call.name == "get_weather", found.output
    json.loads(call.arguments)
    after = client.responses.create(
        model=model, temperature=0, max_output_tokens=30,
        input=[{"role": "user", "content": ASK}, call,
               {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}])
    assert after.output[0].type == "message", after.output


def check_conversation(client, model):
    conversation = client.conversations.create(metadata={"a": "b"})
    for text in ("My name is Bob.", "What is my name?"):
        client.responses.create(model=model, input=text, conversation=conversation.id,
                                max_output_tokens=10, temperature=0)
    assert len(client.conversations.items.list(conversation.id).data) == 4
    client.conversations.delete(conversation.id)
    raises(openai.NotFoundError, lambda: client.conversations.retrieve(conversation.id))


def check_background(client, model):
    begun = client.responses.create(model=model, input="Say hi.", background=True,
                                    max_output_tokens=20, temperature=0)
    assert begun.status == "queued" and begun.background, begun
    for _ in range(600):
        found = client.responses.retrieve(begun.id)
        if found.status not in ("queued", "in_progress"):
            break
        time.sleep(0.05)
    plain = client.responses.create(model=model, input="Say hi.", max_output_tokens=20,
                                    temperature=0)
    assert (found.status, found.output_text) == (plain.status, plain.output_text), found
    # A stream that is left, and heard again from there.
    stream = client.responses.create(model=model, input="Count to ten.", background=True,
                                     stream=True, max_output_tokens=30, temperature=0)
    heard = []
    for event in stream:
        heard.append(event)
        if len(heard) == 5:
            break
    stream.close()
    id = heard[0].response.id
    rest = list(client.responses.retrieve(id, stream=True,
                                          starting_after=heard[-1].sequence_number))
    numbers = [event.sequence_number for event in heard + rest]
    assert numbers == list(range(len(numbers))), numbers
    assert rest[-1].type in ("response.completed", "response.incomplete"), rest[-1]
    assert client.responses.retrieve(id).output_text == rest[-1].response.output_text
    # One that is cancelled.
    begun = client.responses.create(model=model, input="Tell a long story.", background=True,
                                    max_output_tokens=1000, temperature=0)
    assert client.responses.cancel(begun.id).status == "cancelled"
    assert client.responses.retrieve(begun.id).status == "cancelled"
    error = raises(openai.BadRequestError, lambda: client.responses.cancel(plain.id))
    assert error.param == "response_id", error.body


def check_logprobs(client, model):
    found = client.responses.create(model=model, input="Say hi.", max_output_tokens=5,
                                    temperature=0, top_logprobs=3,
                                    include=["message.output_text.logprobs"])
    text = found.output[0].content[0]
    assert "".join(each.token for each in text.logprobs) == text.text, text
    assert all(len(each.top_logprobs) == 3 for each in text.logprobs), text
    error = raises(openai.BadRequestError, lambda: client.responses.create(
        model=model, input="x", include=["file_search_call.results"]))
    assert error.param == "include[0]", error.body


def main():
    client = openai.OpenAI(base_url=sys.argv[1], api_key="none", max_retries=0)
    model = client.models.list().data[0].id
    for check in (check_tool_calls, check_old_functions, check_structured, check_responses,
                  check_response_tools, check_conversation, check_background, check_logprobs):
        check(client, model)
        print(f"{check.__name__}: ok")


if __name__ == "__main__":
    main()
