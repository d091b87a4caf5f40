// One lane of a comparison: a model, its turns, and the answer that is streaming.

import { copyWithFeedback, errorView, renderBlocks, hasContent, statusView, reasoningView, reasoningLabel } from "./answer.js";
import { el, fill, icon, iconButton, patchBlocks } from "./dom.js";
import { receiptLine } from "./receipt.js";

export const LETTERS = ["A", "B", "C", "D"];

/** Return the newest answer of a lane; null if its prompt was not sent yet. */
export const lastOf = (lane) => {
  const turn = lane.turns.at(-1);
  return turn?.role === "assistant" ? turn.versions[turn.shown] : null;
};

export class LaneView {
  /**
   * @param {object} lane
   * @param {Record<string, string>} strings Texts of the page.
   * @param {object} actions choose, tune, remove, swap, retry, stop, continueAnswer, scrolled.
   */
  constructor(lane, strings, actions) {
    Object.assign(this, { lane, strings, actions, parts: null });
    this.scroller = el("div", { class: "lane-scroll", tabindex: 0, role: "region" });
    this.thread = el("div", { class: "lane-thread" });
    this.scroller.append(this.thread);
    this.head = el("header", { class: "lane-head" });
    this.node = el("article", { class: "lane-col" }, this.head, this.scroller);
    this.scroller.addEventListener("scroll", () => actions.scrolled(this), { passive: true });
  }

  get letter() {
    return this.lane.letter;
  }

  /** Draw the head. hidden: names and figures are hidden until the vote. */
  drawHead(models, { hidden, places, brief }) {
    const { strings, lane, actions } = this;
    this.node.dataset.letter = lane.letter;
    this.scroller.setAttribute("aria-label", fill(strings.lane, { letter: lane.letter }));
    const letter = el("b", { class: "letter" }, lane.letter);
    if (hidden) {
      this.headSignature = null;
      this.head.replaceChildren(letter, el("span", { class: "lane-secret" }, fill(strings.blind_model, { letter: lane.letter })));
      return;
    }
    const signature = JSON.stringify([models.map((model) => [model.id, model.name, model.can_chat || model.state_word]), lane.model, lane.letter, lane.index, places, Boolean(lane.run), hidden, brief]);
    if (signature === this.headSignature) return; // an open model list stays open
    this.headSignature = signature;
    const focused = document.activeElement?.dataset?.action;
    const hadFocus = this.head.contains(document.activeElement);
    const busy = Boolean(lane.run);
    const tune = el("button", { type: "button", class: "tune", "data-action": "tune", "aria-label": `${fill(strings.lane_settings, { letter: lane.letter })}: ${brief || strings.shared_brief}`, title: fill(strings.lane_settings, { letter: lane.letter }), onclick: (event) => actions.tune(lane, event.currentTarget) }, icon("tune"), brief ? el("span", {}, brief) : null);
    const move = (step, name, label) =>
      iconButton(name, fill(label, { letter: lane.letter }), () => actions.swap(lane, step), { "data-action": name, disabled: busy || lane.index + step < 0 || lane.index + step >= places });
    const tools = busy
      ? [iconButton("stop", fill(strings.stop_lane, { letter: lane.letter }), () => actions.stop(lane), { "data-action": "stop" })]
      : [move(-1, "left", strings.lane_left), move(1, "right", strings.lane_right), iconButton("close", fill(strings.lane_remove, { letter: lane.letter }), () => actions.remove(lane), { "data-action": "close", disabled: places <= 2 })];
    this.head.replaceChildren(letter, this.#select(models), tune, el("span", { class: "lane-tools" }, ...tools));
    if (hadFocus && focused) this.head.querySelector(`[data-action="${focused}"]:not([disabled])`)?.focus();
  }

  #select(models) {
    const { strings, lane } = this;
    const select = el("select", { class: "lane-model", "data-action": "model", "aria-label": fill(strings.lane_model, { letter: lane.letter }), disabled: Boolean(lane.run), onchange: () => this.actions.choose(lane, select.value) });
    const known = models.some((model) => model.id === lane.model);
    if (!known) select.append(el("option", { value: lane.model, selected: true }, lane.model ? fill(strings.model_gone, { model: lane.model }) : strings.choose_model));
    for (const model of models) {
      select.append(el("option", { value: model.id, selected: model.id === lane.model, disabled: !model.can_chat && model.id !== lane.model }, `${model.name}${model.can_chat ? "" : ` (${model.state_word})`}`));
    }
    return select;
  }

