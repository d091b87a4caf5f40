// The race strip: for each lane, the wait and the answer on one scale of time.

import { el } from "./dom.js";

const TICK_MS = 100;
const SHORTEST_SCALE_S = 2;

/** Tokens of a text that nobody counted yet: four bytes each, as the server estimates. */
const estimated = (text) => Math.max(1, Math.round(new Blob([text]).size / 4));

export class Race {
  constructor(root, words) {
    this.root = root;
    this.words = words;
    this.rows = new Map();
  }

  /** runners: [{ letter, version }]; a version's own times say where its bar stands. */
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
    this.runners.forEach((runner, place) => {
      const { wait, flow, says } = this.rows.get(runner);
      const { first, total } = all[place];
      wait.style.width = `${(100 * Math.min(first ?? total, total)) / scale}%`;
      flow.style.width = `${(100 * (first == null ? 0 : total - first)) / scale}%`;
      this.#say(says, runner.version, all[place], best);
    });
    if (!this.runners.some(({ version }) => version.live)) clearInterval(this.timer);
  }

  #row({ letter }) {
    const wait = el("i", { class: "wait" });
    const flow = el("i", { class: "flow" });
    const says = el("span", { class: "race-says tn" });
    const node = el("div", { class: "race-row", "data-letter": letter }, el("b", { class: "letter" }, letter), el("div", { class: "race-track" }, wait, flow), says);
    return { node, wait, flow, says };
  }

  /** The quickest first token and the highest speed, once every lane has come to its end. */
  #best() {
    const done = this.runners.map(({ version }) => version.receipt?.facts).filter(Boolean);
    if (done.length < 2 || done.length < this.runners.length) return {};
    const of = (name) => done.map((facts) => facts[name]).filter((value) => value != null);
    return { first: Math.min(...of("first_token_s")), speed: Math.max(...of("tokens_per_s")) };
  }

  #say(node, version, { first, total }, best) {
    const { words } = this;
    const facts = version.receipt?.facts;
    const parts = [];
    if (version.error) parts.push([words.lane_failed]);
    else if (facts) {
      if (facts.first_token_s != null) parts.push([`${facts.first_token_s.toFixed(2)} s`, facts.first_token_s === best.first]);
      if (facts.tokens_per_s != null) parts.push([`${facts.reported ? "" : "≈ "}${Math.round(facts.tokens_per_s)} tok/s`, facts.tokens_per_s === best.speed]);
      if (facts.tokens_out != null) parts.push([`${facts.reported ? "" : "≈ "}${facts.tokens_out} tok`]);
    } else if (version.stopped) parts.push([words.stopped]);
    else if (first == null) parts.push([`${total.toFixed(1)} s`]);
    else {
      parts.push([`${first.toFixed(2)} s`]);
      const seconds = total - first;
      if (seconds > 0.3) parts.push([`≈ ${Math.round(estimated(version.text + version.reasoning) / seconds)} tok/s`]);
    }
    const look = JSON.stringify(parts);
    if (node.dataset.look === look) return;
    node.dataset.look = look;
    node.replaceChildren(...parts.map(([text, isBest]) => el("span", { class: isBest ? "best" : null, title: isBest ? words.fastest : null }, text)));
  }
}

/** Seconds since the question: { first, total }; first is null until the first token. */
function timesOf(version, now) {
  const end = version.live ? now : (version.ended_ms ?? version.began_ms);
  const total = Math.max(0, (end - version.began_ms) / 1000);
  const facts = version.receipt?.facts;
  const heard = version.first_ms == null ? null : (version.first_ms - version.began_ms) / 1000;
  return { first: facts?.first_token_s ?? heard, total };
}
