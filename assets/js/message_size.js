// How long a message may be; the server's own limit.

import { fill } from "./dom.js";

const LIMIT_BYTES = 1_000_000;
const megabytes = (bytes) => (bytes / 1e6).toFixed(1);

/** A sentence where the text is too long to be sent, null where it isn't. */
export function tooLong(text, words) {
  const size = new Blob([text]).size;
  return size > LIMIT_BYTES ? fill(words.too_long, { size: megabytes(size), limit: megabytes(LIMIT_BYTES) }) : null;
}
