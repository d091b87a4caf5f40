// Which answer is better: the question under the lanes, and where the votes go.

import { $, el, exchange, fill, toast } from "./dom.js";
import { kept } from "./keeping.js";
import { lastOf } from "./lane.js";
import { newId } from "./ids.js";
import * as api from "./api.js";

const KEY = "akash-gradio.votes";
const VISITOR = "akash-gradio.voter";
const MOST = 20_000;

/** The question, once every lane has said what it says; nothing where there is nothing to choose. */
export function drawVote(compare) {
  const bar = $("#vote");
  const { words, lanes } = compare;
  const answered = lanes.every((lane) => lastOf(lane)?.text && !lane.run);
  const labels = new Set(lanes.map((lane) => answeredAs(compare, lane)));
  bar.hidden = !answered || (labels.size < lanes.length && !compare.voted);
  if (bar.hidden) return;
  if (compare.voted) {
    exchange(bar, el("p", {}, words.vote_thanks), el("a", { class: "btn quiet", href: "./?view=votes", "data-go": "votes" }, words.votes_open));
    return;
  }
  const button = (choice, ...label) => el("button", { type: "button", class: "btn", "data-vote": choice, onclick: () => compare.vote(choice) }, ...label);
  const sides = lanes.map((lane) => button(lane.letter, el("b", { class: "letter", "data-letter": lane.letter }, lane.letter), el("span", {}, fill(words.vote_better, { letter: lane.letter }))));
  exchange(bar, el("p", {}, words.vote_question), ...sides, button("tie", words.vote_tie), button("both_bad", lanes.length > 2 ? words.vote_all_bad : words.vote_both_bad));
}

/**
 * A vote among more than two lanes is one over each of the others; a tie is one of every pair.
 * choice: a letter, `tie` or `both_bad`.
 */
export function pairsOf(labels, choice) {
  const pairs = labels.flatMap((a, place) => labels.slice(place + 1).map((b) => [a, b]));
  if (choice === "tie" || choice === "both_bad") return pairs.map(([a, b]) => ({ a: a.label, b: b.label, outcome: choice }));
  return pairs
    .filter((pair) => pair.some(({ letter }) => letter === choice))
    .map(([a, b]) => ({ a: a.label, b: b.label, outcome: a.letter === choice ? "a" : "b" }));
}

/** What the lane was called when it answered; it may be another model's by now. */
const answeredAs = (compare, lane) => lastOf(lane)?.label ?? compare.labelOf(lane);

export async function castVotes(compare, choice) {
  const labels = compare.lanes.map((lane) => ({ letter: lane.letter, label: answeredAs(compare, lane) }));
  const when = new Date().toISOString();
  const cast = pairsOf(labels, choice).map((pair) => ({ ...pair, id: newId(), when, blind: compare.hidden, visitor: visitor() }));
  keep([...ownVotes(), ...cast].slice(-MOST));
  await api.vote(cast).catch((error) => toast(error.view?.title ?? compare.words.vote_kept_here));
}

/** The votes of this browser. */
export function ownVotes() {
  try {
    return JSON.parse(kept.getItem(KEY)) ?? [];
  } catch {
    return [];
  }
}

export function keep(votes) {
  try {
    kept.setItem(KEY, JSON.stringify(votes));
  } catch {
    // No room in this browser: the vote counts on the server, where it keeps votes.
  }
}

/** Says nothing of the person; votes of one browser can be told from another's. */
function visitor() {
  const known = kept.getItem(VISITOR) ?? Math.random().toString(36).slice(2, 14);
  try {
    kept.setItem(VISITOR, known);
    return known;
  } catch {
    return "";
  }
}
