// Saved prompt sets: { id, name, saved, count, form }, stored in this browser. Independent of the page.

import { newId } from "./ids.js";
import { parseForm } from "./set_form.js";

const KEY = "akash-gradio.sets";
export const LIMIT = 100;
const NAME_LENGTH = 80;

export class TooMany extends Error {}

/** Return a valid set as it is stored; null for anything else. count: number of prompts, 0 if unknown. */
export function asSavedSet({ id, name, saved, count, form } = {}) {
  const read = parseForm(form);
  if (!read?.text.trim()) return null;
  const title = (typeof name === "string" && name.trim()) || read.name || read.text.trim().split("\n")[0];
  const when = typeof saved === "string" && !Number.isNaN(Date.parse(saved)) ? saved : new Date().toISOString();
  return { id: typeof id === "string" && id ? id : newId(), name: [...title].slice(0, NAME_LENGTH).join(""), saved: when, count: Number.isInteger(count) ? count : 0, form: read };
}

/** @param {Storage} storage Read each time, because other tabs write to it too. */
export class SavedSets {
  constructor(storage) {
    this.storage = storage;
  }

  list() {
    try {
      return JSON.parse(this.storage.getItem(KEY)).map((one) => asSavedSet(one ?? {})).filter(Boolean);
    } catch {
      return [];
    }
  }

  named(name) {
    return this.list().find((one) => one.name === name.trim());
  }

  /**
   * Add a set at the top, or replace the one with its id.
   * @throws {TooMany | DOMException} If there are too many sets or storage is full; nothing is changed then.
   */
  put(set, index = 0) {
    const all = this.list();
    const there = all.findIndex(({ id }) => id === set.id);
    if (there >= 0) all[there] = set;
    else all.splice(index, 0, set);
    if (all.length > LIMIT) throw new TooMany();
    this.#write(all);
  }

  /** Return false if another set has that name. Throws like `put`. */
  rename(id, name) {
    const set = this.list().find((one) => one.id === id);
    const other = this.named(name);
    if (!set || (other && other.id !== id)) return false;
    this.put({ ...set, name: name.trim() });
    return true;
  }

  /** Delete a set. Returns a function that restores it in its place. */
  remove(id) {
    const all = this.list();
    const index = all.findIndex((one) => one.id === id);
    if (index < 0) return () => {};
    const [removed] = all.splice(index, 1);
    this.#write(all);
    return () => this.put(removed, index);
  }

  #write(sets) {
    this.storage.setItem(KEY, JSON.stringify(sets));
  }
}
