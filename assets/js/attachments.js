// Files beside a message: chosen, pasted or dropped; shown with what they cost.

import * as api from "./api.js";
import { brief } from "./context_bar.js";
import { attachmentTokens } from "./context_plan.js";
import { openDialog } from "./dialogs.js";
import { $, announce, el, fill, icon, toast } from "./dom.js";
import { FILES_LIMIT, FILE_LIMIT_BYTES, TEXT_LIMIT_BYTES, decoded, hasPictures, kindOf, shortName } from "./files.js";

const LONG_PASTE = 10_000; // characters

const megabytes = (bytes) => (bytes / 1e6).toFixed(1);

/** What can't be attached. Its text is for the visitor. */
class Refusal extends Error {}

export class Attachments {
  /** acts: changed(), note(sentence), insert(text), choose(model id). */
  constructor(words, acts) {
    this.words = words;
    this.acts = acts;
    this.list = [];
    this.reading = new Set(); // names that are being read
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
      if (types.includes("text/plain")) return this.#pasted(event); // a table of Excel brings its picture along
      if (!files.length) return;
      event.preventDefault();
      this.add([...files]);
    });
    this.#wireDrop($("#chat .chat"));
  }

  /** A long text becomes a file: the message stays to be read. The visitor may have it otherwise. */
  #pasted(event) {
    const text = event.clipboardData.getData("text/plain");
    if (text.length < LONG_PASTE || new Blob([text]).size > TEXT_LIMIT_BYTES || this.list.length >= FILES_LIMIT) return;
    event.preventDefault();
    const { words } = this;
    const count = this.list.filter((file) => file.pasted).length;
    const file = { kind: "text", name: fill(words.pasted_name, { number: count ? ` ${count + 1}` : "" }), text: text.replaceAll("\0", ""), pasted: true };
    this.list.push(file);
    this.draw();
    toast(words.pasted, words.pasted_inline, () => {
      if (!this.list.includes(file)) return;
      this.list.splice(this.list.indexOf(file), 1);
      this.draw();
      this.acts.insert(text);
    });
  }

  #wireDrop(place) {
    const bringsFiles = (event) => event.dataTransfer?.types.includes("Files");
    const shown = (over) => place.classList.toggle("dropping", over);
    place.addEventListener("dragover", (event) => {
      if (!bringsFiles(event)) return;
      event.preventDefault();
      shown(true);
    });
    place.addEventListener("dragleave", (event) => {
      if (!place.contains(event.relatedTarget)) shown(false);
    });
    place.addEventListener("drop", (event) => {
      shown(false);
      if (!bringsFiles(event)) return;
      event.preventDefault();
      this.add([...event.dataTransfer.files]);
    });
  }

  /** Read files and put them beside the message; what can't be read is told in one note. */
  async add(files) {
    const faults = [];
    await Promise.all(files.map(async (file) => {
      const name = shortName(file.name);
      try {
        if (this.list.length + this.reading.size >= FILES_LIMIT) throw new Refusal(fill(this.words.file_too_many, { name, limit: FILES_LIMIT }));
        await this.#read(file, name);
      } catch (error) {
        faults.push(this.#fault(error, name));
      }
    }));
    this.draw();
    if (faults.length) this.acts.note(faults.join(" "));
  }

  async #read(file, name) {
    const key = { name };
    this.reading.add(key);
    this.draw();
    try {
      const kind = kindOf(file);
      const found = kind === "text" ? await this.#text(file, name) : await this.#byServer(kind, file, name);
      this.list.push({ name, ...found });
      announce(fill(this.words.file_added, { name }));
    } finally {
      this.reading.delete(key);
    }
  }

  async #text(file, name) {
    const { words } = this;
    if (file.size > TEXT_LIMIT_BYTES) throw new Refusal(fill(words.file_text_long, { name, size: megabytes(file.size), limit: megabytes(TEXT_LIMIT_BYTES) }));
    const text = decoded(new Uint8Array(await file.arrayBuffer()));
    if (text === null) throw new Refusal(fill(words.file_unknown, { name }));
    if (!text.trim()) throw new Refusal(fill(words.file_empty, { name }));
    return { kind: "text", text };
  }

  async #byServer(kind, file, name) {
    const { words } = this;
    if (file.size > FILE_LIMIT_BYTES) throw new Refusal(fill(words.file_long, { name, size: megabytes(file.size), limit: megabytes(FILE_LIMIT_BYTES) }));
    const found = await api.readFile(kind, file);
    if (kind === "picture") return { kind, ...found };
    const { text, pages, read_pages: read } = found;
    if (read < pages) this.acts.note(fill(words.file_cut, { name, read, pages }));
    return { kind: "text", text };
  }

  #fault(error, name) {
    if (error instanceof Refusal) return error.message;
    if (error.view) return fill(this.words.file_fault, { name, why: `${error.view.title} ${error.view.hint}` });
    return fill(this.words.file_fault, { name, why: this.words.offline_title });
  }

  /** The files, taken out of the composer. */
  take() {
    const files = this.list;
    this.list = [];
    this.draw();
    return files;
  }

  draw() {
    const chips = this.list.map((file) => chip(file, this.words, () => {
      this.list.splice(this.list.indexOf(file), 1);
      this.draw();
      $("#message").focus();
    }));
    for (const { name } of this.reading) chips.push(el("span", { class: "chip-file reading" }, icon("file"), el("span", {}, fill(this.words.file_reading, { name }))));
    $("#files").replaceChildren(...chips);
    $("#files").hidden = !chips.length;
    this.acts.changed();
  }

  /** Why the message can't go to this model; "" when it can. */
  fault(model) {
    if (this.reading.size) return this.words.file_wait;
    return hasPictures(this.list) && model && !model.vision ? fill(this.words.no_vision, { model: model.name }) : "";
  }

  /** Pictures and a model that can't see them: said before anything is sent, with a way out. */
  warn(model, turns, models) {
    const strip = $("#vision-strip");
    const here = hasPictures(this.list);
    const before = turns.some((turn) => hasPictures(turn.attachments));
    const blind = model && !model.vision && (here || before);
    const look = blind ? JSON.stringify([here, model.id]) : "";
    if (strip.dataset.look === look) return;
    strip.dataset.look = look;
    strip.hidden = !blind;
    strip.replaceChildren();
    if (!blind) return;
    strip.append(el("span", {}, fill(here ? this.words.no_vision : this.words.pictures_left_out, { model: model.name })));
    const seeing = models.find((one) => one.vision && one.can_chat && one.state !== "down");
    if (seeing) strip.append(el("button", { type: "button", onclick: () => this.acts.choose(seeing.id) }, fill(this.words.use_model, { model: seeing.name })));
  }
}

