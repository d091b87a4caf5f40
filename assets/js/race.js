// The speed bars of a comparison: for each lane the wait and the answer on one time scale.

import { el } from "./dom.js";
import { formatSeconds, formatSpeed, formatTokens } from "./formatting.js";

const TICK_MS = 100;
const SHORTEST_SCALE_S = 2;

/** Estimate the tokens of a text as the server does: four bytes each. */
const estimated = (text) => Math.max(1, Math.round(new Blob([text]).size / 4));

export class Race {
  constructor(root, strings) {
    this.root = root;
    this.strings = strings;
    this.rows = new Map();
  }

  /** @param {{ letter: string, version: object }[]} runners The times are in each version. */
  show(runners) {
    this.runners = runners;
    this.rows = new Map(runners.map((runner) => [runner, this.#row(runner)]));
    this.root.replaceChildren(...[...this.rows.values()].map(({ node }) => node));
    this.root.hidden = runners.length === 0;
    clearInterval(this.timer);
    if (runners.some(({ version }) => version.live)) this.timer = setInterval(() => this.draw(), TICK_MS);
    this.draw();
  }

  draw() {
    const now = performance.now();
    const all = this.runners.map(({ version }) => timesOf(version, now));
    const scale = Math.max(SHORTEST_SCALE_S, ...all.map(({ total }) => total));
    const best = this.#best();
    this.runners.forEach((runner, index) => {
      const { wait, flow, figures } = this.rows.get(runner);
      const { first, total } = all[index];
      wait.style.width = `${(100 * Math.min(first ?? total, total)) / scale}%`;
      flow.style.width = `${(100 * (first == null ? 0 : total - first)) / scale}%`;
      this.#showFigures(figures, runner.version, all[index], best);
    });
    if (!this.runners.some(({ version }) => version.live)) clearInterval(this.timer);
  }

  #row({ letter }) {
    const wait = el("i", { class: "wait" });
    const flow = el("i", { class: "flow" });
    const figures = el("span", { class: "race-figures tn" });
    const node = el("div", { class: "race-row", "data-letter": letter }, el("b", { class: "letter" }, letter), el("div", { class: "race-track" }, wait, flow), figures);
    return { node, wait, flow, figures };
  }

  /** Return the shortest first-token time and the highest speed, once all lanes have finished. */
  #best() {
    const done = this.runners.map(({ version }) => version.receipt?.facts).filter(Boolean);
    if (done.length < 2 || done.length < this.runners.length) return {};
    const of = (name) => done.map((facts) => facts[name]).filter((value) => value != null);
    return { first: Math.min(...of("first_token_s")), speed: Math.max(...of("tokens_per_s")) };
  }

  #showFigures(node, version, { first, total }, best) {
    const { strings } = this;
    const facts = version.receipt?.facts;
    const parts = [];
    if (version.error) parts.push([strings.lane_failed]);
    else if (facts) {
      if (facts.first_token_s != null) parts.push([formatSeconds(facts.first_token_s), facts.first_token_s === best.first]);
      if (facts.tokens_per_s != null) parts.push([formatSpeed(facts.tokens_per_s, { estimated: !facts.reported }), facts.tokens_per_s === best.speed]);
      if (facts.tokens_out != null) parts.push([formatTokens(facts.tokens_out, { estimated: !facts.reported })]);
    } else if (version.stopped) parts.push([strings.stopped]);
    else if (first == null) parts.push([formatSeconds(total)]);
    else {
      parts.push([formatSeconds(first)]);
      const seconds = total - first;
      if (seconds > 0.3) parts.push([formatSpeed(estimated(version.text + version.reasoning) / seconds, { estimated: true })]);
    }
    const signature = JSON.stringify(parts);
    if (node.dataset.signature === signature) return;
    node.dataset.signature = signature;
    node.replaceChildren(...parts.map(([text, isBest]) => el("span", { class: isBest ? "best" : null, title: isBest ? strings.fastest : null }, text)));
  }
}

/** Return seconds since the prompt was sent: { first, total }; first is null until the first token. */
function timesOf(version, now) {
  const end = version.live ? now : (version.ended_ms ?? version.began_ms);
  const total = Math.max(0, (end - version.began_ms) / 1000);
  const facts = version.receipt?.facts;
  const measured = version.first_ms == null ? null : (version.first_ms - version.began_ms) / 1000;
  return { first: facts?.first_token_s ?? measured, total };
}
