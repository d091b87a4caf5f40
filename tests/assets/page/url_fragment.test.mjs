// Run by tests/assets/test_page_scripts.py with Node's own test runner.

import assert from "node:assert/strict";
import test from "node:test";

import { FakeStorage } from "./fake_storage.mjs";

globalThis.localStorage = new FakeStorage();
const { saveFragment, restoreFragment } = await import("../../../assets/js/url_fragment.js");

const SIGN_IN = { search: "?next=%3Fview%3Dcompare%26with%3Dorg/a%2520b", hash: "#c=abc" };
const PAGE = { search: "?view=compare&with=org%2Fa+b", hash: "" };

test("the fragment of a link survives sign-in, once", () => {
  globalThis.sessionStorage = new FakeStorage();
  saveFragment(SIGN_IN);
  saveFragment({ search: "?fault=hub_denied&next=%3Fview%3Dcompare", hash: "" }); // a failed first attempt
  assert.equal(restoreFragment(PAGE), "#c=abc");
  assert.equal(restoreFragment(PAGE), "");
});

test("a fragment is used only for its own URL and never replaces another", () => {
  for (const other of [{ search: "?view=models", hash: "" }, { search: "", hash: "" }, { ...PAGE, hash: "#c=newer" }]) {
    globalThis.sessionStorage = new FakeStorage();
    saveFragment(SIGN_IN);
    assert.equal(restoreFragment(other), "");
    assert.equal(restoreFragment(PAGE), "");
  }
});

test("a URL without a query works too, and full storage only loses the fragment", () => {
  globalThis.sessionStorage = new FakeStorage();
  saveFragment({ search: "", hash: "#c=abc" });
  assert.equal(restoreFragment({ search: "", hash: "" }), "#c=abc");
  globalThis.sessionStorage = new FakeStorage(3);
  saveFragment(SIGN_IN);
  assert.equal(restoreFragment(PAGE), "");
});
