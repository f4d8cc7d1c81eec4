// One question by an unpatched client with its own retries; prints the status of each answer:
// node retries.mjs openai|anthropic BASE_URL MODEL TEMPERATURE
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const [name, baseURL, model, temperature] = process.argv.slice(2);
const options = {
  apiKey: "none",
  fetch: async (...request) => {
    const answer = await fetch(...request);
    console.log(answer.status);
    return answer;
  },
};
const question = {
  model,
  max_tokens: 2,
  temperature: Number(temperature),
  messages: [{ role: "user", content: "What is the capital of France?" }],
};
try {
  if (name === "openai") {
    await new OpenAI({ ...options, baseURL }).chat.completions.create(question);
  } else {
    const client = new Anthropic({ ...options, baseURL: baseURL.replace(/\/v1$/, "") });
    await client.messages.create(question);
  }
} catch (error) {
  if (error.status !== 400) throw error;
}
