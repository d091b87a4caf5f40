// The open chat's settings, and their way to and from Gradio's controls in the drawer.
// A three-state parameter is "catalog", "endpoint", or a number: the visitor's own.

import { $ } from "./dom.js";

export const DEFAULTS = Object.freeze({
  system: "",
  temperature: "catalog",
  top_p: "catalog",
  max_tokens: null,
  seed: null,
  stop: "",
  stream: true,
});
const SLIDERS = { temperature: 0.7, top_p: 0.9 };

export class Settings {
  constructor(onchange) {
    this.values = { ...DEFAULTS };
    this.levels = { ...SLIDERS };
    this.card = null;
    this.onchange = onchange;
  }

  /** Gradio's event for a textbox misses a paste, a deletion and dictation. */
  wire() {
    for (const name of ["system", "stop"]) {
      $(`#${name}`).addEventListener("input", (event) => this.told(name, event.target.value));
    }
  }

  /** Another chat, or another model: the controls follow. */
  open(values, card) {
    this.values = { ...DEFAULTS, ...values };
    this.card = card;
    for (const name of Object.keys(SLIDERS)) {
      const value = this.values[name];
      this.levels[name] = typeof value === "number" ? value : (card?.[name] ?? SLIDERS[name]);
    }
    this.#fill();
  }

  /** Gradio's control `name` was moved by the visitor. */
  told(name, value) {
    const of = name.match(/^(.*)_of$/)?.[1];
    if (of) {
      this.values[of] = value === "mine" ? this.levels[of] : value;
    } else if (name in SLIDERS) {
      const was = this.values[name];
      this.levels[name] = value;
      this.values[name] = value;
      if (typeof was !== "number") this.#fill();
    } else {
      this.values[name] = value;
    }
    this.#mark();
    this.onchange(this.values);
  }

  reset() {
    this.open({ system: this.values.system }, this.card);
    this.onchange(this.values);
  }

  /** What the controls should show, in the order of the drawer. */
  shown() {
    const { system, temperature, top_p, max_tokens, seed, stop, stream } = this.values;
    const whose = (value) => (typeof value === "number" ? "mine" : value);
    return [system, whose(temperature), this.levels.temperature, whose(top_p), this.levels.top_p, max_tokens, seed, stop, stream];
  }

  /** The same as the server asks for it. */
  sent() {
    const stop = (this.values.stop || "").split("\n").map((line) => line.trim()).filter(Boolean).slice(0, 4);
    const whole = (value) => (Number.isInteger(value) ? value : null);
    return { ...this.values, system: this.values.system || "", max_tokens: whole(this.values.max_tokens), seed: whole(this.values.seed), stop };
  }

  /** A few characters for the composer: ".6 / .9", a dash where the endpoint decides. */
  brief(words) {
    const one = (name) => (this.values[name] === "catalog" ? this.card?.[name] : this.values[name]);
    const both = [one("temperature"), one("top_p")];
    if (!both.some((value) => typeof value === "number")) return words.defaults;
    return both.map((value) => (typeof value === "number" ? String(+value.toFixed(2)).replace(/^0\./, ".") : "–")).join(" / ");
  }

  changed() {
    const mine = Object.entries(this.values).filter(([, value]) => value != null && value !== "");
    return mine.some(([name, value]) => value !== DEFAULTS[name]);
  }

  #fill() {
    $("#settings-sync")?.click();
    this.#mark();
  }

  #mark() {
    for (const name of Object.keys(SLIDERS)) {
      $(`#${name}`)?.classList.toggle("rest", typeof this.values[name] !== "number");
    }
  }
}
