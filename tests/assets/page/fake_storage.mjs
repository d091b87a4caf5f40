// What a browser keeps, for tests of what is kept there.

/** As localStorage. room: characters of a value, above which it is full. */
export class FakeStorage {
  constructor(room = Infinity) {
    this.room = room;
    this.kept = new Map();
  }
  getItem(key) {
    return this.kept.get(key) ?? null;
  }
  setItem(key, value) {
    if (value.length > this.room) throw new DOMException("full", "QuotaExceededError");
    this.kept.set(key, value);
  }
  removeItem(key) {
    this.kept.delete(key);
  }
}
