// Run by tests/assets/test_page_scripts.py with Node's own test runner.

import assert from "node:assert/strict";
import test from "node:test";

import { attachmentTokens, updatedSums, plan, ratioOf, answerReserve, systemTokens, tokensOf, turnTokens } from "../../../assets/js/context_plan.js";

const user = (text, attachments) => ({ role: "user", text, attachments });
const answer = (text) => ({ role: "assistant", shown: 0, versions: [{ text }] });
const of = (tokens) => "x".repeat(4 * (tokens - 4)); // a text whose turn costs so many tokens
const chat = (...costs) => costs.map((cost, place) => (place % 2 ? answer(of(cost)) : user(of(cost))));

test("a token is four bytes of UTF-8, and any text has one", () => {
  assert.deepEqual(["", "a", "abcdefgh", "日本語"].map(tokensOf), [0, 1, 2, 2]);
});

test("an answer costs what its shown version says", () => {
  const turn = { role: "assistant", shown: 1, versions: [{ text: of(10) }, { text: of(30) }] };
  assert.equal(turnTokens(turn), 30);
  turn.shown = 0;
  assert.equal(turnTokens(turn), 10);
});

test("a text that grew is counted again", () => {
  const turn = answer(of(10));
  turnTokens(turn);
  turn.versions[0].text = of(20);
  assert.equal(turnTokens(turn), 20);
});

test("files cost their text and name, pictures their patches", () => {
  assert.equal(attachmentTokens({ kind: "text", name: "abcd", text: "abcdefgh" }), 7);
  assert.equal(attachmentTokens({ kind: "picture", width: 280, height: 29 }), 20);
  const file = { kind: "text", name: "abcd", text: "abcdefgh" };
  assert.equal(turnTokens(user(of(10), [file])), 17);
});

test("pictures of earlier messages cost nothing where the model can't see them", () => {
  const picture = { kind: "picture", name: "a.png", width: 280, height: 29 };
  const history = [user(of(10), [picture]), answer(of(10))];
  assert.deepEqual([turnTokens(history[0]), turnTokens(history[0], false)], [30, 10]);
  assert.deepEqual([plan({ limit: 100, history }).history, plan({ limit: 100, history, sees: false }).history], [40, 20]);
});

test("nothing is left out while all of it fits", () => {
  const found = plan({ limit: 100, history: chat(20, 20), message: 20, system: 10, room: 30 });
  assert.deepEqual([found.from, found.used, found.wanted, found.over], [0, 100, 100, false]);
});

test("one token too much leaves out the oldest question with its answer", () => {
  const found = plan({ limit: 99, history: chat(20, 20, 5, 5), message: 20, system: 10, room: 20 });
  assert.deepEqual([found.from, found.history, found.wanted], [2, 10, 100]);
});

test("what goes always begins with a question", () => {
  const history = [...chat(10, 10), user(of(10)), user(of(10)), answer(of(10))];
  for (let limit = 1; limit < 60; limit++) {
    const { from } = plan({ limit, history, message: 5 });
    assert.ok(from === history.length || history[from].role === "user", `limit ${limit}: ${from}`);
  }
});

test("a chat that begins with an answer goes as it is while it fits", () => {
  assert.equal(plan({ limit: 100, history: [answer(of(10))], message: 5 }).from, 0);
});

test("the system prompt and the message are never left out, and it is content when they are too much", () => {
  const found = plan({ limit: 50, history: chat(20, 20), message: 30, system: 30, room: 10 });
  assert.deepEqual([found.from, found.used, found.over], [2, 70, true]);
});

test("all of it goes when the visitor wants it so, and where no limit is known", () => {
  const whole = plan({ limit: 10, history: chat(20, 20), message: 5, whole: true });
  assert.deepEqual([whole.from, whole.over], [0, true]);
  const unknown = plan({ limit: 0, history: chat(20, 20), message: 5 });
  assert.deepEqual([unknown.from, unknown.over], [0, false]);
});

test("more messages never bring back what was left out", () => {
  const history = chat(10, 12, 14, 16, 18, 20);
  let before = 0;
  for (let message = 0; message < 100; message++) {
    const { from } = plan({ limit: 100, history, message });
    assert.ok(from >= before);
    before = from;
  }
  assert.equal(before, 6);
});

test("counts follow the model's own ratio, the room for the answer doesn't", () => {
  const found = plan({ limit: 1000, ratio: 2, history: chat(20, 20), message: 10, system: 5, room: 30 });
  assert.deepEqual([found.system, found.history, found.message, found.room], [10, 80, 20, 30]);
});

test("the answer gets what the visitor allows it, else a quarter of the context at most", () => {
  assert.deepEqual([answerReserve(8192, 64), answerReserve(8192, null), answerReserve(400, null), answerReserve(400, 999)], [64, 1024, 100, 400]);
});

test("no system prompt costs nothing", () => {
  assert.deepEqual([systemTokens(""), systemTokens("abcd")], [0, 5]);
});

test("the estimate learns from long questions, and hardly from short ones", () => {
  assert.equal(ratioOf(undefined), 1);
  assert.ok(ratioOf(updatedSums(undefined, 5, 40)) < 1.2);
  const after = ratioOf(updatedSums(undefined, 4000, 6000));
  assert.ok(after > 1.45 && after < 1.5);
});

test("what is reported again and again is believed, and old reports fade", () => {
  let sums;
  for (let n = 0; n < 30; n++) sums = updatedSums(sums, 1000, 500);
  assert.ok(Math.abs(ratioOf(sums) - 0.5) < 0.05);
  for (let n = 0; n < 30; n++) sums = updatedSums(sums, 1000, 1500);
  assert.ok(Math.abs(ratioOf(sums) - 1.5) < 0.05);
});

test("an endpoint that reports nothing or nonsense teaches nothing", () => {
  assert.equal(updatedSums(undefined, 100, 0), undefined);
  assert.equal(updatedSums(undefined, 0, 100), undefined);
  assert.equal(ratioOf({ reported: 1e9, estimated: 1 }), 5);
});
