// The page's own addresses, relative to wherever it is mounted.

const at = (path) => new URL(`page/${path}`, document.baseURI.replace(/[?#].*$/, ""));

import { ownKeyHeaders } from "./own_key.js";

export class Refused extends Error {
  constructor(view, status) {
    super(view.title);
    Object.assign(this, { view, status });
  }
}

async function json(response) {
  const body = await response.json().catch(() => null);
  if (response.ok && body) return body;
  if (response.status === 401) location.reload(); // the session is over: the edge shows its form
  throw body?.error ? new Refused(body.error, response.status) : new TypeError(`status ${response.status}`);
}

export const boot = async () => json(await fetch(at("boot")));

export const models = async () => json(await fetch(at("models"), { cache: "no-cache" }));

export const panel = async (model) => json(await fetch(at(`panel?model=${encodeURIComponent(model)}`)));

export const render = async (texts) => json(await post("render", { texts }));

/** What a PDF or picture holds. kind: "pdf" or "picture". */
export const readFile = async (kind, file) =>
  json(await fetch(at(`file/${kind}`), { method: "POST", headers: { "content-type": "application/octet-stream" }, body: file }));

const post = (path, body, signal) =>
  fetch(at(path), {
    method: "POST",
    headers: { "content-type": "application/json", ...ownKeyHeaders() },
    body: JSON.stringify(body),
    signal,
  });

/** The events of one answer, as they come. Throws Refused, TypeError or AbortError. */
export const reply = (body, signal) => events("reply", body, signal);

/** The same for an answer that is gone on with: it stands last in the body. */
export const goOn = (body, signal) => events("go-on", body, signal);

/** The events of every lane, each with its letter as `lane`. */
export const compare = (body, signal) => events("compare", body, signal);

export const stopLane = async (run, letter) => json(await post("compare/stop", { run, letter }));

export const diff = async (a, b) => json(await post("compare/diff", { a, b }));

export const vote = async (votes) => json(await post("compare/votes", { votes }));

/** The table of votes: the server's own, or of these where it keeps none. */
export const ranking = async (votes) => json(await post("compare/ranking", { votes }));

/** The votes as a file's text; form: `csv` or `json`. */
export const exportVotes = async (form, votes) => json(await post(`compare/export/${form}`, { votes }));

/** What can be checked; and one check, as it goes. */
export const checks = async () => json(await fetch(at("check"), { cache: "no-cache" }));

export const check = (body, signal) => events("check/run", body, signal);

export const readSet = async (set) => json(await post("sets/read", set));

export const forecastSet = async (asked) => json(await post("sets/forecast", asked));

export const beginSet = async (asked) => json(await post("sets/begin", asked));

export const lookSet = async (asked) => json(await post("sets/look", asked));

export const rowOfSet = async (run, row) => json(await post("sets/row", { run, row }));

export const actSet = async (run, act) => json(await post("sets/act", { run, act }));

export const previewReport = async (run, form) => json(await post("sets/report", { run, form, preview: true }));

/** A report's file. */
export const report = async (run, form) => file(await post("sets/report", { run, form }));

/** The same of lanes; said: what was said in them. */
export const previewLanes = async (said, form) => json(await post("compare/report", { ...said, form, preview: true }));

export const lanesReport = async (said, form) => file(await post("compare/report", { ...said, form }));

const file = (response) => (response.ok ? response.blob() : json(response));

async function* events(path, body, signal) {
  const response = await post(path, body, signal);
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
