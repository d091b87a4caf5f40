// The form of a prompt set: parsing, storing and converting it to a request. Independent of the page.
// A form is { name, text, candidates, temperature, repeats, max_tokens, system, contains }, with all fields
// as typed; name is the name of the file, "" for pasted text.

import { lines } from "./settings.js";

const SEPARATOR = "---"; // a line that separates prompts of several lines
export const NUMBERS = ["temperature", "top_p", "max_tokens", "seed", "presence_penalty", "frequency_penalty"];
const CANDIDATE_FIELDS = [...NUMBERS, "stop", "reasoning_effort", "system", "endpoint"];
const FORM_FIELDS = ["name", "text", "temperature", "repeats", "max_tokens", "system", "contains"];
const RANGES = { temperature: [0, 2], top_p: [0, 1], max_tokens: [1, 1_000_000], seed: [0, Number.MAX_SAFE_INTEGER], presence_penalty: [-2, 2], frequency_penalty: [-2, 2], repeats: [1, 100] };
const WHOLE = ["max_tokens", "seed", "repeats"];

/** A number that can't be parsed. field: its name; low, high: the allowed range. */
export class InvalidNumber extends Error {
  constructor(field) {
    super(field);
    const [low, high] = RANGES[field];
    Object.assign(this, { field, low, high });
  }
}

/** Return a model without settings of its own. */
export const newCandidate = (model) => ({ model, ...Object.fromEntries(CANDIDATE_FIELDS.map((name) => [name, ""])) });

/** Return the candidate of a comparison's lane, with the settings that differ from the defaults. */
export function candidateOf({ model, endpoint }, settings) {
  const numbers = NUMBERS.filter((name) => typeof settings[name] === "number");
  const effort = settings.reasoning_effort ?? "endpoint";
  return {
    ...newCandidate(model), ...Object.fromEntries(numbers.map((name) => [name, String(settings[name])])),
    stop: Array.isArray(settings.stop) ? settings.stop.join("\n") : "", reasoning_effort: effort === "endpoint" ? "" : effort,
    system: settings.system ?? "", endpoint: endpoint ?? "",
  };
}

/** Return the form as a request. Throws InvalidNumber. */
export function requestOf(form) {
  const { name, text, system, contains } = form;
  return {
    set: { name, text },
    candidates: form.candidates.map(candidateRequest),
    temperatures: numbersIn(form.temperature, "temperature"),
    max_tokens: numberIn(form.max_tokens, "max_tokens"),
    repeats: numberIn(form.repeats, "repeats") ?? 1,
    system,
    contains,
  };
}

function candidateRequest({ model, stop, reasoning_effort, system, endpoint, ...typed }) {
  const numbers = NUMBERS.map((name) => [name, numberIn(typed[name], name)]);
  const stops = lines(stop);
  return { model, ...Object.fromEntries(numbers), stop: stops.length ? stops : null, reasoning_effort: reasoning_effort || null, system: system.trim() ? system : null, endpoint: endpoint || null };
}

function numberIn(typed, field) {
  const [number, ...more] = numbersIn(typed, field);
  if (more.length) throw new InvalidNumber(field);
  return number ?? null;
}

/** Parse "0, 0.7" as [0, 0.7]. */
function numbersIn(typed, field) {
  const [low, high] = RANGES[field];
  const numbers = typed.split(/[,;\s]+/).filter(Boolean).map(Number);
  const right = (number) => number >= low && number <= high && (!WHOLE.includes(field) || Number.isInteger(number));
  if (!numbers.every(right)) throw new InvalidNumber(field);
  return numbers;
}

/** Describe a candidate's own settings. */
export function summaryOf(candidate, setStrings) {
  const { reasoning_effort: effort, stop, system, endpoint } = candidate;
  const parts = NUMBERS.filter((name) => candidate[name].trim()).map((name) => `${setStrings[name]} ${candidate[name].trim()}`);
  const stops = lines(stop).map((text) => JSON.stringify(text));
  if (stops.length) parts.push(`${setStrings.stop_at} ${stops.join(" ")}`);
  if (effort) parts.push(`${setStrings.reasoning_effort} ${effort}`);
  if (system.trim()) parts.push(setStrings.system);
  return [...parts, endpoint].filter(Boolean).join(", ");
}

/** Validate a stored form; null if it is invalid. */
export function parseForm(value) {
  const texts = (from, names) => Object.fromEntries(names.map((name) => [name, typeof from?.[name] === "string" ? from[name] : ""]));
  if (typeof value?.text !== "string" || !Array.isArray(value.candidates)) return null;
  const candidates = value.candidates.filter((one) => typeof one?.model === "string").map((one) => ({ model: one.model, ...texts(one, CANDIDATE_FIELDS) }));
  return { ...texts(value, FORM_FIELDS), candidates };
}

/** Return the prompts of a chat as the text of a set, without attached files. */
export function promptsOf(turns) {
  const texts = turns.filter(({ role, text }) => role === "user" && text.trim()).map(({ text }) => text.trim());
  const whole = texts.map((text) => text.replace(/^\s*---\s*$/gm, "- - -")); // or it would split the prompt
  if (!whole.some((text) => text.includes("\n"))) return whole.join("\n");
  return [...whole, ""].join(`\n${SEPARATOR}\n`);
}

/** Return a key that changes when progress is worth an announcement: each quarter, the first failure, a new state. */
export const progressKey = ({ state, done, total, failed }) => [state, total ? Math.floor((4 * done) / total) : 0, failed > 0].join();
