import assert from "node:assert/strict";
import { test } from "node:test";
import { excerpt, search, searchText } from "../../../assets/js/searching.js";

const ask = (text) => ({ role: "user", text });
const answer = (...texts) => ({ role: "assistant", shown: 0, versions: texts.map((text) => ({ text })) });
const words = (query, ...chats) => {
  const texts = new Map(chats.map(({ id, turns }) => [id, searchText(turns)]));
  const { inTitle, inText } = search(chats, texts, query);
  return [inTitle.map(({ id }) => id), inText.map(({ id }) => id)];
};
const chat = (id, title, ...turns) => ({ id, title, turns });

test("matches in titles come first, then matches in messages", () => {
  const chats = [chat("1", "Soup", ask("with leeks")), chat("2", "Leeks", ask("hello"))];
  assert.deepEqual(words("leeks", ...chats), [["2"], ["1"]]);
});

test("every word of the query must match, in the title or the messages", () => {
  const one = chat("1", "Soup", ask("leeks and potatoes"), answer("boil them"));
  assert.deepEqual(words("soup boil", one), [[], ["1"]]);
  assert.deepEqual(words("soup fry", one), [[], []]);
});

test("every version of an answer is searched", () => {
  assert.deepEqual(words("second", chat("1", "", answer("first", "second"))), [[], ["1"]]);
});

test("case, accents and width are ignored, and parts of words match", () => {
  const one = chat("1", "", ask("Crème BRÛLÉE ﬁve ＡＢＣ"));
  for (const query of ["creme", "brul", "FIVE", "abc"]) assert.deepEqual(words(query, one), [[], ["1"]], query);
});

test("scripts without spaces match by a part", () => {
  assert.deepEqual(words("富士", chat("1", "", ask("昨日は富士山を見ました"))), [[], ["1"]]);
});

test("a repeated word is indexed once", () => {
  assert.equal(searchText([ask("again ".repeat(1000))]), "again");
});

test("an excerpt shows the text around the match", () => {
  const turns = [ask("hello"), answer(`${"x ".repeat(60)}here are leeks ${"y ".repeat(60)}`)];
  assert.match(excerpt(turns, "LEEKS"), /^….*here are leeks y/);
  assert.equal(excerpt(turns, "absent"), null);
});
