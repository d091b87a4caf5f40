// Prompt sets: a form, its forecast, the sets that are kept by name, and the runs. A run lives on
// the server; its id, which alone opens it, is kept in this browser.

import { remembered } from "./compare_state.js";
import { openDialog } from "./dialogs.js";
import { $, el, fill, toast } from "./dom.js";
import { decoded } from "./files.js";
import { newId } from "./ids.js";
import { kept, keptInTab } from "./keeping.js";
import { LIMIT, SavedSets, TooMany, asSavedSet } from "./saved_sets.js";
import { Unclear, askedOf, candidateOf, newCandidate, promptsOf, readForm } from "./set_asked.js";
import { Candidates } from "./set_candidates.js";
import { sentOf } from "./settings.js";
import { SetRun } from "./set_run.js";
import * as api from "./api.js";

const RUNS = "akash-gradio.set-runs";
const DRAFT = "akash-gradio.set-draft";
const MOST_RUNS = 50;
const FIRST_MODELS = 2;
const SETTLE_MS = 400;
const LARGEST_SHOWN = 200_000;
const FIELDS = { temperature: "#set-temperature", repeats: "#set-repeats", max_tokens: "#set-max", system: "#set-system", contains: "#set-contains" };

export class Sets {
  constructor(page) {
    this.page = page;
    this.says = page.boot.sets;
    Object.assign(this, { file: null, named: "", count: 0, restored: false });
    this.saved = new SavedSets(kept);
    this.run = new SetRun(page, {
      others: (id) => this.#runs().filter(({ run }) => run !== id),
      gone: (id) => { this.#keepRuns(this.#runs().filter(({ run }) => run !== id)); this.#showForm(); },
    });
  }

  /** The view is opened: the run that was open, or the form. */
  open() {
    this.#restore();
    this.candidates.refresh();
    $("#set-chat").hidden = !promptsOf(this.page.chat.turns);
    $("#set-kept").hidden = this.page.boot.runs_kept;
    if (this.run.id) return this.run.look();
    this.#showForm();
  }

  modelsChanged() {
    if (document.documentElement.dataset.view !== "sets") return;
    if (this.candidates.refresh()) this.#changed();
  }

  /** Whom to begin with: the lanes that are being compared, else the first models that can be asked. */
  #first() {
    const { compare, models } = this.page;
    // After a reload only the tab has them, until the comparison is opened.
    const { lanes, shared, hidden } = (!compare.lanes.length && remembered()) || compare;
    const known = hidden ? [] : lanes.filter(({ model }) => models.find(model)); // blind: their order would tell
    if (known.length) return known.map((lane) => candidateOf(lane, sentOf(lane.settings ?? shared, models.find(lane.model))));
    return models.list.filter((model) => model.can_chat).slice(0, FIRST_MODELS).map(({ id }) => newCandidate(id));
  }

  // ── the form ────────────────────────────────────────────────────────────

