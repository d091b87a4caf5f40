// Saved prompts, { id, name, text }, stored in this browser, and their {{fields}}. Independent of the page.

import { newId } from "./ids.js";

const KEY = "akash-gradio.prompts";
const LIMIT = 500;
const NAME_LENGTH = 80;
const FIELD = /\{\{\s*([\p{L}\p{N}][\p{L}\p{N}_ -]{0,39}?)\s*\}\}/gu;

/** Return the names of the {{fields}} of a text, each once, in order. */
export function fieldsOf(text) {
  return [...new Set([...text.matchAll(FIELD)].map(([, name]) => name))];
}

/** Replace the fields of a text by values. Braces inside values stay as they are. */
export function fillFields(text, values) {
  return text.replace(FIELD, (whole, name) => values[name] ?? whole);
}

/** Return a valid prompt as it is stored; null for anything else. */
export function asPrompt({ id, name, text } = {}) {
  if (typeof text !== "string" || !text.trim()) return null;
  const title = (typeof name === "string" && name.trim()) || text.trim().split("\n")[0];
  return { id: typeof id === "string" && id ? id : newId(), name: [...title.trim()].slice(0, NAME_LENGTH).join(""), text };
}

/** @param {Storage} storage Read each time, because other tabs write to it too. */
export class Prompts {
  constructor(storage) {
    this.storage = storage;
  }

  list() {
    try {
      const stored = JSON.parse(this.storage.getItem(KEY)) ?? [];
      return stored.map((one) => asPrompt(one ?? {})).filter(Boolean);
    } catch {
      return [];
    }
  }

  /** Add a prompt, or replace the one with its id. Throws if storage is full. */
  put(prompt) {
    const all = this.list();
    const index = all.findIndex(({ id }) => id === prompt.id);
    if (index >= 0) all[index] = prompt;
    else all.unshift(prompt);
    this.#write(all);
  }

  remove(id) {
    this.#write(this.list().filter((prompt) => prompt.id !== id));
  }

  /** Add prompts of a file, except those with a known name and text. */
  merge(imported) {
    const all = this.list();
    const key = ({ name, text }) => `${name}\n${text}`;
    const known = new Set(all.map(key));
    const fresh = imported.map((one) => asPrompt({ ...one, id: "" })).filter((one) => one && !known.has(key(one)));
    this.#write([...all, ...fresh]);
  }

  #write(prompts) {
    this.storage.setItem(KEY, JSON.stringify(prompts.slice(0, LIMIT)));
  }
}

/** Return prompts whose name or text has all words of the query. */
export function matchingPrompts(prompts, query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  return prompts.filter(({ name, text }) => {
    const haystack = `${name}\n${text}`.toLowerCase();
    return words.every((word) => haystack.includes(word));
  });
}
