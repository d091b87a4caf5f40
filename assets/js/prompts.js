// Saved prompts: { id, name, text }, in this browser alone; and the {{fields}} in them. No page here.

import { newId } from "./ids.js";

const KEY = "akash-gradio.prompts";
const LIMIT = 500;
const NAME_LENGTH = 80;
const FIELD = /\{\{\s*([\p{L}\p{N}][\p{L}\p{N}_ -]{0,39}?)\s*\}\}/gu;

/** The names in a text's {{name}}, each once, in order. */
export function fieldsOf(text) {
  return [...new Set([...text.matchAll(FIELD)].map(([, name]) => name))];
}

/** The text with values in the places of its fields. What a value holds is never a field. */
export function filledIn(text, values) {
  return text.replace(FIELD, (whole, name) => values[name] ?? whole);
}

/** What may be a saved prompt, as it is kept; null for anything else. */
export function asPrompt({ id, name, text } = {}) {
  if (typeof text !== "string" || !text.trim()) return null;
  const title = (typeof name === "string" && name.trim()) || text.trim().split("\n")[0];
  return { id: typeof id === "string" && id ? id : newId(), name: [...title.trim()].slice(0, NAME_LENGTH).join(""), text };
}

/** storage: as localStorage; other tabs write there too, so it is read each time. */
export class Prompts {
  constructor(storage) {
    this.storage = storage;
  }

  list() {
    try {
      const kept = JSON.parse(this.storage.getItem(KEY)) ?? [];
      return kept.map((one) => asPrompt(one ?? {})).filter(Boolean);
    } catch {
      return [];
    }
  }

  /** Keep a prompt, in the place of the one with its id. Throws where the browser has no room. */
  put(prompt) {
    const all = this.list();
    const place = all.findIndex(({ id }) => id === prompt.id);
    if (place >= 0) all[place] = prompt;
    else all.unshift(prompt);
    this.#write(all);
  }

  remove(id) {
    this.#write(this.list().filter((prompt) => prompt.id !== id));
  }

  /** Prompts of a file; those that are here already, by name and text, are left out. */
  merge(found) {
    const all = this.list();
    const key = ({ name, text }) => `${name}\n${text}`;
    const known = new Set(all.map(key));
    const fresh = found.map((one) => asPrompt({ ...one, id: "" })).filter((one) => one && !known.has(key(one)));
    this.#write([...all, ...fresh]);
  }

  #write(prompts) {
    this.storage.setItem(KEY, JSON.stringify(prompts.slice(0, LIMIT)));
  }
}

/** Prompts whose name or text has all the words of the query. */
export function matching(prompts, query) {
  const wanted = query.toLowerCase().split(/\s+/).filter(Boolean);
  return prompts.filter(({ name, text }) => {
    const said = `${name}\n${text}`.toLowerCase();
    return wanted.every((word) => said.includes(word));
  });
}
