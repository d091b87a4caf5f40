// The list of chats, and the page's frame: menu, theme, drawer.

import { chatOf } from "./chat.js";
import { $, el, iconButton, toast } from "./dom.js";

const DAY = 86_400_000;
const LISTED = 300;

export class History {
  constructor(words, store, acts) {
    this.words = words;
    this.store = store;
    this.acts = acts;
    this.entries = [];
  }

  async load() {
    try {
      this.entries = (await this.store.list()).sort(newestFirst);
    } catch (error) {
      this.complain(error);
    }
    this.draw();
  }

  entry(id) {
    return this.entries.find((entry) => entry.id === id);
  }

  /** The kept chat; null when there is none. Rejects where the store can't be read. */
  async read(id) {
    const body = await this.store.read(id);
    const entry = this.entry(id);
    return entry && body ? chatOf(entry, body) : null;
  }

  async save(chat, body) {
    const { id, title, created, updated, model } = chat;
    const entry = this.entry(id) ?? {};
    if (!entry.id) this.entries.push(entry);
    Object.assign(entry, { id, title, created, updated, model });
    this.entries.sort(newestFirst);
    this.draw();
    await this.store.write(entry, body);
  }

  async remove(entry) {
    try {
      const body = await this.store.read(entry.id);
      this.entries = this.entries.filter((other) => other.id !== entry.id);
      this.draw();
      this.acts.removed(entry.id);
      await this.store.remove(entry.id);
      toast(this.words.deleted, this.words.undo, () => this.#restore(entry, body));
    } catch (error) {
      this.complain(error);
    }
  }

  async #restore(entry, body) {
    await this.store.write(entry, body).catch((error) => this.complain(error));
    await this.load();
  }

  /** Why the store refused, in a sentence. */
  complain(error) {
    toast(error?.name === "QuotaExceededError" ? this.words.history_full : this.words.history_off);
  }

  mark(id) {
    this.current = id;
    this.draw();
  }

  /** Nothing is drawn again that looks the same, nor while a title is being written. */
  draw() {
    const root = $("#history");
    const listed = this.entries.slice(0, LISTED);
    const look = JSON.stringify([this.current, listed.map(({ id, title, updated }) => [id, title, this.#day(updated)])]);
    if (!root || this.renaming || look === this.look) return;
    this.look = look;
    const { words } = this;
    if (!this.entries.length) {
      root.replaceChildren(el("p", { class: "history-empty" }, this.store.keeps ? words.history_empty : words.history_off));
      return;
    }
    const focused = document.activeElement?.closest?.(".history-row")?.dataset.chatId;
    const parts = [];
    let group = null;
    for (const entry of listed) {
      const day = this.#day(entry.updated);
      if (day !== group) parts.push(el("h2", { class: "history-day" }, day));
      group = day;
      parts.push(this.#row(entry));
    }
    root.replaceChildren(...parts);
    if (focused) focusRow(focused);
  }

  #day(time) {
    const today = new Date().setHours(0, 0, 0, 0);
    if (time >= today) return this.words.today;
    if (time >= today - DAY) return this.words.yesterday;
    return time >= today - 6 * DAY ? this.words.week : this.words.older;
  }

  #row(entry) {
    const { words, acts } = this;
    const row = el("div", { class: "history-row", "data-chat-id": entry.id, "aria-current": entry.id === this.current ? "true" : null });
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
    const done = (keep) => {
      if (this.renaming !== entry.id) return;
      this.renaming = null;
      if (keep && input.value.trim()) this.#retitle(entry, input.value.trim());
      this.look = null;
      row.replaceWith(this.#row(entry)); // this row alone: a click on another one led here
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
    input.select();
  }

  #retitle(entry, title) {
    entry.title = title;
    this.acts.renamed(entry);
    this.store.write(entry).catch((error) => this.complain(error));
  }
}

function focusRow(id) {
  $(`[data-chat-id="${CSS.escape(id)}"] .history-open`)?.focus({ preventScroll: true });
}

const newestFirst = (a, b) => b.updated - a.updated;

/** Menu button, scrim, theme and drawer; Escape closes what is open, the topmost first. */
export function wireFrame() {
  const root = document.documentElement;
  const sidebar = (open) => {
    root.dataset.sidebar = open ? "open" : "closed";
    $("#menu").setAttribute("aria-expanded", String(open));
    if (open) $("#new-chat").focus();
    else if ($("#sidebar").contains(document.activeElement)) $("#menu").focus();
  };
  let opener = $("#open-settings");
  const drawer = (open) => {
    const inside = $("#drawer").contains(document.activeElement);
    root.dataset.drawer = open ? "open" : "closed";
    $("#open-settings").setAttribute("aria-expanded", String(open));
    if (open) $("#close-settings").focus();
    else if (inside) opener.focus();
  };
  const toggle = (event) => {
    opener = event.currentTarget;
    drawer(root.dataset.drawer !== "open");
  };
  $("#drawer").setAttribute("role", "dialog");
  $("#drawer").setAttribute("aria-labelledby", "drawer-title");
  $("#menu").addEventListener("click", () => sidebar(root.dataset.sidebar !== "open"));
  $("#scrim").addEventListener("click", () => sidebar(false));
  $("#sidebar").addEventListener("click", (event) => {
    if (event.target.closest("a, .history-open, #new-chat")) sidebar(false);
  });
  $("#open-settings").addEventListener("click", toggle);
  $("#tune").addEventListener("click", toggle);
  $("#close-settings").addEventListener("click", () => drawer(false));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.isComposing) return;
    if (root.dataset.sidebar === "open") sidebar(false);
    else if (root.dataset.drawer === "open") drawer(false);
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
