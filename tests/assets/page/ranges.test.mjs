// Run by tests/assets/test_page_scripts.py with Node's own test runner.

import assert from "node:assert/strict";
import test from "node:test";

import { setRanges, upperBound, clamp } from "../../../assets/js/ranges.js";
import { DEFAULTS, customSettings, requestSettings } from "../../../assets/js/settings.js";

test("without ranges every number is allowed", () => {
  setRanges({});
  assert.deepEqual([clamp("temperature", 2), clamp("max_tokens", 1e6), upperBound("max_tokens")], [2, 1e6, undefined]);
});

test("values of chats and links are clamped to the ranges, and states are kept", () => {
  setRanges({ temperature: [0.2, 1], max_tokens: [16, 512] });
  const sent = requestSettings({ ...DEFAULTS, temperature: 1.6, max_tokens: 4000, top_p: 0.1, presence_penalty: "endpoint" });
  assert.deepEqual([sent.temperature, sent.max_tokens, sent.top_p, sent.presence_penalty], [1, 512, 0.1, "endpoint"]);
  assert.equal(requestSettings({ ...DEFAULTS, temperature: 0 }).temperature, 0.2);
  assert.deepEqual(customSettings({ ...DEFAULTS }), {});
  assert.equal(upperBound("max_tokens"), 512);
});
