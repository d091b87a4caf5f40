// The dialog about stored chats: storage usage, export and import, deletion, and private mode.

import { openDialog } from "./dialogs.js";
import { el, fill, icon } from "./dom.js";
import { UnreadableFile } from "./importing.js";

const LARGEST = 5;
const MAX_ERRORS = 20;

/**
 * Open the dialog.
 * @param {object} chats The operations on stored chats.
 * @param {{ full?: boolean }} options full: saving a chat just failed because storage is full.
 */
export async function openStorageDialog(chats, { full = false } = {}) {
  const { strings } = chats;
  const sheet = new StorageDialog(chats, openDialog(strings.your_chats, strings));
  await sheet.draw(full);
}

class StorageDialog {
  constructor(chats, { body }) {
    Object.assign(this, { chats, body, strings: chats.strings });
    this.status = el("div", { role: "status", class: "storage-status" });
  }

  async draw(full = false) {
    const { chats, strings } = this;
    const entries = await chats.store.list().catch(() => []);
    const room = await roomOf(entries);
    const parts = [el("p", { class: "quiet" }, chats.canStore ? strings.stored_where : strings.history_off)];
    if (full) parts.push(el("div", { class: "failure" }, icon("alert"), el("div", {}, el("b", {}, strings.history_full), el("p", {}, strings.free_space_how))));
    if (chats.canStore) parts.push(this.#meter(entries, room), this.#largest(entries));
    parts.push(this.#files(entries), this.status);
    if (chats.canStore) parts.push(this.#privateMode(entries), this.#deleteAll(entries));
    this.body.replaceChildren(...parts.filter(Boolean));
  }

  // ── storage usage ───────────────────────────────────────────────────────

  #meter(entries, { taken, used, quota, persisted }) {
    const { strings } = this;
    const count = fill(entries.length === 1 ? strings.one_chat : strings.many_chats, { count: entries.length });
    const share = quota ? Math.min(100, (100 * used) / quota) : 0;
    const bar = el("div", { class: "progress", role: "img", "aria-label": `${Math.round(share)} %` }, el("i", {}));
    bar.firstChild.style.width = `${Math.max(share, entries.length ? 0.5 : 0)}%`;
    const line = el("p", {}, el("b", {}, `${count} · ${size(taken)}`), quota ? el("span", { class: "quiet" }, fill(strings.storage_used, { used: size(used), quota: size(quota) })) : null);
    const box = el("section", { class: "storage-meter" }, line, bar);
    if (!persisted && entries.length && navigator.storage?.persist) {
      const ask = el("button", { type: "button", class: "btn", onclick: () => this.#persist() }, strings.storage_persist);
      box.append(el("div", { class: "storage-row" }, el("p", { class: "quiet" }, strings.storage_may_clear), ask));
    }
    return box;
  }

  async #persist() {
    const granted = await navigator.storage.persist();
    await this.draw();
    this.#showStatus(granted ? this.strings.storage_persisted : this.strings.storage_not_persisted);
  }

  #largest(entries) {
    const { strings } = this;
    const largest = [...entries].filter((entry) => entry.size).sort((a, b) => b.size - a.size).slice(0, LARGEST);
    if (!largest.length) return null;
    const row = (entry) => {
      const label = `${strings.delete}: ${entry.title}`;
      const remove = async () => {
        await this.chats.removeStored(entry);
        await this.draw();
      };
      const trash = el("button", { type: "button", class: "icon-btn", "aria-label": label, title: label, onclick: remove }, icon("trash"));
      return el("li", {}, el("span", { class: "storage-title", dir: "auto" }, entry.title), el("span", { class: "quiet tn" }, size(entry.size)), trash);
    };
    return el("details", { class: "storage-largest" }, el("summary", {}, strings.largest), el("ul", {}, ...largest.map(row)));
  }

  // ── export and import ───────────────────────────────────────────────────

  #files(entries) {
    const { strings, chats } = this;
    const input = el("input", { type: "file", accept: ".json,application/json", class: "sr-only", tabindex: -1, "aria-label": strings.import_file });
    input.addEventListener("change", () => this.#import(input.files[0]));
    const button = (name, label, act, more = {}) => el("button", { type: "button", class: "btn", onclick: act, ...more }, icon(name), label);
    const row = el("div", { class: "storage-buttons" },
      button("save", strings.export_all, () => chats.exportAll().catch(() => this.#showStatus(strings.history_unreadable)), { disabled: !entries.length }),
      button("load", strings.import_file, () => input.click()),
      input);
    return el("section", {}, row, el("p", { class: "quiet" }, strings.import_formats));
  }

  async #import(file) {
    if (!file) return;
    const { strings } = this;
    try {
      const { added, known, prompts, errors } = await this.chats.importText(await file.text());
      await this.draw();
      const sentences = [fill(added === 1 ? strings.imported_one : strings.imported_many, { count: added })];
      if (known) sentences.push(fill(strings.import_known, { count: known }));
      if (prompts) sentences.push(fill(strings.imported_prompts, { count: prompts }));
      if (errors.length) sentences.push(fill(strings.import_skipped, { count: errors.length }));
      this.#showStatus(sentences.join(" "), errors);
    } catch (error) {
      const kinds = { json: strings.import_json, newer: strings.import_newer, unknown: strings.import_unknown };
      this.#showStatus(error instanceof UnreadableFile ? kinds[error.kind] : this.chats.why(error), [], true);
    }
  }

  #showStatus(sentence, errors = [], bad = false) {
    const { strings } = this;
    const why = { no_messages: strings.import_no_messages, no_text: strings.import_no_text, bad_role: strings.import_bad_role };
    const line = ({ chat, title, ...error }) => fill(strings.import_error, { chat, title: title || "–", why: fill(why[error.why], error) });
    const rows = errors.slice(0, MAX_ERRORS).map((error) => el("li", {}, line(error)));
    this.status.className = bad || errors.length ? "storage-status bad" : "storage-status";
    this.status.replaceChildren(el("p", {}, sentence), ...(rows.length ? [el("ul", {}, ...rows)] : []));
  }

  // ── private mode and deletion ───────────────────────────────────────────

  #privateMode(entries) {
    const { strings, chats } = this;
    const box = el("input", { type: "checkbox", id: "private-mode", checked: chats.isPrivate });
    box.addEventListener("change", async () => {
      await chats.setPrivate(box.checked);
      await this.draw();
      this.body.querySelector("#private-mode").focus();
    });
    const hidden = chats.isPrivate && entries.length ? el("p", { class: "quiet" }, fill(strings.private_mode_hidden, { count: entries.length })) : null;
    return el("section", {}, el("label", { class: "storage-switch" }, box, el("span", {}, el("b", {}, strings.private_mode), el("small", {}, strings.private_mode_what))), hidden);
  }

  #deleteAll(entries) {
    const { strings, chats } = this;
    if (!entries.length) return null;
    const section = el("section", { class: "storage-buttons" });
    const ask = el("button", { type: "button", class: "btn danger", onclick: () => sure() }, icon("trash"), strings.delete_all);
    const sure = () => {
      const all = async () => {
        await chats.removeAll();
        await this.draw();
        this.#showStatus(strings.all_deleted);
      };
      const cancel = el("button", { type: "button", class: "btn", onclick: () => section.replaceChildren(ask) }, strings.cancel);
      const yes = el("button", { type: "button", class: "btn danger", onclick: all }, fill(strings.delete_all_sure, { count: entries.length }));
      section.replaceChildren(yes, cancel);
      cancel.focus();
    };
    section.append(ask);
    return section;
  }
}

/** Return bytes: of the chats, used by the page, and available to it. */
async function roomOf(entries) {
  const taken = entries.reduce((sum, entry) => sum + (entry.size ?? 0), 0);
  try {
    const [{ usage, quota }, persisted] = await Promise.all([navigator.storage.estimate(), navigator.storage.persisted()]);
    return { taken, used: usage, quota, persisted };
  } catch {
    return { taken, used: taken, quota: 0, persisted: true }; // the browser does not report storage
  }
}

function size(bytes) {
  if (bytes < 1e6) return `${Math.max(1, Math.round(bytes / 1e3))} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}
