// The unpatched Node client against a running server: node test_openai.mjs BASE_URL
import assert from "node:assert/strict";
import OpenAI from "openai";

const baseURL = process.argv[2];
const client = new OpenAI({ baseURL, apiKey: "none", maxRetries: 0 });
const messages = [{ role: "user", content: "What is the capital of France?" }];

async function checkChat(model) {
  const options = { model, messages, temperature: 0, max_tokens: 24 };
  // Caches of their own: nothing of the second may be found because of the first.
  const whole = await client.chat.completions.create({ ...options, cache_salt: "whole" });
  const text = whole.choices[0].message.content;
  assert.match(text, /Paris/);
  assert.equal(whole.object, "chat.completion");
  assert.equal(whole.usage.total_tokens, whole.usage.prompt_tokens + whole.usage.completion_tokens);

  const stream = await client.chat.completions.create({
    ...options,
    stream: true,
    stream_options: { include_usage: true },
    cache_salt: "stream",
  });
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  const deltas = chunks.filter((chunk) => chunk.choices.length > 0);
  assert.equal(deltas.map((chunk) => chunk.choices[0].delta.content ?? "").join(""), text);
  assert.equal(deltas[0].choices[0].delta.role, "assistant");
  assert.equal(deltas.at(-1).choices[0].finish_reason, whole.choices[0].finish_reason);
  assert.deepEqual(chunks.at(-1).choices, []);
  // Usage but for its times.
  const tokens = ({ tokens_per_second, processing_time, first_token_time, ...rest }) => rest;
  assert.deepEqual(tokens(chunks.at(-1).usage), tokens(whole.usage));

  // The client's own helper reads the same stream.
  const helper = client.chat.completions.stream(options);
  assert.equal(await helper.finalContent(), text);
}

async function checkCompletions(model) {
  const options = { model, prompt: "The capital of France is", temperature: 0, max_tokens: 12 };
  const whole = await client.completions.create(options);
  assert.equal(whole.object, "text_completion");
  let text = "";
  for await (const chunk of await client.completions.create({ ...options, stream: true })) {
    text += chunk.choices[0].text;
  }
  assert.equal(text, whole.choices[0].text);
}

async function checkChoices(model) {
  const options = { model, messages, temperature: 1, seed: 4, max_tokens: 10, n: 2 };
  const whole = await client.chat.completions.create({
    ...options,
    logprobs: true,
    top_logprobs: 2,
  });
  assert.deepEqual(
    whole.choices.map((choice) => choice.index),
    [0, 1],
  );
  for (const { logprobs, message } of whole.choices) {
    assert.equal(logprobs.content.map((token) => token.token).join(""), message.content);
    for (const token of logprobs.content) {
      assert.equal(Buffer.from(token.bytes).toString(), token.token);
      assert.equal(token.top_logprobs.length, 2);
      assert(token.logprob <= 0);
    }
  }
  const texts = ["", ""];
  for await (const chunk of await client.chat.completions.create({ ...options, stream: true })) {
    for (const choice of chunk.choices) texts[choice.index] += choice.delta.content ?? "";
  }
  assert.deepEqual(
    texts,
    whole.choices.map((choice) => choice.message.content),
  );

  const echo = await client.completions.create({
    model,
    prompt: "The capital of France is",
    temperature: 0,
    max_tokens: 4,
    echo: true,
    logprobs: 1,
  });
  const told = echo.choices[0].logprobs;
  assert.equal(told.tokens.join(""), echo.choices[0].text);
  assert.equal(told.token_logprobs[0], null);
  assert.equal(told.text_offset.length, told.tokens.length);
  assert.equal(Object.keys(told.top_logprobs.at(-1)).length, 1);
}

async function checkErrors(model) {
  const create = (more) =>
    client.chat.completions.create({ model, messages, max_tokens: 4, ...more });
  await assert.rejects(create({ model: "gpt-none" }), (error) => {
    assert(error instanceof OpenAI.NotFoundError);
    assert.equal(error.code, "model_not_found");
    return true;
  });
  for (const [more, param] of [
    [{ temperature: -1 }, "temperature"],
    [{ top_p: 2, stream: true }, "top_p"],
    [{ n: 2, best_of: 3, stream: true }, "best_of"],
    [{ logit_bias: { 5: 101 } }, "logit_bias.5"],
    [{ no_such_field: 1 }, "no_such_field"],
  ]) {
    await assert.rejects(create(more), (error) => {
      assert(error instanceof OpenAI.BadRequestError);
      assert.equal(error.param, param);
      return true;
    });
  }
  await assert.rejects(client.models.retrieve("no-such-model"), OpenAI.NotFoundError);
}

