import assert from "node:assert/strict";
import { test } from "node:test";
import { asJson, asMarkdown, codeFileName, fileName } from "../../../assets/js/exporting.js";
import { readFile, UnreadableFile } from "../../../assets/js/importing.js";

const STRINGS = { you: "You", assistant: "Model", system_prompt: "System prompt", export_no_answer: "({why})", export_picture: "{name}, {width} × {height}" };
const OWN = {
  id: "c1",
  title: "Two *strings*",
  created: 1000,
  updated: Date.UTC(2026, 0, 2),
  model: "org/name",
  pinned: true,
  settings: { system: "Be brief.\nAlways." },
  turns: [
    { id: "t1", role: "user", text: "Hello" },
    {
      id: "t2",
      role: "assistant",
      shown: 1,
      versions: [
        { id: "v1", text: "Hi", reasoning: "hm", model: "org/name", model_name: "Name" },
        { id: "v2", text: "Hi **there**", reasoning: "", model: "org/name", model_name: "Name", edited: true },
      ],
    },
  ],
};
const AKASH = {
  version: 1,
  timestamp: "2026-01-02T03:04:05.000Z",
  folders: [{ id: "f1", name: "Work" }],
  prompts: [{ name: "Pirate", content: "Speak like a pirate." }, { name: "No text" }],
  chats: [
    {
      id: "a1",
      name: "Greeting",
      model: { id: "llama", name: "Llama" },
      system: "Be kind.",
      folderId: "f1",
      messages: [
        { id: "m1", role: "user", content: "Hello", createdAt: "2026-01-01T00:00:00.000Z" },
        { id: "m2", role: "assistant", content: "<think>So.</think>\n\nHi", createdAt: "2026-01-01T00:00:09.000Z" },
      ],
    },
  ],
};
const read = (file, now) => readFile(JSON.stringify(file), now);

test("an exported chat is imported unchanged", async () => {
  let text = "";
  for await (const part of asJson([OWN, { ...OWN, id: "c2" }])) text += part;
  const { chats, errors } = readFile(text);
  assert.deepEqual(errors, []);
  assert.deepEqual(chats.map(({ entry }) => entry.id), ["c1", "c2"]);
  const [{ entry, body }] = JSON.parse(JSON.stringify(chats));
  assert.deepEqual({ ...entry, ...body }, OWN);
});

test("an Akash Chat export has chats, folders, system prompts, reasoning and prompts", () => {
  const { chats, prompts, errors } = read(AKASH);
  assert.deepEqual(errors, []);
  const [{ entry, body }] = chats;
  assert.deepEqual(entry, { id: "a1", title: "Greeting", created: Date.UTC(2026, 0, 1), updated: Date.UTC(2026, 0, 1, 0, 0, 9), model: "llama", pinned: false, folder: "Work" });
  assert.equal(body.settings.system, "Be kind.");
  const [question, answer] = body.turns;
  assert.equal(question.text, "Hello");
  const [version] = answer.versions;
  assert.deepEqual([version.text, version.reasoning, version.model, version.model_name], ["Hi", "So.", "llama", "Llama"]);
  assert.deepEqual(prompts, [{ name: "Pirate", text: "Speak like a pirate." }]);
});

test("message parts, system messages and unfinished reasoning are imported", () => {
  const messages = [
    { role: "system", content: "x" },
    { role: "user", content: [{ type: "text", text: "a" }, { type: "image" }, { type: "text", text: "b" }] },
    { role: "assistant", content: "<think>still" },
  ];
  const [{ body }] = read({ ...AKASH, chats: [{ ...AKASH.chats[0], messages }] }).chats;
  assert.equal(body.turns[0].text, "ab");
  assert.deepEqual([body.turns[1].versions[0].text, body.turns[1].versions[0].reasoning], ["", "still"]);
});

for (const [what, text, kind] of [
  ["no JSON", "# A chat", "json"],
  ["another program's JSON", '{"conversations": []}', "unknown"],
  ["nothing at all", "null", "unknown"],
  ["a later format", JSON.stringify({ format: "akash-gradio chats", version: 9, chats: [] }), "newer"],
]) {
  test(`a file with ${what} is rejected`, () => {
    assert.throws(() => readFile(text), (error) => error instanceof UnreadableFile && error.kind === kind);
  });
}

test("an invalid chat is reported, and the others are imported", () => {
  const good = AKASH.chats[0];
  const chats = [null, good, { ...good, name: "Broken", messages: [{ role: "user", content: 7 }] }, { ...good, messages: "none" }, { ...good, messages: [{ role: "robot", content: "x" }] }];
  const found = read({ ...AKASH, chats });
  assert.equal(found.chats.length, 1);
  assert.deepEqual(found.errors, [
    { chat: 1, title: "", why: "no_messages", at: 0 },
    { chat: 3, title: "Broken", why: "no_text", at: 1 },
    { chat: 4, title: "Greeting", why: "no_messages", at: 0 },
    { chat: 5, title: "Greeting", why: "bad_role", at: 1 },
  ]);
});

test("HTML, invalid receipts and invalid times are dropped", () => {
  const version = { text: "x", blocks: ["<script>"], reasoning_blocks: ["<b>"], live: true, receipt: { line: [{}] } };
  const turns = [{ role: "user", text: "q" }, { role: "assistant", shown: 99, versions: [version] }];
  const file = { format: "akash-gradio chats", version: 1, chats: [{ turns, created: "soon", updated: -1 }] };
  const [{ entry, body }] = read(file, 5).chats;
  assert.deepEqual([entry.created, entry.updated, entry.title], [5, 5, "q"]);
  const [, answer] = body.turns;
  assert.equal(answer.shown, 0);
  const [taken] = answer.versions;
  assert.deepEqual([taken.blocks, taken.reasoning_blocks, taken.live, taken.receipt], [undefined, undefined, undefined, undefined]);
});

test("Markdown has the title, the system prompt and the shown versions", () => {
  assert.equal(
    asMarkdown(OWN, STRINGS),
    "# Two *strings*\n\n*org/name · 2026-01-02*\n\n> **System prompt**\n>\n> Be brief.\n> Always.\n\n## You\n\nHello\n\n## Name\n\nHi **there**\n",
  );
});

test("attached texts are exported completely, pictures as their size", () => {
  const attachments = [
    { kind: "text", name: "a<b>.md", text: "Some ```` ticks\n" },
    { kind: "picture", name: "cat.png", url: "data:image/png;base64,AAAA", width: 30, height: 20 },
  ];
  const markdown = asMarkdown({ ...OWN, settings: {}, turns: [{ ...OWN.turns[0], attachments }] }, STRINGS);
  const file = "<details><summary>a&lt;b&gt;.md</summary>\n\n`````\nSome ```` ticks\n`````\n\n</details>";
  assert.ok(markdown.endsWith(`## You\n\n${file}\n\n*cat.png, 30 × 20*\n\nHello\n`), markdown);
});

test("code is saved with the extension of its language", () => {
  assert.deepEqual(["python", "c++", "go", "", "../x", "objective-c"].map(codeFileName), ["code.py", "code.cpp", "code.go", "code.txt", "code.txt", "code.txt"]);
});

test("a file name has letters of any script and no path", () => {
  assert.equal(fileName("../../etc/passwd: 東京?", "md", 0), "etc-passwd-東京-1970-01-01.md");
  assert.equal(fileName("///", "json", 0), "chat-1970-01-01.json");
});
