// The bar of the composer: what goes to the model, what is left out, before anything is sent.

import { $, el, fill } from "./dom.js";
import { hasPictures } from "./files.js";
import { kept } from "./keeping.js";
import { highest } from "./ranges.js";
import { attachmentTokens, learned, plan, ratioOf, roomFor, systemTokens, tokensOf, turnTokens } from "./context_plan.js";

const KEY = "akash-gradio.token-ratios";
const PARTS = ["system", "history", "message", "room"];

/** What each model's reports have taught, kept in this browser; page-long where it keeps nothing. */
class Ratios {
  constructor() {
    try {
      this.sums = JSON.parse(kept.getItem(KEY)) ?? {};
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
    this.sums[model] = learned(this.sums[model], estimated, reported);
    try {
      kept.setItem(KEY, JSON.stringify(this.sums));
    } catch {
      // Learned for as long as the page is open.
    }
  }
}

export class ContextBar {
  /** acts: choose(model id), longer(): open the list of models, whole(boolean). */
  constructor(words, acts) {
    this.words = words;
    this.acts = acts;
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

  /** The plan for these turns; the visitor's last one, and what was said to it, is never left out. */
  forTurns(turns, model, settings) {
    const asked = Math.max(0, turns.findLastIndex((turn) => turn.role === "user"));
    const message = turns.slice(asked).reduce((sum, turn) => sum + turnTokens(turn), 0);
    const found = this.#plan(turns.slice(0, asked), message, model, settings);
    const sees = Boolean(model?.vision);
    const earlier = turns.slice(found.from, asked);
    const pictures = hasPictures(turns[asked]?.attachments) || (sees && earlier.some((turn) => hasPictures(turn.attachments)));
    const estimated = earlier.reduce((sum, turn) => sum + turnTokens(turn, sees), systemTokens(settings.system)) + message;
    return { ...found, estimated: pictures ? null : estimated };
  }

  /** What an endpoint reported of a question; pictures are counted too differently to learn from. */
  learn(estimated, receipt) {
    const { model, tokens_in: tokens, tokens_in_reported: reported } = receipt?.facts ?? {};
    if (estimated && model && reported) this.ratios.learn(model, estimated, tokens);
  }

  #plan(history, message, model, settings) {
    const limit = model?.context_tokens ?? 0;
    const maxTokens = typeof settings.max_tokens === "number" ? settings.max_tokens : (highest("max_tokens") ?? model?.max_tokens);
    return plan({
      limit, history, message, sees: Boolean(model?.vision), ratio: this.ratios.of(model?.id), system: systemTokens(settings.system),
      room: limit ? roomFor(limit, maxTokens) : 0, whole: settings.whole,
    });
  }

  /** Draw it anew. draft: the text in the composer and its attachments. Returns the plan. */
  show({ chat, model, settings, draft, models }) {
    const files = draft.attachments.reduce((sum, file) => sum + attachmentTokens(file), 0);
    const message = tokensOf(draft.text) + files;
    const turns = chat.turns.filter((turn) => turn.role === "user" || !turn.versions[turn.shown]?.live);
    const found = this.#plan(turns, message && message + 4, model, settings);
    const known = Boolean(found.limit);
    $("#context").hidden = $("#context-bar").hidden = !known;
    const unseen = known && !model.vision && turns.slice(found.from).some((turn) => hasPictures(turn.attachments));
    if (known) this.#draw(found, this.ratios.knows(model.id), unseen ? fill(this.words.pictures_left_out, { model: model.name }) : "");
    else this.#open(false);
    this.#strip(found, model, models, settings);
    return found;
  }

  /** note: what else is left out, in a sentence. */
  #draw(found, reported, note) {
    const { words } = this;
    const short = `${brief(found.used)} / ${brief(found.limit)}`;
    const button = $("#context");
    $("#context-text").textContent = short;
    button.classList.toggle("over", found.over || found.from > 0);
    const facts = { used: number(found.used), limit: number(found.limit) };
    const label = fill(reported ? words.context_label : words.context_label_estimated, facts);
    button.setAttribute("aria-label", `${short}. ${label}`); // begins as it looks: people say what they see
    const whole = Math.max(found.limit, found.used);
    $("#context-bar").replaceChildren(...PARTS.map((part) => {
      const piece = el("i", { class: `part-${part}` });
      piece.style.width = `${(100 * found[part]) / whole}%`;
      return piece;
    }));
    const names = { system: words.context_system, history: words.context_history, message: words.context_message, room: words.context_room };
    const rows = PARTS.flatMap((part) => [
      el("dt", {}, el("i", { class: `part-${part}`, "aria-hidden": "true" }), names[part]), el("dd", {}, number(found[part])),
    ]);
    const free = Math.max(0, found.limit - found.used);
    rows.push(el("dt", { class: "sum" }, words.context_free), el("dd", { class: "sum" }, fill(words.context_of, { used: number(free), limit: number(found.limit) })));
    $("#context-sheet").replaceChildren(
      el("h2", {}, words.context_title), el("dl", {}, ...rows),
      el("p", {}, [note, reported ? words.context_learned : words.context_estimated].filter(Boolean).join(" ")));
  }

  /** The sentence over the composer when not all of it fits, and what may be done. */
  #strip(found, model, models, settings) {
    const strip = $("#context-strip");
    const over = found.from > 0 || found.over;
    const look = over ? JSON.stringify([found.from, found.over, model?.id, settings.whole, models.length]) : "";
    if (strip.dataset.look === look) return;
    strip.dataset.look = look;
    strip.hidden = !over;
    strip.replaceChildren();
    if (!over) return;
    const { words, acts } = this;
    const facts = { count: found.from, model: model.name, limit: brief(found.limit) };
    const sentence = found.from ? (found.from === 1 ? words.context_left_one : words.context_left_many) : words.context_over;
    const says = found.from && found.over ? words.context_left_over : sentence;
    strip.append(el("span", {}, fill(says, facts)));
    const longer = longest(models, found);
    if (longer) {
      const label = fill(words.context_longer, { model: longer.name, limit: brief(longer.context_tokens) });
      strip.append(el("button", { type: "button", onclick: () => acts.choose(longer.id) }, label));
    }
    if (found.from) strip.append(el("button", { type: "button", onclick: () => acts.whole(true) }, words.context_send_all));
    else if (settings.whole) strip.append(el("button", { type: "button", onclick: () => acts.whole(false) }, words.context_drop));
  }
}

/** The ready model with the smallest context that holds all of it. */
function longest(models, found) {
  const fitting = models.filter((one) => one.can_chat && one.state === "ready" && one.context_tokens >= found.wanted);
  return fitting.sort((a, b) => a.context_tokens - b.context_tokens)[0];
}

const number = (tokens) => tokens.toLocaleString("en-US");

/** 4,600 → "4.6K", 131,072 → "131K": thousands, as counts of tokens are read. */
export function brief(tokens) {
  if (tokens < 1000) return String(tokens);
  if (tokens < 1_000_000) return `${+(tokens / 1000).toFixed(tokens < 10_000 ? 1 : 0)}K`;
  return `${+(tokens / 1_000_000).toFixed(1)}M`;
}
