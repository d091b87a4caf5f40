// Ids for objects that are created in this browser.

/** Return a unique id. Browsers have no `randomUUID` on pages without HTTPS. */
export const newId = () => crypto.randomUUID?.() ?? `${Date.now()}-${Math.random().toString(36).slice(2)}`;

/** Return an id that can't be guessed, also without HTTPS. */
export const secretId = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
