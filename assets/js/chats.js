// What is done with kept chats, and what the page does when another tab did something.

import * as api from "./api.js";
import { $, fill, fromServer, toast } from "./dom.js";
import { asHtml, asJson, asMarkdown, download, fileName, stylesOf } from "./exporting.js";
import { History } from "./history.js";
import { newId } from "./ids.js";
import { readFile } from "./importing.js";
import { KEEP, keepNothing, keepsNothing } from "./keeping.js";
import { Sidebar } from "./sidebar.js";
import { openStorage } from "./storage.js";
import { MemoryStore } from "./store.js";
import { bodyOf } from "./turns.js";

const DRAWN_AT_ONCE = 50;

export class Chats {
  /** page: the open chat and how another one is opened. store: what this browser keeps. */
  constructor(page, store) {
    this.page = page;
    this.words = page.words;
    this.store = store;
    this.history = new History(this.words, this.keepsNothing ? new MemoryStore() : store, this);
    this.sidebar = new Sidebar(this.words, this.history, this);
  }

  wire() {
    this.sidebar.wire();
    addEventListener("storage", ({ key }) => key === KEEP && this.#useStore());
  }

  openStorage(how) {
    return openStorage(this, how);
  }

  // ── whether anything is kept ────────────────────────────────────────────

  get canKeep() {
    return this.store.keeps;
  }

  get keepsNothing() {
    return keepsNothing();
  }

  /** From now on chats end with the tab, or are kept again. What was kept stays, hidden. */
  async keepNothing(nothing) {
    keepNothing(nothing);
    await this.#useStore();
  }

  async #useStore() {
    this.page.chat.removed = true; // it ends with its store: what still comes of it is kept in neither
    this.history.use(this.keepsNothing ? new MemoryStore() : this.store);
    await this.history.load();
    this.page.dropChat();
  }

  // ── asked for by the list ───────────────────────────────────────────────

  open(id) {
    return this.page.openChat(id);
  }

  rename(entry, title) {
    this.history.change([entry], { title }).catch((error) => this.complain(error));
  }

  pin(entry) {
    this.history.change([entry], { pinned: !entry.pinned }).catch((error) => this.complain(error));
  }

  /** Into a folder, or out of all with null. */
  move(entry, folder) {
    this.history.change([entry], { folder: folder ?? undefined }).catch((error) => this.complain(error));
  }

  /** All that is in it goes along; into another one where there is one of that name. */
  renameFolder(name, other) {
    const inside = this.history.entries.filter(({ folder }) => folder === name);
    this.history.change(inside, { folder: other }).catch((error) => this.complain(error));
  }

  async duplicate(id) {
    const chat = await this.#read(id);
    if (chat) await this.branch(chat, chat.turns.length - 1);
  }

  /** A chat of its own with the turns up to `place`; it is opened. */
  async branch({ id, title, model, settings, turns }, place) {
    const now = Date.now();
    const { folder } = this.history.entry(id) ?? {};
    const entry = { id: newId(), title: fill(this.words.copy_of, { title }), created: now, updated: now, model, folder };
    try {
      await this.history.put({ entry, body: bodyOf({ settings, turns: turns.slice(0, place + 1) }) });
      await this.open(entry.id);
    } catch (error) {
      this.complain(error);
    }
  }

  /** Delete a chat; as long as the message is there it can be brought back. */
  async remove(entry) {
    try {
      const isOpen = entry.id === this.page.chat.id;
      if (isOpen) this.page.chat.removed = true; // an answer that is coming must not bring it back
      const kept = await this.history.remove(entry);
      if (isOpen) this.page.dropChat();
      toast(this.words.deleted, this.words.undo, () => this.#restore(kept));
    } catch (error) {
      this.complain(error);
    }
  }

  async #restore(kept) {
    await this.history.put(kept).catch((error) => this.complain(error));
  }