  #showForm() {
    this.run.close();
    $("#sets .view-scroll").scrollTop = 0;
    $("#set-new").hidden = false;
    $("#set-run").hidden = true;
    this.#listSaved();
    this.#listRuns();
    this.#changed();
  }

  /** The form as it is typed. */
  #form() {
    const { name, text } = this.file ?? { name: "", text: $("#set-text").value };
    const fields = Object.entries(FIELDS).map(([field, id]) => [field, $(id).value]);
    return { name, text, candidates: this.candidates.list, ...Object.fromEntries(fields) };
  }

  #fill(form) {
    for (const [field, id] of Object.entries(FIELDS)) $(id).value = form[field];
    $("#set-repeats").value ||= "1";
    if (form.candidates.length) this.candidates.list = form.candidates;
    this.#put(form.text, form.name);
  }

  /** Prompts in the place of those that are there. name: of their file, "" where they can be typed on. */
  #put(text, name = "") {
    this.file = name ? { name, text } : null;
    const box = $("#set-text");
    box.value = text.length > LARGEST_SHOWN ? text.slice(0, LARGEST_SHOWN) : text;
    box.readOnly = Boolean(name);
    this.#changed();
  }

  /** Other prompts than those that are there, which can be had back. said: of the new ones. */
  #replace(text, name = "", said = "") {
    const { named } = this;
    const before = this.#form();
    this.named = "";
    this.#put(text, name);
    if (before.text.trim() && before.text !== text) toast(said || this.says.replaced, this.page.words.undo, () => { this.named = named; this.#put(before.text, before.name); });
    else if (said) toast(said);
  }

  async #openFile(file) {
    if (!file) return;
    const text = decoded(new Uint8Array(await file.arrayBuffer()));
    if (text == null) return toast(fill(this.says.no_text, { name: file.name }));
    this.#replace(text, file.name);
  }

  #useChat() {
    const { turns } = this.page.chat;
    const files = turns.some(({ attachments }) => attachments?.length);
    this.#replace(promptsOf(turns), "", files ? this.says.without_files : "");
  }

  #changed() {
    $("#set-clear").hidden = $("#set-save").hidden = !$("#set-text").value;
    $("#set-start").disabled = true;
    clearTimeout(this.settling);
    this.settling = setTimeout(() => { this.#keepDraft(); this.#foretell(); }, SETTLE_MS);
  }

  #keepDraft() {
    if (!this.restored) return;
    const chosen = this.candidates.touched ? {} : { candidates: [] };
    try {
      keptInTab.setItem(DRAFT, JSON.stringify({ ...this.#form(), ...chosen, named: this.named }));
    } catch {
      keptInTab.setItem(DRAFT, ""); // too much for this tab's storage: better none than an old one
    }
  }

  /** What was typed before a reload. */
  #restore() {
    if (this.restored) return;
    this.restored = true;
    try {
      const draft = JSON.parse(keptInTab.getItem(DRAFT));
      const form = readForm(draft);
      if (!form) return;
      this.named = typeof draft.named === "string" ? draft.named : "";
      this.#fill(form);
    } catch {
      // Nothing of ours is there.
    }
  }

  async #foretell() {
    const turn = (this.turn = (this.turn ?? 0) + 1);
    const current = () => turn === this.turn;
    const { says } = this;
    const form = this.#form();
    this.count = 0;
    if (!form.text.trim()) return this.#told({ hint: says.need_prompts });
    try {
      const { prompts, checked } = await api.readSet({ name: form.name, text: form.text });
      if (!current()) return;
      this.count = prompts;
      const count = prompts === 1 ? says.read_one : fill(says.read, { count: prompts.toLocaleString("en") });
      const read = checked ? `${count}, ${fill(says.with_checks, { count: checked.toLocaleString("en") })}` : count;
      if (!form.candidates.length) return this.#told({ read, hint: says.need_models });
      const told = await api.forecastSet(askedOf(form));
      if (current()) this.#told({ read, hint: told.text, calls: told.calls });
    } catch (error) {
      if (current()) this.#told(this.#faultOf(error));
    }
  }

  #faultOf(error) {
    const { says } = this;
    if (error instanceof Unclear) return { mistakes: fill(says.wrong_number, { name: says[error.field], low: error.low, high: error.high.toLocaleString("en") }) };
    return { mistakes: error.view?.hint ?? this.page.words.offline_hint, title: error.view?.title ?? this.page.words.offline_title };
  }

  #told({ read = "", hint = "", mistakes = "", title = "", calls = 0 }) {
    $("#set-count").textContent = [this.named || this.file?.name, read].filter(Boolean).join(": ");
    $("#set-forecast").textContent = hint;
    const box = $("#set-mistakes");
    box.hidden = !mistakes;
    box.replaceChildren(...(title ? [el("b", {}, title)] : []), ...mistakes.split("\n").map((line) => el("p", {}, line)));
    const start = $("#set-start");
    start.disabled = !calls;
    start.textContent = calls ? fill(this.says.start_calls, { calls: calls.toLocaleString("en") }) : this.says.start;
  }

  async #begin() {
    $("#set-start").disabled = true;
    try {
      const begun = await api.beginSet({ ...askedOf(this.#form()), title: this.named || withoutEnding(this.file?.name ?? "") });
      this.#keepRuns([begun, ...this.#runs()]);
      this.run.open(begun.run);
    } catch (error) {
      this.#told(this.#faultOf(error));
    }
  }

  // ── the sets that are kept by name ──────────────────────────────────────

  #save() {
    const form = structuredClone(this.#form());
    this.#name(this.says.save_set, this.named || withoutEnding(form.name), (name) => {
      const there = this.saved.named(name);
      const set = asSavedSet({ id: there?.id ?? newId(), name, count: this.count, form });
      if (!set || !this.#kept(() => this.saved.put(set))) return;
      this.named = set.name;
      this.#listSaved();
      this.#changed();
      if (there) toast(fill(this.says.set_replaced, { name: set.name }), this.page.words.undo, () => { this.#kept(() => this.saved.put(there)); this.#listSaved(); });
      else toast(fill(this.says.set_saved, { name: set.name }));
    });
  }

  #openSaved(set) {
    const named = this.named;
    const before = this.#form();
    const show = (form, name) => { this.named = name; this.#fill(structuredClone(form)); };
    show(set.form, set.name);
    $("#set-text").focus({ preventScroll: true });
    $("#sets .view-scroll").scrollTop = 0;
    if (before.text.trim() && before.text !== set.form.text) toast(this.says.replaced, this.page.words.undo, () => show(before, named));
  }

  #rename(set) {
    this.#name(this.says.rename_set, set.name, (name) => {
      const renamed = () => this.saved.rename(set.id, name) || toast(fill(this.says.set_name_taken, { name }));
      if (this.#kept(renamed) && this.saved.named(name)?.id === set.id && this.named === set.name) this.named = name;
      this.#listSaved();
      this.#changed();
    });
  }

  #delete(set) {
    const undo = this.saved.remove(set.id);
    this.#listSaved();
    toast(fill(this.says.set_deleted, { name: set.name }), this.page.words.undo, () => { this.#kept(undo); this.#listSaved(); });
  }

  /** Ask for a name; told gets it. */
  #name(title, value, told) {
    const { words } = this.page;
    const input = el("input", { type: "text", class: "dialog-field", maxlength: 80, dir: "auto", required: true });
    input.value = value;
    const form = el("form", { class: "dialog-form" }, el("label", { class: "dialog-label" }, el("span", {}, this.says.set_name), input),
      el("div", { class: "dialog-row" }, el("button", { type: "submit", class: "btn primary" }, this.says.save)));
    const { dialog } = openDialog(title, words, form);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!input.value.trim()) return;
      dialog.close();
      told(input.value.trim());
    });
    input.select();
  }

  #kept(write) {
    try {
      write();
      return true;
    } catch (error) {
      toast(error instanceof TooMany ? fill(this.says.sets_many, { limit: LIMIT }) : this.says.set_unkept);
      return false;
    }
  }

  #listSaved() {
    const { says } = this;
    const rows = this.saved.list().map((set) => {
      const count = set.count === 1 ? says.read_one : set.count ? fill(says.read, { count: set.count.toLocaleString("en") }) : "";
      const facts = [count, set.form.candidates.map(({ model }) => this.page.models.find(model)?.name ?? model).join(", ")].filter(Boolean).join(" · ");
      const act = (label, todo) => el("button", { type: "button", class: "btn quiet", "aria-label": `${label}: ${set.name}`, onclick: todo }, label);
      return el("li", {}, opener(set.name, facts, () => this.#openSaved(set)), act(says.rename_it, () => this.#rename(set)), act(says.forget, () => this.#delete(set)));
    });
    $("#set-saved").replaceChildren(...rows);
    $("#set-saved-part").hidden = !rows.length;
  }

  // ── the runs of this browser ────────────────────────────────────────────

  #runs() {
    try {
      return JSON.parse(kept.getItem(RUNS)) ?? [];
    } catch {
      return this.unkept ?? [];
    }
  }

  #keepRuns(runs) {
    this.unkept = runs.slice(0, MOST_RUNS);
    try {
      kept.setItem(RUNS, JSON.stringify(this.unkept));
    } catch {
      // No room in this browser: the runs are known until the page is left.
    }
  }

  #listRuns() {
    const { says } = this;
    const rows = this.#runs().map((one) =>
      el("li", {}, opener(one.title, `${new Date(one.began).toLocaleString()} · ${fill(says.calls, { count: one.calls.toLocaleString("en") })}`, () => this.run.open(one.run)),
        el("button", { type: "button", class: "btn quiet", "aria-label": `${says.forget}: ${one.title}`, onclick: (event) => this.#sure(event.currentTarget, one) }, says.forget)));
    $("#set-runs").replaceChildren(...(rows.length ? rows : [el("li", { class: "set-hint" }, says.none_yet)]));
  }

  /** Its answers were paid for, and the server forgets them at once: the button asks first. */
  #sure(button, { run, title }) {
    const { says } = this;
    const sure = el("button", { type: "button", class: "btn danger", "aria-label": `${says.forget_sure}: ${title}`, onclick: () => this.#forget(run), onblur: () => setTimeout(() => sure.replaceWith(button)) }, says.forget_sure);
    button.replaceWith(sure);
    sure.focus();
  }

  async #forget(id) {
    await api.actSet(id, "forget").catch(() => null);
    this.#keepRuns(this.#runs().filter(({ run }) => run !== id));
    this.#listRuns();
    toast(this.says.forgotten);
  }

  wire() {
    this.candidates = new Candidates($("#set-candidates"), { says: this.says, models: this.page.models, first: () => this.#first(), changed: () => this.#changed() });
    this.run.wire();
    for (const id of ["#set-text", ...Object.values(FIELDS)]) $(id).addEventListener("input", () => this.#changed());
    $("#set-add").addEventListener("click", () => this.candidates.add());
    $("#set-open").addEventListener("click", () => $("#set-file").click());
    $("#set-file").addEventListener("change", ({ target }) => { this.#openFile(target.files[0]); target.value = ""; });
    $("#set-chat").addEventListener("click", () => this.#useChat());
    $("#set-save").addEventListener("click", () => this.#save());
    $("#set-clear").addEventListener("click", () => { this.#replace("", "", this.says.cleared); $("#set-text").focus(); });
    $("#set-form").addEventListener("submit", (event) => { event.preventDefault(); if (!$("#set-start").disabled) this.#begin(); });
    $("#run-new").addEventListener("click", () => this.#showForm());
    addEventListener("pagehide", () => this.#keepDraft());
  }
}

const withoutEnding = (name) => name.replace(/\.\w+$/, "");

function opener(title, facts, open) {
  return el("button", { type: "button", class: "run-open", onclick: open }, el("span", { dir: "auto" }, title), el("small", { class: "tn" }, facts));
}
