// The message that is being written survives a reload of its tab.

import { keptInTab } from "./keeping.js";

const KEY = "akash-gradio.draft";
const LIMIT = 100_000; // a longer one is kept nowhere else

export class Draft {
  #kept = "";

  /** What was being written; "" for nothing. */
  taken() {
    this.#kept = keptInTab.getItem(KEY) ?? "";
    return this.#kept;
  }

  keep(text) {
    if (text === this.#kept) return;
    this.#kept = text;
    try {
      if (text && text.length <= LIMIT) keptInTab.setItem(KEY, text);
      else keptInTab.removeItem(KEY);
    } catch {
      keptInTab.removeItem(KEY); // too much for this tab's storage: better none than an old one
    }
  }
}