  async #read(id) {
    const { chat } = this.page;
    if (id === chat.id) return chat;
    const read = await this.history.read(id).catch(() => null);
    if (!read) toast(this.words.history_unread);
    return read;
  }

  // ── files ───────────────────────────────────────────────────────────────

  /** Give the chat as a file. form: `markdown`, `html` or `json`. */
  async export(id, form) {
    const chat = await this.#read(id);
    if (!chat) return;
    const { words } = this;
    try {
      if (form === "markdown") download(fileName(chat.title, "md"), [asMarkdown(chat, words)], "text/markdown");
      else if (form === "json") await this.#downloadJson(chat.title, [{ ...chat, ...bodyOf(chat) }]);
      else download(fileName(chat.title, "html"), [asHtml(chat, await drawnTurns(chat.turns), stylesOf(document.styleSheets), words)], "text/html");
    } catch {
      toast(words.offline_title);
    }
  }

  async exportAll() {
    const { store } = this;
    async function* all() {
      for (const { id } of await store.list()) {
        const kept = await store.read(id);
        if (kept) yield { ...kept.entry, ...kept.body };
      }
    }
    await this.#downloadJson(this.words.all_chats, all());
  }

  async #downloadJson(title, chats) {
    const parts = [];
    for await (const part of asJson(chats)) parts.push(part);
    download(fileName(title, "json"), parts, "application/json");
  }

  /** Bring in what a file holds; a chat that is there already is not brought twice. */
  async importText(text) {
    const { chats, prompts, faults } = readFile(text);
    const fresh = new Map();
    for (const { entry, body } of chats) {
      const there = fresh.get(entry.id)?.body ?? (await this.history.read(entry.id));
      if (there && sameWords(there.turns, body.turns)) continue;
      const id = there ? newId() : entry.id; // another chat that has its id
      fresh.set(id, { entry: { ...entry, id }, body });
    }
    await this.history.putAll(fresh.values());
    if (prompts.length) document.dispatchEvent(new CustomEvent("akash-prompts", { detail: prompts }));
    return { added: fresh.size, known: chats.length - fresh.size, prompts: prompts.length, faults };
  }

  // ── deleting what is kept, from the dialog ──────────────────────────────

  async removeKept(entry) {
    if (this.keepsNothing) await this.store.remove(entry.id);
    else await this.remove(entry);
  }

  async removeAll() {
    if (this.keepsNothing) return this.store.clear();
    this.page.chat.removed = true;
    await this.history.clear();
    this.page.dropChat();
  }

  // ── told by the history ─────────────────────────────────────────────────

  drawn() {
    const note = $("#keeping-nothing");
    if (note) note.hidden = !(this.canKeep && this.keepsNothing);
    this.sidebar.changed();
  }

  /** Both tabs' turns are in the chat now. */
  merged(chat) {
    if (chat !== this.page.chat) return;
    this.page.showAgain();
    toast(this.words.merged);
  }

  /** The tabs said different things: this one's chat is a copy now. */
  parted(chat) {
    if (chat !== this.page.chat) return;
    this.page.remember();
    toast(this.words.parted);
  }

  /** Another tab wrote a chat. If it is open here and nothing happens in it, it is read again. */
  async saved({ id, rev }, growing) {
    const { page } = this;
    const { chat } = page;
    if (chat.id !== id || chat.rev >= rev || page.inUse()) return;
    const fresh = await this.history.read(id).catch(() => null);
    const stale = fresh && page.chat === chat && chat.id === id && chat.rev < fresh.rev; // not parted meanwhile
    if (!stale || page.inUse()) return;
    Object.assign(chat, fresh);
    if (growing) markGrowing(chat.turns.at(-1));
    page.showAgain();
  }

  /** A title or a pin, here or elsewhere. */
  changed({ id, rev, title }) {
    const { chat } = this.page;
    if (chat.id !== id) return;
    chat.title = title;
    this.page.remember();
    if (chat.rev === rev - 1) chat.rev = rev;
  }

  /** Another tab deleted a chat. One in use stays, and is kept again when it goes on. */
  gone(id) {
    const { page } = this;
    if (page.chat.id !== id || page.inUse()) return;
    page.dropChat();
    toast(this.words.deleted_elsewhere);
  }

  /** Why the store refused, in a sentence; what to do about it where something can be done. */
  complain(error) {
    if (error?.name !== "QuotaExceededError") return toast(this.why(error));
    toast(this.why(error), this.words.make_room, () => this.openStorage({ full: true }));
  }

  why(error) {
    return error?.name === "QuotaExceededError" ? this.words.history_full : this.words.history_off;
  }
}

/** An answer that comes in another tab was kept as if it had been stopped there. */
function markGrowing(turn) {
  const version = turn?.versions?.[turn.shown];
  if (version) Object.assign(version, { stopped: false, elsewhere: true });
}

/** For each turn the nodes that show its text, drawn by the server. */
async function drawnTurns(turns) {
  const nodes = turns.map((turn) => [document.createTextNode(turn.text ?? "")]);
  const answers = turns.map((turn, place) => [place, turn.versions?.[turn.shown].text]).filter(([, text]) => text);
  for (let from = 0; from < answers.length; from += DRAWN_AT_ONCE) {
    const some = answers.slice(from, from + DRAWN_AT_ONCE);
    const { blocks } = await api.render(some.map(([, text]) => text));
    some.forEach(([place], index) => (nodes[place] = blocks[index].map(fromServer)));
  }
  return nodes;
}

const wordsOf = (turns) => JSON.stringify(turns.map((turn) => turn.text ?? turn.versions.map(({ text }) => text)));
const sameWords = (one, other) => wordsOf(one) === wordsOf(other);
