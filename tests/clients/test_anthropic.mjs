// The unpatched Anthropic client for Node: node test_anthropic.mjs BASE_URL
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";

// The client adds /v1 itself.
const baseURL = process.argv[2].replace(/\/v1$/, "");
const client = new Anthropic({ baseURL, apiKey: "none", maxRetries: 0 });
const ask = [{ role: "user", content: "What is the weather in Paris?" }];
const tool = {
  name: "get_weather",
  description: "Weather",
  input_schema: {
    type: "object",
    properties: { city: { type: "string", maxLength: 20 } },
    required: ["city"],
    additionalProperties: false,
  },
};

async function checkMessages(model) {
  const options = {
    model,
    max_tokens: 40,
    temperature: 0,
    system: "Be brief.",
    messages: [{ role: "user", content: "What is the capital of France?" }],
  };
  const whole = await client.messages.create(options);
  const text = whole.content[0].text;
  assert.equal(whole.type, "message");
  assert.match(text, /Paris/);
  assert(["end_turn", "max_tokens"].includes(whole.stop_reason));

  const types = [];
  for await (const event of await client.messages.create({ ...options, stream: true })) {
    types.push(event.type);
  }
  assert.equal(types[0], "message_start");
  assert.deepEqual(types.slice(-3), ["content_block_stop", "message_delta", "message_stop"]);

  // The client's own helper reads the same stream.
  const helper = client.messages.stream(options);
  let heard = "";
  helper.on("text", (delta) => (heard += delta));
  const final = await helper.finalMessage();
  assert.equal(heard, text);
  assert.equal(final.stop_reason, whole.stop_reason);
  assert.equal(final.usage.output_tokens, whole.usage.output_tokens);

  const stopped = await client.messages.create({ ...options, stop_sequences: ["Paris"] });
  assert.equal(stopped.stop_reason, "stop_sequence");
  assert.equal(stopped.stop_sequence, "Paris");
  const { model: name, system, messages } = options;
  const count = await client.messages.countTokens({ model: name, system, messages });
  assert.equal(count.input_tokens, whole.usage.input_tokens + whole.usage.cache_read_input_tokens);
}

async function checkTools(model) {
  const options = {
    model,
    max_tokens: 60,
    temperature: 0,
    messages: ask,
    tools: [tool],
    tool_choice: { type: "tool", name: "get_weather" },
  };
  const whole = await client.messages.create(options);
  const call = whole.content[0];
  assert.equal(whole.stop_reason, "tool_use");
  assert.equal(call.type, "tool_use");
  assert.deepEqual(Object.keys(call.input), ["city"]);
  const streamed = await client.messages.stream(options).finalMessage();
  assert.deepEqual(streamed.content[0].input, call.input);
  const result = { type: "tool_result", tool_use_id: call.id, content: "sunny" };
  const after = await client.messages.create({
    ...options,
    max_tokens: 20,
    tool_choice: { type: "auto" },
    messages: [
      ...ask,
      { role: "assistant", content: whole.content },
      { role: "user", content: [result] },
    ],
  });
  assert(after.content.length > 0);
}

async function checkErrors(model) {
  const create = (more) =>
    client.messages.create({ model, max_tokens: 4, messages: ask, ...more });
  for (const [more, kind, type] of [
    [{ max_tokens: 0 }, Anthropic.BadRequestError, "invalid_request_error"],
    [{ temperature: 5, stream: true }, Anthropic.BadRequestError, "invalid_request_error"],
    [{ model: "no-such-model" }, Anthropic.NotFoundError, "not_found_error"],
  ]) {
    await assert.rejects(create(more), (error) => {
      assert(error instanceof kind);
      assert.equal(error.error.type, "error");
      assert.equal(error.error.error.type, type);
      return true;
    });
  }
}

async function checkCancel(model) {
  const stream = client.messages.stream({ model, max_tokens: 1500, messages: ask });
  stream.on("text", () => stream.abort());
  await assert.rejects(stream.done(), Anthropic.APIUserAbortError);
}

const model = (await client.models.list()).data[0].id;
await checkMessages(model);
await checkTools(model);
await checkErrors(model);
await checkCancel(model);
console.log("anthropic-node: all checks pass");
