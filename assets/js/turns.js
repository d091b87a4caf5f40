// The stored format of a chat: turns and their versions, never HTML.
// A user turn is { id, role, text, attachments }, an answer { id, role, shown, versions }.

import { storedFiles } from "./files.js";
import { newId } from "./ids.js";
import { hasContent, partialReceipt } from "./answer.js";

/** Return the stored fields of a version: texts and receipt, never HTML. */
function storedVersion({ id, text, reasoning, thought_s, model, model_name, receipt, error, stopped, edited, continued, left_out, settings }) {
  return { id: id ?? newId(), text, reasoning, thought_s, model, model_name, receipt, error, stopped, edited, continued, left_out, settings };
}

/** Mark a streaming version as stopped: the tab may be closed at any time. */
function asStopped(version) {
  return version.live ? { ...version, stopped: true, receipt: partialReceipt(version) } : version;
}

/** Return turns in the stored format. `shown` always names an existing version. */
export function storedTurns(turns) {
  const all = turns.map((turn) => {
    const id = turn.id ?? newId();
    if (turn.role === "user") return userTurn(id, turn.text, storedFiles(turn.attachments));
    const versions = turn.versions.filter((version) => !version.live || hasContent(version)).map(asStopped).map(storedVersion);
    return { id, role: "assistant", shown: Math.min(turn.shown, versions.length - 1), versions };
  });
  return all.filter((turn) => turn.role === "user" || turn.versions.length);
}

/** Create a user turn. attachments: see files.js. */
export function userTurn(id, text, attachments = []) {
  return attachments.length ? { id, role: "user", text, attachments } : { id, role: "user", text };
}

export function bodyOf(chat) {
  return { turns: storedTurns(chat.turns), settings: chat.settings };
}

/** Build a chat from the store. HTML is never taken from there. */
export function chatOf(entry, body) {
  const turns = storedTurns(body.turns);
  return { ...entry, settings: body.settings, turns, base: shapeOf(turns) };
}

/** Return what tabs compare: the id of each turn and the length of its texts. */
export const shapeOf = (turns) => turns.map((turn) => ({ id: turn.id, size: sizeOf(turn) }));

const sizeOf = (turn) => (turn.versions ?? [turn]).reduce((sum, { text }) => sum + (text ?? "").length, 0);
