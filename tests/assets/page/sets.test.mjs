// Run by tests/assets/test_page_scripts.py with Node's own test runner.

import assert from "node:assert/strict";
import test from "node:test";

import { LIMIT, SavedSets, TooMany, asSavedSet } from "../../../assets/js/saved_sets.js";
import { DEFAULTS } from "../../../assets/js/settings.js";
import { InvalidNumber, requestOf, summaryOf, candidateOf, progressKey, newCandidate, promptsOf, parseForm } from "../../../assets/js/set_form.js";
import { FakeStorage } from "./fake_storage.mjs";

const FORM = { name: "", text: "One.", candidates: [newCandidate("a")], temperature: "", repeats: "1", max_tokens: "", system: "", contains: "" };
const NONE = { temperature: null, top_p: null, max_tokens: null, seed: null, presence_penalty: null, frequency_penalty: null, stop: null, reasoning_effort: null };
const SET_STRINGS = { stop_at: "Stop sequences", reasoning_effort: "Effort", frequency_penalty: "Frequency penalty", temperature: "Temperature", top_p: "Top p", max_tokens: "Max tokens", seed: "Seed", system: "System prompt" };

test("empty fields are not sent", () => {
  assert.deepEqual(requestOf(FORM), {
    set: { name: "", text: "One." },
    candidates: [{ model: "a", ...NONE, system: null, endpoint: null }],
    temperatures: [], max_tokens: null, repeats: 1, system: "", contains: "",
  });
});

test("zero is a value, and each candidate has its own values", () => {
  const own = { ...newCandidate("a"), presence_penalty: "-1", stop: "END\n\n two strings ", reasoning_effort: "high", temperature: "0", top_p: " 0.5 ", max_tokens: "9", seed: "0", system: "Be brief.", endpoint: "eu-1" };
  const { candidates, temperatures } = requestOf({ ...FORM, candidates: [own, newCandidate("a")], temperature: "0, 0.7; 1 1.5" });
  assert.deepEqual(candidates[0], { model: "a", ...NONE, temperature: 0, top_p: 0.5, max_tokens: 9, seed: 0, presence_penalty: -1, stop: ["END", "two strings"], reasoning_effort: "high", system: "Be brief.", endpoint: "eu-1" });
  assert.deepEqual(temperatures, [0, 0.7, 1, 1.5]);
});

for (const [field, typed] of [["temperature", "warm"], ["temperature", "2.1"], ["temperature", "0, -1"], ["max_tokens", "1.5"], ["max_tokens", "0"], ["repeats", "101"]]) {
  test(`is not a valid ${field}: ${typed}`, () => {
    assert.throws(() => requestOf({ ...FORM, [field]: typed }), (error) => error instanceof InvalidNumber && error.field === field);
  });
}

for (const [field, typed] of [["temperature", "0, 1"], ["top_p", "1.1"], ["seed", "-1"], ["seed", "1e99"], ["presence_penalty", "2.1"]]) {
  test(`is not a valid ${field} of a candidate: ${typed}`, () => {
    assert.throws(() => requestOf({ ...FORM, candidates: [{ ...newCandidate("a"), [field]: typed }] }), (error) => error.field === field && error.low <= 0);
  });
}

test("a candidate's own settings are described", () => {
  assert.equal(summaryOf(newCandidate("a"), SET_STRINGS), "");
  assert.equal(summaryOf({ ...newCandidate("a"), temperature: "0", seed: "7 ", system: "x", endpoint: "eu-1" }, SET_STRINGS), "Temperature 0, Seed 7, System prompt, eu-1");
  assert.equal(summaryOf({ ...newCandidate("a"), frequency_penalty: "0.5", stop: "a\nb", reasoning_effort: "low" }, SET_STRINGS), 'Frequency penalty 0.5, Stop sequences "a" "b", Effort low');
});

test("a lane of a comparison becomes a candidate with its custom settings", () => {
  assert.deepEqual(candidateOf({ model: "a", endpoint: null }, DEFAULTS), newCandidate("a"));
  const settings = { ...DEFAULTS, temperature: 0, top_p: "endpoint", seed: 7, stop: ["x", "y"], presence_penalty: 0.5, reasoning_effort: "high", system: "Be brief." };
  assert.deepEqual(candidateOf({ model: "a", endpoint: "eu-1" }, settings), { ...newCandidate("a"), temperature: "0", seed: "7", presence_penalty: "0.5", stop: "x\ny", reasoning_effort: "high", system: "Be brief.", endpoint: "eu-1" });
});

