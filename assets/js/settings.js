// The open chat's settings, and their synchronization with Gradio's controls in the drawer.
// A three-state parameter is "catalog", "endpoint", or the visitor's own value. Stop sequences of the
// visitor are a list, so that text is never mistaken for a state.

import { $, el, fill } from "./dom.js";
import { clamp } from "./ranges.js";

/** Values that controls show, and that "custom" starts with, if the catalog has none. */
const FALLBACK_VALUES = {
  temperature: 0.7, top_p: 0.9, max_tokens: 1024, seed: 42, stop: [], presence_penalty: 0, frequency_penalty: 0,
};
const PARAMETERS = Object.keys(FALLBACK_VALUES); // in the order of the drawer
const WHOLE = ["max_tokens", "seed"];
const states = Object.fromEntries(PARAMETERS.map((name) => [name, "catalog"]));

export const DEFAULTS = Object.freeze({ system: "", ...states, reasoning_effort: "endpoint", stream: true, whole: false });

const isCustom = (value) => typeof value === "number" || Array.isArray(value);
/** Split stop sequences, one per line; at most four are sent. */
export const lines = (text) => text.split("\n").map((line) => line.trim()).filter(Boolean).slice(0, 4);

/** Return settings in the current format and ranges. Those of older chats and of imported files can be anything. */
function normalize(values) {
  const { system, reasoning_effort, stream, whole, ...given } = values ?? {};
  return {
    system: typeof system === "string" ? system : "",
    ...Object.fromEntries(PARAMETERS.map((name) => [name, parameter(name, given[name])])),
    reasoning_effort: typeof reasoning_effort === "string" ? reasoning_effort : "endpoint",
    stream: stream !== false,
    whole: whole === true,
  };
}

/** Return a parameter's state or value; older chats have null or text for unset ones. */
function parameter(name, value) {
  if (value === "endpoint" || value === "catalog") return value;
  if (name === "stop") return Array.isArray(value) ? value.filter((text) => typeof text === "string").slice(0, 4) : (typeof value === "string" && value) ? lines(value) : "catalog";
  return Number.isFinite(value) && (!WHOLE.includes(name) || Number.isInteger(value)) ? clamp(name, value) : "catalog";
}

/** Describe settings that differ from the defaults: "temperature 0.2", "system prompt". */
export function differences(custom, strings) {
  const names = {
    temperature: strings.set_temperature, top_p: strings.set_top_p, max_tokens: strings.set_max_tokens, seed: strings.set_seed, stop: strings.set_stop,
    presence_penalty: strings.set_presence_penalty, frequency_penalty: strings.set_frequency_penalty, reasoning_effort: strings.set_reasoning_effort,
  };
  return Object.entries(custom ?? {}).flatMap(([key, value]) => {
    if (key === "system") return strings.with_system;
    if (key === "stream") return strings.not_streamed;
    const name = names[key];
    if (!name) return []; // stored by another version of the page
    if (value === "endpoint") return fill(strings.provider_default, { name });
    return `${name} ${Array.isArray(value) ? value.map((text) => JSON.stringify(text)).join(" ") : value}`;
  });
}

/** Return settings in the format of a request. card: of the model. */
export function requestSettings(values, card) {
  const { whole, ...request } = normalize(values);
  const efforts = card?.reasoning_efforts ?? [];
  if (!efforts.includes(request.reasoning_effort)) request.reasoning_effort = "endpoint";
  return { ...request, system: request.system || "" };
}

/** Return what differs from the defaults. Of a system prompt it says only that there is one. */
export function customSettings(values, card) {
  const changed = Object.entries(requestSettings(values, card)).filter(([name, value]) => value !== DEFAULTS[name]);
  return Object.fromEntries(changed.map(([name, value]) => [name, name === "system" ? true : value]));
}

export class Settings {
  constructor(strings, onchange) {
    this.strings = strings;
    this.values = { ...DEFAULTS };
    this.sliderValues = { ...FALLBACK_VALUES };
    this.card = null;
    this.onchange = onchange;
  }

  /** Listen to the browser's events: Gradio's miss pastes, deletions and dictation. */
  wire() {
    for (const name of ["system", "stop"]) {
      $(`#${name}`).addEventListener("input", (event) => this.set(name, event.target.value));
    }
    $("#effort").addEventListener("change", (event) => this.set("reasoning_effort", event.target.value));
    $("#more-settings").addEventListener("click", (event) => {
      const open = $("#drawer").classList.toggle("all");
      event.currentTarget.setAttribute("aria-expanded", String(open));
    });
  }

