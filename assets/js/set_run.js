// One run of a prompt set: its progress, tables and answers.

import { $, announce, el, fill, parseServerHtml, morph, toast } from "./dom.js";
import { openDialog } from "./dialogs.js";
import { openReport } from "./report_dialog.js";
import { progressKey } from "./set_form.js";
import * as api from "./api.js";

const POLL_MS = 1000;

export class SetRun {
  /**
   * @param {object} page
   * @param {object} options others(id): the runs to compare with. gone(id): the server no longer has the run.
   */
  constructor(page, { others, gone }) {
    Object.assign(this, { page, setStrings: page.boot.sets, others, gone, id: null });
  }

  open(id) {
    Object.assign(this, { id, first: 0, earlier: "", drawn: "", announced: "", elsewhere: false });
    const option = (value, text) => el("option", { value }, text);
    const runs = this.others(id).map((one) => option(one.run, `${one.title}, ${new Date(one.began).toLocaleString()}`));
    $("#run-earlier").replaceChildren(option("", this.setStrings.no_other_run), ...runs);
    $("#run-body").replaceChildren();
    $("#sets .view-scroll").scrollTop = 0;
    return this.refresh();
  }

  close() {
    clearTimeout(this.timer);
    this.id = null;
  }

  async refresh() {
    clearTimeout(this.timer);
    const { id } = this;
    try {
      const status = await api.runStatus({ run: id, first: this.first, earlier: this.earlier || null });
      if (id !== this.id) return;
      this.elsewhere = false;
      this.#draw(status);
      const busy = status.state === "running" || status.state === "waiting" || status.in_flight;
      if (busy && document.documentElement.dataset.view === "sets") this.timer = setTimeout(() => this.refresh(), POLL_MS);
    } catch (error) {
      if (id !== this.id) return;
      if (error.status !== 404) {
        if (error.status === 409 && !this.elsewhere) toast(error.view.title);
        this.elsewhere = error.status === 409; // another replica uses the run
        return (this.timer = setTimeout(() => this.refresh(), 3 * POLL_MS)); // also a network error, or a session that ended
      }
      toast(error.view.title);
      this.gone(id);
    }
  }

  #draw(status) {
    $("#set-new").hidden = true;
    $("#set-run").hidden = false;
    $("#run-title").textContent = status.title;
    $("#run-text").textContent = `${status.word} · ${status.text}`;
    this.#bar(status);
    this.#buttons(status);
    const error = $("#run-error");
    error.hidden = !status.error;
    error.textContent = status.error;
    if (status.html !== this.drawn) {
      this.drawn = status.html;
      morph($("#run-body"), status.html);
    }
    this.#say(status);
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
    $("#run-resume").hidden = !["paused", "stopped", "waiting"].includes(state);
    $("#run-stop").hidden = !["running", "paused"].includes(state);
    const again = $("#run-retry");
    again.hidden = !(ended && failed);
    again.textContent = failed === 1 ? this.setStrings.retry_one : fill(this.setStrings.retry, { count: failed });
  }

  /** Announce progress to screen readers now and then, not every second. */
  #say(status) {
    const announced = progressKey(status);
    if (this.announced && this.announced !== announced) announce(`${status.title}: ${status.word}, ${status.text}`);
    this.announced = announced;
  }

  async #act(action) {
    try {
      await api.runAction(this.id, action);
    } catch (error) {
      toast(error.view?.title ?? this.page.strings.offline_title);
    }
    this.refresh();
  }

  // ── one prompt with its answers ─────────────────────────────────────────

  async #openRow(row) {
    const html = await this.#rowHtml(row);
    if (!html) return;
    const { dialog, body } = openDialog(this.setStrings.open_row, this.page.strings, parseServerHtml(html));
    dialog.classList.add("wide", "row-dialog");
    dialog.addEventListener("click", async ({ target }) => {
      const other = target.closest("[data-go-row]")?.dataset.goRow;
      if (other === undefined) return;
      const next = await this.#rowHtml(Number(other));
      if (!next) return;
      const step = target.closest("[data-step]").dataset.step;
      body.replaceChildren(parseServerHtml(next));
      body.scrollTop = 0;
      (body.querySelector(`[data-step="${step}"]:not([disabled])`) ?? body.querySelector("[data-step]:not([disabled])"))?.focus();
    });
  }

  async #rowHtml(row) {
    const { html } = await api.runRow(this.id, row).catch((error) => ({ html: toast(error.view?.title ?? this.page.strings.offline_title) }));
    return html;
  }

  wire() {
    for (const action of ["pause", "stop", "retry"]) $(`#run-${action}`).addEventListener("click", () => this.#act(action));
    $("#run-resume").addEventListener("click", () => this.#act("resume"));
    $("#run-report").addEventListener("click", () => openReport(this.page, { preview: (form) => api.previewReport(this.id, form), whole: (form) => api.report(this.id, form) }));
    $("#run-earlier").addEventListener("change", ({ target }) => { this.earlier = target.value; this.refresh(); });
    $("#run-body").addEventListener("click", ({ target }) => {
      const row = target.closest("tr[data-row]");
      const turn = target.closest("[data-first]");
      if (turn) { this.first = Number(turn.dataset.first); this.refresh(); }
      else if (row) this.#openRow(Number(row.dataset.row));
    });
  }
}
