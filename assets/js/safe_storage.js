// Browser storage that never fails to read. In private mode, or without storage for this frame, values
// are kept in memory while the page is open.

/** The key whose changes other tabs listen to. */
export const PRIVATE_MODE_KEY = "akash-gradio.keep";

export function isPrivate() {
  try {
    return localStorage.getItem(PRIVATE_MODE_KEY) === "nothing";
  } catch {
    return false;
  }
}

export const setPrivate = (on) => localStorage.setItem(PRIVATE_MODE_KEY, on ? "nothing" : "chats");

class Memory {
  #values = new Map();

  getItem(key) {
    return this.#values.get(key) ?? null;
  }

  setItem(key, value) {
    this.#values.set(key, value);
  }

  removeItem(key) {
    this.#values.delete(key);
  }
}

/** The browser's storage of this name. In private mode earlier values stay there, but are not visible. */
class SafeStorage {
  #name;
  #memory = new Memory();

  constructor(name) {
    this.#name = name;
  }

  get #backend() {
    try {
      return isPrivate() ? this.#memory : globalThis[this.#name] ?? this.#memory;
    } catch {
      return this.#memory; // in some frames even the access throws
    }
  }

  getItem(key) {
    return this.#backend.getItem(key);
  }

  /** Throws if storage is full. */
  setItem(key, value) {
    this.#backend.setItem(key, value);
  }

  removeItem(key) {
    this.#backend.removeItem(key);
  }
}

export const safeLocalStorage = new SafeStorage("localStorage");
export const safeSessionStorage = new SafeStorage("sessionStorage");
