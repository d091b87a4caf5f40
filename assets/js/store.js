// Chats, in this browser alone (IndexedDB). Titles and bodies apart, so that a list of a
// thousand chats never reads a thousand bodies.

const NAME = "akash-gradio";
const VERSION = 1;

function request(asked) {
  return new Promise((resolve, reject) => {
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
  });
}

function open() {
  const asked = indexedDB.open(NAME, VERSION);
  asked.onupgradeneeded = () => {
    asked.result.createObjectStore("chats", { keyPath: "id" });
    asked.result.createObjectStore("bodies", { keyPath: "id" });
  };
  return request(asked);
}

/** A store that keeps chats; where the browser allows none, one that forgets with the tab. */
export async function openStore() {
  try {
    return new BrowserStore(await open());
  } catch {
    return new MemoryStore();
  }
}

class BrowserStore {
  keeps = true;

  constructor(database) {
    this.database = database;
    database.onversionchange = () => database.close();
  }

  async list() {
    return request(this.database.transaction("chats").objectStore("chats").getAll());
  }

  async read(id) {
    return request(this.database.transaction("bodies").objectStore("bodies").get(id));
  }

  async write(entry, body) {
    const both = this.database.transaction(["chats", "bodies"], "readwrite");
    both.objectStore("chats").put(entry);
    if (body) both.objectStore("bodies").put({ id: entry.id, ...body });
    both.commit(); // a page that is being left gets no time to hear of success first
    return finished(both);
  }

  async remove(id) {
    const both = this.database.transaction(["chats", "bodies"], "readwrite");
    both.objectStore("chats").delete(id);
    both.objectStore("bodies").delete(id);
    return finished(both);
  }
}

function finished(transaction) {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = resolve;
    transaction.onerror = transaction.onabort = () => reject(transaction.error);
  });
}

class MemoryStore {
  keeps = false;
  entries = new Map();
  bodies = new Map();

  async list() {
    return [...this.entries.values()];
  }

  async read(id) {
    return this.bodies.get(id);
  }

  async write(entry, body) {
    this.entries.set(entry.id, entry);
    if (body) this.bodies.set(entry.id, structuredClone(body));
  }

  async remove(id) {
    this.entries.delete(id);
    this.bodies.delete(id);
  }
}
