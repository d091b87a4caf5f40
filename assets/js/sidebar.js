// The chat list: groups, search, and the actions of each chat.

import { $, el, icon } from "./dom.js";
import { NAME_LENGTH, OpenFolders, chooseFolder } from "./folders.js";
import { groupChats, limitRows } from "./groups.js";
import { menuButton } from "./menus.js";
import { excerpt } from "./searching.js";

const FIRST_ROWS = 80;
const MORE_ROWS = 200;
const NEAR_END = 400;
const EXCERPTS = 12;
const PAUSE_MS = 120;
const STOPS = ".history-open, .history-folder"; // targets of the arrow keys

export class Sidebar {
  /**
   * @param {Record<string, string>} strings Texts of the page.
   * @param {object} history The stored chats.
   * @param {object} actions open(id), rename(entry, title), pin(entry), move(entry, folder),
   *   renameFolder(name, other), duplicate(id), export(id, form), remove(entry), openStorageDialog().
   */
  constructor(strings, history, actions) {
    Object.assign(this, { strings, history, actions });
    this.rows = FIRST_ROWS;
    this.query = "";
    this.folders = new OpenFolders();
    this.month = new Intl.DateTimeFormat(document.documentElement.lang || undefined, { month: "long", year: "numeric" });
  }

  wire() {
    const box = $("#chat-search");
    box.addEventListener("input", () => {
      clearTimeout(this.pause);
      this.pause = setTimeout(() => this.find(box.value.trim()), PAUSE_MS);
    });
    box.addEventListener("keydown", (event) => {
      if (event.isComposing) return;
      if (event.key === "Escape" && box.value) {
        event.stopPropagation();
        box.value = "";
        this.find("");
      }
      if (event.key !== "ArrowDown" && event.key !== "Enter") return;
      event.preventDefault();
      if (event.key === "Enter") $("#history .history-open")?.click();
      else $("#history").querySelector(STOPS)?.focus();
    });
    $("#your-chats").addEventListener("click", () => this.actions.openStorageDialog());
    const root = $("#history");
    root.addEventListener("keydown", (event) => this.#walk(event));
    root.addEventListener("scroll", () => this.#scrolled(root), { passive: true });
  }

  mark(id) {
    this.current = id;
    this.draw();
  }

  async find(query) {
    this.query = query;
    this.rows = FIRST_ROWS;
    if (query) {
      const results = await this.history.search(query);
      if (this.query !== query) return;
      this.results = results;
    }
    this.draw();
    $("#history").scrollTop = 0;
    if (query) await this.#excerpts(query);
  }

  /** Redraw or search again after a chat was added, removed or renamed. */
  changed() {
    if (this.query) this.find(this.query);
    else this.draw();
  }

  // ── drawing ─────────────────────────────────────────────────────────────

  /** Draw the list, unless it would look the same or a title is being edited. */
  draw() {
    const root = $("#history");
    const groups = limitRows(this.rows, this.#groups(), (name) => this.folders.has(name));
    const rows = ({ name, open, count, entries }) => [name, open, count, entries.map(({ id, title, pinned }) => [id, title, pinned])];
    const signature = JSON.stringify([this.current, this.query, groups.map(rows)]);
    if (!root || this.renaming || signature === this.signature) return;
    this.signature = signature;
    if (!groups.length) {
      root.replaceChildren(el("p", { class: "history-empty" }, this.#emptyWords()));
      return;
    }
    const focused = document.activeElement?.closest?.(".history-row")?.dataset.chatId;
    const scrolled = root.scrollTop;
    root.replaceChildren(...this.#parts(groups));
    root.scrollTop = scrolled;
    if (focused) focusRow(focused);
  }

  #emptyWords() {
    const { strings, history, actions } = this;
    if (this.query) return strings.search_none;
    if (history.store.keeps) return strings.history_empty;
    if (history.store.newer) return strings.newer_store;
    return actions.canStore ? "" : strings.history_off; // a note above explains private mode
  }

  #parts(groups) {
    return groups.flatMap(({ name, entries, folder, open, count }) => {
      const head = folder ? this.#folder(name, open, count) : el("h2", { class: "history-day" }, name);
      return [head, ...entries.map((entry) => this.#row(entry))];
    });
  }

  #folder(name, open, count) {
    const { strings } = this;
    const row = el("div", { class: "folder-row" }, el("h2", { class: "history-day" }, this.#fold(name, open, count)));
    const rename = { icon: "edit", label: strings.rename, act: () => this.#renameFolder(row, name, open, count) };
    row.append(menuButton("more", `${strings.more}: ${name}`, () => [rename]));
    return row;
  }

  #fold(name, open, count) {
    const toggle = () => {
      this.folders.set(name, !open);
      this.draw();
      focusFolder(name);
    };
    return el("button", { type: "button", class: "history-folder", "data-folder": name, "aria-expanded": String(open), onclick: toggle },
      icon("right"), el("span", { dir: "auto" }, name), el("span", { class: "tn" }, String(count)));
  }

  /** Return the groups in the order of the list; see groups.js. */
  #groups() {
    const { strings, history, results } = this;
    if (this.query) {
      const both = [[strings.search_titles, results.inTitle], [strings.search_texts, results.inText]];
      return both.filter(([, entries]) => entries.length).map(([name, entries]) => ({ name, entries, folder: false }));
    }
    return groupChats(history.entries, strings, new Date().setHours(0, 0, 0, 0), (time) => this.month.format(time));
  }

  #scrolled(root) {
    if (root.scrollHeight - root.scrollTop - root.clientHeight > NEAR_END) return;
    if (root.querySelectorAll(".history-row").length < this.rows) return;
    this.rows += MORE_ROWS;
    this.draw();
  }

  #row(entry) {
    const { strings, actions } = this;
    const row = el("div", { class: "history-row", "data-chat-id": entry.id, "aria-current": entry.id === this.current ? "true" : null });
    const title = entry.title || strings.new_chat;
    const open = el("button", { type: "button", class: "history-open", dir: "auto", title, onclick: () => actions.open(entry.id) }, title);
    if (entry.pinned) row.append(icon("pin"));
    row.append(open, menuButton("more", `${strings.more}: ${title}`, (button) => this.#menu(row, entry, button)));
    return row;
  }

  #menu(row, entry, button) {
    const { strings, actions } = this;
    return [
      { icon: "pin", label: entry.pinned ? strings.unpin : strings.pin, act: () => actions.pin(entry) },
      { icon: "edit", label: strings.rename, act: () => this.#rename(row, entry) },
      { icon: "folder", label: strings.folder_move, act: () => this.#move(entry, button) },
      { icon: "copy", label: strings.duplicate, act: () => actions.duplicate(entry.id) },
      null,
      { icon: "save", label: strings.export_markdown, act: () => actions.export(entry.id, "markdown") },
      { icon: "save", label: strings.export_html, act: () => actions.export(entry.id, "html") },
      { icon: "save", label: strings.export_json, act: () => actions.export(entry.id, "json") },
      null,
      { icon: "trash", label: strings.delete, act: () => actions.remove(entry), danger: true },
    ];
  }

  #move(entry, button) {
    chooseFolder(button, entry.folder, this.history.entries, this.strings, (folder) => {
      if (folder) this.folders.set(folder, true);
      this.actions.move(entry, folder);
    });
  }

  /** Add the matching text below chats found by their text. Only the first chats are read. */
  async #excerpts(query) {
    for (const { id } of this.results.inText.slice(0, EXCERPTS)) {
      const chat = await this.history.read(id).catch(() => null);
      if (this.query !== query) return;
      const text = chat && excerpt(chat.turns, query);
      const open = $(`[data-chat-id="${CSS.escape(id)}"] .history-open`);
      if (text && open && !open.querySelector("small")) open.append(el("small", { dir: "auto" }, text));
    }
  }

  #walk(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || !event.target.closest(STOPS)) return;
    event.preventDefault();
    const all = [...$("#history").querySelectorAll(STOPS)];
    const next = all[all.indexOf(event.target.closest(STOPS)) + step];
    if (next) next.focus();
    else if (step < 0) $("#chat-search").focus();
  }

  // ── renaming ────────────────────────────────────────────────────────────

  #rename(row, entry) {
    this.#editName(row, { text: entry.title, label: this.strings.chat_title, length: 120 }, {
      drawn: (title) => this.#row({ ...entry, title }),
      onrename: (title) => this.actions.rename(entry, title),
      focus: () => focusRow(entry.id),
    });
  }

  #renameFolder(row, name, open, count) {
    this.#editName(row, { text: name, label: this.strings.folder_name, length: NAME_LENGTH }, {
      drawn: (other) => this.#folder(other, open, count),
      onrename: (other) => {
        this.folders.set(name, false);
        this.folders.set(other, open || this.folders.has(other));
        this.actions.renameFolder(name, other);
      },
      focus: focusFolder,
    });
  }

  /** Edit a name in place. drawn(name): builds the element again. onrename(name): called with a new name. */
  #editName(element, { text, label, length }, { drawn, onrename, focus }) {
    const input = el("input", { type: "text", maxlength: length, "aria-label": label, dir: "auto" });
    const writing = (this.renaming = { input });
    input.value = text;
    const done = (keep) => {
      if (this.renaming !== writing) return;
      this.renaming = null;
      const name = (keep && input.value.trim()) || text;
      element.replaceWith(drawn(name)); // only this element: a click on another one may have ended the editing
      this.signature = null;
      if (name !== text) onrename(name);
      return name;
    };
    input.addEventListener("keydown", (event) => {
      if (event.isComposing || event.keyCode === 229) return;
      if (event.key !== "Enter" && event.key !== "Escape") return;
      event.preventDefault(); // or the element that gets the focus would be clicked too
      event.stopPropagation();
      focus(done(event.key === "Enter"));
    });
    input.addEventListener("blur", () => done(true));
    element.replaceChildren(input);
    input.focus();
    input.select();
  }
}

function focusFolder(name) {
  $(`#history [data-folder="${CSS.escape(name)}"]`)?.focus({ preventScroll: true });
}

function focusRow(id) {
  $(`[data-chat-id="${CSS.escape(id)}"] .history-open`)?.focus({ preventScroll: true });
}
