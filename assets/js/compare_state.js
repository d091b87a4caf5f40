// Stores the open comparison in this tab, so that a reload restores it.

import { partialReceipt } from "./answer.js";
import { safeSessionStorage } from "./safe_storage.js";
import { DEFAULTS } from "./settings.js";

const KEY = "akash-gradio.compare";

/** Return the turns without HTML and without transient fields. */
export function serializeTurns(turns) {
  return turns.map((turn) => {
    if (turn.role === "user") return { role: "user", text: turn.text };
    const versions = turn.versions.map(({ text, reasoning, thought_s, model, model_name, label, settings, receipt, error, stopped, live, endpoint, first_s, requested_at, began_ms, first_ms, ended_ms }) => ({
      text, reasoning, thought_s, model, model_name, label, settings, error, requested_at, began_ms, first_ms, ended_ms,
      receipt: live ? partialReceipt({ endpoint, first_s }) : receipt,
      stopped: live || stopped,
    }));
    return { role: "assistant", shown: turn.shown, versions };
  });
}

export function saveComparison({ lanes, shared, blind, hidden, voted, tab }) {
  const draft = document.querySelector("#compare-message")?.value ?? "";
  const state = { shared, blind, hidden, voted, tab, draft, lanes: lanes.map(({ model, endpoint, settings, turns }) => ({ model, endpoint, settings, turns: serializeTurns(turns) })) };
  try {
    safeSessionStorage.setItem(KEY, JSON.stringify(state));
  } catch {
    safeSessionStorage.removeItem(KEY); // it exceeds this tab's storage: better none than an outdated one
  }
}

/** Return what `saveComparison` stored; null if there is nothing usable. */
export function restoreComparison() {
  try {
    const state = JSON.parse(safeSessionStorage.getItem(KEY));
    if (!Array.isArray(state?.lanes) || state.lanes.length < 2) return null;
    return { ...state, shared: { ...DEFAULTS, ...state.shared } };
  } catch {
    return null;
  }
}
