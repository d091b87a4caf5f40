// The maximum size of a message, which is also the server's limit.

import { fill } from "./dom.js";
import { formatMegabytes } from "./formatting.js";

const LIMIT_BYTES = 1_000_000;

/** Return an error text if the text is too long to send, else null. */
export function sizeError(text, strings) {
  const size = new Blob([text]).size;
  return size > LIMIT_BYTES ? fill(strings.too_long, { size: formatMegabytes(size), limit: formatMegabytes(LIMIT_BYTES) }) : null;
}