/** One file: what it is, what it costs; pressing it shows it. onremove: nothing for what was sent. */
export function chip(file, words, onremove) {
  const cost = fill(words.file_cost, { tokens: brief(attachmentTokens(file)) });
  const look = file.kind === "picture" ? el("img", { src: file.url, alt: "", width: 32, height: 32 }) : icon("file");
  const open = el("button", { type: "button", class: "chip-open", title: file.name, onclick: () => show(file, words) },
    look, el("span", { class: "chip-text" }, el("span", { class: "chip-name", dir: "auto" }, file.name), el("small", {}, cost)));
  const node = el("span", { class: "chip-file" }, open);
  if (onremove) {
    const label = fill(words.file_remove, { name: file.name });
    node.append(el("button", { type: "button", class: "chip-remove", "aria-label": label, title: label, onclick: onremove }, icon("close")));
  }
  return node;
}

/** The files of a sent message, above its words; null when there are none. */
export function filesOf(turn, words) {
  if (!turn.attachments?.length) return null;
  return el("div", { class: "turn-files" }, ...turn.attachments.map((file) => chip(file, words)));
}

/** The same while the message is edited: any may be taken away. Returns { node, list }. */
export function editableFiles(turn, words) {
  const list = [...(turn.attachments ?? [])];
  const node = el("div", { class: "turn-files" });
  const draw = () => node.replaceChildren(...list.map((file) => chip(file, words, () => {
    list.splice(list.indexOf(file), 1);
    draw();
  })));
  draw();
  return { node, list };
}

function show(file, words) {
  const content = file.kind === "picture"
    ? el("img", { class: "shown-picture", src: file.url, alt: file.name })
    : el("pre", { class: "shown-text", dir: "auto", tabindex: 0 }, file.text);
  openDialog(file.name, words, content);
}
