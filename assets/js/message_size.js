// The maximum size of a message, which is also the server's limit.

import { fill } from "./dom.js";

const LIMIT_BYTES = 1_000_000;
const megabytes = (bytes) => (bytes / 1e6).toFixed(1);

/** Return an error text if the text is too long to send, else null. */
export function sizeError(text, strings) {
  const size = new Blob([text]).size;
  return size > LIMIT_BYTES ? fill(strings.too_long, { size: megabytes(size), limit: megabytes(LIMIT_BYTES) }) : null;
}
