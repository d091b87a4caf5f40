// A comparison in an address: models, question and settings behind the `#`, which no browser sends.

import { DEFAULTS } from "./settings.js";

const MARK = "#c=";
const LONGEST = 100_000;

/** The settings that differ from what holds anyhow. */
const own = (settings) => settings && Object.fromEntries(Object.entries(settings).filter(([name, value]) => name in DEFAULTS && value !== DEFAULTS[name]));

/** The part behind the `#`; null where it would be longer than is read. */
export function linkOf({ lanes, shared, blind, prompt }) {
  const said = { v: 1, p: prompt, l: lanes.map(({ model, endpoint, settings }) => ({ m: model, e: endpoint ?? undefined, s: own(settings) ?? undefined })), s: own(shared), b: blind || undefined };
  const bytes = new TextEncoder().encode(JSON.stringify(said));
  const coded = MARK + btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join("")).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
  return coded.length > LONGEST ? null : coded;
}

/** What a link says, every part of it checked; null when it is none of ours. */
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

/** Only settings that exist, each of the kind that it has here. */
function settings(said) {
  const known = Object.entries(said).filter(([name, value]) => {
    if (!(name in DEFAULTS)) return false;
    if (typeof DEFAULTS[name] === "boolean") return typeof value === "boolean";
    return typeof value === "string" || Number.isFinite(value) || (Array.isArray(value) && value.every((each) => typeof each === "string"));
  });
  return { ...DEFAULTS, ...Object.fromEntries(known) };
}