const weather = {
  type: "object",
  properties: { city: { type: "string", maxLength: 20 } },
  required: ["city"],
  additionalProperties: false,
};

async function checkTools(model) {
  const named = { name: "get_weather", parameters: weather };
  const options = {
    model,
    messages: [{ role: "user", content: "What is the weather in Paris?" }],
    temperature: 0,
    max_tokens: 60,
    tools: [{ type: "function", function: named }],
    tool_choice: { type: "function", function: { name: "get_weather" } },
  };
  const whole = await client.chat.completions.create(options);
  const [call] = whole.choices[0].message.tool_calls;
  assert.equal(whole.choices[0].finish_reason, "tool_calls");
  assert.deepEqual(Object.keys(JSON.parse(call.function.arguments)), ["city"]);
  const streamed = await client.chat.completions.stream(options).finalMessage();
  assert.deepEqual(streamed.tool_calls[0].function.name, "get_weather");
  assert.equal(streamed.tool_calls[0].function.arguments, call.function.arguments);
}

async function checkStructured(model) {
  const answer = await client.chat.completions.parse({
    model,
    messages: [{ role: "user", content: "Paris" }],
    temperature: 0,
    max_tokens: 60,
    response_format: {
      type: "json_schema",
      json_schema: { name: "place", strict: true, schema: weather },
    },
  });
  assert.deepEqual(Object.keys(answer.choices[0].message.parsed), ["city"]);
}

async function checkResponses(model) {
  const options = { model, input: "Say hi.", temperature: 0, max_output_tokens: 90 };
  const whole = await client.responses.create(options);
  assert.equal(whole.status, "completed");
  assert(whole.output_text.length > 0);
  assert.equal((await client.responses.retrieve(whole.id)).output_text, whole.output_text);

  const helper = client.responses.stream(options);
  const types = [];
  for await (const event of helper) types.push(event.type);
  assert.equal((await helper.finalResponse()).output_text, whole.output_text);
  assert.equal(types[0], "response.created");
  assert.equal(types.at(-1), "response.completed");

  const called = await client.responses.create({
    ...options,
    tools: [{ type: "function", name: "get_weather", parameters: weather, strict: true }],
    tool_choice: { type: "function", name: "get_weather" },
  });
  assert.equal(called.output[0].type, "function_call");
  const input = [
    called.output[0],
    { type: "function_call_output", call_id: called.output[0].call_id, output: "sunny" },
  ];
  const after = await client.responses.create({ ...options, input, max_output_tokens: 20 });
  assert.equal(after.output[0].type, "message");
  await client.responses.delete(whole.id);
  await assert.rejects(client.responses.retrieve(whole.id), OpenAI.NotFoundError);
}

async function checkEmbeddings(model) {
  // This model makes none, and says so.
  await assert.rejects(client.embeddings.create({ model, input: "a" }), (error) => {
    assert(error instanceof OpenAI.BadRequestError);
    assert.equal(error.param, "model");
    return true;
  });
}

async function pagesUsed() {
  const answer = await fetch(baseURL.replace(/\/v1$/, "/health"));
  const { models } = await answer.json();
  return Object.values(models).reduce((sum, entry) => sum + entry.pages_used, 0);
}

async function checkCancel(model) {
  const stream = await client.chat.completions.create({
    model,
    messages,
    temperature: 1.5,
    max_tokens: 1500,
    stream: true,
  });
  let count = 0;
  for await (const chunk of stream) {
    assert.equal(chunk.object, "chat.completion.chunk");
    if (++count === 3) stream.controller.abort();
  }
  for (let i = 0; i < 250; ++i) {
    if ((await pagesUsed()) === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.fail("pages are in use 5 s after the client left");
}

const list = await client.models.list();
const model = list.data[0].id;
assert.equal((await client.models.retrieve(model)).id, model);
await checkChat(model);
await checkCompletions(model);
await checkChoices(model);
await checkTools(model);
await checkStructured(model);
await checkResponses(model);
await checkErrors(model);
await checkEmbeddings(model);
await checkCancel(model);
console.log("openai-node: all checks pass");
