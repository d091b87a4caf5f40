// Run by tests/assets/test_page_scripts.py with Node's own test runner.

import assert from "node:assert/strict";
import test from "node:test";

import { attachmentTokens, addReport, planContext, ratioOf, answerReserve, systemTokens, tokensOf, turnTokens } from "../../../assets/js/context_plan.js";

const user = (text, attachments) => ({ role: "user", text, attachments });
const answer = (text) => ({ role: "assistant", shown: 0, versions: [{ text }] });
const of = (tokens) => "x".repeat(4 * (tokens - 4)); // a text whose turn has this number of tokens
const chat = (...costs) => costs.map((cost, index) => (index % 2 ? answer(of(cost)) : user(of(cost))));

test("a token is four bytes of UTF-8, and any text has at least one", () => {
  assert.deepEqual(["", "a", "abcdefgh", "日本語"].map(tokensOf), [0, 1, 2, 2]);
});

test("an answer is counted by its shown version", () => {
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

test("files count their text and name, pictures their patches", () => {
  assert.equal(attachmentTokens({ kind: "text", name: "abcd", text: "abcdefgh" }), 7);
  assert.equal(attachmentTokens({ kind: "picture", width: 280, height: 29 }), 20);
  const file = { kind: "text", name: "abcd", text: "abcdefgh" };
  assert.equal(turnTokens(user(of(10), [file])), 17);
});

test("pictures of earlier messages count nothing for a model without vision", () => {
  const picture = { kind: "picture", name: "a.png", width: 280, height: 29 };
  const history = [user(of(10), [picture]), answer(of(10))];
  assert.deepEqual([turnTokens(history[0]), turnTokens(history[0], false)], [30, 10]);
  assert.deepEqual([planContext({ limit: 100, history }).history, planContext({ limit: 100, history, sees: false }).history], [40, 20]);
});

test("nothing is left out while everything fits", () => {
  const result = planContext({ limit: 100, history: chat(20, 20), message: 20, system: 10, room: 30 });
  assert.deepEqual([result.from, result.used, result.total, result.over], [0, 100, 100, false]);
});

test("one token too many leaves out the oldest prompt with its answer", () => {
  const result = planContext({ limit: 99, history: chat(20, 20, 5, 5), message: 20, system: 10, room: 20 });
  assert.deepEqual([result.from, result.history, result.total], [2, 10, 100]);
});

test("the messages sent always start with a user turn", () => {
  const history = [...chat(10, 10), user(of(10)), user(of(10)), answer(of(10))];
  for (let limit = 1; limit < 60; limit++) {
    const { from } = planContext({ limit, history, message: 5 });
    assert.ok(from === history.length || history[from].role === "user", `limit ${limit}: ${from}`);
  }
});

test("a chat that starts with an answer is sent unchanged while it fits", () => {
  assert.equal(planContext({ limit: 100, history: [answer(of(10))], message: 5 }).from, 0);
});

test("the system prompt and the message are never left out, and exceeding the limit is reported", () => {
  const result = planContext({ limit: 50, history: chat(20, 20), message: 30, system: 30, room: 10 });
  assert.deepEqual([result.from, result.used, result.over], [2, 70, true]);
});

test("everything is sent if the visitor wants it or no limit is known", () => {
  const whole = planContext({ limit: 10, history: chat(20, 20), message: 5, whole: true });
  assert.deepEqual([whole.from, whole.over], [0, true]);
  const unknown = planContext({ limit: 0, history: chat(20, 20), message: 5 });
  assert.deepEqual([unknown.from, unknown.over], [0, false]);
});

test("longer messages never restore turns that were left out", () => {
  const history = chat(10, 12, 14, 16, 18, 20);
  let before = 0;
  for (let message = 0; message < 100; message++) {
    const { from } = planContext({ limit: 100, history, message });
    assert.ok(from >= before);
    before = from;
  }
  assert.equal(before, 6);
});

test("counts use the model's ratio, but the reserve for the answer does not", () => {
  const result = planContext({ limit: 1000, ratio: 2, history: chat(20, 20), message: 10, system: 5, room: 30 });
  assert.deepEqual([result.system, result.history, result.message, result.room], [10, 80, 20, 30]);
});

test("the answer's reserve is the visitor's limit, else at most a quarter of the context", () => {
  assert.deepEqual([answerReserve(8192, 64), answerReserve(8192, null), answerReserve(400, null), answerReserve(400, 999)], [64, 1024, 100, 400]);
});

test("an empty system prompt counts nothing", () => {
  assert.deepEqual([systemTokens(""), systemTokens("abcd")], [0, 5]);
});

test("the estimate learns much from long prompts and little from short ones", () => {
  assert.equal(ratioOf(undefined), 1);
  assert.ok(ratioOf(addReport(undefined, 5, 40)) < 1.2);
  const after = ratioOf(addReport(undefined, 4000, 6000));
  assert.ok(after > 1.45 && after < 1.5);
});

test("repeated reports are trusted, and old reports fade", () => {
  let sums;
  for (let n = 0; n < 30; n++) sums = addReport(sums, 1000, 500);
  assert.ok(Math.abs(ratioOf(sums) - 0.5) < 0.05);
  for (let n = 0; n < 30; n++) sums = addReport(sums, 1000, 1500);
  assert.ok(Math.abs(ratioOf(sums) - 1.5) < 0.05);
});

test("missing and invalid reports change nothing", () => {
  assert.equal(addReport(undefined, 100, 0), undefined);
  assert.equal(addReport(undefined, 0, 100), undefined);
  assert.equal(ratioOf({ reported: 1e9, estimated: 1 }), 5);
});
