// Imports chats from a file: this page's own export, or Akash Chat's. The file is untrusted: invalid parts
// are skipped and reported, and HTML is never used.

import { hintOf } from "./answer.js";
import { FORMAT, FORMAT_VERSION } from "./exporting.js";
import { newId } from "./ids.js";

/** A file that can't be read at all. kind: `json`, `newer` or `unknown`. */
export class UnreadableFile extends Error {
  constructor(kind) {
    super(kind);
    this.kind = kind;
  }
}

/**
 * Parse an export.
 * @returns {{ chats: object[], prompts: object[], errors: object[] }} chats: [{ entry, body }],
 *   prompts: [{ name, text }], errors: [{ chat, title, why, at }].
 * @throws {UnreadableFile}
 */
export function readFile(text, now = Date.now()) {
  let file;
  try {
    file = JSON.parse(text);
  } catch {
    throw new UnreadableFile("json");
  }
  if (file?.format === FORMAT) {
    if (file.version > FORMAT_VERSION) throw new UnreadableFile("newer");
    return collect(file.chats, ownChat, now);
  }
  if (!Array.isArray(file?.chats)) throw new UnreadableFile("unknown");
  const folders = new Map(list(file.folders).map((folder) => [folder?.id, folder?.name]));
  const prompts = list(file.prompts).filter((prompt) => isText(prompt?.name) && isText(prompt?.content));
  const found = collect(file.chats, (chat) => akashChat(chat, now, folders), now);
  return { ...found, prompts: prompts.map(({ name, content }) => ({ name, text: content })) };
}

function collect(chats, read, now) {
  const [good, errors] = [[], []];
  list(chats).forEach((chat, index) => {
    try {
      good.push(read(chat, now));
    } catch (error) {
      if (!(error instanceof InvalidChat)) throw error;
      const title = isText(chat?.title) ? chat.title : chat?.name;
      errors.push({ chat: index + 1, title: isText(title) ? title.slice(0, 80) : "", why: error.why, at: error.at });
    }
  });
  return { chats: good, prompts: [], errors };
}

/** Why a chat is skipped. at: the number of the message, from 1. */
class InvalidChat extends Error {
  constructor(why, at = 0) {
    super(why);
    Object.assign(this, { why, at });
  }
}

// ── this page's own format ──────────────────────────────────────────────────

