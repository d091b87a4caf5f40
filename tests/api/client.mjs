// OpenAI's Node SDK against /v1; prints the results as JSON. Run by test_node_sdk.py.
import OpenAI from "openai";

const [baseURL] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: "any", maxRetries: 0, timeout: 20000 });
const messages = [{ role: "user", content: "hi" }];
const results = {};

const { data: whole, response } = await client.chat.completions
  .create({ model: "m", messages, x_unknown: { a: 1 } })
  .withResponse();
results.whole = whole.choices[0].message.content;
results.endpoint = response.headers.get("x-endpoint");
results.request_id = whole._request_id;

const stream = await client.chat.completions.create({
  model: "m", messages, stream: true, stream_options: { include_usage: true },
});
results.streamed = "";
for await (const chunk of stream) {
  results.streamed += chunk.choices[0]?.delta?.content ?? "";
  if (chunk.usage) results.usage = chunk.usage;
}

results.models = [];
for await (const model of client.models.list()) results.models.push(model.id);
results.one = (await client.models.retrieve("m")).id;

results.errors = {};
async function recordError(name, request) {
  try {
    const response = await request();
    if (response[Symbol.asyncIterator]) for await (const _ of response) { /* until it is interrupted */ }
    results.errors[name] = "none";
  } catch (error) {
    results.errors[name] = [error.constructor.name, error.status ?? null, error.code ?? null];
  }
}
await recordError("unknown", () => client.chat.completions.create({ model: "nope", messages }));
await recordError("bad", () => client.chat.completions.create({ model: "m", messages: [] }));
await recordError("refused", () => client.chat.completions.create({ model: "refuses", messages }));
await recordError("broken", () =>
  client.chat.completions.create({ model: "breaks", messages, stream: true }));

const hanging = await client.chat.completions.create({ model: "hangs", messages, stream: true });
for await (const _ of hanging) break; // closes the connection
results.disconnected = true;

console.log(JSON.stringify(results));
