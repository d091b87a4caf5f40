// Run by tests/assets/test_page_scripts.py with Node's own test runner.

import assert from "node:assert/strict";
import test from "node:test";

import { errorMessage, isLarge, isTooLarge, themeOf, withoutRequests, withoutTags } from "../../../assets/js/mermaid.js";

const style = { getPropertyValue: (name) => ` ${name}-color` };

test("diagrams can't override the strict settings and the page's colors", () => {
  const settings = themeOf(style, true);
  assert.deepEqual([settings.securityLevel, settings.htmlLabels, settings.startOnLoad, settings.suppressErrorRendering], ["strict", false, false, true]);
  assert.equal(settings.themeVariables.background, "--page-color");
  for (const name of ["securityLevel", "htmlLabels", "flowchart", "themeCSS", "maxTextSize", "maxEdges", "secure"]) assert.ok(settings.secure.includes(name), name);
});

test("tags are escaped, and the diagram language's own < stays", () => {
  assert.equal(withoutTags('A["<img src=x onerror=alert(1)> a<br/>b</script>"]'), 'A["#lt;img src=x onerror=alert(1)> a<br/>b#lt;/script>"]');
  for (const own of ["Animal <|-- Dog", "A <--> B", "<<interface>> Shape", "A <-.-> B", "a < b", "1<2"]) assert.equal(withoutTags(own), own);
});

test("a diagram requests no picture and no style from a host", () => {
  const sources = [
    'flowchart TD\nA@{ img: "https://evil.example/a.png", label: "x" }',
    'flowchart TD\nA@{\n  "\\x69mg": "https://evil.example/a.png"\n}',
    "flowchart TD\nA; style A fill:url(https://evil.example/a.svg)",
    "flowchart TD\nclassDef c mask-image:u\\72l (https://evil.example/a.svg)",
    "flowchart TD\nlinkStyle 0 filter:-webkit-image-set('https://evil.example/a.svg' 1x)",
  ];
  for (const source of sources) {
    const safe = withoutRequests(source);
    assert.doesNotMatch(safe, /\bimg\b|url\s*\(|image-set|\\/i, safe);
  }
  for (const own of ["A[url(x)] --> B[img]", "style A fill:#f9f,stroke:rgb(1, 2, 3)", 'click A href "https://a.example"']) assert.equal(withoutRequests(own), own);
});

test("large diagrams wait for the visitor, and too large ones are rejected", () => {
  assert.deepEqual([isLarge("x".repeat(1_500)), isLarge("x".repeat(1_501))], [false, true]);
  assert.deepEqual([isTooLarge("x".repeat(10_000)), isTooLarge("x".repeat(10_001))], [false, true]);
});

test("a syntax error names its line and the text around it", () => {
  const message = "Parse error on line 3:\n...t] --> B{is it (so)?}\n----------------^\nExpecting 'SQE', got 'PS'";
  assert.equal(errorMessage({ message }), "line 3, near “...t] --> B{is it (so)?}”");
  assert.equal(errorMessage({ message: "Lexical error on line 2. Unrecognized text." }), "line 2");
});

test("other errors are the library's first line, shortened", () => {
  const message = errorMessage({ message: `No diagram type detected for text: ${"x".repeat(500)}\nmore` });
  assert.ok(message.startsWith("No diagram type detected") && message.length === 160 && message.endsWith("…"));
  assert.equal(errorMessage({}), "");
});
