// The dialog about the kept chats: how much room they take, files out and in, deleting,
// and keeping nothing.

import { openDialog } from "./dialogs.js";
import { el, fill, icon } from "./dom.js";
import { Unreadable } from "./importing.js";

const LARGEST = 5;
const FAULTS = 20;

/** chats: what the dialog may do. full: the browser has just refused to keep one. */
export async function openStorage(chats, { full = false } = {}) {
  const { words } = chats;
  const sheet = new Storage(chats, openDialog(words.your_chats, words));
  await sheet.draw(full);
}

class Storage {
  constructor(chats, { body }) {
    Object.assign(this, { chats, body, words: chats.words });
    this.said = el("div", { role: "status", class: "storage-said" });
  }

  async draw(full = false) {
    const { chats, words } = this;
    const entries = await chats.store.list().catch(() => []);
    const room = await roomOf(entries);
    const parts = [el("p", { class: "quiet" }, chats.canKeep ? words.kept_where : words.history_off)];
    if (full) parts.push(el("div", { class: "failure" }, icon("alert"), el("div", {}, el("b", {}, words.history_full), el("p", {}, words.make_room_how))));
    if (chats.canKeep) parts.push(this.#meter(entries, room), this.#largest(entries));
    parts.push(this.#files(entries), this.said);
    if (chats.canKeep) parts.push(this.#keeping(entries), this.#deleteAll(entries));
    this.body.replaceChildren(...parts.filter(Boolean));
  }

  // ── how much ────────────────────────────────────────────────────────────

  #meter(entries, { taken, used, quota, persisted }) {
    const { words } = this;
    const count = fill(entries.length === 1 ? words.one_chat : words.many_chats, { count: entries.length });
    const share = quota ? Math.min(100, (100 * used) / quota) : 0;
    const bar = el("div", { class: "progress", role: "img", "aria-label": `${Math.round(share)} %` }, el("i", {}));
    bar.firstChild.style.width = `${Math.max(share, entries.length ? 0.5 : 0)}%`;
    const line = el("p", {}, el("b", {}, `${count} · ${size(taken)}`), quota ? el("span", { class: "quiet" }, fill(words.room, { used: size(used), quota: size(quota) })) : null);
    const box = el("section", { class: "storage-meter" }, line, bar);
    if (!persisted && entries.length && navigator.storage?.persist) {
      const ask = el("button", { type: "button", class: "btn", onclick: () => this.#persist() }, words.ask_to_keep);
      box.append(el("div", { class: "storage-row" }, el("p", { class: "quiet" }, words.may_go), ask));
    }
    return box;
  }

  async #persist() {
    const granted = await navigator.storage.persist();
    await this.draw();
    this.#say(granted ? this.words.will_stay : this.words.wont_promise);
  }

  #largest(entries) {
    const { words } = this;
    const largest = [...entries].filter((entry) => entry.size).sort((a, b) => b.size - a.size).slice(0, LARGEST);
    if (!largest.length) return null;
    const row = (entry) => {
      const label = `${words.delete}: ${entry.title}`;
      const remove = async () => {
        await this.chats.removeKept(entry);
        await this.draw();
      };
      const trash = el("button", { type: "button", class: "icon-btn", "aria-label": label, title: label, onclick: remove }, icon("trash"));
      return el("li", {}, el("span", { class: "storage-title", dir: "auto" }, entry.title), el("span", { class: "quiet tn" }, size(entry.size)), trash);
    };
    return el("details", { class: "storage-largest" }, el("summary", {}, words.largest), el("ul", {}, ...largest.map(row)));
  }

  // ── files ───────────────────────────────────────────────────────────────

  #files(entries) {
    const { words, chats } = this;
    const input = el("input", { type: "file", accept: ".json,application/json", class: "sr-only", tabindex: -1, "aria-label": words.import_file });
    input.addEventListener("change", () => this.#import(input.files[0]));
    const button = (name, label, act, more = {}) => el("button", { type: "button", class: "btn", onclick: act, ...more }, icon(name), label);
    const row = el("div", { class: "storage-buttons" },
      button("save", words.export_all, () => chats.exportAll().catch(() => this.#say(words.history_unread)), { disabled: !entries.length }),
      button("load", words.import_file, () => input.click()),
      input);
    return el("section", {}, row, el("p", { class: "quiet" }, words.import_what));
  }

  async #import(file) {
    if (!file) return;
    const { words } = this;
    try {
      const { added, known, prompts, faults } = await this.chats.importText(await file.text());
      await this.draw();
      const sentences = [fill(added === 1 ? words.imported_one : words.imported_many, { count: added })];
      if (known) sentences.push(fill(words.import_known, { count: known }));
      if (prompts) sentences.push(fill(words.imported_prompts, { count: prompts }));
      if (faults.length) sentences.push(fill(words.import_faults, { count: faults.length }));
      this.#say(sentences.join(" "), faults);
    } catch (error) {
      const kinds = { json: words.import_json, newer: words.import_newer, unknown: words.import_unknown };
      this.#say(error instanceof Unreadable ? kinds[error.kind] : this.chats.why(error), [], true);
    }
  }

  #say(sentence, faults = [], bad = false) {
    const { words } = this;
    const why = { no_messages: words.fault_no_messages, no_text: words.fault_no_text, who_speaks: words.fault_who_speaks };
    const line = ({ chat, title, ...fault }) => fill(words.fault, { chat, title: title || "–", why: fill(why[fault.why], fault) });
    const rows = faults.slice(0, FAULTS).map((fault) => el("li", {}, line(fault)));
    this.said.className = bad || faults.length ? "storage-said bad" : "storage-said";
    this.said.replaceChildren(el("p", {}, sentence), ...(rows.length ? [el("ul", {}, ...rows)] : []));
  }

  // ── keeping nothing, deleting all ───────────────────────────────────────

  #keeping(entries) {
    const { words, chats } = this;
    const box = el("input", { type: "checkbox", id: "keep-nothing", checked: chats.keepsNothing });
    box.addEventListener("change", async () => {
      await chats.keepNothing(box.checked);
      await this.draw();
      this.body.querySelector("#keep-nothing").focus();
    });
    const hidden = chats.keepsNothing && entries.length ? el("p", { class: "quiet" }, fill(words.kept_before, { count: entries.length })) : null;
    return el("section", {}, el("label", { class: "storage-switch" }, box, el("span", {}, el("b", {}, words.keep_nothing), el("small", {}, words.keep_nothing_what))), hidden);
  }

  #deleteAll(entries) {
    const { words, chats } = this;
    if (!entries.length) return null;
    const section = el("section", { class: "storage-buttons" });
    const ask = el("button", { type: "button", class: "btn danger", onclick: () => sure() }, icon("trash"), words.delete_all);
    const sure = () => {
      const all = async () => {
        await chats.removeAll();
        await this.draw();
        this.#say(words.all_deleted);
      };
      const cancel = el("button", { type: "button", class: "btn", onclick: () => section.replaceChildren(ask) }, words.cancel);
      const yes = el("button", { type: "button", class: "btn danger", onclick: all }, fill(words.delete_all_sure, { count: entries.length }));
      section.replaceChildren(yes, cancel);
      cancel.focus();
    };
    section.append(ask);
    return section;
  }
}

/** Bytes that the chats take, that this page uses of the browser's room, and may use. */
async function roomOf(entries) {
  const taken = entries.reduce((sum, entry) => sum + (entry.size ?? 0), 0);
  try {
    const [{ usage, quota }, persisted] = await Promise.all([navigator.storage.estimate(), navigator.storage.persisted()]);
    return { taken, used: usage, quota, persisted };
  } catch {
    return { taken, used: taken, quota: 0, persisted: true }; // a browser that tells nothing
  }
}

function size(bytes) {
  if (bytes < 1e6) return `${Math.max(1, Math.round(bytes / 1e3))} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}
