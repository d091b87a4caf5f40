// What a browser keeps, for tests of what is values there.

/** As localStorage. room: characters of a value, above which it is full. */
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
