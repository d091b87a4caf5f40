// The candidates of a prompt set: a model each, with parameters of its own behind a button.

import { el, fill, iconButton } from "./dom.js";
import { NUMBERS, briefOf, newCandidate } from "./set_asked.js";

export class Candidates {
  /** root: the list. models: of the page. first: who is there until somebody chose. changed: called when anybody changed one. */
  constructor(root, { says, models, first, changed }) {
    Object.assign(this, { root, says, models, first, changed, rows: [], touched: false });
  }

  /** As they are typed. */
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

  /** The page's models have changed, or the view is opened. Returns whether others are there now. */
  refresh() {
    const before = JSON.stringify(this.list);
    const first = this.touched ? null : this.first();
    const other = first && JSON.stringify(first) !== before;
    if (other) this.#set(first);
    for (const row of this.rows) this.#fill(row);
    return Boolean(other);
  }

  #able() {
    return this.models.list.filter((model) => model.can_chat);
  }

  /** One more: a model that isn't there yet, or the first one again. */
  add() {
    const taken = new Set(this.list.map(({ model }) => model));
    const able = this.#able();
    const next = able.find(({ id }) => !taken.has(id)) ?? able[0];
    if (next) this.#put(newCandidate(next.id), this.rows.length).select.focus();
  }

  #put(candidate, place) {
    this.touched = true;
    const row = this.#row(candidate);
    this.rows.splice(place, 0, row);
    this.#draw();
    this.changed();
    return row;
  }

  /** The same model once more; what is to be otherwise is at hand. */
  #copy(row) {
    const copy = this.#put({ ...row.candidate }, this.rows.indexOf(row) + 1);
    this.#open(copy);
    copy.own.querySelector("input").focus();
  }

  #remove(row) {
    this.touched = true;
    const place = this.rows.indexOf(row);
    this.rows.splice(place, 1);
    this.#draw();
    (this.rows[place] ?? this.rows[place - 1])?.select.focus();
    this.changed();
  }

  #draw() {
    this.root.replaceChildren(...this.rows.map(({ node }) => node));
  }

  // ── one candidate ───────────────────────────────────────────────────────

  #row(candidate) {
    const { says } = this;
    const row = { candidate };
    const told = () => {
      this.touched = true;
      this.#brief(row);
      this.changed();
    };
    row.select = el("select", { class: "plain", "aria-label": says.model, onchange: () => this.#choose(row) });
    row.brief = el("p", { class: "candidate-brief" });
    row.tune = iconButton("tune", says.own, () => this.#open(row), { "aria-expanded": "false" });
    row.endpoint = el("select", { class: "plain", onchange: () => { candidate.endpoint = row.endpoint.value; told(); } });
    row.effort = el("select", { class: "plain", onchange: () => { candidate.reasoning_effort = row.effort.value; told(); } });
    row.own = el("div", { class: "candidate-own", hidden: true },
      el("div", { class: "set-fields" }, ...NUMBERS.map((name) => labelled(says[name], field("input", candidate, name, told, { inputmode: "decimal", placeholder: says.as_all })))),
      el("div", { class: "set-fields candidate-two" },
        labelled(says.stop_at, field("textarea", candidate, "stop", told, { rows: 1, dir: "auto", placeholder: says.stop_how })),
        row.efforts = labelled(says.reasoning_effort, row.effort)),
      labelled(says.system, field("textarea", candidate, "system", told, { rows: 2, dir: "auto", placeholder: says.as_all })),
      labelled(says.endpoint, row.endpoint));
    const head = el("div", { class: "candidate-head" }, row.select, row.tune,
      iconButton("copy", says.copy_candidate, () => this.#copy(row)),
      iconButton("close", says.remove_candidate, () => this.#remove(row)));
    row.node = el("li", { class: "candidate" }, head, row.brief, row.own);
    this.#fill(row);
    return row;
  }

  /** The choices as the models are now; an open list is left alone where they are the same. */
  #fill(row) {
    const { candidate } = row;
    const { list } = this.models;
    const look = JSON.stringify([list.map(({ id, name, can_chat, state_word, endpoints, reasoning_efforts }) => [id, name, can_chat || state_word, endpoints, reasoning_efforts]), candidate.model]);
    if (look === row.look) return;
    row.look = look;
    const options = list.map((model) => option(model.id, model.can_chat ? model.name : `${model.name} (${model.state_word})`, candidate.model));
    if (!list.some(({ id }) => id === candidate.model)) options.unshift(option(candidate.model, fill(this.says.model_gone, { model: candidate.model }), candidate.model));
    row.select.replaceChildren(...options);
    const aliases = [...new Set([...(this.models.find(candidate.model)?.endpoints ?? []), candidate.endpoint].filter(Boolean))];
    row.endpoint.replaceChildren(option("", this.says.any_endpoint, candidate.endpoint), ...aliases.map((alias) => option(alias, alias, candidate.endpoint)));
    const efforts = [...new Set([...(this.models.find(candidate.model)?.reasoning_efforts ?? []), candidate.reasoning_effort].filter(Boolean))];
    row.effort.replaceChildren(option("", this.says.effort_own, candidate.reasoning_effort), ...efforts.map((effort) => option(effort, effort, candidate.reasoning_effort)));
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
    row.brief.textContent = briefOf(row.candidate, this.says);
  }
}

function field(tag, candidate, name, told, attributes) {
  const input = el(tag, { autocomplete: "off", ...attributes, oninput: () => { candidate[name] = input.value; told(); } });
  input.value = candidate[name];
  return input;
}

function labelled(name, input) {
  return el("label", {}, el("span", {}, name), input);
}

function option(value, text, chosen) {
  return el("option", { value, selected: value === chosen }, text);
}
