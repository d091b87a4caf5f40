// One run of a prompt set, as the server tells it: how far it is, its tables, its answers.

import { $, announce, el, fill, fromServer, renew, toast } from "./dom.js";
import { openDialog } from "./dialogs.js";
import { openReport } from "./report_dialog.js";
import { momentOf } from "./set_asked.js";
import * as api from "./api.js";

const LOOK_MS = 1000;

export class SetRun {
  /** others: the runs that it may be compared with. gone: called when the server has it no longer. */
  constructor(page, { others, gone }) {
    Object.assign(this, { page, says: page.boot.sets, others, gone, id: null });
  }

  open(id) {
    Object.assign(this, { id, first: 0, earlier: "", drawn: "", moment: "" });
    const option = (value, text) => el("option", { value }, text);
    const runs = this.others(id).map((one) => option(one.run, `${one.title}, ${new Date(one.began).toLocaleString()}`));
    $("#run-earlier").replaceChildren(option("", this.says.nothing), ...runs);
    $("#run-body").replaceChildren();
    $("#sets .view-scroll").scrollTop = 0;
    return this.look();
  }

  close() {
    clearTimeout(this.timer);
    this.id = null;
  }

  async look() {
    clearTimeout(this.timer);
    const { id } = this;
    try {
      const told = await api.lookSet({ run: id, first: this.first, earlier: this.earlier || null });
      if (id !== this.id) return;
      this.#draw(told);
      const busy = told.state === "running" || told.state === "waiting" || told.in_flight;
      if (busy && document.documentElement.dataset.view === "sets") this.timer = setTimeout(() => this.look(), LOOK_MS);
    } catch (error) {
      if (id !== this.id) return;
      if (error.status !== 404) return (this.timer = setTimeout(() => this.look(), 3 * LOOK_MS)); // the network, or a sign-in that ended
      toast(error.view.title);
      this.gone(id);
    }
  }

  #draw(told) {
    $("#set-new").hidden = true;
    $("#set-run").hidden = false;
    $("#run-title").textContent = told.title;
    $("#run-text").textContent = `${told.word} · ${told.text}`;
    this.#bar(told);
    this.#buttons(told);
    const fault = $("#run-fault");
    fault.hidden = !told.fault;
    fault.textContent = told.fault;
    if (told.html !== this.drawn) {
      this.drawn = told.html;
      renew($("#run-body"), told.html);
    }
    this.#say(told);
  }

  #bar({ done, total, state }) {
    const bar = $("#run-progress");
    bar.setAttribute("aria-valuemax", total);
    bar.setAttribute("aria-valuenow", done);
    bar.dataset.state = state;
    bar.firstChild.style.width = `${total ? (100 * done) / total : 0}%`;
  }

  #buttons({ state, failed }) {
    const ended = state === "done" || state === "stopped";
    $("#run-earlier").disabled = state === "running";
    $("#run-pause").hidden = state !== "running";
    $("#run-go-on").hidden = !["paused", "stopped", "waiting"].includes(state);
    $("#run-stop").hidden = !["running", "paused"].includes(state);
    const again = $("#run-again");
    again.hidden = !(ended && failed);
    again.textContent = failed === 1 ? this.says.again_one : fill(this.says.again, { count: failed });
  }

  /** Now and then a sentence to who hears the page, not one each second. */
  #say(told) {
    const moment = momentOf(told);
    if (this.moment && this.moment !== moment) announce(`${told.title}: ${told.word}, ${told.text}`);
    this.moment = moment;
  }

  async #act(act) {
    try {
      await api.actSet(this.id, act);
    } catch (error) {
      toast(error.view?.title ?? this.page.words.offline_title);
    }
    this.look();
  }

  // ── one prompt with its answers ─────────────────────────────────────────

  async #openRow(row) {
    const html = await this.#rowHtml(row);
    if (!html) return;
    const { dialog, body } = openDialog(this.says.open_row, this.page.words, fromServer(html));
    dialog.classList.add("wide", "row-dialog");
    dialog.addEventListener("click", async ({ target }) => {
      const other = target.closest("[data-go-row]")?.dataset.goRow;
      if (other === undefined) return;
      const next = await this.#rowHtml(Number(other));
      if (!next) return;
      const step = target.closest("[data-step]").dataset.step;
      body.replaceChildren(fromServer(next));
      body.scrollTop = 0;
      (body.querySelector(`[data-step="${step}"]:not([disabled])`) ?? body.querySelector("[data-step]:not([disabled])"))?.focus();
    });
  }

  async #rowHtml(row) {
    const { html } = await api.rowOfSet(this.id, row).catch((error) => ({ html: toast(error.view?.title ?? this.page.words.offline_title) }));
    return html;
  }

  wire() {
    for (const act of ["pause", "stop", "again"]) $(`#run-${act}`).addEventListener("click", () => this.#act(act));
    $("#run-go-on").addEventListener("click", () => this.#act("go_on"));
    $("#run-report").addEventListener("click", () => openReport(this.page, { preview: (form) => api.previewReport(this.id, form), whole: (form) => api.report(this.id, form) }));
    $("#run-earlier").addEventListener("change", ({ target }) => { this.earlier = target.value; this.look(); });
    $("#run-body").addEventListener("click", ({ target }) => {
      const row = target.closest("tr[data-row]");
      const turn = target.closest("[data-first]");
      if (turn) { this.first = Number(turn.dataset.first); this.look(); }
      else if (row) this.#openRow(Number(row.dataset.row));
    });
  }
}