  /** Show the settings of another chat or model. */
  open(values, card) {
    this.values = normalize(values);
    this.card = card;
    for (const name of PARAMETERS) {
      const value = this.values[name];
      this.sliderValues[name] = isCustom(value) ? value : this.#defaultValue(name);
    }
    this.#fill();
    this.#efforts();
  }

  /** Update the effort choice, shown only if the model supports several levels. */
  #efforts() {
    const efforts = this.card?.reasoning_efforts ?? [];
    const { strings } = this;
    $("#effort-box").hidden = !efforts.length;
    const options = efforts.map((effort) => el("option", { value: effort }, fill(strings.effort_is, { effort })));
    $("#effort").replaceChildren(el("option", { value: "endpoint" }, strings.effort_default), ...options);
    $("#effort").value = efforts.includes(this.values.reasoning_effort) ? this.values.reasoning_effort : "endpoint";
  }

  /** Handle a change of Gradio's control `name` by the visitor. */
  set(name, value) {
    const of = name.match(/^(.*)_of$/)?.[1];
    if (of) {
      this.values[of] = value === "custom" ? this.sliderValues[of] : value;
    } else if (PARAMETERS.includes(name)) {
      this.#setValue(name, name === "stop" ? lines(value) : value);
    } else {
      this.values[name] = value;
    }
    this.#mark();
    this.onchange(this.values);
  }

  /** Set a parameter's custom value; clearing a number returns it to the model default. */
  #setValue(name, value) {
    const was = this.values[name];
    const given = value != null && !(WHOLE.includes(name) && !Number.isInteger(value));
    this.sliderValues[name] = given ? clamp(name, value) : this.#defaultValue(name);
    this.values[name] = given ? this.sliderValues[name] : "catalog";
    // A number that is too small may not be complete yet.
    if (isCustom(was) !== given || this.sliderValues[name] < value) this.#fill();
  }

  /** Return what the control shows while the visitor sets nothing. */
  #defaultValue(name) {
    return clamp(name, this.card?.[name] ?? FALLBACK_VALUES[name]);
  }

  /** Use a saved prompt as the system prompt. */
  setSystem(text) {
    this.values.system = text;
    this.#fill();
    this.onchange(this.values);
  }

  reset() {
    this.open({ system: this.values.system }, this.card);
    this.onchange(this.values);
  }

  /** Return the values of all controls, in the order of the drawer. */
  shown() {
    const both = PARAMETERS.flatMap((name) => {
      const level = this.sliderValues[name];
      const value = this.values[name];
      if (name === "stop") return [isCustom(value) ? "custom" : value, level.join("\n")];
      // An unset number is an empty box, so that it does not look chosen.
      const empty = WHOLE.includes(name) && !isCustom(value) && this.card?.[name] == null;
      return [isCustom(value) ? "custom" : value, empty ? null : level];
    });
    return [this.values.system, ...both, this.values.stream];
  }

  /** Return the settings in the format of a request. */
  request() {
    return requestSettings(this.values, this.card);
  }

  /** Return what differs from the defaults, as it is shown below the answer. */
  custom() {
    return customSettings(this.values, this.card);
  }

  /** Return a short summary for the composer: ".6 / .9", with a dash for the provider default. */
  brief(strings) {
    const one = (name) => (this.values[name] === "catalog" ? this.card?.[name] : this.values[name]);
    const both = [one("temperature"), one("top_p")];
    if (!both.some((value) => typeof value === "number")) return strings.defaults;
    return both.map((value) => (typeof value === "number" ? String(+value.toFixed(2)).replace(/^0\./, ".") : "–")).join(" / ");
  }

  changed() {
    return Object.keys(this.custom()).length > 0;
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
      control?.classList.toggle("rest", !isCustom(value));
      control?.classList.toggle("unsent", unsent);
      for (const input of document.querySelectorAll(`#${name}.level input`)) {
        if (unsent) input.setAttribute("aria-valuetext", fill(this.strings.provider_default, { name: this.strings[`set_${name}`] }));
        else input.removeAttribute("aria-valuetext");
      }
    }
  }
}
