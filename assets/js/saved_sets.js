// Prompt sets that are kept by name: { id, name, saved, count, form }, in this browser alone. No page here.

import { newId } from "./ids.js";
import { readForm } from "./set_asked.js";

const KEY = "akash-gradio.sets";
export const LIMIT = 100;
const NAME_LENGTH = 80;

export class TooMany extends Error {}

/** What may be a saved set, as it is kept; null for anything else. count: of its prompts, 0 unknown. */
export function asSavedSet({ id, name, saved, count, form } = {}) {
  const read = readForm(form);
  if (!read?.text.trim()) return null;
  const title = (typeof name === "string" && name.trim()) || read.name || read.text.trim().split("\n")[0];
  const when = typeof saved === "string" && !Number.isNaN(Date.parse(saved)) ? saved : new Date().toISOString();
  return { id: typeof id === "string" && id ? id : newId(), name: [...title].slice(0, NAME_LENGTH).join(""), saved: when, count: Number.isInteger(count) ? count : 0, form: read };
}

/** storage: as localStorage; other tabs write there too, so it is read each time. */
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
   * Keep a set first, or in the place of the one with its id. Throws TooMany, or what the browser
   * throws where it has no room; what is kept stays as it is then.
   */
  put(set, place = 0) {
    const all = this.list();
    const there = all.findIndex(({ id }) => id === set.id);
    if (there >= 0) all[there] = set;
    else all.splice(place, 0, set);
    if (all.length > LIMIT) throw new TooMany();
    this.#write(all);
  }

  /** Returns false where another set has that name. Throws as `put` does. */
  rename(id, name) {
    const set = this.list().find((one) => one.id === id);
    const other = this.named(name);
    if (!set || (other && other.id !== id)) return false;
    this.put({ ...set, name: name.trim() });
    return true;
  }

  /** Returns what brings it back where it was. */
  remove(id) {
    const all = this.list();
    const place = all.findIndex((one) => one.id === id);
    if (place < 0) return () => {};
    const [removed] = all.splice(place, 1);
    this.#write(all);
    return () => this.put(removed, place);
  }

  #write(sets) {
    this.storage.setItem(KEY, JSON.stringify(sets));
  }
}
