import assert from "node:assert/strict";
import { test } from "node:test";
import { excerpt, search, searchText } from "../../../assets/js/searching.js";

const ask = (text) => ({ role: "user", text });
const answer = (...texts) => ({ role: "assistant", shown: 0, versions: texts.map((text) => ({ text })) });
const found = (query, ...chats) => {
  const texts = new Map(chats.map(({ id, turns }) => [id, searchText(turns)]));
  const { inTitle, inText } = search(chats, texts, query);
  return [inTitle.map(({ id }) => id), inText.map(({ id }) => id)];
};
const chat = (id, title, ...turns) => ({ id, title, turns });

test("strings are found in titles first, then in what was said", () => {
  const chats = [chat("1", "Soup", ask("with leeks")), chat("2", "Leeks", ask("hello"))];
  assert.deepEqual(found("leeks", ...chats), [["2"], ["1"]]);
});

test("every word of the query must be there, in title or text", () => {
  const one = chat("1", "Soup", ask("leeks and potatoes"), answer("boil them"));
  assert.deepEqual(found("soup boil", one), [[], ["1"]]);
  assert.deepEqual(found("soup fry", one), [[], []]);
});

test("every version of an answer is looked through", () => {
  assert.deepEqual(found("second", chat("1", "", answer("first", "second"))), [[], ["1"]]);
});

test("case, accents and width make no difference, and a word's part is enough", () => {
  const one = chat("1", "", ask("Crème BRÛLÉE ﬁve ＡＢＣ"));
  for (const query of ["creme", "brul", "FIVE", "abc"]) assert.deepEqual(found(query, one), [[], ["1"]], query);
});

test("scripts without spaces are found by a part", () => {
  assert.deepEqual(found("富士", chat("1", "", ask("昨日は富士山を見ました"))), [[], ["1"]]);
});

test("a word that is said a thousand times is kept once", () => {
  assert.equal(searchText([ask("again ".repeat(1000))]), "again");
});

test("an excerpt shows the strings around", () => {
  const turns = [ask("hello"), answer(`${"x ".repeat(60)}here are leeks ${"y ".repeat(60)}`)];
  assert.match(excerpt(turns, "LEEKS"), /^….*here are leeks y/);
  assert.equal(excerpt(turns, "absent"), null);
});
