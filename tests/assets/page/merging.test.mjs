import assert from "node:assert/strict";
import { test } from "node:test";
import { mergedTurns } from "../../../assets/js/merging.js";
import { shapeOf } from "../../../assets/js/turns.js";

const ask = (id) => ({ id, role: "user", text: id });
const version = (id, text = id) => ({ id, text, reasoning: "" });
const answer = (id, versions = [version(`${id}.1`)], shown = 0) => ({ id, role: "assistant", shown, versions });
const shape = (...turns) => shapeOf(turns);
const ids = (turns) => turns?.map(({ id }) => id);

test("what only the other tab added is taken over", () => {
  const turns = mergedTurns(shape(ask("a")), [ask("a")], [ask("a"), answer("b")]);
  assert.deepEqual(ids(turns), ["a", "b"]);
});

test("what only this tab added stays", () => {
  const mine = [ask("a"), answer("b"), ask("c")];
  const turns = mergedTurns(shape(ask("a"), answer("b")), mine, [ask("a"), answer("b")]);
  assert.deepEqual(turns, mine);
});

test("what only one tab deleted is gone", () => {
  const both = () => [ask("a"), answer("b")];
  assert.deepEqual(ids(mergedTurns(shapeOf(both()), [ask("a")], both())), ["a"]);
  assert.deepEqual(ids(mergedTurns(shapeOf(both()), both(), [ask("a")])), ["a"]);
});

test("two ways to go on are no one chat", () => {
  assert.equal(mergedTurns(shape(ask("a")), [ask("a"), ask("b")], [ask("a"), ask("c")]), null);
  assert.equal(mergedTurns(shape(ask("a"), ask("b")), [ask("a")], [ask("a"), ask("b"), ask("c")]), null);
});

test("an answer has the versions of both tabs, and this one's is shown", () => {
  const mine = answer("b", [version("1"), version("2")], 1);
  const theirs = answer("b", [version("1"), version("3")], 1);
  const [turn] = mergedTurns(shape(answer("b")), [mine], [theirs]);
  assert.deepEqual(ids(turn.versions), ["1", "3", "2"]);
  assert.equal(turn.versions[turn.shown].id, "2");
});

test("of a version that both have the longer text stays", () => {
  const short = () => answer("b", [version("1", "It")]);
  const long = () => answer("b", [version("1", "It is so")]);
  assert.equal(mergedTurns(shape(answer("b")), [short()], [long()])[0].versions[0].text, "It is so");
  assert.equal(mergedTurns(shape(answer("b")), [long()], [short()])[0].versions[0].text, "It is so");
});

test("an answer that grows in this tab stays the same object", () => {
  const live = { ...version("1", "It"), live: true };
  const [turn] = mergedTurns(shape(answer("b")), [answer("b", [live])], [answer("b", [version("1", "It is so")])]);
  assert.equal(turn.versions[0], live);
});

test("an answer that grew in one tab is not lost by what the other deleted", () => {
  const base = shape(ask("a"), answer("b", [version("1", "It")]));
  const grew = [ask("a"), answer("b", [version("1", "It is so")])];
  assert.equal(mergedTurns(base, grew, [ask("a"), ask("c")]), null);
  assert.equal(mergedTurns(base, [ask("a")], grew), null);
});
