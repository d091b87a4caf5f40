// The composer's context bar: shows what is sent to the model and what is left out, before sending.

import { $, el, fill } from "./dom.js";
import { hasPictures } from "./files.js";
import { formatContextLength, formatCount, formatShortCount } from "./formatting.js";
import { safeLocalStorage } from "./safe_storage.js";
import { upperBound } from "./ranges.js";
import { attachmentTokens, addReport, planContext, ratioOf, answerReserve, systemTokens, tokensOf, turnTokens } from "./context_plan.js";

const KEY = "akash-gradio.token-ratios";
const PARTS = ["system", "history", "message", "room"];

/** What was learned about each model's token counts, stored in this browser if possible. */
class Ratios {
  constructor() {
    try {
      this.sums = JSON.parse(safeLocalStorage.getItem(KEY)) ?? {};
    } catch {
      this.sums = {};
    }
  }

  of(model) {
    return ratioOf(this.sums[model]);
  }

  knows(model) {
    return Boolean(this.sums[model]);
  }

  learn(model, estimated, reported) {
    this.sums[model] = addReport(this.sums[model], estimated, reported);
    try {
      safeLocalStorage.setItem(KEY, JSON.stringify(this.sums));
    } catch {
      // No storage: valid while the page is open.
    }
  }
}

export class ContextBar {
  /**
   * @param {Record<string, string>} strings Texts of the page.
   * @param {object} actions choose(model id), whole(boolean).
   */
  constructor(strings, actions) {
    this.strings = strings;
    this.actions = actions;
    this.ratios = new Ratios();
  }

