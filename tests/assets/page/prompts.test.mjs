// Run by tests/assets/test_page_scripts.py with Node's own test runner.

import assert from "node:assert/strict";
import test from "node:test";

import { Prompts, asPrompt, fieldsOf, fillFields, matchingPrompts } from "../../../assets/js/prompts.js";
import { FakeStorage } from "./fake_storage.mjs";

test("fields are found once each, in order, in any script", () => {
  assert.deepEqual(fieldsOf("{{to}} and {{ from }}, {{to}}; {{言語}} {{a b}}"), ["to", "from", "言語", "a b"]);
  assert.deepEqual(fieldsOf("{to} {{}} {{ }} {{a{{b}} {{{x}}} {{-}} ${{y}"), ["b", "x"]);
});

test("values take the places of their fields, and are never fields themselves", () => {
  assert.equal(fillFields("{{a}}, {{ a }}, {{b}}", { a: "{{b}}", b: "$& $1" }), "{{b}}, {{b}}, $& $1");
  assert.equal(fillFields("{{a}} {{b}}", { a: "" }), " {{b}}");
});

test("what has no text is no prompt, and a name is made where there is none", () => {
  for (const nothing of [undefined, {}, { text: " \n" }, { name: "x" }, { text: 7 }]) assert.equal(asPrompt(nothing), null);
  assert.equal(asPrompt({ text: "\nFirst line\nSecond" }).name, "First line");
  assert.equal([...asPrompt({ text: "x", name: "👩‍👧".repeat(100) }).name].length, 80);
});

test("prompts are kept, changed in their place and removed", () => {
  const prompts = new Prompts(new FakeStorage());
  const [a, b] = ["A", "B"].map((text) => asPrompt({ text }));
  prompts.put(a);
  prompts.put(b);
  prompts.put({ ...a, name: "Other" });
  assert.deepEqual(prompts.list().map(({ name }) => name), ["B", "Other"]);
  prompts.remove(b.id);
  assert.deepEqual(prompts.list(), [{ ...a, name: "Other" }]);
});

test("what another version or a stranger left there does no harm", () => {
  const storage = new FakeStorage();
  const prompts = new Prompts(storage);
  for (const left of ["{", "7", '"x"', "{}"]) {
    storage.setItem("akash-gradio.prompts", left);
    assert.deepEqual(prompts.list(), []);
  }
  storage.setItem("akash-gradio.prompts", '[null, {"text": "good"}, {"text": 7}]');
  assert.deepEqual(prompts.list().map(({ text }) => text), ["good"]);
});

test("imported prompts join the others once", () => {
  const prompts = new Prompts(new FakeStorage());
  const found = [{ name: "N", text: "T" }, { name: "M", text: "U" }, { name: "", text: "" }];
  prompts.merge(found);
  prompts.merge(found);
  assert.deepEqual(prompts.list().map(({ name }) => name), ["N", "M"]);
});

test("a full browser is told", () => {
  assert.throws(() => new Prompts(new FakeStorage(10)).put(asPrompt({ text: "x".repeat(100) })), /full/);
});

test("all strings of a search must be there, in name or text", () => {
  const all = [{ name: "Mail to Ann", text: "Dear" }, { name: "Code", text: "Review ann's code" }];
  assert.equal(matchingPrompts(all, "ann").length, 2);
  assert.deepEqual(matchingPrompts(all, "ANN dear").map(({ name }) => name), ["Mail to Ann"]);
  assert.equal(matchingPrompts(all, "").length, 2);
});
