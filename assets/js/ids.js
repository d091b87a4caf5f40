// Names for what is made in this browser.

/** Where the page isn't served by https, browsers give no `randomUUID`. */
export const newId = () => crypto.randomUUID?.() ?? `${Date.now()}-${Math.random().toString(36).slice(2)}`;

/** Not to be guessed, over http too. */
export const secretId = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
