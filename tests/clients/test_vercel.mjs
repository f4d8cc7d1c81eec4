// Vercel's unpatched AI SDK with its openai-compatible provider: node test_vercel.mjs BASE_URL
import assert from "node:assert/strict";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, embed, generateObject, generateText, stepCountIs, streamObject } from "ai";
import { streamText, tool } from "ai";
import { z } from "zod";

const baseURL = process.argv[2];
const provider = createOpenAICompatible({
  name: "vsurge",
  baseURL,
  apiKey: "none",
  includeUsage: true,
  supportsStructuredOutputs: true,
});
const { data } = await (await fetch(baseURL + "/models")).json();
const model = provider(data[0].id);
const common = { model, temperature: 0, maxRetries: 0 };
const prompt = "What is the capital of France?";
const place = z.object({ city: z.string().max(20), people: z.number().int() });

async function checkText() {
  const options = { ...common, prompt, maxOutputTokens: 24 };
  const whole = await generateText(options);
  assert.match(whole.text, /Paris/);
  assert(["stop", "length"].includes(whole.finishReason));
  assert(whole.usage.outputTokens > 0);
  assert.equal(whole.usage.totalTokens, whole.usage.inputTokens + whole.usage.outputTokens);

  const streamed = streamText(options);
  let text = "";
  for await (const part of streamed.textStream) text += part;
  assert.equal(text, whole.text);
  assert.equal(await streamed.finishReason, whole.finishReason);
  assert.equal((await streamed.usage).outputTokens, whole.usage.outputTokens);

  const completion = await generateText({
    ...options,
    model: provider.completionModel(data[0].id),
    prompt: "The capital of France is",
  });
  assert.match(completion.text, /Paris/);
}

async function checkObjects() {
  const options = { ...common, schema: place, prompt: "Paris has 2 million people." };
  const whole = await generateObject({ ...options, maxOutputTokens: 80 });
  assert.deepEqual(Object.keys(whole.object), ["city", "people"]);
  const streamed = streamObject({ ...options, maxOutputTokens: 80 });
  let partial;
  for await (partial of streamed.partialObjectStream);
  assert.deepEqual(partial, whole.object);
  assert.deepEqual(await streamed.object, whole.object);
}

async function checkTools() {
  const cities = [];
  const weather = tool({
    description: "Weather",
    inputSchema: z.object({ city: z.string().max(20) }),
    execute: async ({ city }) => {
      cities.push(city);
      return "sunny";
    },
  });
  const options = {
    ...common,
    prompt: "What is the weather in Paris?",
    tools: { get_weather: weather },
    maxOutputTokens: 60,
    // The model must call, then it may say what it likes.
    prepareStep: ({ stepNumber }) => ({
      toolChoice: stepNumber === 0 ? { type: "tool", toolName: "get_weather" } : "auto",
    }),
    stopWhen: stepCountIs(2),
  };
  const whole = await generateText(options);
  assert.equal(whole.steps.length, 2);
  assert.equal(whole.steps[0].finishReason, "tool-calls");
  const [call] = whole.steps[0].toolCalls;
  assert.equal(call.toolName, "get_weather");
  assert.deepEqual(whole.steps[0].toolResults[0].output, "sunny");

  const streamed = streamText(options);
  const calls = [];
  for await (const part of streamed.fullStream) {
    assert.notEqual(part.type, "error", String(part.error));
    if (part.type === "tool-call") calls.push(part);
  }
  assert.deepEqual(calls[0].input, call.input);
  assert.deepEqual(cities.slice(0, 2), [call.input.city, call.input.city]);
}

async function checkErrors() {
  const refused = (status) => (error) => {
    assert(APICallError.isInstance(error), String(error));
    assert.equal(error.statusCode, status);
    assert.equal(error.isRetryable, false);
    return true;
  };
  await assert.rejects(generateText({ ...common, prompt, temperature: 9 }), refused(400));
  const unknown = provider("no-such-model");
  await assert.rejects(generateText({ ...common, prompt, model: unknown }), refused(404));
  const embeddings = provider.textEmbeddingModel(data[0].id);
  await assert.rejects(embed({ model: embeddings, value: "a", maxRetries: 0 }), refused(400));
}

async function checkCancel() {
  const control = new AbortController();
  const streamed = streamText({
    ...common,
    prompt,
    maxOutputTokens: 1500,
    abortSignal: control.signal,
  });
  let last;
  for await (const part of streamed.fullStream) {
    last = part.type;
    if (part.type === "text-delta") control.abort();
  }
  assert.equal(last, "abort");
}

await checkText();
await checkObjects();
await checkTools();
await checkErrors();
await checkCancel();
console.log("vercel: all checks pass");
