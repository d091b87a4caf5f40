// Prompt sets: the form, its forecast, saved sets, and runs. A run lives on the server; its id, which is
// needed to open it, is stored in this browser.

import { restoreComparison } from "./compare_state.js";
import { openDialog } from "./dialogs.js";
import { $, el, fill, toast } from "./dom.js";
import { decodeText } from "./files.js";
import { formatCount } from "./formatting.js";
import { newId } from "./ids.js";
import { safeLocalStorage, safeSessionStorage } from "./safe_storage.js";
import { LIMIT, SavedSets, TooMany, asSavedSet } from "./saved_sets.js";
import { InvalidNumber, requestOf, candidateOf, newCandidate, promptsOf, parseForm } from "./set_form.js";
import { Candidates } from "./set_candidates.js";
import { requestSettings } from "./settings.js";
import { SetRun } from "./set_run.js";
import * as api from "./api.js";

const RUNS = "akash-gradio.set-runs";
const DRAFT = "akash-gradio.set-draft";
const MAX_RUNS = 50;
const FIRST_MODELS = 2;
const SETTLE_MS = 400;
const LARGEST_SHOWN = 200_000;
const FIELDS = { temperature: "#set-temperature", repeats: "#set-repeats", max_tokens: "#set-max", system: "#set-system", contains: "#set-contains" };

export class Sets {
  constructor(page) {
    this.page = page;
    this.setStrings = page.boot.sets;
    Object.assign(this, { file: null, named: "", count: 0, restored: false });
    this.saved = new SavedSets(safeLocalStorage);
    this.run = new SetRun(page, {
      others: (id) => this.#runs().filter(({ run }) => run !== id),
      gone: (id) => { this.#keepRuns(this.#runs().filter(({ run }) => run !== id)); this.#showForm(); },
    });
  }

  /** Open the view: the run that was open, or the form. */
  open() {
    this.#restore();
    this.candidates.refresh();
    $("#set-chat").hidden = !promptsOf(this.page.chat.turns);
    $("#set-kept").hidden = this.page.boot.runs_kept;
    if (this.run.id) return this.run.refresh();
    this.#showForm();
  }

  modelsChanged() {
    if (document.documentElement.dataset.view !== "sets") return;
    if (this.candidates.refresh()) this.#changed();
  }

  /** Return the first candidates: the lanes of the open comparison, else the first usable models. */
  #first() {
    const { compare, models } = this.page;
    // After a reload the lanes are only in this tab's storage until the comparison is opened.
    const { lanes, shared, hidden } = (!compare.lanes.length && restoreComparison()) || compare;
    const known = hidden ? [] : lanes.filter(({ model }) => models.find(model)); // the order would reveal the lanes of a blind round
    if (known.length) return known.map((lane) => candidateOf(lane, requestSettings(lane.settings ?? shared, models.find(lane.model))));
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

  /** Return the form as typed. */
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

  /** Set the prompts. name: of their file, "" if they can be edited. */
  #put(text, name = "") {
    this.file = name ? { name, text } : null;
    const box = $("#set-text");
    box.value = text.length > LARGEST_SHOWN ? text.slice(0, LARGEST_SHOWN) : text;
    box.readOnly = Boolean(name);
    this.#changed();
  }

  /** Replace the prompts, with an undo button. message: about the new prompts. */
  #replace(text, name = "", message = "") {
    const { named } = this;
    const before = this.#form();
    this.named = "";
    this.#put(text, name);
    if (before.text.trim() && before.text !== text) toast(message || this.setStrings.replaced, this.page.strings.undo, () => { this.named = named; this.#put(before.text, before.name); });
    else if (message) toast(message);
  }

  async #openFile(file) {
    if (!file) return;
    const text = decodeText(new Uint8Array(await file.arrayBuffer()));
    if (text == null) return toast(fill(this.setStrings.no_text, { name: file.name }));
    this.#replace(text, file.name);
  }

