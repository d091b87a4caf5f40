// The list of chats, and the page's frame: menu, theme, drawer.

import { $, el, iconButton, toast } from "./dom.js";

const DAY = 86_400_000;

export class History {
  constructor(words, store, acts) {
    this.words = words;
    this.store = store;
    this.acts = acts;
    this.entries = [];
  }

  async load() {
    this.entries = (await this.store.list()).sort((a, b) => b.updated - a.updated);
    this.draw();
  }

  async save(chat, body) {
    const { id, title, created, updated, model } = chat;
    const entry = { id, title, created, updated, model };
    this.entries = [entry, ...this.entries.filter((other) => other.id !== id)].sort((a, b) => b.updated - a.updated);
    this.draw();
    await this.store.write(entry, body);
  }

  async remove(entry) {
    const body = await this.store.read(entry.id);
    this.entries = this.entries.filter((other) => other.id !== entry.id);
    await this.store.remove(entry.id);
    this.draw();
    this.acts.removed(entry.id);
    const undo = async () => {
      await this.store.write(entry, body);
      await this.load();
    };
    toast(this.words.deleted, this.words.undo, undo);
  }

  mark(id) {
    this.current = id;
    this.draw();
  }

  draw() {
    const root = $("#history");
    if (!root) return;
    const { words } = this;
    if (!this.entries.length) {
      root.replaceChildren(el("p", { class: "history-empty" }, this.store.keeps ? words.history_empty : words.history_off));
      return;
    }
    const parts = [];
    let group = null;
    for (const entry of this.entries.slice(0, 300)) {
      const day = this.#day(entry.updated);
      if (day !== group) parts.push(el("h2", { class: "history-day" }, day));
      group = day;
      parts.push(this.#row(entry));
    }
    root.replaceChildren(...parts);
  }

  #day(time) {
    const today = new Date().setHours(0, 0, 0, 0);
    if (time >= today) return this.words.today;
    if (time >= today - DAY) return this.words.yesterday;
    return time >= today - 6 * DAY ? this.words.week : this.words.older;
  }

  #row(entry) {
    const { words, acts } = this;
    const row = el("div", { class: "history-row", "aria-current": entry.id === this.current ? "true" : null });
    row.append(
      el("button", { type: "button", class: "history-open", dir: "auto", title: entry.title, onclick: () => acts.open(entry.id) }, entry.title || words.new_chat),
      iconButton("edit", `${words.rename}: ${entry.title}`, () => this.#rename(row, entry)),
      iconButton("trash", `${words.delete}: ${entry.title}`, () => this.remove(entry)),
    );
    return row;
  }

  #rename(row, entry) {
    const input = el("input", { type: "text", maxlength: 120, "aria-label": this.words.chat_title });
    input.value = entry.title;
    const done = (keep) => async () => {
      if (!input.isConnected) return;
      if (keep && input.value.trim()) entry.title = input.value.trim();
      await this.store.write(entry);
      this.acts.renamed(entry);
      this.draw();
    };
    input.addEventListener("keydown", (event) => {
      if (event.isComposing) return;
      if (event.key === "Enter") done(true)();
      if (event.key === "Escape") done(false)();
    });
    input.addEventListener("blur", done(true));
    row.replaceChildren(input);
    input.select();
  }
}

/** Menu button, scrim, theme and drawer; Escape closes what is open. */
export function wireFrame() {
  const root = document.documentElement;
  const sidebar = (open) => {
    root.dataset.sidebar = open ? "open" : "closed";
    $("#menu").setAttribute("aria-expanded", String(open));
  };
  const drawer = (open) => {
    root.dataset.drawer = open ? "open" : "closed";
    $("#open-settings").setAttribute("aria-expanded", String(open));
    if (open) $("#close-settings").focus();
  };
  const toggle = () => drawer(root.dataset.drawer !== "open");
  $("#menu").addEventListener("click", () => sidebar(root.dataset.sidebar !== "open"));
  $("#scrim").addEventListener("click", () => sidebar(false));
  $("#sidebar").addEventListener("click", (event) => {
    if (event.target.closest("a, .history-open, #new-chat")) sidebar(false);
  });
  $("#open-settings").addEventListener("click", toggle);
  $("#tune").addEventListener("click", toggle);
  $("#close-settings").addEventListener("click", () => { drawer(false); $("#open-settings").focus(); });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.isComposing) return;
    sidebar(false);
    drawer(false);
  });
  wireTheme();
  return { closeDrawer: () => drawer(false) };
}

function wireTheme() {
  const mark = () => {
    for (const button of document.querySelectorAll("[data-theme-set]")) {
      button.setAttribute("aria-pressed", String(button.dataset.themeSet === window.akashTheme.choice));
    }
  };
  for (const button of document.querySelectorAll("[data-theme-set]")) {
    button.addEventListener("click", () => window.akashTheme.set(button.dataset.themeSet));
  }
  document.addEventListener("akash-theme", mark);
  mark();
}
