// A replacement for the browser's storage.

/** Behaves like localStorage. room: the longest value that can be stored, in characters. */
export class FakeStorage {
  constructor(room = Infinity) {
    this.room = room;
    this.values = new Map();
  }
  getItem(key) {
    return this.values.get(key) ?? null;
  }
  setItem(key, value) {
    if (value.length > this.room) throw new DOMException("full", "QuotaExceededError");
    this.values.set(key, value);
  }
  removeItem(key) {
    this.values.delete(key);
  }
}
