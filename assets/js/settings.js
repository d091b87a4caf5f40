// The open chat's settings, and their way to and from Gradio's controls in the drawer.
// A three-state parameter is "catalog", "endpoint", or a value: the visitor's own. The visitor's
// stop sequences are a list, so that a text is never taken for a state.

import { $, el, fill } from "./dom.js";
import { within } from "./ranges.js";

/** What a parameter's control shows, and `mine` begins with, where the catalog has no value. */
const LEVELS = {
  temperature: 0.7, top_p: 0.9, max_tokens: 1024, seed: 42, stop: [], presence_penalty: 0, frequency_penalty: 0,
};
const PARAMETERS = Object.keys(LEVELS); // in the order of the drawer
const WHOLE = ["max_tokens", "seed"];
const states = Object.fromEntries(PARAMETERS.map((name) => [name, "catalog"]));

export const DEFAULTS = Object.freeze({ system: "", ...states, reasoning_effort: "endpoint", stream: true, whole: false });

const isMine = (value) => typeof value === "number" || Array.isArray(value);
/** Stop sequences, one a line; so many are sent at most. */
export const lines = (text) => text.split("\n").map((line) => line.trim()).filter(Boolean).slice(0, 4);

/** Settings as they are kept now. Older chats have null or a text where nothing was chosen, or more than is allowed by now. */
function read(values) {
  const known = { ...DEFAULTS, ...values };
  for (const name of WHOLE) known[name] ??= "catalog";
  for (const name of PARAMETERS) known[name] = within(name, known[name]);
  const { stop } = known;
  if (!Array.isArray(stop) && stop !== "endpoint") known.stop = stop && stop !== "catalog" ? lines(stop) : "catalog";
  return known;
}

/** What was asked otherwise than by default, in words: "temperature 0.2", "system prompt". */
export function differences(mine, words) {
  const names = {
    temperature: words.set_temperature, top_p: words.set_top_p, max_tokens: words.set_max_tokens, seed: words.set_seed, stop: words.set_stop,
    presence_penalty: words.set_presence_penalty, frequency_penalty: words.set_frequency_penalty, reasoning_effort: words.set_reasoning_effort,
  };
  return Object.entries(mine ?? {}).flatMap(([key, value]) => {
    if (key === "system") return words.with_system;
    if (key === "stream") return words.not_streamed;
    const name = names[key];
    if (!name) return []; // kept by another version of the page
    if (value === "endpoint") return fill(words.own_setting, { name });
    return `${name} ${Array.isArray(value) ? value.map((text) => JSON.stringify(text)).join(" ") : value}`;
  });
}

/** Settings as the server asks for them; card: of the model that is asked. */
export function sentOf(values, card) {
  const { whole, ...asked } = read(values);
  const efforts = card?.reasoning_efforts ?? [];
  if (!efforts.includes(asked.reasoning_effort)) asked.reasoning_effort = "endpoint";
  return { ...asked, system: asked.system || "" };
}

/** What of it differs from the defaults; of a system prompt only that it is there. */
export function mineOf(values, card) {
  const changed = Object.entries(sentOf(values, card)).filter(([name, value]) => value !== DEFAULTS[name]);
  return Object.fromEntries(changed.map(([name, value]) => [name, name === "system" ? true : value]));
}

export class Settings {
  constructor(words, onchange) {
    this.words = words;
    this.values = { ...DEFAULTS };
    this.levels = { ...LEVELS };
    this.card = null;
    this.onchange = onchange;
  }

  /** Gradio's event for a textbox misses a paste, a deletion and dictation. */
  wire() {
    for (const name of ["system", "stop"]) {
      $(`#${name}`).addEventListener("input", (event) => this.told(name, event.target.value));
    }
    $("#effort").addEventListener("change", (event) => this.told("reasoning_effort", event.target.value));
    $("#more-settings").addEventListener("click", (event) => {
      const open = $("#drawer").classList.toggle("all");
      event.currentTarget.setAttribute("aria-expanded", String(open));
    });
  }

