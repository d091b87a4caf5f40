// Encodes a comparison in a URL fragment: models, prompt and settings. Browsers don't send fragments.

import { DEFAULTS } from "./settings.js";

const MARK = "#c=";
const LONGEST = 100_000;

/** Return the settings that differ from the defaults. */
const own = (settings) => settings && Object.fromEntries(Object.entries(settings).filter(([name, value]) => name in DEFAULTS && value !== DEFAULTS[name]));

/** Encode a comparison as a fragment; null if it would exceed the length limit. */
export function linkOf({ lanes, shared, blind, prompt }) {
  const data = { v: 1, p: prompt, l: lanes.map(({ model, endpoint, settings }) => ({ m: model, e: endpoint ?? undefined, s: own(settings) ?? undefined })), s: own(shared), b: blind || undefined };
  const bytes = new TextEncoder().encode(JSON.stringify(data));
  const coded = MARK + btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join("")).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
  return coded.length > LONGEST ? null : coded;
}

/** Decode and validate a fragment; null if it is not a comparison. */
export function readLink(hash) {
  if (!hash.startsWith(MARK) || hash.length > LONGEST) return null;
  try {
    const bytes = Uint8Array.from(atob(hash.slice(MARK.length).replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));
    const { v, p, l, s, b } = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    if (v !== 1 || !Array.isArray(l) || !l.length) return null;
    const lanes = l.slice(0, 4).map(({ m, e, s: mine }) => ({ model: text(m), endpoint: e ? text(e) : null, settings: mine ? settings(mine) : null }));
    return { lanes, prompt: text(p ?? ""), shared: settings(s ?? {}), blind: b === true };
  } catch {
    return null;
  }
}

function text(value) {
  if (typeof value !== "string") throw new TypeError("not a text");
  return value;
}

/** Return known settings with valid types only. */
function settings(data) {
  const known = Object.entries(data).filter(([name, value]) => {
    if (!(name in DEFAULTS)) return false;
    if (typeof DEFAULTS[name] === "boolean") return typeof value === "boolean";
    return typeof value === "string" || Number.isFinite(value) || (Array.isArray(value) && value.every((each) => typeof each === "string"));
  });
  return { ...DEFAULTS, ...Object.fromEntries(known) };
}
