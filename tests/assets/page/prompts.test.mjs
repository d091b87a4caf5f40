// Run by tests/assets/test_page_scripts.py with Node's own test runner.

import assert from "node:assert/strict";
import test from "node:test";

import { Prompts, asPrompt, fieldsOf, fillFields, matchingPrompts } from "../../../assets/js/prompts.js";
import { FakeStorage } from "./fake_storage.mjs";

test("fields are found once each, in order, in any script", () => {
  assert.deepEqual(fieldsOf("{{to}} and {{ from }}, {{to}}; {{言語}} {{a b}}"), ["to", "from", "言語", "a b"]);
  assert.deepEqual(fieldsOf("{to} {{}} {{ }} {{a{{b}} {{{x}}} {{-}} ${{y}"), ["b", "x"]);
});

test("values replace their fields and are never fields themselves", () => {
  assert.equal(fillFields("{{a}}, {{ a }}, {{b}}", { a: "{{b}}", b: "$& $1" }), "{{b}}, {{b}}, $& $1");
  assert.equal(fillFields("{{a}} {{b}}", { a: "" }), " {{b}}");
});

test("a prompt needs a text, and gets a name if it has none", () => {
  for (const nothing of [undefined, {}, { text: " \n" }, { name: "x" }, { text: 7 }]) assert.equal(asPrompt(nothing), null);
  assert.equal(asPrompt({ text: "\nFirst line\nSecond" }).name, "First line");
  assert.equal([...asPrompt({ text: "x", name: "👩‍👧".repeat(100) }).name].length, 80);
});

test("prompts are stored, changed in place and removed", () => {
  const prompts = new Prompts(new FakeStorage());
  const [a, b] = ["A", "B"].map((text) => asPrompt({ text }));
  prompts.put(a);
  prompts.put(b);
  prompts.put({ ...a, name: "Other" });
  assert.deepEqual(prompts.list().map(({ name }) => name), ["B", "Other"]);
  prompts.remove(b.id);
  assert.deepEqual(prompts.list(), [{ ...a, name: "Other" }]);
});

test("invalid stored data is ignored", () => {
  const storage = new FakeStorage();
  const prompts = new Prompts(storage);
  for (const left of ["{", "7", '"x"', "{}"]) {
    storage.setItem("akash-gradio.prompts", left);
    assert.deepEqual(prompts.list(), []);
  }
  storage.setItem("akash-gradio.prompts", '[null, {"text": "good"}, {"text": 7}]');
  assert.deepEqual(prompts.list().map(({ text }) => text), ["good"]);
});

test("imported prompts are added once", () => {
  const prompts = new Prompts(new FakeStorage());
  const imported = [{ name: "N", text: "T" }, { name: "M", text: "U" }, { name: "", text: "" }];
  prompts.merge(imported);
  prompts.merge(imported);
  assert.deepEqual(prompts.list().map(({ name }) => name), ["N", "M"]);
});

test("full storage throws", () => {
  assert.throws(() => new Prompts(new FakeStorage(10)).put(asPrompt({ text: "x".repeat(100) })), /full/);
});

test("a search needs all its words, in the name or the text", () => {
  const all = [{ name: "Mail to Ann", text: "Dear" }, { name: "Code", text: "Review ann's code" }];
  assert.equal(matchingPrompts(all, "ann").length, 2);
  assert.deepEqual(matchingPrompts(all, "ANN dear").map(({ name }) => name), ["Mail to Ann"]);
  assert.equal(matchingPrompts(all, "").length, 2);
});
