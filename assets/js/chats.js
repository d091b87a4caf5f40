// Operations on stored chats, and reactions to changes made in other tabs.

import * as api from "./api.js";
import { $, fill, parseServerHtml, toast } from "./dom.js";
import { asHtml, asJson, asMarkdown, download, fileName, stylesOf } from "./exporting.js";
import { History } from "./history.js";
import { newId } from "./ids.js";
import { readFile } from "./importing.js";
import { PRIVATE_MODE_KEY, setPrivate, isPrivate } from "./safe_storage.js";
import { Sidebar } from "./sidebar.js";
import { openStorageDialog } from "./storage_dialog.js";
import { MemoryStore } from "./store.js";
import { bodyOf } from "./turns.js";

const DRAWN_AT_ONCE = 50;

export class Chats {
  /**
   * @param {object} page The open chat, and how another one is opened.
   * @param {object} store The browser's store of chats.
   */
  constructor(page, store) {
    this.page = page;
    this.strings = page.strings;
    this.store = store;
    this.history = new History(this.strings, this.isPrivate ? new MemoryStore() : store, this);
    this.sidebar = new Sidebar(this.strings, this.history, this);
  }

  wire() {
    this.sidebar.wire();
    addEventListener("storage", ({ key }) => key === PRIVATE_MODE_KEY && this.#useStore());
  }

  openStorageDialog(how) {
    return openStorageDialog(this, how);
  }

  // ── private mode ────────────────────────────────────────────────────────

  get canStore() {
    return this.store.keeps;
  }

  get isPrivate() {
    return isPrivate();
  }

  /** Turn private mode on or off. Stored chats stay, hidden. */
  async setPrivate(on) {
    setPrivate(on);
    await this.#useStore();
  }

  async #useStore() {
    this.page.chat.removed = true; // it belongs to the previous store: later changes are saved in neither
    this.history.use(this.isPrivate ? new MemoryStore() : this.store);
    await this.history.load();
    this.page.closeChat();
  }

  // ── actions of the chat list ────────────────────────────────────────────

  open(id) {
    return this.page.openChat(id);
  }

  rename(entry, title) {
    this.history.change([entry], { title }).catch((error) => this.showError(error));
  }

  pin(entry) {
    this.history.change([entry], { pinned: !entry.pinned }).catch((error) => this.showError(error));
  }

  /** Move a chat into a folder; null removes it from its folder. */
  move(entry, folder) {
    this.history.change([entry], { folder: folder ?? undefined }).catch((error) => this.showError(error));
  }

  /** Rename a folder with all its chats. If the other name exists, the folders are merged. */
  renameFolder(name, other) {
    const inside = this.history.entries.filter(({ folder }) => folder === name);
    this.history.change(inside, { folder: other }).catch((error) => this.showError(error));
  }

  async duplicate(id) {
    const chat = await this.#read(id);
    if (chat) await this.branch(chat, chat.turns.length - 1);
  }

  /** Create and open a chat with the turns up to `index`. */
  async branch({ id, title, model, settings, turns }, index) {
    const now = Date.now();
    const { folder } = this.history.entry(id) ?? {};
    const entry = { id: newId(), title: fill(this.strings.copy_of, { title }), created: now, updated: now, model, folder };
    try {
      await this.history.put({ entry, body: bodyOf({ settings, turns: turns.slice(0, index + 1) }) });
      await this.open(entry.id);
    } catch (error) {
      this.showError(error);
    }
  }

  /** Delete a chat. It can be restored while the toast is visible. */
  async remove(entry) {
    try {
      const isOpen = entry.id === this.page.chat.id;
      if (isOpen) this.page.chat.removed = true; // an answer that is streaming must not save it again
      const record = await this.history.remove(entry);
      if (isOpen) this.page.closeChat();
      toast(this.strings.deleted, this.strings.undo, () => this.#restore(record));
    } catch (error) {
      this.showError(error);
    }
  }

  async #restore(record) {
    await this.history.put(record).catch((error) => this.showError(error));
  }