  wire() {
    const button = $("#context");
    button.addEventListener("click", () => this.#open($("#context-sheet").hidden));
    document.addEventListener("click", (event) => {
      if (!event.target.closest("#context, #context-sheet")) this.#open(false);
    });
    $("#composer").addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || $("#context-sheet").hidden) return;
      event.stopPropagation();
      this.#open(false);
      button.focus();
    });
  }

  #open(open) {
    $("#context-sheet").hidden = !open;
    $("#context").setAttribute("aria-expanded", String(open));
  }

  /** Return the plan for these turns. The last user turn and what follows it are never left out. */
  forTurns(turns, model, settings) {
    const last = Math.max(0, turns.findLastIndex((turn) => turn.role === "user"));
    const message = turns.slice(last).reduce((sum, turn) => sum + turnTokens(turn), 0);
    const plan = this.#plan(turns.slice(0, last), message, model, settings);
    const sees = Boolean(model?.vision);
    const earlier = turns.slice(plan.from, last);
    const pictures = hasPictures(turns[last]?.attachments) || (sees && earlier.some((turn) => hasPictures(turn.attachments)));
    const estimated = earlier.reduce((sum, turn) => sum + turnTokens(turn, sees), systemTokens(settings.system)) + message;
    return { ...plan, estimated: pictures ? null : estimated };
  }

  /** Learn from a reported token count. Pictures are counted too differently to learn from. */
  learn(estimated, receipt) {
    const { model, tokens_in: tokens, tokens_in_reported: reported } = receipt?.facts ?? {};
    if (estimated && model && reported) this.ratios.learn(model, estimated, tokens);
  }

  #plan(history, message, model, settings) {
    const limit = model?.context_tokens ?? 0;
    const maxTokens = typeof settings.max_tokens === "number" ? settings.max_tokens : (upperBound("max_tokens") ?? model?.max_tokens);
    return planContext({
      limit, history, message, sees: Boolean(model?.vision), ratio: this.ratios.of(model?.id), system: systemTokens(settings.system),
      room: limit ? answerReserve(limit, maxTokens) : 0, whole: settings.whole,
    });
  }

  /**
   * Redraw the bar.
   * @param {object} view draft: the text in the composer and its attachments.
   * @returns {object} The plan.
   */
  show({ chat, model, settings, draft, models }) {
    const files = draft.attachments.reduce((sum, file) => sum + attachmentTokens(file), 0);
    const message = tokensOf(draft.text) + files;
    const turns = chat.turns.filter((turn) => turn.role === "user" || !turn.versions[turn.shown]?.live);
    const plan = this.#plan(turns, message && message + 4, model, settings);
    const known = Boolean(plan.limit);
    $("#context").hidden = $("#context-bar").hidden = !known;
    const unseen = known && !model.vision && turns.slice(plan.from).some((turn) => hasPictures(turn.attachments));
    if (known) this.#draw(plan, this.ratios.knows(model.id), unseen ? fill(this.strings.pictures_left_out, { model: model.name }) : "");
    else this.#open(false);
    this.#strip(plan, model, models, settings);
    return plan;
  }

  /** @param {string} note What else is left out, as a sentence. */
  #draw(plan, reported, note) {
    const { strings } = this;
    const short = `${formatShortCount(plan.used)} / ${formatContextLength(plan.limit)}`;
    const button = $("#context");
    $("#context-text").textContent = short;
    button.classList.toggle("over", plan.over || plan.from > 0);
    const facts = { used: formatCount(plan.used), limit: formatCount(plan.limit) };
    const label = fill(reported ? strings.context_label : strings.context_label_estimated, facts);
    button.setAttribute("aria-label", `${short}. ${label}`); // starts with the visible text, as voice control requires
    const whole = Math.max(plan.limit, plan.used);
    $("#context-bar").replaceChildren(...PARTS.map((part) => {
      const piece = el("i", { class: `part-${part}` });
      piece.style.width = `${(100 * plan[part]) / whole}%`;
      return piece;
    }));
    const names = { system: strings.context_system, history: strings.context_history, message: strings.context_message, room: strings.context_room };
    const rows = PARTS.flatMap((part) => [
      el("dt", {}, el("i", { class: `part-${part}`, "aria-hidden": "true" }), names[part]), el("dd", {}, formatCount(plan[part])),
    ]);
    const free = Math.max(0, plan.limit - plan.used);
    rows.push(el("dt", { class: "sum" }, strings.context_free), el("dd", { class: "sum" }, fill(strings.context_of, { used: formatCount(free), limit: formatCount(plan.limit) })));
    $("#context-sheet").replaceChildren(
      el("h2", {}, strings.context_title), el("dl", {}, ...rows),
      el("p", {}, [note, reported ? strings.context_learned : strings.context_estimated].filter(Boolean).join(" ")));
  }

  /** Show a note above the composer if not everything fits, with possible actions. */
  #strip(plan, model, models, settings) {
    const strip = $("#context-strip");
    const over = plan.from > 0 || plan.over;
    const signature = over ? JSON.stringify([plan.from, plan.over, model?.id, settings.whole, models.length]) : "";
    if (strip.dataset.signature === signature) return;
    strip.dataset.signature = signature;
    strip.hidden = !over;
    strip.replaceChildren();
    if (!over) return;
    const { strings, actions } = this;
    const facts = { count: plan.from, model: model.name, limit: formatContextLength(plan.limit) };
    const sentence = plan.from ? (plan.from === 1 ? strings.context_left_one : strings.context_left_many) : strings.context_over;
    const text = plan.from && plan.over ? strings.context_left_over : sentence;
    strip.append(el("span", {}, fill(text, facts)));
    const longer = smallestFitting(models, plan);
    if (longer) {
      const label = fill(strings.context_longer, { model: longer.name, limit: formatContextLength(longer.context_tokens) });
      strip.append(el("button", { type: "button", onclick: () => actions.choose(longer.id) }, label));
    }
    if (plan.from) strip.append(el("button", { type: "button", onclick: () => actions.whole(true) }, strings.context_send_all));
    else if (settings.whole) strip.append(el("button", { type: "button", onclick: () => actions.whole(false) }, strings.context_drop));
  }
}

/** Return the ready model with the smallest context that fits everything. */
function smallestFitting(models, plan) {
  const fitting = models.filter((one) => one.can_chat && one.state === "ready" && one.context_tokens >= plan.total);
  return fitting.sort((a, b) => a.context_tokens - b.context_tokens)[0];
}
