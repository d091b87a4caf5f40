// Files that are attached to a message: choosing, pasting, dropping and showing them.

import * as api from "./api.js";
import { attachmentTokens } from "./context_plan.js";
import { openDialog } from "./dialogs.js";
import { $, announce, el, fill, icon, toast } from "./dom.js";
import { FILES_LIMIT, FILE_LIMIT_BYTES, TEXT_LIMIT_BYTES, decodeText, hasPictures, kindOf, shortName } from "./files.js";
import { formatMegabytes, formatShortCount } from "./formatting.js";

const LONG_PASTE = 10_000; // characters

/** A file that can't be attached. The message is shown to the visitor. */
class Refusal extends Error {}

export class Attachments {
  /**
   * @param {Record<string, string>} strings Texts of the page.
   * @param {object} actions changed(), note(sentence), insert(text), choose(model id).
   */
  constructor(strings, actions) {
    this.strings = strings;
    this.actions = actions;
    this.list = [];
    this.reading = new Set(); // files that are being read: { name }
  }

  wire() {
    const input = $("#file-input");
    $("#attach").addEventListener("click", () => input.click());
    input.addEventListener("change", () => {
      this.add([...input.files]);
      input.value = "";
    });
    $("#message").addEventListener("paste", (event) => {
      const { files, types } = event.clipboardData;
      if (types.includes("text/plain")) return this.#onPaste(event); // Excel's tables also bring a picture
      if (!files.length) return;
      event.preventDefault();
      this.add([...files]);
    });
    this.#wireDrop($("#chat .chat"));
  }

  /** Attach a long pasted text as a file, which keeps the message readable. An action inserts it as text. */
  #onPaste(event) {
    const text = event.clipboardData.getData("text/plain");
    if (text.length < LONG_PASTE || new Blob([text]).size > TEXT_LIMIT_BYTES || this.list.length >= FILES_LIMIT) return;
    event.preventDefault();
    const { strings } = this;
    const count = this.list.filter((file) => file.pasted).length;
    const file = { kind: "text", name: fill(strings.pasted_name, { number: count ? ` ${count + 1}` : "" }), text: text.replaceAll("\0", ""), pasted: true };
    this.list.push(file);
    this.draw();
    toast(strings.pasted, strings.pasted_inline, () => {
      if (!this.list.includes(file)) return;
      this.list.splice(this.list.indexOf(file), 1);
      this.draw();
      this.actions.insert(text);
    });
  }

  #wireDrop(zone) {
    const bringsFiles = (event) => event.dataTransfer?.types.includes("Files");
    const shown = (over) => zone.classList.toggle("dropping", over);
    zone.addEventListener("dragover", (event) => {
      if (!bringsFiles(event)) return;
      event.preventDefault();
      shown(true);
    });
    zone.addEventListener("dragleave", (event) => {
      if (!zone.contains(event.relatedTarget)) shown(false);
    });
    zone.addEventListener("drop", (event) => {
      shown(false);
      if (!bringsFiles(event)) return;
      event.preventDefault();
      this.add([...event.dataTransfer.files]);
    });
  }

  /** Read files and attach them. Errors are shown together in one note. */
  async add(files) {
    const errors = [];
    await Promise.all(files.map(async (file) => {
      const name = shortName(file.name);
      try {
        if (this.list.length + this.reading.size >= FILES_LIMIT) throw new Refusal(fill(this.strings.file_too_many, { name, limit: FILES_LIMIT }));
        await this.#read(file, name);
      } catch (error) {
        errors.push(this.#error(error, name));
      }
    }));
    this.draw();
    if (errors.length) this.actions.note(errors.join(" "));
  }

  async #read(file, name) {
    const key = { name };
    this.reading.add(key);
    this.draw();
    try {
      const kind = kindOf(file);
      const parsed = kind === "text" ? await this.#text(file, name) : await this.#byServer(kind, file, name);
      this.list.push({ name, ...parsed });
      announce(fill(this.strings.file_added, { name }));
    } finally {
      this.reading.delete(key);
    }
  }

  async #text(file, name) {
    const { strings } = this;
    if (file.size > TEXT_LIMIT_BYTES) throw new Refusal(fill(strings.file_text_long, { name, size: formatMegabytes(file.size), limit: formatMegabytes(TEXT_LIMIT_BYTES) }));
    const text = decodeText(new Uint8Array(await file.arrayBuffer()));
    if (text === null) throw new Refusal(fill(strings.file_unknown, { name }));
    if (!text.trim()) throw new Refusal(fill(strings.file_empty, { name }));
    return { kind: "text", text };
  }

  async #byServer(kind, file, name) {
    const { strings } = this;
    if (file.size > FILE_LIMIT_BYTES) throw new Refusal(fill(strings.file_long, { name, size: formatMegabytes(file.size), limit: formatMegabytes(FILE_LIMIT_BYTES) }));
    const parsed = await api.readFile(kind, file);
    if (kind === "picture") return { kind, ...parsed };
    const { text, pages, read_pages: read } = parsed;
    if (read < pages) this.actions.note(fill(strings.file_cut, { name, read, pages }));
    return { kind: "text", text };
  }

  #error(error, name) {
    if (error instanceof Refusal) return error.message;
    if (error.view) return fill(this.strings.file_error, { name, why: `${error.view.title} ${error.view.hint}` });
    return fill(this.strings.file_error, { name, why: this.strings.offline_title });
  }

  /** Return the attached files and clear the list. */
  take() {
    const files = this.list;
    this.list = [];
    this.draw();
    return files;
  }

  draw() {
    const chips = this.list.map((file) => chip(file, this.strings, () => {
      this.list.splice(this.list.indexOf(file), 1);
      this.draw();
      $("#message").focus();
    }));
    for (const { name } of this.reading) chips.push(el("span", { class: "chip-file reading" }, icon("file"), el("span", {}, fill(this.strings.file_reading, { name }))));
    $("#files").replaceChildren(...chips);
    $("#files").hidden = !chips.length;
    this.actions.changed();
  }

  /** Return why the message can't be sent to this model, or "". */
  error(model) {
    if (this.reading.size) return this.strings.file_wait;
    return hasPictures(this.list) && model && !model.vision ? fill(this.strings.no_vision, { model: model.name }) : "";
  }

  /** Warn about pictures before sending if the model can't read them, and offer another model. */
  warn(model, turns, models) {
    const strip = $("#vision-strip");
    const here = hasPictures(this.list);
    const before = turns.some((turn) => hasPictures(turn.attachments));
    const blind = model && !model.vision && (here || before);
    const signature = blind ? JSON.stringify([here, model.id]) : "";
    if (strip.dataset.signature === signature) return;
    strip.dataset.signature = signature;
    strip.hidden = !blind;
    strip.replaceChildren();
    if (!blind) return;
    strip.append(el("span", {}, fill(here ? this.strings.no_vision : this.strings.pictures_left_out, { model: model.name })));
    const seeing = models.find((one) => one.vision && one.can_chat && one.state !== "down");
    if (seeing) strip.append(el("button", { type: "button", onclick: () => this.actions.choose(seeing.id) }, fill(this.strings.use_model, { model: seeing.name })));
  }
}