  async #read(id) {
    const { chat } = this.page;
    if (id === chat.id) return chat;
    const read = await this.history.read(id).catch(() => null);
    if (!read) toast(this.strings.history_unreadable);
    return read;
  }

  // ── export and import ───────────────────────────────────────────────────

  /**
   * Download the chat as a file.
   * @param {string} id
   * @param {"markdown" | "html" | "json"} form
   */
  async export(id, form) {
    const chat = await this.#read(id);
    if (!chat) return;
    const { strings } = this;
    try {
      if (form === "markdown") download(fileName(chat.title, "md"), [asMarkdown(chat, strings)], "text/markdown");
      else if (form === "json") await this.#downloadJson(chat.title, [{ ...chat, ...bodyOf(chat) }]);
      else download(fileName(chat.title, "html"), [asHtml(chat, await renderTurns(chat.turns), stylesOf(document.styleSheets), strings)], "text/html");
    } catch {
      toast(strings.offline_title);
    }
  }

  async exportAll() {
    const { store } = this;
    async function* all() {
      for (const { id } of await store.list()) {
        const record = await store.read(id);
        if (record) yield { ...record.entry, ...record.body };
      }
    }
    await this.#downloadJson(this.strings.all_chats, all());
  }

  async #downloadJson(title, chats) {
    const parts = [];
    for await (const part of asJson(chats)) parts.push(part);
    download(fileName(title, "json"), parts, "application/json");
  }

  /** Import the chats of a file, except those that are already stored unchanged. */
  async importText(text) {
    const { chats, prompts, errors } = readFile(text);
    const fresh = new Map();
    for (const { entry, body } of chats) {
      const there = fresh.get(entry.id)?.body ?? (await this.history.read(entry.id));
      if (there && sameText(there.turns, body.turns)) continue;
      const id = there ? newId() : entry.id; // a different chat has this id
      fresh.set(id, { entry: { ...entry, id }, body });
    }
    await this.history.putAll(fresh.values());
    if (prompts.length) document.dispatchEvent(new CustomEvent("akash-prompts", { detail: prompts }));
    return { added: fresh.size, known: chats.length - fresh.size, prompts: prompts.length, errors };
  }

  // ── deletion from the storage dialog ────────────────────────────────────

  async removeStored(entry) {
    if (this.isPrivate) await this.store.remove(entry.id);
    else await this.remove(entry);
  }

  async removeAll() {
    if (this.isPrivate) return this.store.clear();
    this.page.chat.removed = true;
    await this.history.clear();
    this.page.closeChat();
  }

  // ── notifications of the history ────────────────────────────────────────

  drawn() {
    const note = $("#private-mode-note");
    if (note) note.hidden = !(this.canStore && this.isPrivate);
    this.sidebar.changed();
  }

  /** The turns of both tabs were merged. */
  merged(chat) {
    if (chat !== this.page.chat) return;
    this.page.redraw();
    toast(this.strings.merged);
  }

  /** The tabs changed the chat differently: this tab's chat is now a copy. */
  forked(chat) {
    if (chat !== this.page.chat) return;
    this.page.rememberOpenChat();
    toast(this.strings.forked);
  }

  /** Another tab saved a chat. If it is open here and idle, it is loaded again. */
  async saved({ id, rev }, growing) {
    const { page } = this;
    const { chat } = page;
    if (chat.id !== id || chat.rev >= rev || page.isBusy()) return;
    const fresh = await this.history.read(id).catch(() => null);
    const stale = fresh && page.chat === chat && chat.id === id && chat.rev < fresh.rev; // not forked in the meantime
    if (!stale || page.isBusy()) return;
    Object.assign(chat, fresh);
    if (growing) markGrowing(chat.turns.at(-1));
    page.redraw();
  }

  /** A title, folder or pin was changed, here or in another tab. */
  changed({ id, rev, title }) {
    const { chat } = this.page;
    if (chat.id !== id) return;
    chat.title = title;
    this.page.rememberOpenChat();
    if (chat.rev === rev - 1) chat.rev = rev;
  }

  /** Another tab deleted a chat. A busy chat stays open, and is stored again when it changes. */
  gone(id) {
    const { page } = this;
    if (page.chat.id !== id || page.isBusy()) return;
    page.closeChat();
    toast(this.strings.deleted_elsewhere);
  }

  /** Show why the store failed, with an action where one can help. */
  showError(error) {
    if (error?.name !== "QuotaExceededError") return toast(this.why(error));
    toast(this.why(error), this.strings.free_space, () => this.openStorageDialog({ full: true }));
  }

  why(error) {
    return error?.name === "QuotaExceededError" ? this.strings.history_full : this.strings.history_off;
  }
}

/** Mark an answer that is streaming in another tab. It was saved as stopped. */
function markGrowing(turn) {
  const version = turn?.versions?.[turn.shown];
  if (version) Object.assign(version, { stopped: false, elsewhere: true });
}

/** Render the text of each turn on the server; returns the nodes of each turn. */
async function renderTurns(turns) {
  const nodes = turns.map((turn) => [document.createTextNode(turn.text ?? "")]);
  const answers = turns.map((turn, index) => [index, turn.versions?.[turn.shown].text]).filter(([, text]) => text);
  for (let from = 0; from < answers.length; from += DRAWN_AT_ONCE) {
    const some = answers.slice(from, from + DRAWN_AT_ONCE);
    const { blocks } = await api.render(some.map(([, text]) => text));
    some.forEach(([index], at) => (nodes[index] = blocks[at].map(parseServerHtml)));
  }
  return nodes;
}

const textsOf = (turns) => JSON.stringify(turns.map((turn) => turn.text ?? turn.versions.map(({ text }) => text)));
const sameText = (one, other) => textsOf(one) === textsOf(other);
