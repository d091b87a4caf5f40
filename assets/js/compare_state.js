// The open comparison, as far as this tab keeps it: a reload loses nothing that was said.

import { stoppedReceipt } from "./answer.js";
import { keptInTab } from "./keeping.js";
import { DEFAULTS } from "./settings.js";

const KEY = "akash-gradio.compare";

/** Turns without HTML, nor anything that still grows. */
export function kept(turns) {
  return turns.map((turn) => {
    if (turn.role === "user") return { role: "user", text: turn.text };
    const versions = turn.versions.map(({ text, reasoning, thought_s, model, model_name, label, settings, receipt, error, stopped, live, endpoint, first_s, asked, began_ms, first_ms, ended_ms }) => ({
      text, reasoning, thought_s, model, model_name, label, settings, error, asked, began_ms, first_ms, ended_ms,
      receipt: live ? stoppedReceipt({ endpoint, first_s }) : receipt,
      stopped: live || stopped,
    }));
    return { role: "assistant", shown: turn.shown, versions };
  });
}

export function remember({ lanes, shared, blind, hidden, voted, tab }) {
  const draft = document.querySelector("#compare-message")?.value ?? "";
  const state = { shared, blind, hidden, voted, tab, draft, lanes: lanes.map(({ model, endpoint, settings, turns }) => ({ model, endpoint, settings, turns: kept(turns) })) };
  try {
    keptInTab.setItem(KEY, JSON.stringify(state));
  } catch {
    keptInTab.removeItem(KEY); // too much for this tab's storage: better none than an old one
  }
}

/** What `remember` kept; null when there is nothing of use. */
export function remembered() {
  try {
    const state = JSON.parse(keptInTab.getItem(KEY));
    if (!Array.isArray(state?.lanes) || state.lanes.length < 2) return null;
    return { ...state, shared: { ...DEFAULTS, ...state.shared } };
  } catch {
    return null;
  }
}