  #useChat() {
    const { turns } = this.page.chat;
    const files = turns.some(({ attachments }) => attachments?.length);
    this.#replace(promptsOf(turns), "", files ? this.setStrings.without_files : "");
  }

  #changed() {
    $("#set-clear").hidden = $("#set-save").hidden = !$("#set-text").value;
    $("#set-start").disabled = true;
    clearTimeout(this.settling);
    this.settling = setTimeout(() => { this.#keepDraft(); this.#forecast(); }, SETTLE_MS);
  }

  #keepDraft() {
    if (!this.restored) return;
    const chosen = this.candidates.touched ? {} : { candidates: [] };
    try {
      safeSessionStorage.setItem(DRAFT, JSON.stringify({ ...this.#form(), ...chosen, named: this.named }));
    } catch {
      safeSessionStorage.setItem(DRAFT, ""); // it exceeds this tab's storage: better none than an outdated one
    }
  }

  /** Restore the form after a reload. */
  #restore() {
    if (this.restored) return;
    this.restored = true;
    try {
      const draft = JSON.parse(safeSessionStorage.getItem(DRAFT));
      const form = parseForm(draft);
      if (!form) return;
      this.named = typeof draft.named === "string" ? draft.named : "";
      this.#fill(form);
    } catch {
      // There is no valid draft.
    }
  }

  async #forecast() {
    const turn = (this.turn = (this.turn ?? 0) + 1);
    const current = () => turn === this.turn;
    const { setStrings } = this;
    const form = this.#form();
    this.count = 0;
    if (!form.text.trim()) return this.#showForecast({ hint: setStrings.need_prompts });
    try {
      const { prompts, checked } = await api.readSet({ name: form.name, text: form.text });
      if (!current()) return;
      this.count = prompts;
      const count = prompts === 1 ? setStrings.read_one : fill(setStrings.read, { count: formatCount(prompts) });
      const read = checked ? `${count}, ${fill(setStrings.with_checks, { count: formatCount(checked) })}` : count;
      if (!form.candidates.length) return this.#showForecast({ read, hint: setStrings.need_models });
      const forecast = await api.forecastRun(requestOf(form));
      if (current()) this.#showForecast({ read, hint: forecast.text, calls: forecast.calls });
    } catch (error) {
      if (current()) this.#showForecast(this.#errorMessage(error));
    }
  }

  #errorMessage(error) {
    const { setStrings } = this;
    if (error instanceof InvalidNumber) return { errors: fill(setStrings.wrong_number, { name: setStrings[error.field], low: error.low, high: formatCount(error.high) }) };
    return { errors: error.view?.hint ?? this.page.strings.offline_hint, title: error.view?.title ?? this.page.strings.offline_title };
  }

  #showForecast({ read = "", hint = "", errors = "", title = "", calls = 0 }) {
    $("#set-count").textContent = [this.named || this.file?.name, read].filter(Boolean).join(": ");
    $("#set-forecast").textContent = hint;
    const box = $("#set-errors");
    box.hidden = !errors;
    box.replaceChildren(...(title ? [el("b", {}, title)] : []), ...errors.split("\n").map((line) => el("p", {}, line)));
    const start = $("#set-start");
    start.disabled = !calls;
    start.textContent = calls ? fill(this.setStrings.start_calls, { calls: formatCount(calls) }) : this.setStrings.start;
  }

  async #begin() {
    $("#set-start").disabled = true;
    try {
      const begun = await api.startRun({ ...requestOf(this.#form()), title: this.named || withoutEnding(this.file?.name ?? "") });
      this.#keepRuns([begun, ...this.#runs()]);
      this.run.open(begun.run);
    } catch (error) {
      this.#showForecast(this.#errorMessage(error));
    }
  }

  // ── saved sets ──────────────────────────────────────────────────────────────────────

  #save() {
    const form = structuredClone(this.#form());
    this.#askName(this.setStrings.save_set, this.named || withoutEnding(form.name), (name) => {
      const there = this.saved.named(name);
      const set = asSavedSet({ id: there?.id ?? newId(), name, count: this.count, form });
      if (!set || !this.#safeLocalStorage(() => this.saved.put(set))) return;
      this.named = set.name;
      this.#listSaved();
      this.#changed();
      if (there) toast(fill(this.setStrings.set_replaced, { name: set.name }), this.page.strings.undo, () => { this.#safeLocalStorage(() => this.saved.put(there)); this.#listSaved(); });
      else toast(fill(this.setStrings.set_saved, { name: set.name }));
    });
  }

  #openSaved(set) {
    const named = this.named;
    const before = this.#form();
    const show = (form, name) => { this.named = name; this.#fill(structuredClone(form)); };
    show(set.form, set.name);
    $("#set-text").focus({ preventScroll: true });
    $("#sets .view-scroll").scrollTop = 0;
    if (before.text.trim() && before.text !== set.form.text) toast(this.setStrings.replaced, this.page.strings.undo, () => show(before, named));
  }

  #rename(set) {
    this.#askName(this.setStrings.rename_set, set.name, (name) => {
      const renamed = () => this.saved.rename(set.id, name) || toast(fill(this.setStrings.set_name_taken, { name }));
      if (this.#safeLocalStorage(renamed) && this.saved.named(name)?.id === set.id && this.named === set.name) this.named = name;
      this.#listSaved();
      this.#changed();
    });
  }

  #delete(set) {
    const undo = this.saved.remove(set.id);
    this.#listSaved();
    toast(fill(this.setStrings.set_deleted, { name: set.name }), this.page.strings.undo, () => { this.#safeLocalStorage(undo); this.#listSaved(); });
  }

  /** Ask for a name and call onname with it. */
  #askName(title, value, onname) {
    const { strings } = this.page;
    const input = el("input", { type: "text", class: "dialog-field", maxlength: 80, dir: "auto", required: true });
    input.value = value;
    const form = el("form", { class: "dialog-form" }, el("label", { class: "dialog-label" }, el("span", {}, this.setStrings.set_name), input),
      el("div", { class: "dialog-row" }, el("button", { type: "submit", class: "btn primary" }, this.setStrings.save)));
    const { dialog } = openDialog(title, strings, form);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!input.value.trim()) return;
      dialog.close();
      onname(input.value.trim());
    });
    input.select();
  }

  #safeLocalStorage(write) {
    try {
      write();
      return true;
    } catch (error) {
      toast(error instanceof TooMany ? fill(this.setStrings.sets_many, { limit: LIMIT }) : this.setStrings.sets_full);
      return false;
    }
  }

  #listSaved() {
    const { setStrings } = this;
    const rows = this.saved.list().map((set) => {
      const count = set.count === 1 ? setStrings.read_one : set.count ? fill(setStrings.read, { count: formatCount(set.count) }) : "";
      const facts = [count, set.form.candidates.map(({ model }) => this.page.models.find(model)?.name ?? model).join(", ")].filter(Boolean).join(" · ");
      const act = (label, todo) => el("button", { type: "button", class: "btn quiet", "aria-label": `${label}: ${set.name}`, onclick: todo }, label);
      return el("li", {}, opener(set.name, facts, () => this.#openSaved(set)), act(setStrings.rename_it, () => this.#rename(set)), act(setStrings.delete, () => this.#delete(set)));
    });
    $("#set-saved").replaceChildren(...rows);
    $("#set-saved-part").hidden = !rows.length;
  }

  // ── runs of this browser ────────────────────────────────────────────────

  #runs() {
    try {
      return JSON.parse(safeLocalStorage.getItem(RUNS)) ?? [];
    } catch {
      return this.unkept ?? [];
    }
  }

  #keepRuns(runs) {
    this.unkept = runs.slice(0, MAX_RUNS);
    try {
      safeLocalStorage.setItem(RUNS, JSON.stringify(this.unkept));
    } catch {
      // Storage is full: the runs are known while the page is open.
    }
  }

  #listRuns() {
    const { setStrings } = this;
    const rows = this.#runs().map((one) =>
      el("li", {}, opener(one.title, `${new Date(one.began).toLocaleString()} · ${fill(setStrings.calls, { count: formatCount(one.calls) })}`, () => this.run.open(one.run)),
        el("button", { type: "button", class: "btn quiet", "aria-label": `${setStrings.delete}: ${one.title}`, onclick: (event) => this.#confirmDelete(event.currentTarget, one) }, setStrings.delete)));
    $("#set-runs").replaceChildren(...(rows.length ? rows : [el("li", { class: "set-hint" }, setStrings.none_yet)]));
  }

  /** Confirm before deleting: the answers cost money and can't be restored. */
  #confirmDelete(button, { run, title }) {
    const { setStrings } = this;
    const sure = el("button", { type: "button", class: "btn danger", "aria-label": `${setStrings.delete_sure}: ${title}`, onclick: () => this.#deleteRun(run), onblur: () => setTimeout(() => sure.replaceWith(button)) }, setStrings.delete_sure);
    button.replaceWith(sure);
    sure.focus();
  }

  async #deleteRun(id) {
    await api.runAction(id, "delete").catch(() => null);
    this.#keepRuns(this.#runs().filter(({ run }) => run !== id));
    this.#listRuns();
    toast(this.setStrings.run_deleted);
  }

  wire() {
    this.candidates = new Candidates($("#set-candidates"), { setStrings: this.setStrings, models: this.page.models, first: () => this.#first(), changed: () => this.#changed() });
    this.run.wire();
    for (const id of ["#set-text", ...Object.values(FIELDS)]) $(id).addEventListener("input", () => this.#changed());
    $("#set-add").addEventListener("click", () => this.candidates.add());
    $("#set-open").addEventListener("click", () => $("#set-file").click());
    $("#set-file").addEventListener("change", ({ target }) => { this.#openFile(target.files[0]); target.value = ""; });
    $("#set-chat").addEventListener("click", () => this.#useChat());
    $("#set-save").addEventListener("click", () => this.#save());
    $("#set-clear").addEventListener("click", () => { this.#replace("", "", this.setStrings.cleared); $("#set-text").focus(); });
    $("#set-form").addEventListener("submit", (event) => { event.preventDefault(); if (!$("#set-start").disabled) this.#begin(); });
    $("#run-new").addEventListener("click", () => this.#showForm());
    addEventListener("pagehide", () => this.#keepDraft());
  }
}

const withoutEnding = (name) => name.replace(/\.\w+$/, "");

function opener(title, facts, open) {
  return el("button", { type: "button", class: "run-open", onclick: open }, el("span", { dir: "auto" }, title), el("small", { class: "tn" }, facts));
}
