// The kept chats: what the list shows of them, and their way to and from the store.
// Writings of one tab go one after another; those of two tabs meet by revision.

import { fill } from "./dom.js";
import { newId } from "./ids.js";
import { merged } from "./merging.js";
import { search } from "./searching.js";
import { Tabs } from "./tabs.js";
import { bodyOf, chatOf, shapeOf, keptTurns } from "./turns.js";

const TRIES = 5;

export class History {
  /**
   * acts: drawn() when the list changed; merged(chat) and parted(chat) when this tab and
   * another wrote the same chat, saved(entry, growing) and gone(id) when only the other did;
   * changed(entry) when a title or pin was changed, here or there; complain(error).
   */
  constructor(words, store, acts) {
    Object.assign(this, { words, store, acts });
    this.entries = [];
    this.waiting = new Map(); // chat → the promise of its next writing
    this.queue = Promise.resolve();
    this.tabs = new Tabs((told) => this.#hear(told));
  }

  async load() {
    try {
      await this.#takeUpLeft();
      this.entries = (await this.store.list()).sort(newestFirst);
    } catch (error) {
      this.acts.complain(error);
    }
    this.acts.drawn();
  }

  /** Another store from now on; what waits to be written is given up with the old one. */
  use(store) {
    this.store = store;
    this.waiting.clear();
    this.texts = null;
  }

  entry(id) {
    return this.entries.find((entry) => entry.id === id);
  }

  /** The kept chat; null when there is none. Rejects where the store can't be read. */
  async read(id) {
    const kept = await this.#queued(() => this.store.read(id));
    return kept && chatOf(kept.entry, kept.body);
  }

  // ── writing ─────────────────────────────────────────────────────────────

  /** Keep the chat as it is when its turn comes; several asks at once are one writing. */
  save(chat) {
    if (this.waiting.has(chat)) return this.waiting.get(chat);
    this.#show(entryOf(chat));
    const done = this.#queued(() => {
      this.waiting.delete(chat);
      return chat.removed ? null : this.#keep(chat);
    });
    this.waiting.set(chat, done);
    return done;
  }

  /** Lay down what is not written yet: this page may end before a writing does. */
  leave(growing) {
    for (const chat of new Set([...this.waiting.keys(), ...growing])) {
      if (chat.removed || !chat.turns.length) continue;
      const { base = [] } = chat;
      this.store.leave({ id: `${chat.id} ${newId()}`, entry: entryOf(chat), body: bodyOf(chat), base });
    }
  }

  /** Change what the list shows of chats: a title, a folder, whether they are pinned. */
  change(entries, fields) {
    const ids = entries.map(({ id }) => id);
    for (const id of ids) Object.assign(this.entry(id) ?? {}, fields);
    this.texts = null;
    this.acts.drawn();
    return this.#queued(async () => {
      for (const next of await this.store.change(ids, fields)) {
        this.#written(next, { changed: next });
        this.acts.changed(next);
      }
    });
  }

  /** Delete; resolves with what `restore` brings back. */
  async remove(entry) {
    const kept = await this.store.read(entry.id);
    this.entries = this.entries.filter((other) => other.id !== entry.id);
    this.texts = null;
    this.acts.drawn();
    await this.store.remove(entry.id);
    this.#tell({ gone: entry.id });
    return kept;
  }

  /** Put a chat there, as it was kept. */
  async put({ entry, body }) {
    const { entry: next } = await this.store.write({ ...entry, rev: 0 }, body);
    if (next) this.#written(next, { saved: next });
  }

  /** The same for many, as a file brings them: the list is drawn once. */
  async putAll(all) {
    try {
      for (const { entry, body } of all) await this.store.write({ ...entry, rev: 0 }, body);
    } finally {
      await this.load();
      this.#tell({ many: true });
    }
  }

  async clear() {
    await this.store.clear();
    const ids = this.entries.map(({ id }) => id);
    this.entries = [];
    this.texts = null;
    this.acts.drawn();
    for (const id of ids) this.#tell({ gone: id });
  }

  /** Titles and texts that have all of the query's terms; see searching.js. */
  async search(query) {
    this.texts ??= this.store.texts().then((all) => new Map(all.map(({ id, text }) => [id, text])));
    return search(this.entries, await this.texts, query);
  }

  #queued(work) {
    const done = this.queue.then(work);
    this.queue = done.catch(() => {});
    return done;
  }

  async #keep(chat, acts = this.acts, copyId = newId()) {
    for (let tries = 0; tries < TRIES; tries += 1) {
      const body = bodyOf(chat);
      const { entry, theirs } = await this.store.write(entryOf(chat), body);
      if (entry) {
        Object.assign(chat, { rev: entry.rev, base: shapeOf(body.turns) });
        return this.#written(entry, { saved: entry, growing: chat.turns.some(isGrowing) });
      }
      this.#meet(chat, theirs, acts, copyId);
    }
  }

  /** Another tab wrote the chat since this one read it. */
  #meet(chat, { entry, body }, acts, copyId) {
    const turns = merged(chat.base ?? [], chat.turns, keptTurns(body.turns));
    if (turns) {
      Object.assign(chat, { turns, rev: entry.rev, title: entry.title });
      return acts.merged(chat);
    }
    const title = fill(this.words.copy_of, { title: entry.title });
    Object.assign(chat, { id: copyId, rev: 0, title, base: [] });
    this.#show(entry);
    acts.parted(chat);
  }

  /** What tabs laid down when they were left. Taken up twice, by two tabs, it is still one. */
  async #takeUpLeft() {
    const quiet = { merged() {}, parted() {} };
    for (const { id, entry, body, base } of await this.store.left()) {
      await this.#keep({ ...chatOf(entry, body), base }, quiet, id);
      await this.store.forget(id);
    }
  }

  #written(entry, told) {
    this.#show(entry);
    this.#tell(told);
  }

  /** Other tabs hear nothing of chats that are not kept. */
  #tell(told) {
    if (this.store.keeps) this.tabs.tell(told);
  }

  #show(entry) {
    const known = this.entry(entry.id);
    if (known) Object.assign(known, entry);
    else this.entries.push({ ...entry });
    this.entries.sort(newestFirst);
    this.texts = null;
    this.acts.drawn();
  }

  #hear({ saved, growing, changed, gone, many }) {
    if (!this.store.keeps) return;
    if (many) return this.load();
    if (gone) {
      this.entries = this.entries.filter(({ id }) => id !== gone);
      this.texts = null;
      this.acts.drawn();
      this.acts.gone(gone);
      return;
    }
    this.#show(saved ?? changed);
    if (saved) this.acts.saved(saved, growing);
    else this.acts.changed(changed);
  }
}

const entryOf = ({ id, title, created, updated, model, rev = 0 }) => ({ id, title, created, updated, model, rev });

const isGrowing = (turn) => turn.versions?.some(({ live }) => live) ?? false;

const newestFirst = (a, b) => b.updated - a.updated;
