// The stored chats: what the list shows, and reading from and writing to the store.
// Writes of one tab are queued; writes of several tabs are ordered by revision.

import { fill } from "./dom.js";
import { newId } from "./ids.js";
import { mergeTurns } from "./merging.js";
import { search } from "./searching.js";
import { Tabs } from "./tabs.js";
import { bodyOf, chatOf, shapeOf, storedTurns } from "./turns.js";

const TRIES = 5;

export class History {
  /**
   * @param {Record<string, string>} strings Texts of the page.
   * @param {object} store The store of chats.
   * @param {object} actions
   *   drawn(): the list changed.
   *   merged(chat), forked(chat): this tab and another one changed the same chat.
   *   saved(entry, growing), gone(id): another tab saved or deleted a chat.
   *   changed(entry): a title, folder or pin changed, here or in another tab.
   *   showError(error): the store failed.
   */
  constructor(strings, store, actions) {
    Object.assign(this, { strings, store, actions });
    this.entries = [];
    this.waiting = new Map(); // chat → the promise of its next write
    this.writing = new Set(); // the chats whose write has started
    this.queue = Promise.resolve();
    this.tabs = new Tabs((message) => this.#receive(message));
  }

  async load() {
    try {
      await this.#restoreUnsaved();
      this.entries = (await this.store.list()).sort(newestFirst);
    } catch (error) {
      this.actions.showError(error);
    }
    this.actions.drawn();
  }

  /** Switch to another store. Pending writes are dropped. */
  use(store) {
    this.store = store;
    this.waiting.clear();
    this.texts = null;
  }

  entry(id) {
    return this.entries.find((entry) => entry.id === id);
  }

  /** Load a chat; null if there is none. Rejects if the store can't be read. */
  async read(id) {
    const record = await this.#queued(() => this.store.read(id));
    return record && chatOf(record.entry, record.body);
  }

  // ── writing ─────────────────────────────────────────────────────────────

  /** Save the chat in its state when the write starts. Several calls in a row result in one write. */
  save(chat) {
    if (this.waiting.has(chat)) return this.waiting.get(chat);
    this.#show(entryOf(chat));
    const done = this.#queued(async () => {
      this.waiting.delete(chat);
      if (chat.removed) return;
      this.writing.add(chat);
      try {
        await this.#write(chat);
      } finally {
        this.writing.delete(chat);
      }
    });
    this.waiting.set(chat, done);
    return done;
  }

  /** Save what is not written yet, because the page may end before a write completes: a write that
   *  has started reads first, and what it wants to write after that is lost with the page. */
  saveOnExit(growing) {
    for (const chat of new Set([...this.waiting.keys(), ...this.writing, ...growing])) {
      if (chat.removed || !chat.turns.length) continue;
      const { base = [] } = chat;
      this.store.saveOnExit({ id: `${chat.id} ${newId()}`, entry: entryOf(chat), body: bodyOf(chat), base });
    }
  }

  /** Change listed fields of chats: title, folder or pin. */
  change(entries, fields) {
    const ids = entries.map(({ id }) => id);
    for (const id of ids) Object.assign(this.entry(id) ?? {}, fields);
    this.texts = null;
    this.actions.drawn();
    return this.#queued(async () => {
      for (const next of await this.store.change(ids, fields)) {
        this.#written(next, { changed: next });
        this.actions.changed(next);
      }
    });
  }

  /** Delete a chat. Resolves with what `put` restores. */
  async remove(entry) {
    const record = await this.store.read(entry.id);
    this.entries = this.entries.filter((other) => other.id !== entry.id);
    this.texts = null;
    this.actions.drawn();
    await this.store.remove(entry.id);
    this.#broadcast({ gone: entry.id });
    return record;
  }

  /** Store a chat as it was. */
  async put({ entry, body }) {
    const { entry: next } = await this.store.write({ ...entry, rev: 0 }, body);
    if (next) this.#written(next, { saved: next });
  }

  /** Store many chats, as an import does; the list is drawn once. */
  async putAll(all) {
    try {
      for (const { entry, body } of all) await this.store.write({ ...entry, rev: 0 }, body);
    } finally {
      await this.load();
      this.#broadcast({ many: true });
    }
  }

  async clear() {
    await this.store.clear();
    const ids = this.entries.map(({ id }) => id);
    this.entries = [];
    this.texts = null;
    this.actions.drawn();
    for (const id of ids) this.#broadcast({ gone: id });
  }

  /** Search titles and texts for chats that have all terms; see searching.js. */
  async search(query) {
    this.texts ??= this.store.texts().then((all) => new Map(all.map(({ id, text }) => [id, text])));
    return search(this.entries, await this.texts, query);
  }

  #queued(work) {
    const done = this.queue.then(work);
    this.queue = done.catch(() => {});
    return done;
  }

  async #write(chat, actions = this.actions, copyId = newId()) {
    for (let tries = 0; tries < TRIES; tries += 1) {
      const body = bodyOf(chat);
      const { entry, theirs } = await this.store.write(entryOf(chat), body);
      if (entry) {
        Object.assign(chat, { rev: entry.rev, base: shapeOf(body.turns) });
        return this.#written(entry, { saved: entry, growing: chat.turns.some(isGrowing) });
      }
      this.#resolveConflict(chat, theirs, actions, copyId);
    }
  }

  /** Resolve a conflict: another tab saved the chat after this one read it. */
  #resolveConflict(chat, { entry, body }, actions, copyId) {
    const turns = mergeTurns(chat.base ?? [], chat.turns, storedTurns(body.turns));
    if (turns) {
      Object.assign(chat, { turns, rev: entry.rev, title: entry.title });
      return actions.merged(chat);
    }
    const title = fill(this.strings.copy_of, { title: entry.title });
    Object.assign(chat, { id: copyId, rev: 0, title, base: [] });
    this.#show(entry);
    actions.forked(chat);
  }

  /** Restore what closing tabs saved. If two tabs restore the same record, one chat results. */
  async #restoreUnsaved() {
    const quiet = { merged() {}, forked() {} };
    for (const { id, entry, body, base } of await this.store.unsaved()) {
      await this.#write({ ...chatOf(entry, body), base }, quiet, id);
      await this.store.removeUnsaved(id);
    }
  }

  #written(entry, message) {
    this.#show(entry);
    this.#broadcast(message);
  }

  /** Notify other tabs, except about chats that are not stored. */
  #broadcast(message) {
    if (this.store.keeps) this.tabs.broadcast(message);
  }

  #show(entry) {
    const known = this.entry(entry.id);
    if (known) Object.assign(known, entry);
    else this.entries.push({ ...entry });
    this.entries.sort(newestFirst);
    this.texts = null;
    this.actions.drawn();
  }

  #receive({ saved, growing, changed, gone, many }) {
    if (!this.store.keeps) return;
    if (many) return this.load();
    if (gone) {
      this.entries = this.entries.filter(({ id }) => id !== gone);
      this.texts = null;
      this.actions.drawn();
      this.actions.gone(gone);
      return;
    }
    this.#show(saved ?? changed);
    if (saved) this.actions.saved(saved, growing);
    else this.actions.changed(changed);
  }
}

const entryOf = ({ id, title, created, updated, model, rev = 0 }) => ({ id, title, created, updated, model, rev });

const isGrowing = (turn) => turn.versions?.some(({ live }) => live) ?? false;

const newestFirst = (a, b) => b.updated - a.updated;
