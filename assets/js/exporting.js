// Exports chats as files: Markdown and HTML for reading, JSON for importing.

import { fill } from "./dom.js";

export const FORMAT = "akash-gradio chats";
export const FORMAT_VERSION = 1;

/** Export one chat as Markdown, without reasoning and receipts. */
export function asMarkdown(chat, strings) {
  const parts = [`# ${oneLine(chat.title)}`, `*${chat.model} · ${date(chat.updated)}*`];
  if (chat.settings?.system) parts.push(`> **${strings.system_prompt}**\n>\n${quoted(chat.settings.system)}`);
  for (const turn of chat.turns) {
    const [name, text] = nameAndText(turn, strings);
    parts.push(`## ${oneLine(name)}`, ...(turn.attachments ?? []).map((file) => fileInMarkdown(file, strings)), text);
  }
  return `${parts.join("\n\n")}\n`;
}

/** Format an attached file: a text in a closed details element, a picture as its name and size. */
function fileInMarkdown(file, strings) {
  if (file.kind === "picture") return `*${pictureName(file, strings)}*`;
  const smallestFitting = Math.max(0, ...[...file.text.matchAll(/`+/g)].map(([ticks]) => ticks.length));
  const fence = "`".repeat(Math.max(3, smallestFitting + 1));
  return `<details><summary>${escaped(file.name)}</summary>\n\n${fence}\n${file.text.trimEnd()}\n${fence}\n\n</details>`;
}

const pictureName = ({ name, width, height }, strings) => fill(strings.export_picture, { name, width, height });

/**
 * Export one chat as a self-contained HTML page.
 *
 * @param {object} chat
 * @param {Node[][]} drawn For each turn the nodes that show its text.
 * @param {string} styles The page's styles as one text.
 * @param {Record<string, string>} strings Texts of the page.
 */
export function asHtml(chat, drawn, styles, strings) {
  const page = document.implementation.createHTMLDocument(chat.title);
  page.documentElement.lang = document.documentElement.lang;
  const meta = (attributes) => page.head.prepend(Object.assign(page.createElement("meta"), attributes));
  meta({ name: "viewport", content: "width=device-width, initial-scale=1" });
  page.head.prepend(page.createElement("meta"));
  page.head.firstChild.setAttribute("charset", "utf-8");
  page.head.append(element(page, "style", "", styles));
  page.body.className = "gradio-container exported";
  page.body.append(element(page, "h1", "", chat.title), element(page, "p", "when", `${chat.model} · ${date(chat.updated)}`));
  if (chat.settings?.system) page.body.append(element(page, "h2", "", strings.system_prompt), element(page, "div", "bubble", chat.settings.system));
  chat.turns.forEach((turn, index) => {
    const [name] = nameAndText(turn, strings);
    const text = element(page, "div", turn.role === "user" ? "bubble" : "prose-block");
    text.dir = "auto";
    text.append(...drawn[index].map((node) => page.importNode(node, true)));
    const files = (turn.attachments ?? []).map((file) => fileInHtml(page, file));
    page.body.append(element(page, "h2", "", name), ...files, text);
  });
  for (const button of page.body.querySelectorAll("button")) button.remove();
  for (const diagram of page.body.querySelectorAll("ag-diagram")) diagram.replaceWith(...diagram.childNodes);
  return `<!doctype html>\n${page.documentElement.outerHTML}\n`;
}

function fileInHtml(page, { kind, name, text, url }) {
  const box = element(page, kind === "picture" ? "figure" : "details", "file");
  const title = element(page, kind === "picture" ? "figcaption" : "summary", "", name);
  const content = kind === "picture" ? Object.assign(page.createElement("img"), { src: url, alt: name }) : element(page, "pre", "", text);
  box.append(...(kind === "picture" ? [content, title] : [title, content]));
  return box;
}

/** Export chats in the format that this page imports, as consecutive parts of one JSON text. */
export async function* asJson(chats) {
  const head = JSON.stringify({ format: FORMAT, version: FORMAT_VERSION, exported: new Date().toISOString() });
  yield `${head.slice(0, -1)},"chats":[\n`;
  let first = true;
  for await (const { id, title, created, updated, model, pinned, folder, settings, turns } of chats) {
    yield (first ? "" : ",\n") + JSON.stringify({ id, title, created, updated, model, pinned, folder, settings, turns });
    first = false;
  }
  yield "\n]}\n";
}

/** Select the styles that a rendered answer needs from the page's style sheets. */
export function stylesOf(sheets) {
  const selectors = /^(:root|\.dark$|.*(\.prose-block|\.code|\.hl-|\.table-scroll|\.math|\.bubble))/;
  const rules = [...sheets].filter((sheet) => sheet.href?.includes("/page/assets/css/")).flatMap((sheet) => [...sheet.cssRules]);
  const texts = rules.filter((rule) => selectors.test(rule.selectorText ?? "")).map((rule) => rule.cssText);
  const dark = texts.filter((text) => text.startsWith(".dark {")).map((text) => text.replace(".dark", ":root"));
  return [...texts, `@media (prefers-color-scheme: dark) { ${dark.join(" ")} }`, FRAME].join("\n");
}

const FRAME = `body.exported { max-width: 768px; margin: 0 auto; padding: 32px 16px 64px; background: var(--page); color: var(--text); font: 15px/1.6 system-ui, sans-serif; }
.exported h1 { font-size: 24px; line-height: 32px; color: var(--heading); }
.exported > h2 { margin: 32px 0 8px; font-size: 12px; color: var(--quiet); }
.exported .when { color: var(--quiet); font-size: 14px; }
.exported .bubble { max-width: none; max-height: none; }
.exported .file { margin: 0 0 8px; font-size: 14px; color: var(--quiet); }
.exported .file img { display: block; max-width: 100%; max-height: 480px; border-radius: 8px; }
.exported .file pre { overflow-x: auto; padding: 12px; border: 1px solid var(--line); border-radius: 8px; white-space: pre-wrap; }
.exported .bubble:empty { display: none; }`;

/** Build a safe file name from a title; letters of any script stay. */
export function fileName(title, ending, now = Date.now()) {
  const words = title.normalize("NFC").replace(/[^\p{L}\p{N}\p{M}]+/gu, "-").replace(/^-+|-+$/g, "");
  return `${[...words].slice(0, 60).join("") || "chat"}-${date(now)}.${ending}`;
}

/** Download a file. */
export function download(name, parts, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(parts, { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

const ENDINGS = {
  bash: "sh", console: "sh", javascript: "js", typescript: "ts", python: "py", rust: "rs", ruby: "rb", kotlin: "kt", csharp: "cs", "c#": "cs", "c++": "cpp",
  markdown: "md", mermaid: "mmd", dockerfile: "dockerfile", powershell: "ps1", haskell: "hs", perl: "pl", julia: "jl", text: "txt",
};

/** Return a file name for code in this language. */
export const codeFileName = (language) => `code.${ENDINGS[language] ?? (/^[a-z0-9]{1,6}$/.test(language) ? language : "txt")}`;

/** Download the code block whose save button was clicked, or the picture if a diagram is shown. */
export function saveCode(event) {
  const box = event.target.closest?.("[data-save]")?.closest(".code");
  if (!box) return;
  const picture = box.querySelector(".diagram:not([hidden]) img")?.src;
  if (picture) return download("diagram.svg", [decodeURIComponent(picture.slice(picture.indexOf(",") + 1))], "image/svg+xml");
  const code = box.querySelector("code");
  download(codeFileName(code.className.replace("language-", "")), [code.textContent], "text/plain");
}

function nameAndText(turn, strings) {
  if (turn.role === "user") return [strings.you, turn.text];
  const { model_name: name, model, text, error } = turn.versions[turn.shown];
  return [name || model || strings.assistant, text || fill(strings.export_no_answer, { why: error?.title ?? "" })];
}

function element(page, tag, className, text = "") {
  return Object.assign(page.createElement(tag), { className, textContent: text });
}

const escaped = (text) => text.replace(/[&<>]/g, (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[sign]);
const oneLine = (text) => text.replace(/\s+/g, " ").trim();
const quoted = (text) => text.split("\n").map((line) => `> ${line}`).join("\n");
const date = (time) => new Date(time).toISOString().slice(0, 10);
