// What is done with kept chats, and what the page does when another tab did something.

import { fill, toast } from "./dom.js";
import { History } from "./history.js";
import { Sidebar } from "./sidebar.js";
import { bodyOf, newId } from "./turns.js";

export class Chats {
  /** page: the open chat and how another one is opened. */
  constructor(page, store) {
    this.page = page;
    this.words = page.words;
    this.history = new History(this.words, store, this);
    this.sidebar = new Sidebar(this.words, this.history, this);
  }

  // ── asked for by the list ───────────────────────────────────────────────

  open(id) {
    return this.page.openChat(id);
  }

  rename(entry, title) {
    this.history.change(entry, { title }).catch((error) => this.complain(error));
  }

  pin(entry) {
    this.history.change(entry, { pinned: !entry.pinned }).catch((error) => this.complain(error));
  }

  async duplicate(id) {
    const chat = await this.#read(id);
    if (chat) await this.branch(chat, chat.turns.length - 1);
  }

  /** A chat of its own with the turns up to `place`; it is opened. */
  async branch({ title, model, settings, turns }, place) {
    const now = Date.now();
    const entry = { id: newId(), title: fill(this.words.copy_of, { title }), created: now, updated: now, model };
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
      if (isOpen) this.page.startChat(entry.model);
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

  // ── told by the history ─────────────────────────────────────────────────

  drawn() {
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
  async saved({ id, rev }) {
    const { page } = this;
    const { chat } = page;
    if (chat.id !== id || chat.rev >= rev || page.inUse()) return;
    const fresh = await this.history.read(id).catch(() => null);
    if (!fresh || page.chat !== chat || page.inUse()) return;
    Object.assign(chat, fresh);
    page.showAgain();
  }

  /** A title or a pin, here or elsewhere. */
  changed({ id, rev, title }) {
    const { chat } = this.page;
    if (chat.id !== id) return;
    chat.title = title;
    if (chat.rev === rev - 1) chat.rev = rev;
  }

  /** Another tab deleted a chat. One in use stays, and is kept again when it goes on. */
  gone(id) {
    const { page } = this;
    if (page.chat.id !== id || page.inUse()) return;
    page.startChat(page.chat.model);
    toast(this.words.deleted_elsewhere);
  }

  /** Why the store refused, in a sentence. */
  complain(error) {
    toast(error?.name === "QuotaExceededError" ? this.words.history_full : this.words.history_off);
  }
}
