// Folders of chats: which ones are open, and the menu for choosing one. A folder is a name stored in its chats.

import { el, icon } from "./dom.js";
import { foldersOf } from "./groups.js";
import { safeLocalStorage } from "./safe_storage.js";
import { openPopover } from "./menus.js";

const KEY = "akash-gradio.open-folders";
export const NAME_LENGTH = 60;

/** The names of the open folders, stored in this browser. */
export class OpenFolders {
  constructor() {
    try {
      this.names = new Set(JSON.parse(safeLocalStorage.getItem(KEY)) ?? []);
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
      safeLocalStorage.setItem(KEY, JSON.stringify([...this.names]));
    } catch {
      // Storage is full: valid while the page is open.
    }
  }
}

/** Let the visitor choose a folder. Calls then(name), or then(null) for no folder. current: the chat's folder. */
export function chooseFolder(button, current, entries, strings, then) {
  openPopover(button, strings.folder_move, (close) => {
    const chosen = (name) => () => {
      close();
      then(name);
    };
    const input = el("input", { type: "text", class: "dialog-field", maxlength: NAME_LENGTH, placeholder: strings.folder_new, "aria-label": strings.folder_new, dir: "auto" });
    const make = () => input.value.trim() && chosen(input.value.trim())();
    const put = el("button", { type: "button", class: "btn", onclick: make }, strings.folder_put);
    const item = (name, label) => el("button", { type: "button", class: "pop-item", "aria-current": name === (current ?? null) ? "true" : null, onclick: chosen(name) },
      icon(name === (current ?? null) ? "check" : name ? "folder" : "close"), el("span", { dir: "auto" }, label));
    const items = foldersOf(entries).map((name) => item(name, name));
    return [el("div", { class: "folder-new" }, input, put), ...items, ...(current ? [item(null, strings.folder_none)] : [])];
  });
}
