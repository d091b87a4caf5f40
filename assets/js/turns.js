// What a chat is made of, as it is kept: turns and their versions, never HTML.
// A user turn is { id, role, text }, an answer { id, role, shown, versions }.

import { keptFiles } from "./files.js";
import { newId } from "./ids.js";
import { saidSomething, stoppedReceipt } from "./answer.js";

/** What the store keeps of a version: texts and receipt, never HTML. */
function kept({ id, text, reasoning, thought_s, model, model_name, receipt, error, stopped, edited, continued, left_out, settings }) {
  return { id: id ?? newId(), text, reasoning, thought_s, model, model_name, receipt, error, stopped, edited, continued, left_out, settings };
}

/** What has come of an answer that still grows is kept too: the tab may close at any time. */
function asStopped(version) {
  return version.live ? { ...version, stopped: true, receipt: stoppedReceipt(version) } : version;
}

/** Turns as the store has them. A `shown` that names no version would leave nothing to draw. */
export function keptTurns(turns) {
  const all = turns.map((turn) => {
    const id = turn.id ?? newId();
    if (turn.role === "user") return userTurn(id, turn.text, keptFiles(turn.attachments));
    const versions = turn.versions.filter((version) => !version.live || saidSomething(version)).map(asStopped).map(kept);
    return { id, role: "assistant", shown: Math.min(turn.shown, versions.length - 1), versions };
  });
  return all.filter((turn) => turn.role === "user" || turn.versions.length);
}

/** A turn of the visitor. attachments: as in files.js; kept with the turn, sent while it belongs to the chat. */
export function userTurn(id, text, attachments = []) {
  return attachments.length ? { id, role: "user", text, attachments } : { id, role: "user", text };
}

export function bodyOf(chat) {
  return { turns: keptTurns(chat.turns), settings: chat.settings };
}

/** A chat from the store. HTML is never taken from there. */
export function chatOf(entry, body) {
  const turns = keptTurns(body.turns);
  return { ...entry, settings: body.settings, turns, base: shapeOf(turns) };
}

/** What two tabs compare: each turn's id and how much is said in it. */
export const shapeOf = (turns) => turns.map((turn) => ({ id: turn.id, size: sizeOf(turn) }));

const sizeOf = (turn) => (turn.versions ?? [turn]).reduce((sum, { text }) => sum + (text ?? "").length, 0);
