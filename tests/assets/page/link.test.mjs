// Run by tests/assets/test_page_scripts.py. A comparison in an address comes out as it went in, and whatever else stands there is refused.

import assert from "node:assert/strict";
import test from "node:test";

import { linkOf, readLink } from "../../../assets/js/link.js";
import { DEFAULTS } from "../../../assets/js/settings.js";
import { votePairs } from "../../../assets/js/vote.js";

const coded = (data) => `#c=${Buffer.from(JSON.stringify(data)).toString("base64url")}`;

test("lanes, prompt and settings survive encoding and decoding", () => {
  const own = { ...DEFAULTS, temperature: 0, stop: ["END"] };
  const lanes = [{ model: "org/a:free", endpoint: "eu-1", settings: own }, { model: "ü", endpoint: null, settings: null }];
  const shared = { ...DEFAULTS, system: "Be brief. 🙂" };
  const read = readLink(linkOf({ lanes, shared, blind: true, prompt: "Who is “ö” <i>?\n2" }));
  assert.deepEqual(read, { lanes, shared, blind: true, prompt: "Who is “ö” <i>?\n2" });
});

test("default settings are not encoded", () => {
  const link = linkOf({ lanes: [{ model: "a", endpoint: null, settings: null }], shared: DEFAULTS, blind: false, prompt: "" });
  assert.deepEqual(JSON.parse(Buffer.from(link.slice(3), "base64url")), { v: 1, p: "", l: [{ m: "a" }], s: {} });
});

test("a prompt that is too long gives no link", () => {
  const lanes = [{ model: "a", endpoint: null, settings: null }];
  for (const length of [90_000, 300_000]) {
    assert.equal(linkOf({ lanes, shared: DEFAULTS, blind: false, prompt: "x".repeat(length) }), null);
  }
});

test("at most four lanes are decoded", () => {
  const l = Array.from({ length: 9 }, (_, index) => ({ m: `m${index}` }));
  assert.equal(readLink(coded({ v: 1, p: "", l })).lanes.length, 4);
});

for (const data of [null, [], {}, { v: 2, l: [{ m: "a" }] }, { v: 1, l: [] }, { v: 1, l: [{}] }, { v: 1, l: [{ m: 3 }] }, { v: 1, l: [{ m: "a" }], p: 7 }]) {
  test(`is not a link: ${JSON.stringify(data)}`, () => assert.equal(readLink(coded(data)), null));
}

for (const hash of ["", "#", "#c", "#c=%", "#c=gA", `#c=${"A".repeat(200_000)}`]) {
  test(`is not a link: ${hash.slice(0, 20)}`, () => assert.equal(readLink(hash), null));
}

test("unknown settings and invalid values are dropped", () => {
  const s = { temperature: { evil: 1 }, top_p: 0.5, stream: "no", __proto__: { x: 1 }, unknown: 3 };
  const { shared } = readLink(coded({ v: 1, p: "", l: [{ m: "a" }], s }));
  assert.deepEqual(shared, { ...DEFAULTS, top_p: 0.5 });
});

const THREE = ["A", "B", "C"].map((letter) => ({ letter, label: `model ${letter}` }));

test("the chosen one of three lanes wins against each of the others", () => {
  assert.deepEqual(votePairs(THREE, "B"), [
    { a: "model A", b: "model B", outcome: "b" },
    { a: "model B", b: "model C", outcome: "a" },
  ]);
});

test("a tie counts for every pair", () => {
  assert.deepEqual(votePairs(THREE, "tie").map(({ outcome }) => outcome), ["tie", "tie", "tie"]);
});
