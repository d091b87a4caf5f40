// Attachments of a message: { kind: "text", name, text } or { kind: "picture", name, url, width, height }.
// Independent of the page.

export const FILES_LIMIT = 10; // per message
export const TEXT_LIMIT_BYTES = 1_000_000;
export const FILE_LIMIT_BYTES = 20_000_000;

const NAME_LENGTH = 120;
const PICTURE = /^data:image\/(jpeg|png|webp);base64,[A-Za-z0-9+/]+={0,2}$/;

/** Return how a file is read: "pdf" and "picture" by the server, "text" by the browser. */
export function kindOf({ name, type }) {
  if (type === "application/pdf" || /\.pdf$/i.test(name)) return "pdf";
  if (type.startsWith("image/") && type !== "image/svg+xml") return "picture";
  return "text";
}

/** Decode bytes as UTF-8, UTF-16 with a byte order mark, or Windows-1252; null if they are not text. */
export function decodeText(bytes) {
  const marks = { "255,254": "utf-16le", "254,255": "utf-16be" };
  const marked = marks[[...bytes.subarray(0, 2)].join()];
  try {
    return new TextDecoder(marked ?? "utf-8", { fatal: true }).decode(bytes).replaceAll("\0", "");
  } catch {
    return isWestern(bytes) ? new TextDecoder("windows-1252").decode(bytes) : null;
  }
}

/** Return whether there are no control characters, which programs and archives have. */
function isWestern(bytes) {
  return !bytes.some((byte) => byte < 9 || (byte > 13 && byte < 32 && byte !== 27));
}

/** Shorten a name to one line; its extension stays. */
export function shortName(name) {
  const line = name.replace(/[\p{Cc}\p{Cf}\s]+/gu, " ").trim() || "file";
  return line.length <= NAME_LENGTH ? line : `${line.slice(0, NAME_LENGTH - 12)}…${line.slice(-11)}`;
}

/** Return valid attachments only, as they are stored. Anything else in an imported chat is dropped. */
export function storedFiles(files) {
  if (!Array.isArray(files)) return [];
  return files.slice(0, FILES_LIMIT).flatMap((file) => {
    const { kind, name, text, url, width, height } = file ?? {};
    if (typeof name !== "string") return [];
    const short = shortName(name);
    if (kind === "text" && typeof text === "string") return [{ kind, name: short, text }];
    const isPicture = kind === "picture" && PICTURE.test(url) && [width, height].every(Number.isInteger);
    return isPicture ? [{ kind, name: short, url, width, height }] : [];
  });
}

/** Return attachments in the format of a request. sees: whether the model gets pictures. */
export function requestFiles(files, sees) {
  const seen = (files ?? []).filter(({ kind }) => sees || kind !== "picture");
  return seen.map(({ kind, name, text, url }) => (kind === "picture" ? { kind, name, url } : { kind, name, text }));
}

export const hasPictures = (files) => Boolean(files?.some(({ kind }) => kind === "picture"));
