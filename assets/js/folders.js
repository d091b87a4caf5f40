// Folders of chats: which are open in the list, and choosing one. A folder is a name that chats have.

import { el, icon } from "./dom.js";
import { foldersOf } from "./groups.js";
import { kept } from "./keeping.js";
import { openPop } from "./menus.js";

const KEY = "akash-gradio.open-folders";
export const NAME_LENGTH = 60;

/** The folders that are open, kept in this browser. */
export class OpenFolders {
  constructor() {
    try {
      this.names = new Set(JSON.parse(kept.getItem(KEY)) ?? []);
    } catch {
      this.names = new Set();
    }
  }

  has(name) {
    return this.names.has(name);
  }

  set(name, open) {
    if (open) this.names.add(name);
    else this.names.delete(name);
    try {
      kept.setItem(KEY, JSON.stringify([...this.names]));
    } catch {
      // No room: open for as long as the page is.
    }
  }
}

/** Ask at `button` for a folder: then(its name), or then(null) for none. current: where the chat is. */
export function chooseFolder(button, current, entries, words, then) {
  openPop(button, words.folder_move, (close) => {
    const chosen = (name) => () => {
      close();
      then(name);
    };
    const input = el("input", { type: "text", class: "dialog-field", maxlength: NAME_LENGTH, placeholder: words.folder_new, "aria-label": words.folder_new, dir: "auto" });
    const make = () => input.value.trim() && chosen(input.value.trim())();
    const put = el("button", { type: "button", class: "btn", onclick: make }, words.folder_put);
    const item = (name, label) => el("button", { type: "button", class: "pop-item", "aria-current": name === (current ?? null) ? "true" : null, onclick: chosen(name) },
      icon(name === (current ?? null) ? "check" : name ? "folder" : "close"), el("span", { dir: "auto" }, label));
    const items = foldersOf(entries).map((name) => item(name, name));
    return [el("div", { class: "folder-new" }, input, put), ...items, ...(current ? [item(null, words.folder_none)] : [])];
  });
}
