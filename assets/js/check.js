// The endpoint checker, for the operator: a form, and findings that fill a list.

import * as api from "./api.js";
import { $, copyText, el, fill, icon } from "./dom.js";

const ADDRESS = ""; // the option for a URL that is not configured
const ICONS = { pass: "check", warn: "alert", fail: "close", skipped: "right" };

/** Format text between backticks as code. */
const withCode = (text) => text.split("`").map((part, index) => (index % 2 ? el("code", {}, part) : part));

export class Check {
  #running = null; // the AbortController of the running check

  /** Called each time the view is opened. */
  async open(query) {
    this.#wire();
    try {
      this.#show(await api.checks(), query.get("endpoint"));
    } catch (error) {
      this.#showVerdict(error.view ? `${error.view.title} ${error.view.hint}` : String(error.message));
    }
  }

  #wire() {
    if (this.wired) return;
    this.wired = true;
    $("#check-form").addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.#running) this.#running.abort();
      else this.#run();
    });
    $("#check-endpoint").addEventListener("change", () => this.#choose());
    for (const level of document.querySelectorAll("[name=level]")) {
      level.addEventListener("change", () => this.#cost());
    }
  }

  #show(view, alias) {
    this.view = view;
    this.checkStrings = view.strings;
    const select = $("#check-endpoint");
    const before = alias ?? (select.options.length ? select.value : null);
    const names = view.endpoints.map(({ alias }) => el("option", { value: alias }, alias));
    select.replaceChildren(...names, el("option", { value: ADDRESS }, this.checkStrings.address));
    if (before !== null && [...select.options].some((option) => option.value === before)) select.value = before;
    this.#choose();
    this.#cost();
  }

  #choose() {
    const alias = $("#check-endpoint").value;
    for (const field of document.querySelectorAll("[data-address]")) field.hidden = alias !== ADDRESS;
    const models = this.view.endpoints.find((one) => one.alias === alias)?.models ?? [];
    $("#check-models").replaceChildren(...models.map((id) => el("option", { value: id })));
  }

  #level() {
    return $("[name=level]:checked").value;
  }

  #cost() {
    $("#check-cost").textContent = fill(this.checkStrings.cost, this.view.costs[this.#level()]);
  }

  #body() {
    const endpoint = $("#check-endpoint").value;
    const more = endpoint === ADDRESS ? { url: $("#check-url").value, key: $("#check-key").value } : { endpoint };
    return { ...more, model: $("#check-model").value, level: this.#level() };
  }

  async #run() {
    const controller = (this.#running = new AbortController());
    $("#check-run").textContent = this.checkStrings.stop;
    $("#check-result").hidden = false;
    $("#check-result").classList.remove("ended");
    $("#probes").replaceChildren();
    this.#progress(0, 1);
    this.#showVerdict("");
    let ended = false;
    try {
      for await (const event of api.check(this.#body(), controller.signal)) {
        this.#handle(event);
        ended = event.kind === "end";
      }
      if (!ended) this.#showVerdict(this.checkStrings.connection_lost);
    } catch (error) {
      this.#showVerdict(controller.signal.aborted ? this.checkStrings.stopped : error.view ? `${error.view.title} ${error.view.hint}` : this.checkStrings.connection_lost);
    }
    this.#running = null;
    $("#check-result").classList.add("ended");
    $("#check-run").textContent = this.checkStrings.run;
    if (!ended) for (const row of document.querySelectorAll("#probes .pending")) row.remove();
  }

  #handle(event) {
    if (event.kind === "begin") {
      this.total = event.probes.length;
      this.done = 0;
      $("#probes").replaceChildren(...event.probes.map((probe) => this.#waiting(probe)));
    } else if (event.kind === "finding") {
      document.getElementById(`probe-${event.probe}`)?.replaceWith(this.#row(event));
      this.done += 1;
      this.#progress(this.done, this.total);
    } else if (event.kind === "end") {
      const { warn, fail, pass } = event.counts;
      const say = fail ? this.checkStrings.with_failures : warn ? this.checkStrings.with_warnings : this.checkStrings.all_passed;
      this.#showVerdict(fill(say, { warn, fail }), fail ? "fail" : warn ? "warn" : "pass");
      $("#check-count").textContent = fill(this.checkStrings.passed, { count: pass });
      // Problems are listed first, once no rows change any more.
      for (const bad of ["warn", "fail"]) $("#probes").prepend(...document.querySelectorAll(`#probes .${bad}`));
    }
  }

  #showVerdict(sentence, verdict = "") {
    $("#check-result").hidden = false;
    $("#check-verdict").textContent = sentence;
    $("#check-verdict").className = verdict;
  }

  #progress(done, count) {
    $("#check-bar").style.width = `${(100 * done) / count}%`;
    $("#check-count").textContent = count > 1 ? fill(this.checkStrings.progress, { done, count }) : "";
  }

  #waiting({ probe, title }) {
    const mark = el("span", { class: "probe-mark" }, el("span", { class: "sr-only" }, this.checkStrings.pending));
    return el("li", { class: "probe pending", id: `probe-${probe}` }, mark, el("div", {}, el("b", {}, title)));
  }

  #row({ probe, title, verdict, message, fix, curl }) {
    const mark = el("span", { class: "probe-mark" }, icon(ICONS[verdict]), el("span", { class: "sr-only" }, this.checkStrings[verdict]));
    const bad = verdict === "warn" || verdict === "fail";
    const more = [];
    if (bad && fix) more.push(el("p", { class: "probe-fix" }, ...withCode(fix)));
    if (curl && bad) more.push(el("div", { class: "probe-curl" }, el("code", { tabindex: "0" }, curl), this.#copy(curl, title)));
    const row = [mark, el("div", {}, el("b", {}, title), el("span", { class: "probe-message" }, ...withCode(message)), ...more)];
    if (curl && !bad) row.push(this.#copy(curl, title));
    return el("li", { class: `probe ${verdict}`, id: `probe-${probe}` }, ...row);
  }

  /** Build the button that copies the command of a probe. */
  #copy(curl, title) {
    const label = `${this.checkStrings.repeat}: ${title}`;
    const copy = el("button", { type: "button", class: "icon-btn", "aria-label": label, title: this.checkStrings.repeat }, icon("copy"));
    copy.addEventListener("click", async () => {
      if (await copyText(curl, this.checkStrings)) copy.replaceChildren(icon("check"));
    });
    return copy;
  }
}