function ownChat(chat, now) {
  const turns = check(chat?.turns, Array.isArray, "no_messages").map(ownTurn);
  if (!turns.length) throw new InvalidChat("no_messages");
  const entry = {
    id: short(chat.id) ?? newId(),
    title: titleOf(chat.title, turns),
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
  if (turn?.role === "user") return { ...plain(turn), id: short(turn.id) ?? newId(), role: "user", text: check(turn.text, isText, "no_text", at) };
  if (turn?.role !== "assistant") throw new InvalidChat("bad_role", at);
  const versions = check(turn.versions, Array.isArray, "no_text", at).map((version) => ownVersion(version, at));
  if (!versions.length) throw new InvalidChat("no_text", at);
  const shown = Number.isInteger(turn.shown) ? Math.max(0, Math.min(turn.shown, versions.length - 1)) : 0;
  return { id: short(turn.id) ?? newId(), role: "assistant", shown, versions };
}

function ownVersion(version, at) {
  const text = check(version?.text, isText, "no_text", at);
  return {
    ...plain(version),
    id: short(version.id) ?? newId(),
    text,
    reasoning: isText(version.reasoning) ? version.reasoning : "",
    model: short(version.model) ?? "",
    model_name: short(version.model_name) ?? short(version.model) ?? "",
    receipt: readReceipt(version.receipt),
    thought_s: Number.isFinite(version.thought_s) ? version.thought_s : undefined,
    left_out: Number.isInteger(version.left_out) ? version.left_out : undefined,
    ...flagsOf(version),
    settings: version.settings === undefined ? undefined : plain(version.settings),
    error: isText(version.error?.title) ? { title: version.error.title, hint: String(hintOf(version.error)), details: "", retry: true } : undefined,
  };
}

/** Return the flags that a version has; anything but true is false. */
function flagsOf(version) {
  const flags = ["stopped", "edited", "continued"].filter((flag) => flag in version);
  return Object.fromEntries(flags.map((flag) => [flag, version[flag] === true]));
}

/** Return the receipt if it has every part that `receipt.js` needs. */
function readReceipt(receipt) {
  const { line, flags, rows, attempts } = receipt ?? {};
  const texts = (value) => Array.isArray(value) && value.every(isText);
  const whole = texts(line) && texts(flags) && Array.isArray(rows) && rows.every(texts) && Array.isArray(attempts) &&
    attempts.every((one) => isText(one?.endpoint) && Number.isFinite(one.seconds)) && Number.isFinite(receipt.total_s);
  return whole ? receipt : undefined;
}

// ── Akash Chat's format: { version: 1, timestamp, folders, prompts, chats } ───

function akashChat(chat, now, folders) {
  const messages = check(chat?.messages, Array.isArray, "no_messages");
  const model = short(chat.model?.id) ?? short(chat.model) ?? "";
  const name = short(chat.model?.name) ?? model;
  const turns = messages.map((message, index) => akashTurn(message, index + 1, model, name)).filter(Boolean);
  if (!turns.length) throw new InvalidChat("no_messages");
  const times = messages.map((message) => Date.parse(message?.createdAt)).filter(Number.isFinite);
  const entry = {
    id: short(chat.id) ?? newId(),
    title: titleOf(chat.name, turns),
    created: times[0] ?? now,
    updated: times.at(-1) ?? now,
    model,
    pinned: false,
    folder: short(folders.get(chat.folderId)),
  };
  const system = isText(chat.system) ? chat.system : "";
  return { entry, body: { turns, settings: { system } } };
}

/** Convert one message; null for system messages, which the settings hold. Reasoning is in <think> tags. */
function akashTurn(message, at, model, name) {
  const text = check(contentOf(message), isText, "no_text", at);
  if (message.role === "user") return { id: newId(), role: "user", text };
  if (message.role === "system") return null;
  if (message.role !== "assistant") throw new InvalidChat("bad_role", at);
  const [, thoughts = "", rest = text] = text.match(/^\s*<think>([^]*?)(?:<\/think>|$)([^]*)$/) ?? [];
  const version = { id: newId(), text: rest.trimStart(), reasoning: thoughts.trim(), model, model_name: name };
  return { id: newId(), role: "assistant", shown: 0, versions: [version] };
}

/** Return a message's text from `content`, or from its parts of type `text`. */
function contentOf(message) {
  const parts = Array.isArray(message?.content) ? message.content : message?.parts;
  if (isText(message?.content) || !Array.isArray(parts)) return message?.content;
  return parts.map((part) => (part?.type === "text" && isText(part.text) ? part.text : "")).join("");
}

// ── helpers ─────────────────────────────────────────────────────────────────

const isText = (value) => typeof value === "string";
const list = (value) => (Array.isArray(value) ? value : []);
const short = (value) => (isText(value) && value ? value.slice(0, 300) : undefined);
const LAST_TIME = 8.64e15; // the latest time that a Date can hold
const time = (value, now) => (Number.isFinite(value) && value > 0 && value <= LAST_TIME ? value : now);

function check(value, fits, why, at) {
  if (!fits(value)) throw new InvalidChat(why, at);
  return value;
}

/** Return the fields of an object, without those that would be shown as HTML. */
function plain(value) {
  const { blocks, reasoning_blocks, live, ...rest } = value !== null && typeof value === "object" && !Array.isArray(value) ? value : {};
  return rest;
}

function titleOf(title, turns) {
  if (isText(title) && title.trim()) return title.trim().slice(0, 120);
  const first = turns.find(({ role }) => role === "user");
  return [...(first?.text ?? "").trim().replace(/\s+/g, " ")].slice(0, 60).join("");
}
