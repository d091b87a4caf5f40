// Requests to the page's own API. Paths are relative to where the page is mounted.

const at = (path) => new URL(`page/${path}`, document.baseURI.replace(/[?#].*$/, ""));

import { ownKeyHeaders } from "./own_key.js";
import { quotaHeaders } from "./zerogpu.js";

export class ApiError extends Error {
  constructor(view, status) {
    super(view.title);
    Object.assign(this, { view, status });
  }
}

async function json(response) {
  const body = await response.json().catch(() => null);
  if (response.ok && body) return body;
  if (response.status === 401) location.reload(); // the session has ended: the reload shows the sign-in form
  throw body?.error ? new ApiError(body.error, response.status) : new TypeError(`status ${response.status}`);
}

export const boot = async () => json(await fetch(at("boot")));

export const models = async () => json(await fetch(at("models"), { cache: "no-cache" }));

export const panel = async (model) => json(await fetch(at(`panel?model=${encodeURIComponent(model)}`)));

const RENDERED_AT_ONCE = 500_000; // characters; the server refuses and formats less of larger requests

/** Render texts, in several requests if they are long. */
export async function render(texts) {
  const blocks = [];
  while (blocks.length < texts.length) {
    let end = blocks.length;
    for (let size = 0; end < texts.length && (size === 0 || size + texts[end].length <= RENDERED_AT_ONCE); end += 1) size += texts[end].length;
    blocks.push(...(await json(await post("render", { texts: texts.slice(blocks.length, end) }))).blocks);
  }
  return { blocks };
}

/**
 * Read a PDF or a picture.
 * @param {"pdf" | "picture"} kind
 * @param {Blob} file
 */
export const readFile = async (kind, file) =>
  json(await fetch(at(`file/${kind}`), { method: "POST", headers: { "content-type": "application/octet-stream" }, body: file }));

const post = (path, body, signal, headers = {}) =>
  fetch(at(path), {
    method: "POST",
    headers: { "content-type": "application/json", ...ownKeyHeaders(), ...headers },
    body: JSON.stringify(body),
    signal,
  });

/**
 * Stream the events of one answer.
 * @throws {ApiError | TypeError | DOMException} An error response, a network error, or an abort.
 */
export const reply = (body, signal) => events("reply", body, signal);

/** Stream the events of a continuation. The interrupted answer is the last turn of the body. */
export const continueAnswer = (body, signal) => events("continue", body, signal);

/** Stream the events of all lanes, each with the letter of its lane as `lane`. */
export const compare = (body, signal) => events("compare", body, signal);

export const stopLane = async (run, letter) => json(await post("compare/stop", { run, letter }));

export const diff = async (a, b) => json(await post("compare/diff", { a, b }));

export const vote = async (votes) => json(await post("compare/votes", { votes }));

/** Return the ranking of the server's votes, or of these votes if the server stores none. */
export const ranking = async (votes) => json(await post("compare/ranking", { votes }));

/**
 * Return the votes as the text of a file.
 * @param {"csv" | "json"} form
 */
export const exportVotes = async (form, votes) => json(await post(`compare/export/${form}`, { votes }));

/** Return what can be checked. */
export const checks = async () => json(await fetch(at("check"), { cache: "no-cache" }));

export const check = (body, signal) => events("check/run", body, signal);

export const readSet = async (set) => json(await post("sets/validate", set));

export const forecastRun = async (request) => json(await post("sets/forecast", request));

export const startRun = async (request) => json(await post("sets/start", request));

export const runStatus = async (request) => json(await post("sets/status", request));

export const runRow = async (run, row) => json(await post("sets/row", { run, row }));

export const runAction = async (run, action) => json(await post("sets/action", { run, action }));

export const previewReport = async (run, form) => json(await post("sets/report", { run, form, preview: true }));

/** Return the report of a run as a file. */
export const report = async (run, form) => file(await post("sets/report", { run, form }));

/** The same for a comparison. request: the lanes with their turns, and the votes. */
export const previewLanes = async (request, form) => json(await post("compare/report", { ...request, form, preview: true }));

export const lanesReport = async (request, form) => file(await post("compare/report", { ...request, form }));

const file = (response) => (response.ok ? response.blob() : json(response));

async function* events(path, body, signal) {
  const response = await post(path, body, signal, await quotaHeaders());
  if (!response.headers.get("content-type")?.startsWith("text/event-stream")) {
    await json(response);
    throw new TypeError("not an event stream");
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n\n");
    rest = lines.pop();
    for (const line of lines) {
      if (line.startsWith("data: ")) yield JSON.parse(line.slice(6));
    }
  }
}
