// Run by tests/assets/test_page_scripts.py with Node's own test runner.

import assert from "node:assert/strict";
import test from "node:test";

import { foldersOf, groupChats, limitRows } from "../../../assets/js/groups.js";

const DAY = 86_400_000;
const TODAY = 100 * DAY;
const STRINGS = { pinned: "Pinned", today: "Today", yesterday: "Yesterday", week: "This week" };
const chat = (id, daysAgo, more = {}) => ({ id, updated: TODAY + DAY / 2 - daysAgo * DAY, ...more });
const CHATS = [
  chat("now", 0), chat("pinned", 0, { pinned: true, folder: "Work" }), chat("work", 0, { folder: "Work" }), chat("yesterday", 1),
  chat("art", 2, { folder: "Art" }), chat("work too", 3, { folder: "Work" }), chat("this week", 4), chat("long ago", 40), chat("before", 41),
];
const groups = (entries) => groupChats(entries, STRINGS, TODAY, () => "October");
const names = (entries) => entries.map(({ name, entries }) => [name, entries.map(({ id }) => id)]);

test("pinned chats come first, then folders by name, then days, without empty groups", () => {
  assert.deepEqual(names(groups(CHATS)), [
    ["Pinned", ["pinned"]], ["Art", ["art"]], ["Work", ["work", "work too"]],
    ["Today", ["now"]], ["Yesterday", ["yesterday"]], ["This week", ["this week"]], ["October", ["long ago", "before"]],
  ]);
  assert.deepEqual(groups([]), []);
});

test("a folder with the name of a day stays a folder", () => {
  const entries = groups([chat("a", 0), chat("b", 0, { folder: "Today" })]);
  assert.deepEqual(entries.map(({ name, folder }) => [name, folder]), [["Today", true], ["Today", false]]);
});

test("a closed folder shows its name and count, and uses no row", () => {
  const shown = limitRows(3, groups(CHATS), (name) => name === "Art");
  assert.deepEqual(names(shown), [["Pinned", ["pinned"]], ["Art", ["art"]], ["Work", []], ["Today", ["now"]]]);
  assert.deepEqual(shown.map(({ open, count }) => [open, count]), [[true, 1], [true, 1], [false, 2], [true, 1]]);
});

test("a group is limited to the remaining rows", () => {
  const shown = limitRows(2, groups([chat("a", 40), chat("b", 40), chat("c", 40)]), () => false);
  assert.deepEqual([names(shown), shown[0].count], [[["October", ["a", "b"]]], 3]);
});

test("folder names are unique and sorted", () => {
  assert.deepEqual(foldersOf(CHATS), ["Art", "Work"]);
});
