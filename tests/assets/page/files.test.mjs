// Run by tests/assets/test_page_scripts.py with Node's own test runner.

import assert from "node:assert/strict";
import test from "node:test";

import { FILES_LIMIT, decodeText, hasPictures, storedFiles, kindOf, requestFiles, shortName } from "../../../assets/js/files.js";

const bytes = (...values) => new Uint8Array(values);
const URL_OF_DOT = "data:image/png;base64,iVBORw0KGgo=";
const picture = { kind: "picture", name: "a.png", url: URL_OF_DOT, width: 1, height: 1 };
const text = { kind: "text", name: "a.md", text: "# A" };

test("a file's kind is decided by its type, else by its name", () => {
  const kinds = [["a.PDF", ""], ["a", "application/pdf"], ["a.png", "image/png"], ["a.svg", "image/svg+xml"], ["a.py", ""], ["a.csv", "text/csv"]];
  assert.deepEqual(kinds.map(([name, type]) => kindOf({ name, type })), ["pdf", "pdf", "picture", "text", "text", "text"]);
});

test("text is decoded from common encodings", () => {
  assert.equal(decodeText(new TextEncoder().encode("é 日本 👩‍👧")), "é 日本 👩‍👧");
  assert.equal(decodeText(bytes(0xef, 0xbb, 0xbf, 0x61)), "a");
  assert.equal(decodeText(bytes(0xff, 0xfe, 0x61, 0, 0xe9, 0)), "aé");
  assert.equal(decodeText(bytes(0xfe, 0xff, 0, 0x61)), "a");
  assert.equal(decodeText(bytes(0x63, 0x61, 0x66, 0xe9)), "café");
});

test("programs and archives are not text", () => {
  assert.equal(decodeText(bytes(0x50, 0x4b, 3, 4, 0xff, 0)), null);
  assert.equal(decodeText(bytes(0x7f, 0x45, 0x4c, 0x46, 0xc0, 1)), null);
});

test("a name is shortened to one line and keeps its extension", () => {
  assert.equal(shortName("a\n\u202eb .md"), "a b .md");
  assert.equal(shortName(" \n"), "file");
  const long = shortName(`${"x".repeat(500)}.tar.gz`);
  assert.equal(long.length, 120);
  assert.ok(long.endsWith("….tar.gz".slice(1)));
});

test("only valid attachments are stored", () => {
  assert.deepEqual(storedFiles([text, picture]), [text, picture]);
  const foreign = [
    null, 7, { ...picture, url: "https://host.example/a.png" }, { ...picture, url: "javascript:alert(1)" },
    { ...picture, url: "data:image/svg+xml;base64,PHN2Zz4=" }, { ...picture, width: "1" }, { ...text, text: 7 }, { ...text, kind: "html" }, { kind: "text", text: "x" },
  ];
  assert.deepEqual(storedFiles(foreign), []);
  assert.deepEqual(storedFiles("text"), []);
  assert.deepEqual(storedFiles([{ ...text, evil: 1 }]), [text]);
  assert.equal(storedFiles(Array(FILES_LIMIT + 5).fill(text)).length, FILES_LIMIT);
});

test("pictures are sent only to models with vision", () => {
  assert.deepEqual(requestFiles([text, picture], false), [text]);
  assert.deepEqual(requestFiles([text, picture], true), [text, { kind: "picture", name: "a.png", url: URL_OF_DOT }]);
  assert.deepEqual(requestFiles(undefined, true), []);
  assert.deepEqual([hasPictures([text]), hasPictures([text, picture]), hasPictures(undefined)], [false, true, false]);
});
