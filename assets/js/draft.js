// Stores the message that is being written, so that it survives a reload of the tab.

import { safeSessionStorage } from "./safe_storage.js";

const KEY = "akash-gradio.draft";
const LIMIT = 100_000; // longer drafts are not stored

export class Draft {
  #saved = "";

  /** Return the stored draft, or "". */
  restore() {
    this.#saved = safeSessionStorage.getItem(KEY) ?? "";
    return this.#saved;
  }

  save(text) {
    if (text === this.#saved) return;
    this.#saved = text;
    try {
      if (text && text.length <= LIMIT) safeSessionStorage.setItem(KEY, text);
      else safeSessionStorage.removeItem(KEY);
    } catch {
      safeSessionStorage.removeItem(KEY); // it exceeds this tab's storage: better none than an outdated one
    }
  }
}
