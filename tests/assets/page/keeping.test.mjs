// Run by tests/assets/test_page_scripts.py with Node's own test runner.

import assert from "node:assert/strict";
import test from "node:test";

import { FakeStorage } from "./fake_storage.mjs";

const browser = (name, value) => Object.defineProperty(globalThis, name, { configurable: true, ...value });
const fresh = () => {
  browser("localStorage", { value: new FakeStorage() });
  browser("sessionStorage", { value: new FakeStorage() });
};
fresh();
const { keepNothing, keepsNothing, kept, keptInTab } = await import("../../../assets/js/keeping.js");

test("what is written stays in the browser's storage", () => {
  fresh();
  kept.setItem("a", "1");
  keptInTab.setItem("b", "2");
  assert.deepEqual([localStorage.getItem("a"), sessionStorage.getItem("b"), keepsNothing()], ["1", "2", false]);
});

test("where nothing is kept it is in neither storage, and what was there is not seen", () => {
  fresh();
  kept.setItem("a", "before");
  keptInTab.setItem("a", "before");
  keepNothing(true);
  for (const place of [kept, keptInTab]) {
    assert.equal(place.getItem("a"), null);
    place.setItem("a", "secret");
    assert.equal(place.getItem("a"), "secret");
  }
  const stored = [...localStorage.kept.values(), ...sessionStorage.kept.values()];
  assert.equal(stored.includes("secret"), false);
  keepNothing(false);
  assert.deepEqual([kept.getItem("a"), keptInTab.getItem("a")], ["before", "before"]);
});

test("a frame that may have no storage keeps it as long as the page", () => {
  const closed = { get: () => { throw new Error("SecurityError"); } };
  browser("localStorage", closed);
  browser("sessionStorage", closed);
  kept.setItem("b", "here");
  assert.equal(kept.getItem("b"), "here");
  kept.removeItem("b");
  assert.equal(kept.getItem("b"), null);
});