  /** Draw all turns, or the model if there are none. */
  drawThread(models, { hidden }) {
    const { lane } = this;
    this.parts = null;
    if (!lane.turns.length) {
      this.thread.replaceChildren(...(hidden ? [] : this.#hero(models.find(({ id }) => id === lane.model))));
      return;
    }
    const rounds = [];
    for (const turn of lane.turns) {
      if (turn.role === "user") rounds.push(el("div", { class: "lane-round" }, this.#prompt(turn)));
      else rounds.at(-1).append(this.#answer(turn, hidden));
    }
    if (lane.turns.at(-1).role === "user" && !lane.run && !hidden) rounds.at(-1).append(el("button", { type: "button", class: "btn", onclick: () => this.actions.retry(lane) }, this.strings.ask_lane));
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

  /** Scroll the newest prompt to the top, in every lane alike. */
  scrollToPrompt() {
    const last = this.thread.lastElementChild;
    if (last) this.scroller.scrollTop = last.offsetTop - this.thread.offsetTop;
  }

  #prompt(turn) {
    const node = el("div", { class: "lane-prompt-text", dir: "auto", tabindex: turn.text.length > 300 ? 0 : null }, turn.text);
    return el("div", { class: "lane-prompt" }, el("h3", { class: "sr-only" }, this.strings.you), node);
  }

  #answer(turn, hidden) {
    const version = turn.versions[turn.shown];
    const { strings } = this;
    const thoughts = reasoningView(version, strings);
    const body = el("div", { class: "prose-block", dir: "auto" });
    renderBlocks(body, version.blocks, version.text);
    const foot = el("div", {});
    const node = el("div", { class: "lane-answer" }, el("h3", { class: "sr-only" }, hidden ? fill(strings.blind_model, { letter: this.letter }) : (version.model_name ?? "")), thoughts.node, body, foot);
    const last = turn === this.lane.turns.at(-1);
    if (last) this.parts = { body, thoughts, foot };
    if (!version.live) this.#foot(foot, version, last, hidden);
    else if (!hasContent(version)) foot.replaceChildren(statusView(version));
    return node;
  }

  #foot(foot, version, last, hidden) {
    const { strings, actions, lane } = this;
    foot.replaceChildren();
    const error = version.error && hidden ? { title: strings.blind_failed, hint: "", retry: true } : version.error; // the error text names the model
    if (error) foot.append(errorView(error, strings, () => actions.retry(lane)));
    else if (!version.text && !version.stopped) foot.append(el("p", { class: "lane-empty" }, strings.empty_answer));
    const row = el("div", { class: "answer-foot" });
    let sheet = null;
    if (version.receipt && !hidden) {
      const receipt = receiptLine(version.receipt, strings, version.stopped ? [strings.stopped] : []);
      row.append(receipt.line);
      sheet = receipt.sheet;
    } else if (version.stopped) row.append(el("span", { class: "receipt flag" }, strings.stopped));
    const tools = el("div", { class: "turn-tools" });
    if (version.text) tools.append(iconButton("copy", strings.copy, (event) => copyWithFeedback(event, version.text, strings)));
    if (last) tools.append(iconButton("again", fill(strings.retry_lane, { letter: lane.letter }), () => actions.retry(lane)));
    row.append(tools);
    foot.append(row);
    if (sheet) foot.append(sheet);
    if (last && version.text && !hidden) {
      foot.append(el("button", { type: "button", class: "btn quiet continue-answer", onclick: () => actions.continueAnswer(lane) }, fill(strings.continue_with, { model: version.model_name })));
    }
  }

  /** Apply an event to the answer that is streaming. */
  grow(version, event) {
    if (!this.parts || version !== lastOf(this.lane)) return;
    const { body, thoughts, foot } = this.parts;
    if (event.type === "patch") {
      patchBlocks(event.part === "answer" ? body : thoughts.text, event.keep, event.blocks);
      foot.replaceChildren();
      thoughts.node.hidden = !version.reasoning;
    }
    thoughts.label.textContent = reasoningLabel(version, this.strings);
    if (event.type !== "patch" && !hasContent(version)) foot.replaceChildren(statusView(version));
  }
}
