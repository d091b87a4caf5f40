// One column of a comparison: a model, what was said in it, and the answer that grows.

import { copied, failureOf, put, saidSomething, statusOf, thoughtsOf, thoughtWords } from "./answer.js";
import { el, fill, icon, iconButton, patchBlocks } from "./dom.js";
import { receiptLine } from "./receipt.js";

export const LETTERS = ["A", "B", "C", "D"];

/** The newest answer of a lane; null when its question is still to be asked. */
export const lastOf = (lane) => {
  const turn = lane.turns.at(-1);
  return turn?.role === "assistant" ? turn.versions[turn.shown] : null;
};

export class LaneView {
  /** acts: choose, tune, remove, swap, retry, stop, goOn, scrolled; each is told the lane. */
  constructor(lane, words, acts) {
    Object.assign(this, { lane, words, acts, parts: null });
    this.scroller = el("div", { class: "lane-scroll", tabindex: 0, role: "region" });
    this.thread = el("div", { class: "lane-thread" });
    this.scroller.append(this.thread);
    this.head = el("header", { class: "lane-head" });
    this.node = el("article", { class: "lane-col" }, this.head, this.scroller);
    this.scroller.addEventListener("scroll", () => acts.scrolled(this), { passive: true });
  }

  get letter() {
    return this.lane.letter;
  }

  /** models: of the page. hidden: names and figures are kept back until the vote. */
  drawHead(models, { hidden, places, brief }) {
    const { words, lane, acts } = this;
    this.node.dataset.letter = lane.letter;
    this.scroller.setAttribute("aria-label", fill(words.lane, { letter: lane.letter }));
    const letter = el("b", { class: "letter" }, lane.letter);
    if (hidden) {
      this.headLook = null;
      this.head.replaceChildren(letter, el("span", { class: "lane-secret" }, fill(words.blind_model, { letter: lane.letter })));
      return;
    }
    const look = JSON.stringify([models.map((model) => [model.id, model.name, model.can_chat || model.state_word]), lane.model, lane.letter, lane.place, places, Boolean(lane.run), hidden, brief]);
    if (look === this.headLook) return; // an open list of models stays open
    this.headLook = look;
    const focused = document.activeElement?.dataset?.act;
    const held = this.head.contains(document.activeElement);
    const busy = Boolean(lane.run);
    const tune = el("button", { type: "button", class: "tune", "data-act": "tune", "aria-label": `${fill(words.lane_settings, { letter: lane.letter })}: ${brief || words.shared_brief}`, title: fill(words.lane_settings, { letter: lane.letter }), onclick: (event) => acts.tune(lane, event.currentTarget) }, icon("tune"), brief ? el("span", {}, brief) : null);
    const move = (step, name, label) =>
      iconButton(name, fill(label, { letter: lane.letter }), () => acts.swap(lane, step), { "data-act": name, disabled: busy || lane.place + step < 0 || lane.place + step >= places });
    const tools = busy
      ? [iconButton("stop", fill(words.stop_lane, { letter: lane.letter }), () => acts.stop(lane), { "data-act": "stop" })]
      : [move(-1, "left", words.lane_left), move(1, "right", words.lane_right), iconButton("close", fill(words.lane_remove, { letter: lane.letter }), () => acts.remove(lane), { "data-act": "close", disabled: places <= 2 })];
    this.head.replaceChildren(letter, this.#select(models), tune, el("span", { class: "lane-tools" }, ...tools));
    if (held && focused) this.head.querySelector(`[data-act="${focused}"]:not([disabled])`)?.focus();
  }

  #select(models) {
    const { words, lane } = this;
    const select = el("select", { class: "lane-model", "data-act": "model", "aria-label": fill(words.lane_model, { letter: lane.letter }), disabled: Boolean(lane.run), onchange: () => this.acts.choose(lane, select.value) });
    const known = models.some((model) => model.id === lane.model);
    if (!known) select.append(el("option", { value: lane.model, selected: true }, lane.model ? fill(words.model_gone, { model: lane.model }) : words.choose_model));
    for (const model of models) {
      select.append(el("option", { value: model.id, selected: model.id === lane.model, disabled: !model.can_chat && model.id !== lane.model }, `${model.name}${model.can_chat ? "" : ` (${model.state_word})`}`));
    }
    return select;
  }

