// OpenAI's Node SDK against /v1; prints what it saw as JSON. Run by test_node_sdk.py.
import OpenAI from "openai";

const [baseURL] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: "any", maxRetries: 0, timeout: 20000 });
const messages = [{ role: "user", content: "hi" }];
const seen = {};

const { data: whole, response } = await client.chat.completions
  .create({ model: "m", messages, x_unknown: { a: 1 } })
  .withResponse();
seen.whole = whole.choices[0].message.content;
seen.endpoint = response.headers.get("x-endpoint");
seen.request_id = whole._request_id;

const stream = await client.chat.completions.create({
  model: "m", messages, stream: true, stream_options: { include_usage: true },
});
seen.streamed = "";
for await (const chunk of stream) {
  seen.streamed += chunk.choices[0]?.delta?.content ?? "";
  if (chunk.usage) seen.usage = chunk.usage;
}

seen.models = [];
for await (const model of client.models.list()) seen.models.push(model.id);
seen.one = (await client.models.retrieve("m")).id;

seen.errors = {};
async function fails(name, asking) {
  try {
    const answer = await asking();
    if (answer[Symbol.asyncIterator]) for await (const _ of answer) { /* until it breaks off */ }
    seen.errors[name] = "none";
  } catch (error) {
    seen.errors[name] = [error.constructor.name, error.status ?? null, error.code ?? null];
  }
}
await fails("unknown", () => client.chat.completions.create({ model: "nope", messages }));
await fails("bad", () => client.chat.completions.create({ model: "m", messages: [] }));
await fails("refused", () => client.chat.completions.create({ model: "refuses", messages }));
await fails("broken", () =>
  client.chat.completions.create({ model: "breaks", messages, stream: true }));

const leaving = await client.chat.completions.create({ model: "hangs", messages, stream: true });
for await (const _ of leaving) break; // closes the connection
seen.left = true;

console.log(JSON.stringify(seen));
