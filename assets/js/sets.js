// Prompt sets: a form, its forecast, and the runs. A run lives on the server; its id, which alone
// opens it, is kept in this browser.

import { $, announce, el, fill, fromServer, toast } from "./dom.js";
import { openDialog } from "./dialogs.js";
import { openReport } from "./report_dialog.js";
import * as api from "./api.js";

const KEPT = "akash-gradio.set-runs";
const MOST_KEPT = 50;
const LOOK_MS = 1000;
const SETTLE_MS = 400;
const LARGEST_SHOWN = 200_000;
const APART = "\n---\n";

export class Sets {
  constructor(page) {
    this.page = page;
    this.says = page.boot.sets;
    this.kept = page.boot.runs_kept;
    Object.assign(this, { file: null, chosen: null, run: null, first: 0, earlier: "", drawn: "" });
  }

  /** The view is opened: the run that was open, or the form. */
  open() {
    this.#models();
    $("#set-chat").hidden = !this.#questions().length;
    $("#set-kept").hidden = this.kept;
    if (this.run) return this.#look();
    this.#showForm();
  }

  // ── the form ────────────────────────────────────────────────────────────

  #showForm() {
    clearTimeout(this.timer);
    this.run = null;
    $("#set-new").hidden = false;
    $("#set-run").hidden = true;
    this.#list();
    this.#changed();
  }

  #models() {
    const able = this.page.models.list.filter((model) => model.can_chat);
    this.chosen ??= new Set(able.slice(0, 2).map(({ id }) => id));
    const chips = able.map((model) =>
      el("button", { type: "button", class: "chip", "aria-pressed": String(this.chosen.has(model.id)), onclick: (event) => this.#toggle(event.currentTarget, model.id) }, model.name));
    $("#set-models").replaceChildren(...chips);
  }

  #toggle(chip, id) {
    if (!this.chosen.delete(id)) this.chosen.add(id);
    chip.setAttribute("aria-pressed", String(this.chosen.has(id)));
    this.#changed();
  }

  #questions() {
    return this.page.chat.turns.filter(({ role }) => role === "user").map(({ text }) => text);
  }

  #useChat() {
    this.file = null;
    this.#show(this.#questions().join(APART));
  }

  async #openFile(file) {
    if (!file) return;
    const text = await file.text();
    this.file = { name: file.name, text };
    this.#show(text.length > LARGEST_SHOWN ? text.slice(0, LARGEST_SHOWN) : text, file.name);
  }

  #show(text, name = "") {
    const box = $("#set-text");
    box.value = text;
    box.readOnly = Boolean(name);
    this.#changed();
  }

  #clear() {
    this.file = null;
    this.#show("");
    $("#set-text").focus();
  }

  /** What the server is to read. */
  #set() {
    return this.file ?? { name: "", text: $("#set-text").value };
  }

  #asked() {
    const number = (id) => ($(id).value ? Number($(id).value) : null);
    const written = $("#set-temperature").value.trim();
    const temperatures = written ? written.split(/[,;\s]+/).filter(Boolean).map(Number) : [];
    if (temperatures.some((value) => !(value >= 0 && value <= 2))) throw new Error(this.says.wrong_temperature);
    return { set: this.#set(), models: [...this.chosen], temperatures, max_tokens: number("#set-max"), repeats: number("#set-repeats") ?? 1, system: $("#set-system").value, contains: $("#set-contains").value };
  }

  #changed() {
    $("#set-clear").hidden = !$("#set-text").value;
    $("#set-start").disabled = true;
    clearTimeout(this.settling);
    this.settling = setTimeout(() => this.#foretell(), SETTLE_MS);
  }

  async #foretell() {
    const turn = (this.turn = (this.turn ?? 0) + 1);
    const current = () => turn === this.turn;
    const { says } = this;
    if (!this.#set().text.trim()) return this.#told({ hint: says.need_prompts });
    try {
      const { prompts, checked } = await api.readSet(this.#set());
      const count = prompts === 1 ? says.read_one : fill(says.read, { count: prompts });
      const read = checked ? `${count}, ${fill(says.with_checks, { count: checked })}` : count;
      if (!this.chosen.size) return current() && this.#told({ read, hint: says.need_models });
      const told = await api.forecastSet(this.#asked());
      if (current()) this.#told({ read, hint: told.text, calls: told.calls });
    } catch (error) {
      if (current()) this.#told({ mistakes: error.view?.mend ?? error.message, title: error.view?.title });
    }
  }

  #told({ read = this.file?.name ?? "", hint = "", mistakes = "", title = "", calls = 0 }) {
    const name = this.file && read !== this.file.name ? `${this.file.name}: ` : "";
    $("#set-count").textContent = name + read;
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
      const begun = await api.beginSet(this.#asked());
      this.#keep([begun, ...this.#runs()]);
      this.#openRun(begun.run);
    } catch (error) {
      this.#told({ mistakes: error.view?.mend ?? error.message, title: error.view?.title });
    }
  }

  // ── the runs of this browser ────────────────────────────────────────────

  #runs() {
    try {
      return JSON.parse(localStorage.getItem(KEPT)) ?? [];
    } catch {
      return this.unkept ?? [];
    }
  }

  #keep(runs) {
    this.unkept = runs.slice(0, MOST_KEPT);
    try {
      localStorage.setItem(KEPT, JSON.stringify(this.unkept));
    } catch {
      // No storage in this frame: the runs are known until the page is left.
    }
  }

  #list() {
    const { says } = this;
    const rows = this.#runs().map((one) =>
      el("li", {},
        el("button", { type: "button", class: "run-open", onclick: () => this.#openRun(one.run) }, el("span", {}, one.title), el("small", { class: "tn" }, `${new Date(one.began).toLocaleString()} · ${one.calls}`)),
        el("button", { type: "button", class: "btn quiet", "aria-label": `${says.forget}: ${one.title}`, onclick: () => this.#forget(one.run) }, says.forget)));
    $("#set-runs").replaceChildren(...(rows.length ? rows : [el("li", { class: "set-hint" }, says.none_yet)]));
  }

  async #forget(id) {
    await api.actSet(id, "forget").catch(() => null);
    this.#keep(this.#runs().filter(({ run }) => run !== id));
    this.#list();
    toast(this.says.forgotten);
  }

  // ── one run ─────────────────────────────────────────────────────────────

  #openRun(id) {
    Object.assign(this, { run: id, first: 0, earlier: "", drawn: "" });
    const others = this.#runs().filter(({ run }) => run !== id);
    const option = (value, text) => el("option", { value }, text);
    $("#run-earlier").replaceChildren(option("", this.says.nothing), ...others.map((one) => option(one.run, `${one.title}, ${new Date(one.began).toLocaleString()}`)));
    $("#run-body").replaceChildren();
    this.#look();
  }

  async #look() {
    clearTimeout(this.timer);
    const id = this.run;
    try {
      const told = await api.lookSet({ run: id, first: this.first, earlier: this.earlier || null });
      if (id !== this.run) return;
      this.#drawRun(told);
      const busy = told.state === "running" || told.state === "waiting" || told.in_flight;
      if (busy && document.documentElement.dataset.view === "sets") this.timer = setTimeout(() => this.#look(), LOOK_MS);
    } catch (error) {
      if (id !== this.run) return;
      if (error.status !== 404) return (this.timer = setTimeout(() => this.#look(), 3 * LOOK_MS)); // the network, or a sign-in that ended
      toast(error.view.title);
      this.#keep(this.#runs().filter(({ run }) => run !== id));
      this.#showForm();
    }
  }

  #drawRun(told) {
    $("#set-new").hidden = true;
    $("#set-run").hidden = false;
    $("#run-title").textContent = told.title;
    $("#run-text").textContent = `${told.word} · ${told.text}`;
    const bar = $("#run-progress");
    bar.setAttribute("aria-valuemax", told.total);
    bar.setAttribute("aria-valuenow", told.done);
    bar.firstChild.style.width = `${told.total ? (100 * told.done) / told.total : 0}%`;
    $("#run-earlier").disabled = told.state === "running";
    $("#run-pause").hidden = told.state !== "running";
    $("#run-go-on").hidden = !["paused", "stopped", "waiting"].includes(told.state);
    $("#run-stop").hidden = !["running", "paused"].includes(told.state);
    const fault = $("#run-fault");
    fault.hidden = !told.fault;
    fault.textContent = told.fault;
    if (told.html !== this.drawn) {
      this.drawn = told.html;
      $("#run-body").replaceChildren(fromServer(told.html));
    }
    if (this.state && this.state !== told.state && told.state === "done") announce(`${told.title}: ${told.word}`);
    this.state = told.state;
  }

  async #act(act) {
    try {
      await api.actSet(this.run, act);
    } catch (error) {
      toast(error.view?.title ?? this.page.words.offline_title);
    }
    this.#look();
  }

  async #openRow(row) {
    const { html } = await api.rowOfSet(this.run, row).catch((error) => ({ html: toast(error.view?.title ?? this.page.words.offline_title) }));
    if (!html) return;
    const { dialog } = openDialog(this.says.open_row, this.page.words, fromServer(html));
    dialog.classList.add("wide");
  }

  // ── the report ──────────────────────────────────────────────────────────

  #openReport() {
    openReport(this.page, { preview: (form) => api.previewReport(this.run, form), whole: (form) => api.report(this.run, form) });
  }

  wire() {
    $("#set-text").addEventListener("input", () => this.#changed());
    for (const id of ["temperature", "repeats", "max", "system", "contains"]) $(`#set-${id}`).addEventListener("input", () => this.#changed());
    $("#set-open").addEventListener("click", () => $("#set-file").click());
    $("#set-file").addEventListener("change", ({ target }) => { this.#openFile(target.files[0]); target.value = ""; });
    $("#set-chat").addEventListener("click", () => this.#useChat());
    $("#set-clear").addEventListener("click", () => this.#clear());
    $("#set-form").addEventListener("submit", (event) => { event.preventDefault(); if (!$("#set-start").disabled) this.#begin(); });
    $("#run-pause").addEventListener("click", () => this.#act("pause"));
    $("#run-go-on").addEventListener("click", () => this.#act("go_on"));
    $("#run-stop").addEventListener("click", () => this.#act("stop"));
    $("#run-new").addEventListener("click", () => this.#showForm());
    $("#run-report").addEventListener("click", () => this.#openReport());
    $("#run-earlier").addEventListener("change", ({ target }) => { this.earlier = target.value; this.#look(); });
    $("#run-body").addEventListener("click", ({ target }) => {
      const row = target.closest("tr[data-row]");
      const turn = target.closest("[data-first]");
      if (turn) { this.first = Number(turn.dataset.first); this.#look(); }
      else if (row) this.#openRow(Number(row.dataset.row));
    });
  }
}
