// Stores chats in this browser's IndexedDB. Entries, bodies and index texts are separate, so that listing a
// thousand chats does not read a thousand bodies.
//
// Version 1 had `chats` and `bodies`. Version 2: turns have ids, entries have a revision and a size; `texts`
// is the search index; `left` holds chats that were saved when a page was closed.

import { searchText } from "./searching.js";
import { storedTurns } from "./turns.js";

const NAME = "akash-gradio";
const VERSION = 2;
const STORES = ["chats", "bodies", "texts"];

function toPromise(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function finished(transaction) {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = resolve;
    transaction.onerror = transaction.onabort = () => reject(transaction.error);
  });
}

function open() {
  const request = indexedDB.open(NAME, VERSION);
  request.onupgradeneeded = ({ oldVersion }) => upgrade(request.result, request.transaction, oldVersion);
  return toPromise(request);
}

function upgrade(database, transaction, from) {
  const names = from < 1 ? [...STORES, "left"] : ["texts", "left"];
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

/** Add ids to turns. Null for a body that can't be read: it stays as it is. */
function withIds(body) {
  try {
    return { ...body, turns: storedTurns(body.turns) };
  } catch {
    return null;
  }
}

/** Return the length of a body as JSON, an estimate of its bytes. */
const sizeOf = (body) => JSON.stringify(body).length;

/** Open the browser's store, or one in memory if the browser provides none. */
export async function openStore() {
  try {
    return new BrowserStore(await open());
  } catch (error) {
    return Object.assign(new MemoryStore(), { newer: error?.name === "VersionError" });
  }
}

/**
 * The store in IndexedDB.
 *
 * An entry is what the list shows: { id, title, created, updated, model, rev, size, pinned }. `rev` grows with
 * each write; a writer passes the revision it has read.
 */
class BrowserStore {
  keeps = true;

  constructor(database) {
    this.database = database;
    database.onversionchange = () => database.close();
  }

  #all(name) {
    return toPromise(this.database.transaction(name).objectStore(name).getAll());
  }

  list() {
    return this.#all("chats");
  }

  /** Return the search index: [{ id, text }]. */
  texts() {
    return this.#all("texts");
  }

  async read(id) {
    const both = this.database.transaction(["chats", "bodies"]);
    const [entry, body] = await Promise.all([toPromise(both.objectStore("chats").get(id)), toPromise(both.objectStore("bodies").get(id))]);
    return entry && body ? { entry, body } : null;
  }

  /**
   * Save a chat, unless it was written by another tab since `entry.rev`.
   * @returns {Promise<object>} { entry } as stored now, or { theirs: { entry, body } } if nothing was written.
   */
  async write(entry, body) {
    const all = this.database.transaction(STORES, "readwrite");
    const [chats, bodies, texts] = STORES.map((name) => all.objectStore(name));
    const stored = await toPromise(chats.get(entry.id));
    if (stored && stored.rev !== entry.rev) {
      return { theirs: { entry: stored, body: await toPromise(bodies.get(entry.id)) } };
    }
    const next = { ...stored, ...entry, rev: (entry.rev ?? 0) + 1, size: sizeOf(body) };
    bodies.put({ id: entry.id, ...body });
    chats.put(next);
    texts.put({ id: entry.id, text: searchText(body.turns) });
    all.commit();
    await finished(all);
    return { entry: next };
  }

  /** Change listed fields of several chats in one transaction. Resolves with the entries that still exist. */
  async change(ids, fields) {
    const all = this.database.transaction("chats", "readwrite");
    const chats = all.objectStore("chats");
    const stored = await Promise.all(ids.map((id) => toPromise(chats.get(id))));
    const next = stored.filter(Boolean).map((entry) => ({ ...entry, ...fields, rev: entry.rev + 1 }));
    for (const entry of next) chats.put(entry);
    await finished(all);
    return next;
  }

  async remove(id) {
    const all = this.database.transaction(STORES, "readwrite");
    for (const name of STORES) all.objectStore(name).delete(id);
    return finished(all);
  }

  async clear() {
    const all = this.database.transaction([...STORES, "left"], "readwrite");
    for (const name of [...STORES, "left"]) all.objectStore(name).clear();
    return finished(all);
  }

  /** Save a record while the page is being closed, without reading first. */
  saveOnExit(record) {
    const one = this.database.transaction("left", "readwrite");
    one.objectStore("left").put(record);
    one.commit();
  }

  /** Return the records that closing pages saved. */
  unsaved() {
    return this.#all("left");
  }

  async removeUnsaved(id) {
    const one = this.database.transaction("left", "readwrite");
    one.objectStore("left").delete(id);
    return finished(one);
  }
}

/** A store in memory. newer: the browser's store belongs to a later version of this page. */
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

  saveOnExit() {}

  async unsaved() {
    return [];
  }

  async removeUnsaved() {}
}
