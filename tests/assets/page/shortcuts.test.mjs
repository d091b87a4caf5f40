import assert from "node:assert/strict";
import { test } from "node:test";
import { shortcutFor } from "../../../assets/js/shortcuts.js";

const press = (key, more = {}) => ({ key, code: "", shiftKey: false, ctrlKey: false, metaKey: false, altKey: false, keyCode: 0, isComposing: false, ...more });
const CTRL_SHIFT = { ctrlKey: true, shiftKey: true };

test("shortcuts work as listed, also in text fields", () => {
  for (const [key, more, name] of [
    ["O", CTRL_SHIFT, "new_chat"],
    ["Escape", { shiftKey: true }, "focus"],
    ["Escape", {}, "stop"],
    ["Enter", CTRL_SHIFT, "regenerate"],
    ["E", CTRL_SHIFT, "edit"],
    ["C", CTRL_SHIFT, "copy"],
    ["M", CTRL_SHIFT, "model"],
    ["k", { ctrlKey: true }, "search"],
    ["S", CTRL_SHIFT, "sidebar"],
    [",", { ctrlKey: true }, "settings"],
    ["/", { ctrlKey: true }, "sheet"],
  ]) assert.equal(shortcutFor(press(key, more), true, false), name, key);
});

test("a question mark opens the list, except while typing", () => {
  assert.equal(shortcutFor(press("?", { shiftKey: true }), false, false), "sheet");
  assert.equal(shortcutFor(press("?", { shiftKey: true }), true, false), null);
});

test("letters, Enter, copying and IME input are not shortcuts", () => {
  for (const [key, more] of [
    ["o", {}], ["O", { shiftKey: true }], ["Enter", {}], ["Enter", { shiftKey: true }], ["Enter", { ctrlKey: true }],
    ["c", { ctrlKey: true }], ["a", { ctrlKey: true }], ["z", CTRL_SHIFT], ["E", { ...CTRL_SHIFT, altKey: true }], ["k", { ctrlKey: true, altKey: true }],
    ["Escape", { isComposing: true }], ["Escape", { keyCode: 229 }], ["k", { metaKey: true }],
  ]) assert.equal(shortcutFor(press(key, more), false, false), null, `${key} ${JSON.stringify(more)}`);
});

test("a Mac uses the Command key, and Ctrl is ignored there", () => {
  assert.equal(shortcutFor(press("k", { metaKey: true }), true, true), "search");
  assert.equal(shortcutFor(press("k", { ctrlKey: true }), true, true), null);
});

test("on layouts with other letters the key position counts", () => {
  assert.equal(shortcutFor(press("Щ", { ...CTRL_SHIFT, code: "KeyO" }), true, false), "new_chat");
  assert.equal(shortcutFor(press("?", { ctrlKey: true, shiftKey: true, code: "Slash" }), true, false), "sheet");
});
