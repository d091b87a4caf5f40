// What belongs to a message beside its words: { kind: "text", name, text } or
// { kind: "picture", name, url, width, height }. No page in it.

export const FILES_LIMIT = 10; // of one message
export const TEXT_LIMIT_BYTES = 1_000_000;
export const FILE_LIMIT_BYTES = 20_000_000;

const NAME_LENGTH = 120;
const PICTURE = /^data:image\/(jpeg|png|webp);base64,[A-Za-z0-9+/]+={0,2}$/;

/** Who reads a file: "pdf" and "picture" the server, "text" the browser itself. */
export function kindOf({ name, type }) {
  if (type === "application/pdf" || /\.pdf$/i.test(name)) return "pdf";
  if (type.startsWith("image/") && type !== "image/svg+xml") return "picture";
  return "text";
}

/** The bytes as text; null when they are none. UTF-8, UTF-16 with its mark, else Western. */
export function decoded(bytes) {
  const marks = { "255,254": "utf-16le", "254,255": "utf-16be" };
  const marked = marks[[...bytes.subarray(0, 2)].join()];
  try {
    return new TextDecoder(marked ?? "utf-8", { fatal: true }).decode(bytes).replaceAll("\0", "");
  } catch {
    return isWestern(bytes) ? new TextDecoder("windows-1252").decode(bytes) : null;
  }
}

/** No control characters, as every program and archive has them. */
function isWestern(bytes) {
  return !bytes.some((byte) => byte < 9 || (byte > 13 && byte < 32 && byte !== 27));
}

/** A name that fits on one line; its ending stays. */
export function shortName(name) {
  const line = name.replace(/[\p{Cc}\p{Cf}\s]+/gu, " ").trim() || "file";
  return line.length <= NAME_LENGTH ? line : `${line.slice(0, NAME_LENGTH - 12)}…${line.slice(-11)}`;
}

/** Files as they are kept; whatever else an imported chat may have there is dropped. */
export function keptFiles(files) {
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

/** The same as the server asks for them. sees: whether the model gets pictures. */
export function sentFiles(files, sees) {
  const seen = (files ?? []).filter(({ kind }) => sees || kind !== "picture");
  return seen.map(({ kind, name, text, url }) => (kind === "picture" ? { kind, name, url } : { kind, name, text }));
}

export const hasPictures = (files) => Boolean(files?.some(({ kind }) => kind === "picture"));
