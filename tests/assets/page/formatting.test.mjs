// Run by tests/assets/test_page_scripts.py with Node's own test runner.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { formatContextLength, formatSeconds, formatSpeed, formatTokens } from "../../../assets/js/formatting.js";

const CASES = JSON.parse(readFileSync(new URL("../../formatting_cases.json", import.meta.url)));
const FORMATTERS = {
  seconds: formatSeconds,
  speed: formatSpeed,
  estimated_speed: (value) => formatSpeed(value, { estimated: true }),
  tokens: formatTokens,
  context_length: formatContextLength,
  estimated_tokens: (value) => formatTokens(value, { estimated: true }),
};

for (const [kind, format] of Object.entries(FORMATTERS)) {
  test(`${kind} are formatted as the server formats them`, () => {
    const measured = CASES[kind].filter(([value]) => value !== null);
    assert.deepEqual(measured.map(([value]) => format(value)), measured.map(([, text]) => text));
  });
}
