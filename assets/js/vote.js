// Voting: the buttons below the lanes, and where votes are stored.

import { $, el, replaceIfChanged, fill, toast } from "./dom.js";
import { safeLocalStorage } from "./safe_storage.js";
import { lastOf } from "./lane.js";
import { newId } from "./ids.js";
import * as api from "./api.js";

const KEY = "akash-gradio.votes";
const VISITOR = "akash-gradio.voter";
const MAX_STORED_VOTES = 20_000;

/** Draw the voting buttons once every lane has answered. Hidden if there is nothing to choose. */
export function renderVote(compare) {
  const bar = $("#vote");
  const { strings, lanes } = compare;
  const answered = lanes.every((lane) => lastOf(lane)?.text && !lane.run);
  const labels = new Set(lanes.map((lane) => labelAtAnswer(compare, lane)));
  bar.hidden = !answered || (labels.size < lanes.length && !compare.voted);
  if (bar.hidden) return;
  if (compare.voted) {
    replaceIfChanged(bar, el("p", {}, strings.vote_thanks), el("a", { class: "btn quiet", href: "./?view=votes", "data-go": "votes" }, strings.votes_open));
    return;
  }
  const many = lanes.length > 2;
  const button = (choice, ...label) => el("button", { type: "button", class: "btn", "data-vote": choice, onclick: () => compare.vote(choice) }, ...label);
  const sides = lanes.map((lane) => button(lane.letter, el("b", { class: "letter", "data-letter": lane.letter }, lane.letter), el("span", {}, fill(many ? strings.vote_best : strings.vote_better, { letter: lane.letter }))));
  replaceIfChanged(bar, el("p", {}, many ? strings.vote_question_many : strings.vote_question), ...sides, button("tie", strings.vote_tie), button("both_bad", many ? strings.vote_all_bad : strings.vote_both_bad));
}

/**
 * Return the pairwise votes of one choice.
 *
 * Among more than two lanes the best one wins against each of the others; a tie counts for every pair.
 * @param {{ letter: string, label: string }[]} labels
 * @param {string} choice A letter, `tie` or `both_bad`.
 */
export function votePairs(labels, choice) {
  const pairs = labels.flatMap((a, index) => labels.slice(index + 1).map((b) => [a, b]));
  if (choice === "tie" || choice === "both_bad") return pairs.map(([a, b]) => ({ a: a.label, b: b.label, outcome: choice }));
  return pairs
    .filter((pair) => pair.some(({ letter }) => letter === choice))
    .map(([a, b]) => ({ a: a.label, b: b.label, outcome: a.letter === choice ? "a" : "b" }));
}

/** Return the lane's label at the time of its answer. Its model may have been changed since. */
const labelAtAnswer = (compare, lane) => lastOf(lane)?.label ?? compare.labelOf(lane);

export async function saveVotes(compare, choice) {
  const labels = compare.lanes.map((lane) => ({ letter: lane.letter, label: labelAtAnswer(compare, lane) }));
  const when = new Date().toISOString();
  const cast = votePairs(labels, choice).map((pair) => ({ ...pair, id: newId(), when, blind: compare.hidden, visitor: visitor() }));
  storeVotes([...storedVotes(), ...cast].slice(-MAX_STORED_VOTES));
  await api.vote(cast).catch((error) => toast(error.view?.title ?? compare.strings.vote_kept_here));
}

/** Return the votes stored in this browser. */
export function storedVotes() {
  try {
    return JSON.parse(safeLocalStorage.getItem(KEY)) ?? [];
  } catch {
    return [];
  }
}

export function storeVotes(votes) {
  try {
    safeLocalStorage.setItem(KEY, JSON.stringify(votes));
  } catch {
    // Storage is full: the vote counts on the server, if it stores votes.
  }
}

/** Return a random id of this browser, which distinguishes its votes from others. */
function visitor() {
  const known = safeLocalStorage.getItem(VISITOR) ?? Math.random().toString(36).slice(2, 14);
  try {
    safeLocalStorage.setItem(VISITOR, known);
    return known;
  } catch {
    return "";
  }
}