  /** All that was said, or who would answer. models: of the page. */
  drawThread(models, { hidden }) {
    const { lane } = this;
    this.parts = null;
    if (!lane.turns.length) {
      this.thread.replaceChildren(...(hidden ? [] : this.#hero(models.find(({ id }) => id === lane.model))));
      return;
    }
    const rounds = [];
    for (const turn of lane.turns) {
      if (turn.role === "user") rounds.push(el("div", { class: "lane-round" }, this.#question(turn)));
      else rounds.at(-1).append(this.#answer(turn, hidden));
    }
    if (lane.turns.at(-1).role === "user" && !lane.run && !hidden) rounds.at(-1).append(el("button", { type: "button", class: "btn", onclick: () => this.acts.retry(lane) }, this.words.ask_lane));
    this.thread.replaceChildren(...rounds);
  }

  #hero(model) {
    if (!model) return [];
    const { picture, picture_dark } = model;
    const src = window.akashTheme.dark ? picture_dark : picture;
    const state = el("span", { class: `state ${model.state}` }, model.state_word);
    return [el("div", { class: "lane-hero" }, el("img", { src, "data-dark": picture_dark, "data-light": picture, width: 48, height: 48, alt: "" }),
      el("h2", {}, model.name), el("p", { dir: "auto" }, model.description), el("div", { class: "badges" }, ...model.badges.map((badge) => el("span", { class: "badge" }, badge)), state))];
  }

  /** The newest question stands at the top, in every lane alike, and is read from there. */
  toQuestion() {
    const last = this.thread.lastElementChild;
    if (last) this.scroller.scrollTop = last.offsetTop - this.thread.offsetTop;
  }

  #question(turn) {
    const node = el("div", { class: "lane-question", dir: "auto", tabindex: turn.text.length > 300 ? 0 : null }, turn.text);
    return el("div", { class: "lane-asked" }, el("h3", { class: "sr-only" }, this.words.you), node);
  }

  #answer(turn, hidden) {
    const version = turn.versions[turn.shown];
    const { words } = this;
    const thoughts = thoughtsOf(version, words);
    const body = el("div", { class: "prose-block", dir: "auto" });
    put(body, version.blocks, version.text);
    const foot = el("div", {});
    const node = el("div", { class: "lane-answer" }, el("h3", { class: "sr-only" }, hidden ? fill(words.blind_model, { letter: this.letter }) : (version.model_name ?? "")), thoughts.node, body, foot);
    const last = turn === this.lane.turns.at(-1);
    if (last) this.parts = { body, thoughts, foot };
    if (!version.live) this.#foot(foot, version, last, hidden);
    else if (!saidSomething(version)) foot.replaceChildren(statusOf(version));
    return node;
  }

  #foot(foot, version, last, hidden) {
    const { words, acts, lane } = this;
    foot.replaceChildren();
    const error = version.error && hidden ? { title: words.blind_failed, hint: "", retry: true } : version.error; // its words name the model
    if (error) foot.append(failureOf(error, words, () => acts.retry(lane)));
    else if (!version.text && !version.stopped) foot.append(el("p", { class: "lane-empty" }, words.empty_answer));
    const row = el("div", { class: "answer-foot" });
    let sheet = null;
    if (version.receipt && !hidden) {
      const receipt = receiptLine(version.receipt, words, version.stopped ? [words.stopped] : []);
      row.append(receipt.line);
      sheet = receipt.sheet;
    } else if (version.stopped) row.append(el("span", { class: "receipt flag" }, words.stopped));
    const tools = el("div", { class: "turn-tools" });
    if (version.text) tools.append(iconButton("copy", words.copy, (event) => copied(event, version.text, words)));
    if (last) tools.append(iconButton("again", fill(words.retry_lane, { letter: lane.letter }), () => acts.retry(lane)));
    row.append(tools);
    foot.append(row);
    if (sheet) foot.append(sheet);
    if (last && version.text && !hidden) {
      foot.append(el("button", { type: "button", class: "btn quiet go-on", onclick: () => acts.goOn(lane) }, fill(words.go_on_with, { model: version.model_name })));
    }
  }

  /** Apply what came to the answer that grows. */
  grow(version, event) {
    if (!this.parts || version !== lastOf(this.lane)) return;
    const { body, thoughts, foot } = this.parts;
    if (event.type === "patch") {
      patchBlocks(event.part === "answer" ? body : thoughts.text, event.keep, event.blocks);
      foot.replaceChildren();
      thoughts.node.hidden = !version.reasoning;
    }
    thoughts.label.textContent = thoughtWords(version, this.words);
    if (event.type !== "patch" && !saidSomething(version)) foot.replaceChildren(statusOf(version));
  }
}
