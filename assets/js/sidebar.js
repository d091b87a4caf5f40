// The list of chats: groups, search, and what can be done with one of them.

import { $, el, icon } from "./dom.js";
import { menuButton } from "./menus.js";
import { excerpt } from "./searching.js";

const DAY = 86_400_000;
const FIRST_ROWS = 80;
const MORE_ROWS = 200;
const NEAR_END = 400;
const EXCERPTS = 12;
const PAUSE_MS = 120;

export class Sidebar {
  /** acts: open(id), rename(entry, title), pin(entry), duplicate(id), export(id, form),
   * remove(entry), openStorage(). */
  constructor(words, history, acts) {
    Object.assign(this, { words, history, acts });
    this.rows = FIRST_ROWS;
    this.query = "";
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
      const first = $("#history .history-open");
      if (event.key === "Enter") first?.click();
      else first?.focus();
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
    const groups = this.#groups();
    const listed = groups.flatMap(([name, entries]) => entries.map((entry) => [name, entry])).slice(0, this.rows);
    const look = JSON.stringify([this.current, this.query, listed.map(([name, { id, title, pinned }]) => [name, id, title, pinned])]);
    if (!root || this.renaming || look === this.look) return;
    this.look = look;
    if (!listed.length) {
      root.replaceChildren(el("p", { class: "history-empty" }, this.#emptyWords()));
      return;
    }
    const focused = document.activeElement?.closest?.(".history-row")?.dataset.chatId;
    const scrolled = root.scrollTop;
    root.replaceChildren(...this.#parts(listed));
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

  #parts(listed) {
    const parts = [];
    let group = null;
    for (const [name, entry] of listed) {
      if (name !== group) parts.push(el("h2", { class: "history-day" }, name));
      group = name;
      parts.push(this.#row(entry));
    }
    return parts;
  }

  /** [name, entries] in the order of the list. */
  #groups() {
    const { words } = this;
    if (this.query) return [[words.search_titles, this.found.inTitle], [words.search_texts, this.found.inText]];
    const groups = new Map([[words.pinned, []]]);
    const today = new Date().setHours(0, 0, 0, 0);
    for (const entry of this.history.entries) {
      const name = entry.pinned ? words.pinned : this.#day(entry.updated, today);
      if (!groups.has(name)) groups.set(name, []);
      groups.get(name).push(entry);
    }
    return [...groups];
  }

  #day(time, today) {
    if (time >= today) return this.words.today;
    if (time >= today - DAY) return this.words.yesterday;
    return time >= today - 6 * DAY ? this.words.week : this.month.format(time);
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
    row.append(open, menuButton("more", `${words.more}: ${title}`, () => this.#menu(row, entry)));
    return row;
  }

  #menu(row, entry) {
    const { words, acts } = this;
    return [
      { icon: "pin", label: entry.pinned ? words.unpin : words.pin, act: () => acts.pin(entry) },
      { icon: "edit", label: words.rename, act: () => this.#rename(row, entry) },
      { icon: "copy", label: words.duplicate, act: () => acts.duplicate(entry.id) },
      null,
      { icon: "save", label: words.export_markdown, act: () => acts.export(entry.id, "markdown") },
      { icon: "save", label: words.export_html, act: () => acts.export(entry.id, "html") },
      { icon: "save", label: words.export_json, act: () => acts.export(entry.id, "json") },
      null,
      { icon: "trash", label: words.delete, act: () => acts.remove(entry), danger: true },
    ];
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
    if (!step || !event.target.closest(".history-open")) return;
    event.preventDefault();
    const all = [...document.querySelectorAll("#history .history-open")];
    const next = all[all.indexOf(event.target.closest(".history-open")) + step];
    if (next) next.focus();
    else if (step < 0) $("#chat-search").focus();
  }

  // ── renaming ────────────────────────────────────────────────────────────

  #rename(row, entry) {
    const input = el("input", { type: "text", maxlength: 120, "aria-label": this.words.chat_title });
    input.value = entry.title;
    const done = (keep) => {
      if (this.renaming !== entry.id) return;
      this.renaming = null;
      const title = input.value.trim();
      row.replaceWith(this.#row({ ...entry, title: (keep && title) || entry.title })); // this row alone: a click on another one led here
      this.look = null;
      if (keep && title && title !== entry.title) this.acts.rename(entry, title);
    };
    input.addEventListener("keydown", (event) => {
      if (event.isComposing || event.keyCode === 229) return;
      if (event.key !== "Enter" && event.key !== "Escape") return;
      event.stopPropagation();
      done(event.key === "Enter");
      focusRow(entry.id);
    });
    input.addEventListener("blur", () => done(true));
    this.renaming = entry.id;
    row.replaceChildren(input);
    input.focus();
    input.select();
  }
}

function focusRow(id) {
  $(`[data-chat-id="${CSS.escape(id)}"] .history-open`)?.focus({ preventScroll: true });
}