  /** Another chat, or another model: the controls follow. */
  open(values, card) {
    this.values = read(values);
    this.card = card;
    for (const name of PARAMETERS) {
      const value = this.values[name];
      this.levels[name] = isMine(value) ? value : this.#atRest(name);
    }
    this.#fill();
    this.#efforts();
  }

  /** How hard to think, beside the message; only where the model has a choice. */
  #efforts() {
    const efforts = this.card?.reasoning_efforts ?? [];
    const { words } = this;
    $("#effort-box").hidden = !efforts.length;
    const options = efforts.map((effort) => el("option", { value: effort }, fill(words.effort_is, { effort })));
    $("#effort").replaceChildren(el("option", { value: "endpoint" }, words.effort_own), ...options);
    $("#effort").value = efforts.includes(this.values.reasoning_effort) ? this.values.reasoning_effort : "endpoint";
  }

  /** Gradio's control `name` was moved by the visitor. */
  told(name, value) {
    const of = name.match(/^(.*)_of$/)?.[1];
    if (of) {
      this.values[of] = value === "mine" ? this.levels[of] : value;
    } else if (PARAMETERS.includes(name)) {
      this.#level(name, name === "stop" ? lines(value) : value);
    } else {
      this.values[name] = value;
    }
    this.#mark();
    this.onchange(this.values);
  }

  /** A value makes the parameter the visitor's own; an emptied number gives it back. */
  #level(name, value) {
    const was = this.values[name];
    const given = value != null && !(WHOLE.includes(name) && !Number.isInteger(value));
    this.levels[name] = given ? within(name, value) : this.#atRest(name);
    this.values[name] = given ? this.levels[name] : "catalog";
    // A number that is too small may only be half written.
    if (isMine(was) !== given || this.levels[name] < value) this.#fill();
  }

  /** What the control shows while the visitor sets nothing. */
  #atRest(name) {
    return within(name, this.card?.[name] ?? LEVELS[name]);
  }

  /** A saved prompt becomes the system prompt. */
  setSystem(text) {
    this.values.system = text;
    this.#fill();
    this.onchange(this.values);
  }

  reset() {
    this.open({ system: this.values.system }, this.card);
    this.onchange(this.values);
  }

  /** What the controls should show, in the order of the drawer. */
  shown() {
    const both = PARAMETERS.flatMap((name) => {
      const level = this.levels[name];
      const value = this.values[name];
      if (name === "stop") return [isMine(value) ? "mine" : value, level.join("\n")];
      // A number at rest that nobody set is an empty box, not one that looks chosen.
      const empty = WHOLE.includes(name) && !isMine(value) && this.card?.[name] == null;
      return [isMine(value) ? "mine" : value, empty ? null : level];
    });
    return [this.values.system, ...both, this.values.stream];
  }

  /** The same as the server asks for it. */
  sent() {
    return sentOf(this.values, this.card);
  }

  /** What differs from the defaults, to be shown under the answer; of a system prompt only that it is there. */
  mine() {
    return mineOf(this.values, this.card);
  }

  /** A few characters for the composer: ".6 / .9", a dash where the endpoint decides. */
  brief(words) {
    const one = (name) => (this.values[name] === "catalog" ? this.card?.[name] : this.values[name]);
    const both = [one("temperature"), one("top_p")];
    if (!both.some((value) => typeof value === "number")) return words.defaults;
    return both.map((value) => (typeof value === "number" ? String(+value.toFixed(2)).replace(/^0\./, ".") : "–")).join(" / ");
  }

  changed() {
    return Object.keys(this.mine()).length > 0;
  }

  #fill() {
    $("#settings-sync")?.click();
    this.#mark();
  }

  #mark() {
    for (const name of PARAMETERS) {
      const value = this.values[name];
      const control = $(`#${name}`);
      const unsent = value === "endpoint" || (value === "catalog" && this.card?.[name] == null);
      control?.classList.toggle("rest", !isMine(value));
      control?.classList.toggle("unsent", unsent);
      for (const input of document.querySelectorAll(`#${name}.level input`)) {
        if (unsent) input.setAttribute("aria-valuetext", fill(this.words.own_setting, { name: this.words[`set_${name}`] }));
        else input.removeAttribute("aria-valuetext");
      }
    }
  }
}
