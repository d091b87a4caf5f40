// The list of chats: groups, search, and what can be done with one of them.

import { $, el, icon } from "./dom.js";
import { NAME_LENGTH, OpenFolders, chooseFolder } from "./folders.js";
import { grouped, upTo } from "./groups.js";
import { menuButton } from "./menus.js";
import { excerpt } from "./searching.js";

const FIRST_ROWS = 80;
const MORE_ROWS = 200;
const NEAR_END = 400;
const EXCERPTS = 12;
const PAUSE_MS = 120;
const STOPS = ".history-open, .history-folder"; // of the arrow keys

export class Sidebar {
  /** acts: open(id), rename(entry, title), pin(entry), move(entry, folder), renameFolder(name, other), duplicate(id),
   * export(id, form), remove(entry), openStorage(). */
  constructor(words, history, acts) {
    Object.assign(this, { words, history, acts });
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
    $("#your-chats").addEventListener("click", () => this.acts.openStorage());
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
      const found = await this.history.search(query);
      if (this.query !== query) return;
      this.found = found;
    }
    this.draw();
    $("#history").scrollTop = 0;
    if (query) await this.#excerpts(query);
  }

  /** A chat came, went or was renamed; what is searched for is searched again. */
  changed() {
    if (this.query) this.find(this.query);
    else this.draw();
  }

  // ── drawing ─────────────────────────────────────────────────────────────

  /** Nothing is drawn again that looks the same, nor while a title is being written. */
  draw() {
    const root = $("#history");
    const groups = upTo(this.rows, this.#groups(), (name) => this.folders.has(name));
    const rows = ({ name, open, count, entries }) => [name, open, count, entries.map(({ id, title, pinned }) => [id, title, pinned])];
    const look = JSON.stringify([this.current, this.query, groups.map(rows)]);
    if (!root || this.renaming || look === this.look) return;
    this.look = look;
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
    const { words, history, acts } = this;
    if (this.query) return words.search_none;
    if (history.store.keeps) return words.history_empty;
    if (history.store.newer) return words.newer_store;
    return acts.canKeep ? "" : words.history_off; // a note above says that nothing is kept
  }

  #parts(groups) {
    return groups.flatMap(({ name, entries, folder, open, count }) => {
      const head = folder ? this.#folder(name, open, count) : el("h2", { class: "history-day" }, name);
      return [head, ...entries.map((entry) => this.#row(entry))];
    });
  }

  #folder(name, open, count) {
    const { words } = this;
    const row = el("div", { class: "folder-row" }, el("h2", { class: "history-day" }, this.#fold(name, open, count)));
    const rename = { icon: "edit", label: words.rename, act: () => this.#renameFolder(row, name, open, count) };
    row.append(menuButton("more", `${words.more}: ${name}`, () => [rename]));
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

  /** In the order of the list; see groups.js. */
  #groups() {
    const { words, history, found } = this;
    if (this.query) {
      const both = [[words.search_titles, found.inTitle], [words.search_texts, found.inText]];
      return both.filter(([, entries]) => entries.length).map(([name, entries]) => ({ name, entries, folder: false }));
    }
    return grouped(history.entries, words, new Date().setHours(0, 0, 0, 0), (time) => this.month.format(time));
  }

  #scrolled(root) {
    if (root.scrollHeight - root.scrollTop - root.clientHeight > NEAR_END) return;
    if (root.querySelectorAll(".history-row").length < this.rows) return;
    this.rows += MORE_ROWS;
    this.draw();
  }

  #row(entry) {
    const { words, acts } = this;
    const row = el("div", { class: "history-row", "data-chat-id": entry.id, "aria-current": entry.id === this.current ? "true" : null });
    const title = entry.title || words.new_chat;
    const open = el("button", { type: "button", class: "history-open", dir: "auto", title, onclick: () => acts.open(entry.id) }, title);
    if (entry.pinned) row.append(icon("pin"));
    row.append(open, menuButton("more", `${words.more}: ${title}`, (button) => this.#menu(row, entry, button)));
    return row;
  }

  #menu(row, entry, button) {
    const { words, acts } = this;
    return [
      { icon: "pin", label: entry.pinned ? words.unpin : words.pin, act: () => acts.pin(entry) },
      { icon: "edit", label: words.rename, act: () => this.#rename(row, entry) },
      { icon: "folder", label: words.folder_move, act: () => this.#move(entry, button) },
      { icon: "copy", label: words.duplicate, act: () => acts.duplicate(entry.id) },
      null,
      { icon: "save", label: words.export_markdown, act: () => acts.export(entry.id, "markdown") },
      { icon: "save", label: words.export_html, act: () => acts.export(entry.id, "html") },
      { icon: "save", label: words.export_json, act: () => acts.export(entry.id, "json") },
      null,
      { icon: "trash", label: words.delete, act: () => acts.remove(entry), danger: true },
    ];
  }

  #move(entry, button) {
    chooseFolder(button, entry.folder, this.history.entries, this.words, (folder) => {
      if (folder) this.folders.set(folder, true);
      this.acts.move(entry, folder);
    });
  }

  /** Under a chat whose text was meant: the words around it. Few bodies are read, one by one. */
  async #excerpts(query) {
    for (const { id } of this.found.inText.slice(0, EXCERPTS)) {
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
    this.#write(row, { text: entry.title, label: this.words.chat_title, length: 120 }, {
      drawn: (title) => this.#row({ ...entry, title }),
      told: (title) => this.acts.rename(entry, title),
      focus: () => focusRow(entry.id),
    });
  }

  #renameFolder(row, name, open, count) {
    this.#write(row, { text: name, label: this.words.folder_name, length: NAME_LENGTH }, {
      drawn: (other) => this.#folder(other, open, count),
      told: (other) => {
        this.folders.set(name, false);
        this.folders.set(other, open || this.folders.has(other));
        this.acts.renameFolder(name, other);
      },
      focus: focusFolder,
    });
  }

  /** A name is written in its own place. drawn: the place with a name. told: another one. */
  #write(place, { text, label, length }, { drawn, told, focus }) {
    const input = el("input", { type: "text", maxlength: length, "aria-label": label, dir: "auto" });
    const writing = (this.renaming = { input });
    input.value = text;
    const done = (keep) => {
      if (this.renaming !== writing) return;
      this.renaming = null;
      const name = (keep && input.value.trim()) || text;
      place.replaceWith(drawn(name)); // this place alone: a click on another one led here
      this.look = null;
      if (name !== text) told(name);
      return name;
    };
    input.addEventListener("keydown", (event) => {
      if (event.isComposing || event.keyCode === 229) return;
      if (event.key !== "Enter" && event.key !== "Escape") return;
      event.preventDefault(); // or what has the focus afterwards is pressed too
      event.stopPropagation();
      focus(done(event.key === "Enter"));
    });
    input.addEventListener("blur", () => done(true));
    place.replaceChildren(input);
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
