// What the form of a prompt set says, as it is typed and kept, and as the server asks for it.
// No page here. A form is { name, text, candidates, temperature, repeats, max_tokens, system,
// contains }: texts, as they were typed; name is the file's, "" for pasted text.

import { lines } from "./settings.js";

const APART = "---"; // a line of it parts prompts of several lines
export const NUMBERS = ["temperature", "top_p", "max_tokens", "seed", "presence_penalty", "frequency_penalty"];
const OWN = [...NUMBERS, "stop", "reasoning_effort", "system", "endpoint"];
const COMMON = ["name", "text", "temperature", "repeats", "max_tokens", "system", "contains"];
const RANGES = { temperature: [0, 2], top_p: [0, 1], max_tokens: [1, 1_000_000], seed: [0, Number.MAX_SAFE_INTEGER], presence_penalty: [-2, 2], frequency_penalty: [-2, 2], repeats: [1, 100] };
const WHOLE = ["max_tokens", "seed", "repeats"];

/** A number that can't be read. field: its name here; low, high: what it may be. */
export class Unclear extends Error {
  constructor(field) {
    super(field);
    const [low, high] = RANGES[field];
    Object.assign(this, { field, low, high });
  }
}

/** A model with nothing of its own. */
export const newCandidate = (model) => ({ model, ...Object.fromEntries(OWN.map((name) => [name, ""])) });

/** A lane of a comparison, with what of its settings is the visitor's own; as they are sent to its model. */
export function candidateOf({ model, endpoint }, settings) {
  const numbers = NUMBERS.filter((name) => typeof settings[name] === "number");
  const effort = settings.reasoning_effort ?? "endpoint";
  return {
    ...newCandidate(model), ...Object.fromEntries(numbers.map((name) => [name, String(settings[name])])),
    stop: Array.isArray(settings.stop) ? settings.stop.join("\n") : "", reasoning_effort: effort === "endpoint" ? "" : effort,
    system: settings.system ?? "", endpoint: endpoint ?? "",
  };
}

/** The form as the server asks for it. Throws Unclear. */
export function askedOf(form) {
  const { name, text, system, contains } = form;
  return {
    set: { name, text },
    candidates: form.candidates.map(candidateAsked),
    temperatures: numbersIn(form.temperature, "temperature"),
    max_tokens: numberIn(form.max_tokens, "max_tokens"),
    repeats: numberIn(form.repeats, "repeats") ?? 1,
    system,
    contains,
  };
}

function candidateAsked({ model, stop, reasoning_effort, system, endpoint, ...typed }) {
  const numbers = NUMBERS.map((name) => [name, numberIn(typed[name], name)]);
  const stops = lines(stop);
  return { model, ...Object.fromEntries(numbers), stop: stops.length ? stops : null, reasoning_effort: reasoning_effort || null, system: system.trim() ? system : null, endpoint: endpoint || null };
}

function numberIn(typed, field) {
  const [number, ...more] = numbersIn(typed, field);
  if (more.length) throw new Unclear(field);
  return number ?? null;
}

/** "0, 0.7" → [0, 0.7]. */
function numbersIn(typed, field) {
  const [low, high] = RANGES[field];
  const numbers = typed.split(/[,;\s]+/).filter(Boolean).map(Number);
  const right = (number) => number >= low && number <= high && (!WHOLE.includes(field) || Number.isInteger(number));
  if (!numbers.every(right)) throw new Unclear(field);
  return numbers;
}

/** What a candidate has of its own, in words. */
export function briefOf(candidate, says) {
  const { reasoning_effort: effort, stop, system, endpoint } = candidate;
  const told = NUMBERS.filter((name) => candidate[name].trim()).map((name) => `${says[name]} ${candidate[name].trim()}`);
  const stops = lines(stop).map((text) => JSON.stringify(text));
  if (stops.length) told.push(`${says.stop_at} ${stops.join(" ")}`);
  if (effort) told.push(`${says.reasoning_effort} ${effort}`);
  if (system.trim()) told.push(says.system);
  return [...told, endpoint].filter(Boolean).join(", ");
}

/** A form that was kept, whoever wrote it there; null where it is none. */
export function readForm(said) {
  const texts = (from, names) => Object.fromEntries(names.map((name) => [name, typeof from?.[name] === "string" ? from[name] : ""]));
  if (typeof said?.text !== "string" || !Array.isArray(said.candidates)) return null;
  const candidates = said.candidates.filter((one) => typeof one?.model === "string").map((one) => ({ model: one.model, ...texts(one, OWN) }));
  return { ...texts(said, COMMON), candidates };
}

/** The prompts of a chat as a set. Files that belong to a message are not in it. */
export function promptsOf(turns) {
  const texts = turns.filter(({ role, text }) => role === "user" && text.trim()).map(({ text }) => text.trim());
  const whole = texts.map((text) => text.replace(/^\s*---\s*$/gm, "- - -")); // else it would part the prompt
  if (!whole.some((text) => text.includes("\n"))) return whole.join("\n");
  return [...whole, ""].join(`\n${APART}\n`);
}

/** What is worth a sentence to who hears the page: a quarter more, the first failure, another state. */
export const momentOf = ({ state, done, total, failed }) => [state, total ? Math.floor((4 * done) / total) : 0, failed > 0].join();
