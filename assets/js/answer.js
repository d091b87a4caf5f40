// One answer, for chats and lanes: applies stream events to a version, and builds the parts that show it.

import { copyText, el, fill, icon, patchBlocks } from "./dom.js";
import { formatCount, formatSeconds } from "./formatting.js";

export const hasContent = (version) => Boolean(version.text || version.reasoning);

/**
 * Apply one event of the server's stream to the version.
 * @param {object} version The version of the answer that is streamed; changed in place.
 * @param {object} event An event of the stream, see docs/frontend.md.
 * @param {Record<string, string>} strings Texts of the page.
 */
export function applyEvent(version, event, strings) {
  if (event.type === "patch") {
    const [text, blocks] = event.part === "answer" ? ["text", "blocks"] : ["reasoning", "reasoning_blocks"];
    version[text] += event.text;
    version[blocks] = [...(version[blocks] ?? []).slice(0, event.keep), ...event.blocks];
  } else if (event.type === "started") {
    Object.assign(version, { endpoint: event.endpoint, first_s: event.first_s });
  } else if (event.type === "queued") {
    version.starting = event.position > 0;
    version.status = event.position ? fill(strings.queued, { position: event.position }) : strings.waiting;
  } else if (event.type === "retrying") {
    version.retrying = true;
    const facts = { endpoint: event.endpoint, seconds: event.wait_s };
    version.status = fill(event.wait_s >= 1 ? strings.trying_again : strings.trying_another, facts);
  } else if (event.type === "starting") {
    version.starting = true;
    version.status = strings.starting;
  } else if (event.type === "thought") {
    version.thought_s = event.seconds;
  } else if (event.type === "not_reasoning") {
    Object.assign(version, { reasoning: "", reasoning_blocks: [], thought_s: null }); // the same text arrives again, as part of the answer
  } else if (event.type === "done") {
    Object.assign(version, { receipt: event.receipt, error: event.error, thought_s: event.thought_s });
  }
}

/** Build a receipt for a stopped answer, from what is known without the server's receipt. */
export function partialReceipt(version) {
  const line = [version.endpoint, version.first_s != null && formatSeconds(version.first_s)].filter(Boolean);
  return { line, flags: [], rows: [], attempts: [], total_s: 0 };
}

/** Build the collapsed reasoning: { node, label, text }. */
export function reasoningView(version, strings) {
  const label = el("span", {}, reasoningLabel(version, strings));
  const text = el("div", { class: "prose-block", dir: "auto", tabindex: 0, role: "region", "aria-label": strings.reasoning });
  renderBlocks(text, version.reasoning_blocks, version.reasoning);
  const node = el("details", { class: "thoughts" }, el("summary", {}, icon("right"), label), text);
  node.hidden = !version.reasoning;
  node.addEventListener("toggle", () => node.open && node.scrollIntoView({ block: "nearest" }));
  return { node, label, text };
}

export function reasoningLabel({ thought_s, live, receipt }, strings) {
  const seconds = thought_s == null || thought_s < 10 ? thought_s : Math.round(thought_s);
  const tokens = receipt?.facts?.tokens_reasoning;
  if (seconds != null && tokens) return fill(strings.thought_tokens, { seconds, tokens: formatCount(tokens) });
  if (seconds != null) return fill(strings.thought, { seconds });
  return live ? strings.thinking : strings.reasoning;
}

/** Build the status line that is shown until the first token. */
export function statusView(version) {
  const dots = el("span", { class: "dots", "aria-hidden": "true" }, el("i"), el("i"), el("i"));
  return el("div", { class: "status" }, dots, el("span", { class: "status-text" }, version.status ?? ""));
}

/** Return what the visitor can do about an error. Chats stored by version 0.1 have another key. */
export const hintOf = (error) => error.hint ?? error["mend"] ?? "";

/** Build the box that shows an error: what happened, what to do, details and a retry button. */
export function errorView(error, strings, onretry) {
  const box = el("div", {}, el("b", {}, error.title), el("p", {}, hintOf(error)));
  if (error.details) {
    box.append(el("details", {}, el("summary", {}, strings.details), el("pre", {}, error.details)));
  }
  if (error.retry) {
    box.append(el("button", { type: "button", class: "btn", onclick: onretry }, strings.try_again));
  }
  return el("div", { class: "failure" }, icon("alert"), box);
}

/** Show a text's rendered blocks, or the plain text if they could not be rendered. */
export function renderBlocks(container, blocks, text) {
  if (blocks || !text) patchBlocks(container, 0, blocks ?? []);
  else container.append(el("div", { class: "undrawn" }, text));
}

/** Copy the text, and confirm it on the button that was clicked. */
export async function copyWithFeedback(event, text, strings) {
  const button = event.currentTarget;
  if (!(await copyText(text, strings))) return;
  button.replaceChildren(icon("check"));
  button.setAttribute("aria-label", strings.copied);
  setTimeout(() => {
    button.replaceChildren(icon("copy"));
    button.setAttribute("aria-label", strings.copy);
  }, 1500);
}
