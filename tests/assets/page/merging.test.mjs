import assert from "node:assert/strict";
import { test } from "node:test";
import { mergeTurns } from "../../../assets/js/merging.js";
import { shapeOf } from "../../../assets/js/turns.js";

const ask = (id) => ({ id, role: "user", text: id });
const version = (id, text = id) => ({ id, text, reasoning: "" });
const answer = (id, versions = [version(`${id}.1`)], shown = 0) => ({ id, role: "assistant", shown, versions });
const shape = (...turns) => shapeOf(turns);
const ids = (turns) => turns?.map(({ id }) => id);

test("turns that only the other tab added are taken over", () => {
  const turns = mergeTurns(shape(ask("a")), [ask("a")], [ask("a"), answer("b")]);
  assert.deepEqual(ids(turns), ["a", "b"]);
});

test("turns that only this tab added stay", () => {
  const mine = [ask("a"), answer("b"), ask("c")];
  const turns = mergeTurns(shape(ask("a"), answer("b")), mine, [ask("a"), answer("b")]);
  assert.deepEqual(turns, mine);
});

test("turns that only one tab deleted are removed", () => {
  const both = () => [ask("a"), answer("b")];
  assert.deepEqual(ids(mergeTurns(shapeOf(both()), [ask("a")], both())), ["a"]);
  assert.deepEqual(ids(mergeTurns(shapeOf(both()), both(), [ask("a")])), ["a"]);
});

test("conflicting continuations can't be merged", () => {
  assert.equal(mergeTurns(shape(ask("a")), [ask("a"), ask("b")], [ask("a"), ask("c")]), null);
  assert.equal(mergeTurns(shape(ask("a"), ask("b")), [ask("a")], [ask("a"), ask("b"), ask("c")]), null);
});

test("an answer gets the versions of both tabs, and this tab's version is shown", () => {
  const mine = answer("b", [version("1"), version("2")], 1);
  const theirs = answer("b", [version("1"), version("3")], 1);
  const [turn] = mergeTurns(shape(answer("b")), [mine], [theirs]);
  assert.deepEqual(ids(turn.versions), ["1", "3", "2"]);
  assert.equal(turn.versions[turn.shown].id, "2");
});

test("of a version that both tabs have, the longer text stays", () => {
  const short = () => answer("b", [version("1", "It")]);
  const long = () => answer("b", [version("1", "It is so")]);
  assert.equal(mergeTurns(shape(answer("b")), [short()], [long()])[0].versions[0].text, "It is so");
  assert.equal(mergeTurns(shape(answer("b")), [long()], [short()])[0].versions[0].text, "It is so");
});

test("an answer that is streaming in this tab stays the same object", () => {
  const live = { ...version("1", "It"), live: true };
  const [turn] = mergeTurns(shape(answer("b")), [answer("b", [live])], [answer("b", [version("1", "It is so")])]);
  assert.equal(turn.versions[0], live);
});

test("an answer that grew in one tab is not lost when the other deletes it", () => {
  const base = shape(ask("a"), answer("b", [version("1", "It")]));
  const grew = [ask("a"), answer("b", [version("1", "It is so")])];
  assert.equal(mergeTurns(base, grew, [ask("a"), ask("c")]), null);
  assert.equal(mergeTurns(base, [ask("a")], grew), null);
});
