// The models of a prompt set, each with optional settings of its own.

import { el, fill, iconButton } from "./dom.js";
import { NUMBERS, summaryOf, newCandidate } from "./set_form.js";

export class Candidates {
  /**
   * @param {HTMLElement} root The list.
   * @param {object} options models: of the page. first(): the candidates until the visitor changes them.
   *   changed(): called after each change.
   */
  constructor(root, { setStrings, models, first, changed }) {
    Object.assign(this, { root, setStrings, models, first, changed, rows: [], touched: false });
  }

  /** The candidates with their fields as typed. */
  get list() {
    return this.rows.map(({ candidate }) => candidate);
  }

  set list(candidates) {
    this.touched = true;
    this.#set(candidates);
  }

  #set(candidates) {
    this.rows = candidates.map((candidate) => this.#row(candidate));
    this.#draw();
  }

  /** Update after the models changed or the view was opened. Returns whether the candidates changed. */
  refresh() {
    const before = JSON.stringify(this.list);
    const first = this.touched ? null : this.first();
    const other = first && JSON.stringify(first) !== before;
    if (other) this.#set(first);
    for (const row of this.rows) this.#fill(row);
    return Boolean(other);
  }

  #usable() {
    return this.models.list.filter((model) => model.can_chat);
  }

  /** Add a model that is not in the list yet, or the first one again. */
  add() {
    const taken = new Set(this.list.map(({ model }) => model));
    const able = this.#usable();
    const next = able.find(({ id }) => !taken.has(id)) ?? able[0];
    if (next) this.#put(newCandidate(next.id), this.rows.length).select.focus();
  }

  #put(candidate, index) {
    this.touched = true;
    const row = this.#row(candidate);
    this.rows.splice(index, 0, row);
    this.#draw();
    this.changed();
    return row;
  }

  /** Duplicate a model and open its settings. */
  #copy(row) {
    const copy = this.#put({ ...row.candidate }, this.rows.indexOf(row) + 1);
    this.#open(copy);
    copy.own.querySelector("input").focus();
  }

  #remove(row) {
    this.touched = true;
    const index = this.rows.indexOf(row);
    this.rows.splice(index, 1);
    this.#draw();
    (this.rows[index] ?? this.rows[index - 1])?.select.focus();
    this.changed();
  }

  #draw() {
    this.root.replaceChildren(...this.rows.map(({ node }) => node));
  }

  // ── one candidate ───────────────────────────────────────────────────────

  #row(candidate) {
    const { setStrings } = this;
    const row = { candidate };
    const onchange = () => {
      this.touched = true;
      this.#brief(row);
      this.changed();
    };
    row.select = el("select", { class: "plain", "aria-label": setStrings.model, onchange: () => this.#choose(row) });
    row.brief = el("p", { class: "candidate-brief" });
    row.tune = iconButton("tune", setStrings.own, () => this.#open(row), { "aria-expanded": "false" });
    row.endpoint = el("select", { class: "plain", onchange: () => { candidate.endpoint = row.endpoint.value; onchange(); } });
    row.effort = el("select", { class: "plain", onchange: () => { candidate.reasoning_effort = row.effort.value; onchange(); } });
    row.own = el("div", { class: "candidate-own", hidden: true },
      el("div", { class: "set-fields" }, ...NUMBERS.map((name) => labelled(setStrings[name], field("input", candidate, name, onchange, { inputmode: "decimal", placeholder: setStrings.as_all })))),
      el("div", { class: "set-fields candidate-two" },
        labelled(setStrings.stop_at, field("textarea", candidate, "stop", onchange, { rows: 1, dir: "auto", placeholder: setStrings.stop_how })),
        row.efforts = labelled(setStrings.reasoning_effort, row.effort)),
      labelled(setStrings.system, field("textarea", candidate, "system", onchange, { rows: 2, dir: "auto", placeholder: setStrings.as_all })),
      labelled(setStrings.endpoint, row.endpoint));
    const head = el("div", { class: "candidate-head" }, row.select, row.tune,
      iconButton("copy", setStrings.copy_candidate, () => this.#copy(row)),
      iconButton("close", setStrings.remove_candidate, () => this.#remove(row)));
    row.node = el("li", { class: "candidate" }, head, row.brief, row.own);
    this.#fill(row);
    return row;
  }

  /** Update the options to the current models. An unchanged list stays, because it may be open. */
  #fill(row) {
    const { candidate } = row;
    const { list } = this.models;
    const signature = JSON.stringify([list.map(({ id, name, can_chat, state_word, endpoints, reasoning_efforts }) => [id, name, can_chat || state_word, endpoints, reasoning_efforts]), candidate.model]);
    if (signature === row.signature) return;
    row.signature = signature;
    const options = list.map((model) => option(model.id, model.can_chat ? model.name : `${model.name} (${model.state_word})`, candidate.model));
    if (!list.some(({ id }) => id === candidate.model)) options.unshift(option(candidate.model, fill(this.setStrings.model_gone, { model: candidate.model }), candidate.model));
    row.select.replaceChildren(...options);
    const aliases = [...new Set([...(this.models.find(candidate.model)?.endpoints ?? []), candidate.endpoint].filter(Boolean))];
    row.endpoint.replaceChildren(option("", this.setStrings.any_endpoint, candidate.endpoint), ...aliases.map((alias) => option(alias, alias, candidate.endpoint)));
    const efforts = [...new Set([...(this.models.find(candidate.model)?.reasoning_efforts ?? []), candidate.reasoning_effort].filter(Boolean))];
    row.effort.replaceChildren(option("", this.setStrings.effort_default, candidate.reasoning_effort), ...efforts.map((effort) => option(effort, effort, candidate.reasoning_effort)));
    row.efforts.hidden = !efforts.length;
    this.#brief(row);
  }

  #choose(row) {
    Object.assign(row.candidate, { model: row.select.value, endpoint: "", reasoning_effort: "" });
    this.touched = true;
    this.#fill(row);
    this.changed();
  }

  #open(row) {
    row.own.hidden = !row.own.hidden;
    row.tune.setAttribute("aria-expanded", String(!row.own.hidden));
  }

  #brief(row) {
    row.brief.textContent = summaryOf(row.candidate, this.setStrings);
  }
}

function field(tag, candidate, name, onchange, attributes) {
  const input = el(tag, { autocomplete: "off", ...attributes, oninput: () => { candidate[name] = input.value; onchange(); } });
  input.value = candidate[name];
  return input;
}

function labelled(name, input) {
  return el("label", {}, el("span", {}, name), input);
}

function option(value, text, chosen) {
  return el("option", { value, selected: value === chosen }, text);
}
