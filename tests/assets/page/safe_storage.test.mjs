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
const { setPrivate, isPrivate, safeLocalStorage, safeSessionStorage } = await import("../../../assets/js/safe_storage.js");

test("values are stored in the browser's storage", () => {
  fresh();
  safeLocalStorage.setItem("a", "1");
  safeSessionStorage.setItem("b", "2");
  assert.deepEqual([localStorage.getItem("a"), sessionStorage.getItem("b"), isPrivate()], ["1", "2", false]);
});

test("private mode stores nothing and hides earlier values", () => {
  fresh();
  safeLocalStorage.setItem("a", "before");
  safeSessionStorage.setItem("a", "before");
  setPrivate(true);
  for (const index of [safeLocalStorage, safeSessionStorage]) {
    assert.equal(index.getItem("a"), null);
    index.setItem("a", "secret");
    assert.equal(index.getItem("a"), "secret");
  }
  const stored = [...localStorage.values.values(), ...sessionStorage.values.values()];
  assert.equal(stored.includes("secret"), false);
  setPrivate(false);
  assert.deepEqual([safeLocalStorage.getItem("a"), safeSessionStorage.getItem("a")], ["before", "before"]);
});

test("without storage, values are kept while the page is open", () => {
  const closed = { get: () => { throw new Error("SecurityError"); } };
  browser("localStorage", closed);
  browser("sessionStorage", closed);
  safeLocalStorage.setItem("b", "here");
  assert.equal(safeLocalStorage.getItem("b"), "here");
  safeLocalStorage.removeItem("b");
  assert.equal(safeLocalStorage.getItem("b"), null);
});
