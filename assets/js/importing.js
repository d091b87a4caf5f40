// Chats from a file: this page's own export, or Akash Chat's. Everything in it is a
// stranger's: what does not fit is left out and named, and HTML is never taken.

import { FORMAT, FORMAT_VERSION } from "./exporting.js";
import { newId } from "./ids.js";

/** A file that can't be read at all. kind: `json`, `newer` or `unknown`, a word of the page. */
export class Unreadable extends Error {
  constructor(kind) {
    super(kind);
    this.kind = kind;
  }
}

/**
 * What is in the file: { chats: [{ entry, body }], prompts: [{ name, text }], faults }.
 * faults: [{ chat, title, why, at }], why being a word of the page. Throws Unreadable.
 */
export function readFile(text, now = Date.now()) {
  let file;
  try {
    file = JSON.parse(text);
  } catch {
    throw new Unreadable("json");
  }
  if (file?.format === FORMAT) {
    if (file.version > FORMAT_VERSION) throw new Unreadable("newer");
    return gathered(file.chats, ownChat, now);
  }
  if (!Array.isArray(file?.chats)) throw new Unreadable("unknown");
  const folders = new Map(list(file.folders).map((folder) => [folder?.id, folder?.name]));
  const prompts = list(file.prompts).filter((prompt) => isText(prompt?.name) && isText(prompt?.content));
  const found = gathered(file.chats, (chat) => akashChat(chat, now, folders), now);
  return { ...found, prompts: prompts.map(({ name, content }) => ({ name, text: content })) };
}

function gathered(chats, read, now) {
  const [good, faults] = [[], []];
  list(chats).forEach((chat, index) => {
    try {
      good.push(read(chat, now));
    } catch (fault) {
      if (!(fault instanceof Fault)) throw fault;
      const title = isText(chat?.title) ? chat.title : chat?.name;
      faults.push({ chat: index + 1, title: isText(title) ? title.slice(0, 80) : "", why: fault.why, at: fault.at });
    }
  });
  return { chats: good, prompts: [], faults };
}

/** Why one chat is left out. at: the number of the message, from 1. */
class Fault extends Error {
  constructor(why, at = 0) {
    super(why);
    Object.assign(this, { why, at });
  }
}

// ── our own ─────────────────────────────────────────────────────────────────

function ownChat(chat, now) {
  const turns = need(chat?.turns, Array.isArray, "no_messages").map(ownTurn);
  if (!turns.length) throw new Fault("no_messages");
  const entry = {
    id: short(chat.id) ?? newId(),
    title: titled(chat.title, turns),
    created: time(chat.created, now),
    updated: time(chat.updated, now),
    model: short(chat.model) ?? "",
    pinned: chat.pinned === true,
    folder: short(chat.folder),
  };
  return { entry, body: { turns, settings: plain(chat.settings) } };
}

function ownTurn(turn, index) {
  const at = index + 1;
  if (turn?.role === "user") return { ...plain(turn), id: short(turn.id) ?? newId(), role: "user", text: need(turn.text, isText, "no_text", at) };
  if (turn?.role !== "assistant") throw new Fault("who_speaks", at);
  const versions = need(turn.versions, Array.isArray, "no_text", at).map((version) => ownVersion(version, at));
  if (!versions.length) throw new Fault("no_text", at);
  const shown = Number.isInteger(turn.shown) ? Math.max(0, Math.min(turn.shown, versions.length - 1)) : 0;
  return { id: short(turn.id) ?? newId(), role: "assistant", shown, versions };
}

function ownVersion(version, at) {
  const text = need(version?.text, isText, "no_text", at);
  return {
    ...plain(version),
    id: short(version.id) ?? newId(),
    text,
    reasoning: isText(version.reasoning) ? version.reasoning : "",
    model: short(version.model) ?? "",
    model_name: short(version.model_name) ?? short(version.model) ?? "",
    receipt: readReceipt(version.receipt),
    error: isText(version.error?.title) ? { title: version.error.title, hint: String(version.error.hint ?? version.error["mend"] ?? ""), details: "", retry: true } : undefined,
  };
}

/** A receipt is drawn by `receipt.js`: only one that has every part it needs is taken. */
function readReceipt(receipt) {
  const { line, flags, rows, attempts } = receipt ?? {};
  const texts = (value) => Array.isArray(value) && value.every(isText);
  const whole = texts(line) && texts(flags) && Array.isArray(rows) && rows.every(texts) && Array.isArray(attempts) &&
    attempts.every((one) => isText(one?.endpoint) && Number.isFinite(one.seconds)) && Number.isFinite(receipt.total_s);
  return whole ? receipt : undefined;
}

// ── Akash Chat's: { version: 1, timestamp, folders, prompts, chats } ────────

function akashChat(chat, now, folders) {
  const messages = need(chat?.messages, Array.isArray, "no_messages");
  const model = short(chat.model?.id) ?? short(chat.model) ?? "";
  const name = short(chat.model?.name) ?? model;
  const turns = messages.map((message, index) => akashTurn(message, index + 1, model, name)).filter(Boolean);
  if (!turns.length) throw new Fault("no_messages");
  const times = messages.map((message) => Date.parse(message?.createdAt)).filter(Number.isFinite);
  const entry = {
    id: short(chat.id) ?? newId(),
    title: titled(chat.name, turns),
    created: times[0] ?? now,
    updated: times.at(-1) ?? now,
    model,
    pinned: false,
    folder: short(folders.get(chat.folderId)),
  };
  const system = isText(chat.system) ? chat.system : "";
  return { entry, body: { turns, settings: { system } } };
}

/** One message; null for those of the system, which the settings hold. Thoughts stand in tags. */
function akashTurn(message, at, model, name) {
  const text = need(contentOf(message), isText, "no_text", at);
  if (message.role === "user") return { id: newId(), role: "user", text };
  if (message.role === "system") return null;
  if (message.role !== "assistant") throw new Fault("who_speaks", at);
  const [, thoughts = "", rest = text] = text.match(/^\s*<think>([^]*?)(?:<\/think>|$)([^]*)$/) ?? [];
  const version = { id: newId(), text: rest.trimStart(), reasoning: thoughts.trim(), model, model_name: name };
  return { id: newId(), role: "assistant", shown: 0, versions: [version] };
}

/** A message's text stands in `content`, or in parts of type `text`. */
function contentOf(message) {
  const parts = Array.isArray(message?.content) ? message.content : message?.parts;
  if (isText(message?.content) || !Array.isArray(parts)) return message?.content;
  return parts.map((part) => (part?.type === "text" && isText(part.text) ? part.text : "")).join("");
}

// ── small ───────────────────────────────────────────────────────────────────

const isText = (value) => typeof value === "string";
const list = (value) => (Array.isArray(value) ? value : []);
const short = (value) => (isText(value) && value ? value.slice(0, 300) : undefined);
const time = (value, now) => (Number.isFinite(value) && value > 0 ? value : now);

function need(value, fits, why, at) {
  if (!fits(value)) throw new Fault(why, at);
  return value;
}

/** An object of plain values, without anything that would be drawn as HTML. */
function plain(value) {
  const { blocks, reasoning_blocks, live, ...rest } = value !== null && typeof value === "object" && !Array.isArray(value) ? value : {};
  return rest;
}

function titled(title, turns) {
  if (isText(title) && title.trim()) return title.trim().slice(0, 120);
  const first = turns.find(({ role }) => role === "user");
  return [...(first?.text ?? "").trim().replace(/\s+/g, " ")].slice(0, 60).join("");
}
