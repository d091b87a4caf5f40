// Chats, in this browser alone (IndexedDB). Titles, bodies and what search reads apart, so
// that a list of a thousand chats never reads a thousand bodies.
//
// Version 1 had `chats` and `bodies`. Version 2: turns have ids, entries a revision and a
// size; `texts` for the search; `left`, chats as they were when a page was being left.

import { searchText } from "./searching.js";
import { keptTurns } from "./turns.js";

const NAME = "akash-gradio";
const VERSION = 2;
const KEPT = ["chats", "bodies", "texts"];

function request(asked) {
  return new Promise((resolve, reject) => {
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
  });
}

function finished(transaction) {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = resolve;
    transaction.onerror = transaction.onabort = () => reject(transaction.error);
  });
}

function open() {
  const asked = indexedDB.open(NAME, VERSION);
  asked.onupgradeneeded = ({ oldVersion }) => upgrade(asked.result, asked.transaction, oldVersion);
  return request(asked);
}

function upgrade(database, transaction, from) {
  const names = from < 1 ? [...KEPT, "left"] : ["texts", "left"];
  for (const name of names) database.createObjectStore(name, { keyPath: "id" });
  if (from !== 1) return;
  const bodies = transaction.objectStore("bodies");
  bodies.openCursor().onsuccess = ({ target: { result: cursor } }) => {
    if (!cursor) return;
    const body = withIds(cursor.value);
    if (!body) return cursor.continue();
    cursor.update(body);
    transaction.objectStore("texts").put({ id: body.id, text: searchText(body.turns) });
    const chats = transaction.objectStore("chats");
    chats.get(body.id).onsuccess = ({ target: { result: entry } }) => {
      if (entry) chats.put({ ...entry, rev: 1, size: sizeOf(body) });
    };
    cursor.continue();
  };
}

/** Null for a body that can't be read: it stays as it is, and holds up no other. */
function withIds(body) {
  try {
    return { ...body, turns: keptTurns(body.turns) };
  } catch {
    return null;
  }
}

/** Characters of a body as JSON, near enough to the bytes that it takes. */
const sizeOf = (body) => JSON.stringify(body).length;

/** A store that keeps chats; where the browser allows none, one that forgets with the tab. */
export async function openStore() {
  try {
    return new BrowserStore(await open());
  } catch (error) {
    return Object.assign(new MemoryStore(), { newer: error?.name === "VersionError" });
  }
}

/**
 * An entry is what the list shows: { id, title, created, updated, model, rev, size, pinned }.
 * `rev` grows with each writing; who writes says which one they saw.
 */
class BrowserStore {
  keeps = true;

  constructor(database) {
    this.database = database;
    database.onversionchange = () => database.close();
  }

  #all(name) {
    return request(this.database.transaction(name).objectStore(name).getAll());
  }

  list() {
    return this.#all("chats");
  }

  /** What search looks through: [{ id, text }]. */
  texts() {
    return this.#all("texts");
  }

  async read(id) {
    const both = this.database.transaction(["chats", "bodies"]);
    const [entry, body] = await Promise.all([request(both.objectStore("chats").get(id)), request(both.objectStore("bodies").get(id))]);
    return entry && body ? { entry, body } : null;
  }

  /**
   * Keep a chat, unless somebody else wrote it since `entry.rev`.
   *
   * Resolves with { entry } as it is kept now, or with { theirs: { entry, body } }, nothing written.
   */
  async write(entry, body) {
    const all = this.database.transaction(KEPT, "readwrite");
    const [chats, bodies, texts] = KEPT.map((name) => all.objectStore(name));
    const stored = await request(chats.get(entry.id));
    if (stored && stored.rev !== entry.rev) {
      return { theirs: { entry: stored, body: await request(bodies.get(entry.id)) } };
    }
    const next = { ...stored, ...entry, rev: (entry.rev ?? 0) + 1, size: sizeOf(body) };
    bodies.put({ id: entry.id, ...body });
    chats.put(next);
    texts.put({ id: entry.id, text: searchText(body.turns) });
    all.commit();
    await finished(all);
    return { entry: next };
  }

  /** Change what the list shows of chats, of all or none; resolves with those that were still there. */
  async change(ids, fields) {
    const all = this.database.transaction("chats", "readwrite");
    const chats = all.objectStore("chats");
    const stored = await Promise.all(ids.map((id) => request(chats.get(id))));
    const next = stored.filter(Boolean).map((entry) => ({ ...entry, ...fields, rev: entry.rev + 1 }));
    for (const entry of next) chats.put(entry);
    await finished(all);
    return next;
  }

  async remove(id) {
    const all = this.database.transaction(KEPT, "readwrite");
    for (const name of KEPT) all.objectStore(name).delete(id);
    return finished(all);
  }

  async clear() {
    const all = this.database.transaction([...KEPT, "left"], "readwrite");
    for (const name of [...KEPT, "left"]) all.objectStore(name).clear();
    return finished(all);
  }

  /** A page that is being left gets no time to read first: what it has is laid beside. */
  leave(record) {
    const one = this.database.transaction("left", "readwrite");
    one.objectStore("left").put(record);
    one.commit();
  }

  /** What pages laid down when they were left. */
  left() {
    return this.#all("left");
  }

  async forget(id) {
    const one = this.database.transaction("left", "readwrite");
    one.objectStore("left").delete(id);
    return finished(one);
  }
}

/** The same for a tab's life. newer: the browser's store is that of a later version of this page. */
export class MemoryStore {
  keeps = false;
  newer = false;
  #chats = new Map();

  async list() {
    return [...this.#chats.values()].map(({ entry }) => entry);
  }

  async texts() {
    return [...this.#chats.values()].map(({ entry, body }) => ({ id: entry.id, text: searchText(body.turns) }));
  }

  async read(id) {
    return this.#chats.get(id) ?? null;
  }

  async write(entry, body) {
    const next = { ...this.#chats.get(entry.id)?.entry, ...entry, rev: (entry.rev ?? 0) + 1, size: sizeOf(body) };
    this.#chats.set(entry.id, { entry: next, body: structuredClone(body) });
    return { entry: next };
  }

  async change(ids, fields) {
    const stored = ids.map((id) => this.#chats.get(id)).filter(Boolean);
    for (const one of stored) one.entry = { ...one.entry, ...fields, rev: one.entry.rev + 1 };
    return stored.map(({ entry }) => entry);
  }

  async remove(id) {
    this.#chats.delete(id);
  }

  async clear() {
    this.#chats.clear();
  }

  leave() {}

  async left() {
    return [];
  }

  async forget() {}
}