/** Build the chip of one file; clicking it shows the file. Without onremove it has no remove button. */
export function chip(file, strings, onremove) {
  const cost = fill(strings.file_cost, { tokens: formatShortCount(attachmentTokens(file)) });
  const preview = file.kind === "picture" ? el("img", { src: file.url, alt: "", width: 32, height: 32 }) : icon("file");
  const open = el("button", { type: "button", class: "chip-open", title: file.name, onclick: () => show(file, strings) },
    preview, el("span", { class: "chip-text" }, el("span", { class: "chip-name", dir: "auto" }, file.name), el("small", {}, cost)));
  const node = el("span", { class: "chip-file" }, open);
  if (onremove) {
    const label = fill(strings.file_remove, { name: file.name });
    node.append(el("button", { type: "button", class: "chip-remove", "aria-label": label, title: label, onclick: onremove }, icon("close")));
  }
  return node;
}

/** Build the files of a sent message; null if there are none. */
export function filesOf(turn, strings) {
  if (!turn.attachments?.length) return null;
  return el("div", { class: "turn-files" }, ...turn.attachments.map((file) => chip(file, strings)));
}

/** Build the files of a message that is edited, with remove buttons. Returns { node, list }. */
export function editableFiles(turn, strings) {
  const list = [...(turn.attachments ?? [])];
  const node = el("div", { class: "turn-files" });
  const draw = () => node.replaceChildren(...list.map((file) => chip(file, strings, () => {
    list.splice(list.indexOf(file), 1);
    draw();
  })));
  draw();
  return { node, list };
}

function show(file, strings) {
  const content = file.kind === "picture"
    ? el("img", { class: "shown-picture", src: file.url, alt: file.name })
    : el("pre", { class: "shown-text", dir: "auto", tabindex: 0 }, file.text);
  openDialog(file.name, strings, content);
}
