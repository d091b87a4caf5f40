// Run by tests/assets/test_page_scripts.py with Node's own test runner.

import assert from "node:assert/strict";
import test from "node:test";

import { errorMessage, isLarge, isTooLarge, themeOf, withoutTags } from "../../../assets/js/mermaid.js";

const style = { getPropertyValue: (name) => ` ${name}-color` };

test("a diagram is drawn strictly, in the page's colors, and can change neither", () => {
  const settings = themeOf(style, true);
  assert.deepEqual([settings.securityLevel, settings.htmlLabels, settings.startOnLoad, settings.suppressErrorRendering], ["strict", false, false, true]);
  assert.equal(settings.themeVariables.background, "--page-color");
  for (const name of ["securityLevel", "htmlLabels", "flowchart", "themeCSS", "maxTextSize", "maxEdges", "secure"]) assert.ok(settings.secure.includes(name), name);
});

test("tags are strings, and what the language itself writes with a < stays", () => {
  assert.equal(withoutTags('A["<img src=x onerror=alert(1)> a<br/>b</script>"]'), 'A["#lt;img src=x onerror=alert(1)> a<br/>b#lt;/script>"]');
  for (const own of ["Animal <|-- Dog", "A <--> B", "<<interface>> Shape", "A <-.-> B", "a < b", "1<2"]) assert.equal(withoutTags(own), own);
});

test("what is large waits for the visitor, what is too large is not given to the library", () => {
  assert.deepEqual([isLarge("x".repeat(1_500)), isLarge("x".repeat(1_501))], [false, true]);
  assert.deepEqual([isTooLarge("x".repeat(10_000)), isTooLarge("x".repeat(10_001))], [false, true]);
});

test("a mistake is told by its line and the strings around it", () => {
  const message = "Parse error on line 3:\n...t] --> B{is it (so)?}\n----------------^\nExpecting 'SQE', got 'PS'";
  assert.equal(errorMessage({ message }), "line 3, near “...t] --> B{is it (so)?}”");
  assert.equal(errorMessage({ message: "Lexical error on line 2. Unrecognized text." }), "line 2");
});

test("other mistakes are told in the library's own first line, shortened", () => {
  const told = errorMessage({ message: `No diagram type detected for text: ${"x".repeat(500)}\nmore` });
  assert.ok(told.startsWith("No diagram type detected") && told.length === 160 && told.endsWith("…"));
  assert.equal(errorMessage({}), "");
});
