// Run by tests/assets/test_page_scripts.py with Node's own test runner.

import assert from "node:assert/strict";
import test from "node:test";

globalThis.BroadcastChannel = undefined;
delete globalThis.BroadcastChannel;
const { History } = await import("../../../assets/js/history.js");
const { MemoryStore } = await import("../../../assets/js/store.js");

const actions = { drawn() {}, merged() {}, forked() {}, changed() {}, showError: assert.ifError };

/** A store whose writes begin, and end only when they are released. */
class SlowStore extends MemoryStore {
  started = [];
  left = [];
  write(entry, body) {
    return new Promise((resolve) => this.started.push(() => resolve(super.write(entry, body))));
  }
  saveOnExit(record) {
    this.left.push(record);
  }
}

const chat = (text) => ({
  id: "chat-1",
  title: "Who?",
  model: "m",
  rev: 0,
  settings: {},
  turns: [
    { id: "t1", role: "user", text: "Who?" },
    { id: "t2", role: "assistant", shown: 0, versions: [{ id: "v1", text }] },
  ],
});

test("a page that ends while a chat is being written saves it", async () => {
  const store = new SlowStore();
  const history = new History({}, store, actions);
  const saved = history.save(chat("The whole answer"));
  while (!store.started.length) await null;
  history.saveOnExit([]);
  assert.equal(store.left.length, 1);
  assert.equal(store.left[0].body.turns[1].versions[0].text, "The whole answer");
  store.started.forEach((release) => release());
  await saved;
  history.saveOnExit([]);
  assert.equal(store.left.length, 1, "a chat that is written isn't saved again");
});
