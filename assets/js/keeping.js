// What this browser may keep of what a visitor writes and chooses. Where nothing is to be kept, or
// the browser has no storage for this frame, it lasts as long as the page.

/** The key whose change other tabs hear of. */
export const KEEP = "akash-gradio.keep";

export function keepsNothing() {
  try {
    return localStorage.getItem(KEEP) === "nothing";
  } catch {
    return false;
  }
}

export const keepNothing = (nothing) => localStorage.setItem(KEEP, nothing ? "nothing" : "chats");

class Memory {
  #kept = new Map();

  getItem(key) {
    return this.#kept.get(key) ?? null;
  }

  setItem(key, value) {
    this.#kept.set(key, value);
  }

  removeItem(key) {
    this.#kept.delete(key);
  }
}

/** As the browser's storage of this name. What was kept before stays there, and isn't seen. */
class Place {
  #name;
  #memory = new Memory();

  constructor(name) {
    this.#name = name;
  }

  get #now() {
    try {
      return keepsNothing() ? this.#memory : globalThis[this.#name] ?? this.#memory;
    } catch {
      return this.#memory; // not even asking is allowed in some frames
    }
  }

  getItem(key) {
    return this.#now.getItem(key);
  }

  /** Throws where the browser has no more room. */
  setItem(key, value) {
    this.#now.setItem(key, value);
  }

  removeItem(key) {
    this.#now.removeItem(key);
  }
}

export const kept = new Place("localStorage");
export const keptInTab = new Place("sessionStorage");
