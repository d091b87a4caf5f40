// One answer: what comes is folded in, and the parts that show it; for chats and lanes.

import { copyText, el, fill, icon, patchBlocks } from "./dom.js";

export const saidSomething = (version) => Boolean(version.text || version.reasoning);

/** Fold one event of the server into the version. */
export function take(version, event, words) {
  if (event.type === "patch") {
    const [text, blocks] = event.part === "answer" ? ["text", "blocks"] : ["reasoning", "reasoning_blocks"];
    version[text] += event.text;
    version[blocks] = [...(version[blocks] ?? []).slice(0, event.keep), ...event.blocks];
  } else if (event.type === "started") {
    Object.assign(version, { endpoint: event.endpoint, first_s: event.first_s });
  } else if (event.type === "queued") {
    version.starting = event.place > 0;
    version.status = event.place ? fill(words.queued, { place: event.place }) : words.waiting;
  } else if (event.type === "retrying") {
    version.retrying = true;
    const facts = { endpoint: event.endpoint, seconds: event.wait_s };
    version.status = fill(event.wait_s >= 1 ? words.trying_again : words.trying_another, facts);
  } else if (event.type === "starting") {
    version.starting = true;
    version.status = words.starting;
  } else if (event.type === "thought") {
    version.thought_s = event.seconds;
  } else if (event.type === "not_reasoning") {
    Object.assign(version, { reasoning: "", reasoning_blocks: [], thought_s: null }); // its words come again, as the answer
  } else if (event.type === "done") {
    Object.assign(version, { receipt: event.receipt, error: event.error, thought_s: event.thought_s });
  }
}

/** What is known of an answer that was stopped: the server's receipt never came. */
export function stoppedReceipt(version) {
  const line = [version.endpoint, version.first_s != null && `${version.first_s.toFixed(2)} s`].filter(Boolean);
  return { line, flags: [], rows: [], attempts: [], total_s: 0 };
}

/** The reasoning, folded: { node, label, text }. */
export function thoughtsOf(version, words) {
  const label = el("span", {}, thoughtWords(version, words));
  const text = el("div", { class: "prose-block", dir: "auto", tabindex: 0, role: "region", "aria-label": words.thought_some });
  put(text, version.reasoning_blocks, version.reasoning);
  const node = el("details", { class: "thoughts" }, el("summary", {}, icon("right"), label), text);
  node.hidden = !version.reasoning;
  node.addEventListener("toggle", () => node.open && node.scrollIntoView({ block: "nearest" }));
  return { node, label, text };
}

export function thoughtWords({ thought_s, live, receipt }, words) {
  const seconds = thought_s == null || thought_s < 10 ? thought_s : Math.round(thought_s);
  const tokens = receipt?.facts?.tokens_reasoning;
  if (seconds != null && tokens) return fill(words.thought_tokens, { seconds, tokens: tokens.toLocaleString("en-US") });
  if (seconds != null) return fill(words.thought, { seconds });
  return live ? words.thinking : words.thought_some;
}

/** What is said until the first token. */
export function statusOf(version) {
  const dots = el("span", { class: "dots", "aria-hidden": "true" }, el("i"), el("i"), el("i"));
  return el("div", { class: "status" }, dots, el("span", { class: "say" }, version.status ?? ""));
}

/** What to do about an error. Chats stored before version 0.2 have it under another key. */
export const hintOf = (error) => error.hint ?? error["mend"] ?? "";

/** What happened, whose fault, what to do. */
export function failureOf(error, words, onretry) {
  const box = el("div", {}, el("b", {}, error.title), el("p", {}, hintOf(error)));
  if (error.details) {
    box.append(el("details", {}, el("summary", {}, words.details), el("pre", {}, error.details)));
  }
  if (error.retry) {
    box.append(el("button", { type: "button", class: "btn", onclick: onretry }, words.try_again));
  }
  return el("div", { class: "failure" }, icon("alert"), box);
}

/** A text's blocks; the plain text when the server could not be asked to draw them. */
export function put(container, blocks, text) {
  if (blocks || !text) patchBlocks(container, 0, blocks ?? []);
  else container.append(el("div", { class: "undrawn" }, text));
}

/** Copy the text, and show on the pressed button that it is done. */
export async function copied(event, text, words) {
  const button = event.currentTarget;
  if (!(await copyText(text, words))) return;
  button.replaceChildren(icon("check"));
  button.setAttribute("aria-label", words.copied);
  setTimeout(() => {
    button.replaceChildren(icon("copy"));
    button.setAttribute("aria-label", words.copy);
  }, 1500);
}