const prompts = (...texts) => texts.flatMap((text) => [{ role: "user", text }, { role: "assistant", versions: [] }]);

test("the prompts of a chat become a set, also those of several lines", () => {
  assert.equal(promptsOf(prompts("One.", " \n", "Two.")), "One.\nTwo.");
  assert.equal(promptsOf(prompts("First\nSecond")), "First\nSecond\n---\n");
  assert.equal(promptsOf(prompts("A\n---\nB", "C")), "A\n- - -\nB\n---\nC\n---\n");
  assert.equal(promptsOf([]), "");
});

test("a stored form is restored, and invalid data is ignored", () => {
  assert.deepEqual(parseForm(JSON.parse(JSON.stringify(FORM))), FORM);
  for (const nothing of [null, 7, {}, { text: 1, candidates: [] }, { text: "x" }]) assert.equal(parseForm(nothing), null);
  const { candidates, repeats } = parseForm({ text: "x", repeats: 3, candidates: [null, { model: 1 }, { model: "a", seed: {}, evil: "x" }] });
  assert.deepEqual([candidates, repeats], [[newCandidate("a")], ""]);
});

test("sets are stored, replaced in place, removed and restored", () => {
  const sets = new SavedSets(new FakeStorage());
  const [a, b] = ["A", "B"].map((name) => asSavedSet({ name, count: 1, form: FORM }));
  sets.put(a);
  sets.put(b);
  sets.put({ ...a, name: "Other" });
  assert.deepEqual(sets.list().map(({ name }) => name), ["B", "Other"]);
  assert.equal(sets.named(" Other ").id, a.id);
  const undo = sets.remove(a.id);
  assert.deepEqual(sets.list(), [b]);
  undo();
  assert.deepEqual(sets.list().map(({ name }) => name), ["B", "Other"]);
});

test("a set is renamed in place, but not to the name of another", () => {
  const sets = new SavedSets(new FakeStorage());
  const [a, b] = ["A", "B"].map((name) => asSavedSet({ name, count: 1, form: FORM }));
  sets.put(a);
  sets.put(b);
  assert.equal(sets.rename(a.id, " Other "), true);
  assert.deepEqual(sets.list(), [b, { ...a, name: "Other" }]);
  assert.equal(sets.rename(b.id, "Other"), false);
  assert.equal(sets.rename("gone", "New"), false);
  assert.equal(sets.rename(b.id, "B"), true);
  assert.deepEqual(sets.list(), [b, { ...a, name: "Other" }]);
});

test("one set too many is not stored, and no other is dropped", () => {
  const sets = new SavedSets(new FakeStorage());
  const all = Array.from({ length: LIMIT }, (_, number) => asSavedSet({ name: `${number}`, form: FORM }));
  for (const set of all) sets.put(set);
  assert.throws(() => sets.put(asSavedSet({ name: "one more", form: FORM })), TooMany);
  assert.equal(sets.list().length, LIMIT);
  assert.ok(sets.named("0"));
  sets.put({ ...all[0], name: "in its index" });
  assert.ok(sets.named("in its index"));
});

test("a set without a name is named by its file, or its first line", () => {
  assert.equal(asSavedSet({ form: FORM }).name, "One.");
  assert.equal(asSavedSet({ form: { ...FORM, name: "set.csv" } }).name, "set.csv");
  assert.equal(asSavedSet({ form: { ...FORM, text: " " } }), null);
});

test("full storage throws, and the stored sets stay", () => {
  const sets = new SavedSets(new FakeStorage(500));
  const set = asSavedSet({ name: "A", form: FORM });
  sets.put(set);
  assert.throws(() => sets.put(asSavedSet({ name: "B", form: { ...FORM, text: "x".repeat(500) } })));
  assert.deepEqual(sets.list(), [set]);
});

test("invalid stored sets are ignored", () => {
  const storage = new FakeStorage();
  for (const left of ["{", "7", "{}", '[null, {"form": 3}]']) {
    storage.setItem("akash-gradio.sets", left);
    assert.deepEqual(new SavedSets(storage).list(), []);
  }
});

test("progress is announced at quarters, the first failure and the end", () => {
  const run = (done, failed = 0, state = "running") => progressKey({ state, done, total: 100, failed });
  assert.equal(run(0), run(24));
  assert.notEqual(run(24), run(25));
  assert.notEqual(run(25), run(25, 1));
  assert.equal(run(25, 1), run(26, 9));
  assert.notEqual(run(99), run(99, 0, "paused"));
  assert.equal(progressKey({ state: "waiting", done: 0, total: 0, failed: 0 }), "waiting,0,false");
});
