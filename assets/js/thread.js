// The open chat's thread. While an answer is streaming only its last blocks change, never earlier turns.

import { copyWithFeedback, errorView, hasContent, renderBlocks, statusView, reasoningView, reasoningLabel } from "./answer.js";
import { $, el, fill, icon, iconButton, patchBlocks, toast } from "./dom.js";
import { editableFiles, filesOf } from "./attachments.js";
import { menuButton } from "./menus.js";
import { receiptLine } from "./receipt.js";
import { differences } from "./settings.js";
import * as api from "./api.js";

const LAST_TURNS = 30;
const EARLIER_TURNS = 100;
const NEAR_END = 80;

export class Thread {
  /**
   * @param {Record<string, string>} strings Texts of the page.
   * @param {object} actions What the buttons of a turn do: regenerate, continueAnswer, edit, editAnswer,
   *   remove, branch, chooseVersion, chooseModel, starter.
   */
  constructor(strings, actions) {
    this.strings = strings;
    this.actions = actions;
    this.root = $("#thread");
    this.scroller = $("#scroller");
    this.following = true;
    this.growing = new WeakMap(); // streaming version → the elements that show it
    this.scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    $("#to-end").addEventListener("click", () => this.scrollToEnd());
  }

  /** Draw a chat. stay: keep the scroll position, for a chat that is already on the screen. */
  async show(chat, model, { stay = false } = {}) {
    if (this.chat !== chat) {
      this.last = LAST_TURNS;
      this.root.replaceChildren(); // their buttons would act on the new chat
    }
    this.chat = chat;
    $("#lead").style.height = "";
    if (chat.turns.length === 0) return this.#hero(model, chat.model);
    const from = Math.max(0, chat.turns.length - this.last);
    await this.#renderMissing(chat.turns.slice(from));
    if (this.chat !== chat) return;
    const turns = chat.turns.slice(from).map((turn, index) => this.node(turn, from + index));
    const { scrollTop } = this.scroller;
    this.root.className = "thread";
    this.root.replaceChildren(...turns);
    if (from > 0) {
      this.root.prepend(el("button", { type: "button", class: "btn earlier", onclick: () => this.#earlier(model) }, this.strings.earlier));
    }
    if (stay) this.scroller.scrollTop = scrollTop;
    else this.scrollToEnd();
  }

  /** Show earlier turns; the visible ones keep their place. */
  async #earlier(model) {
    const below = this.scroller.scrollHeight - this.scroller.scrollTop;
    this.last += EARLIER_TURNS;
    await this.show(this.chat, model);
    this.scroller.scrollTop = this.scroller.scrollHeight - below;
  }

  /** Show another version of the answer at `index`; the scroll position and the focus stay. */
  async showVersion(index, turn) {
    const { chat } = this;
    await this.#renderMissing([turn]);
    if (this.chat !== chat) return;
    const pressed = document.activeElement?.closest(".versions button")?.getAttribute("aria-label");
    const node = this.replace(index, turn);
    const arrows = [...node.querySelectorAll(".versions button:not([disabled])")];
    if (pressed) (arrows.find((arrow) => arrow.getAttribute("aria-label") === pressed) ?? arrows[0])?.focus();
  }

  async #renderMissing(turns) {
    await renderMissing(turns).catch(() => toast(this.strings.offline_title));
  }

  node(turn, index) {
    const node = turn.role === "user" ? this.#userNode(turn, index) : this.#answerNode(turn, index);
    this.#dimNode(node);
    return node;
  }

  /** Dim the turns before `from`, which will not be sent, and mark where they end. */
  dim(from) {
    if (this.dimmed === from) return;
    this.dimmed = from;
    for (const node of this.root.querySelectorAll(":scope > [data-index]")) this.#dimNode(node);
  }

  #dimNode(node) {
    const index = Number(node.dataset.index);
    const from = this.dimmed ?? 0;
    node.classList.toggle("left-out", index < from);
    if (from && index === from) node.dataset.leftOut = this.strings.context_line;
    else delete node.dataset.leftOut;
  }

  add(turn, index) {
    if (this.root.classList.contains("hero")) {
      this.root.className = "thread";
      this.root.replaceChildren();
    }
    const node = this.node(turn, index);
    this.root.append(node);
    return node;
  }

  replace(index, turn) {
    const node = this.node(turn, index);
    const old = this.root.querySelector(`[data-index="${index}"]`);
    const focused = old?.contains(document.activeElement);
    old?.replaceWith(node);
    if (focused) node.focus({ preventScroll: true });
    return node;
  }

  /** Draw the finished answer at `index`. Diagrams may become pictures: the line being read keeps its place. */
  settle(index, turn) {
    if (this.following) return this.keeping(() => this.replace(index, turn));
    const blocks = () => [...this.root.querySelectorAll(`[data-index="${index}"] > .prose-block > .blk`)];
    const topOf = (block) => block?.getBoundingClientRect().top;
    const { top } = this.scroller.getBoundingClientRect();
    const before = blocks();
    const read = before.findIndex((block) => block.getBoundingClientRect().bottom > top);
    const was = topOf(before[read]);
    this.replace(index, turn);
    const now = topOf(blocks()[read]);
    if (was != null && now != null) this.scroller.scrollTop += now - was;
  }

  cutFrom(index) {
    for (const node of [...this.root.querySelectorAll("[data-index]")]) {
      if (Number(node.dataset.index) >= index) node.remove();
    }
  }

  /** Run a change of the page; a reader at the end stays at the end. */
  keeping(change) {
    change();
    if (this.following) this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  /**
   * Fix the free space above a short chat while an answer grows, so that the growth scrolls.
   *
   * If the space shrank instead, the text would jump with each line.
   */
  pin() {
    this.#unpin();
    const room = Math.max(0, this.scroller.clientHeight - this.root.offsetHeight);
    $("#lead").style.height = `${room}px`;
  }

  /** Remove the free space that is not needed, without moving anything visible. */
  #unpin() {
    const top = this.root.getBoundingClientRect().top;
    $("#lead").style.height = "";
    this.scroller.scrollTop += this.root.getBoundingClientRect().top - top;
  }

  scrollToEnd() {
    this.following = true;
    this.scroller.scrollTop = this.scroller.scrollHeight;
    $("#to-end").hidden = true;
  }

  #scrolled() {
    this.#updateFollowing();
    if (this.following || !$("#lead").offsetHeight) return;
    this.#unpin();
    this.#updateFollowing(); // a short chat may be completely visible now
  }

  /** Update whether the reader is at the end. */
  #updateFollowing() {
    const { scrollTop, clientHeight, scrollHeight } = this.scroller;
    this.following = scrollHeight - scrollTop - clientHeight < NEAR_END;
    $("#to-end").hidden = this.following;
  }

  #hero(model, id) {
    const signature = JSON.stringify([id, model?.name, model?.description, model?.picture, model?.starters]);
    if (this.root.className === "hero" && this.root.firstChild && signature === this.heroSignature) return;
    this.heroSignature = signature;
    this.root.className = "hero";
    const parts = [];
    if (model) {
      const { picture, picture_dark } = model;
      const src = window.akashTheme.dark ? picture_dark : picture;
      parts.push(el("img", { src, "data-dark": picture_dark, "data-light": picture, width: 56, height: 56, alt: "" }));
    }
    const unknown = id ? fill(this.strings.unknown_model, { model: id }) : "";
    parts.push(el("h2", {}, model?.name ?? this.strings.empty_start), el("p", { dir: "auto" }, model?.description ?? unknown));
    const starters = (model?.starters ?? []).map((text) => el("button", { type: "button", onclick: () => this.actions.starter(text) }, text));
    if (starters.length) parts.push(el("div", { class: "starters" }, ...starters));
    this.root.replaceChildren(...parts);
  }

  #userNode(turn, index) {
    const { strings } = this;
    const node = el("article", { class: "turn user", "data-index": index, "aria-label": strings.you, tabindex: -1 });
    const bubble = turn.text ? el("div", { class: "bubble", dir: "auto" }, turn.text) : null;
    const copy = iconButton("copy", strings.copy, (event) => copyWithFeedback(event, turn.text, strings));
    const edit = iconButton("edit", strings.edit, () => this.#editUser(node, turn, index), { "data-action": "edit" });
    const remove = iconButton("trash", strings.delete, () => this.actions.remove(index));
    node.append(el("h3", { class: "sr-only" }, strings.you));
    node.append(...[filesOf(turn, strings), bubble].filter(Boolean), el("div", { class: "turn-tools" }, copy, edit, remove));
    return node;
  }

  /** Start editing the turn at `index`, as its button does. */
  edit(index) {
    this.root.querySelector(`[data-index="${index}"] [data-action="edit"]`)?.click();
  }

  #editUser(node, turn, index) {
    const { strings, actions } = this;
    const keys = (event) => event.key === "Enter" && !event.shiftKey;
    const files = editableFiles(turn, strings);
    const send = (text) => actions.edit(index, text, files.list);
    this.#editBox(node, turn.text, [strings.edit, strings.save_and_send], keys, send, () => this.replace(index, turn), files);
  }

  /** Edit an answer. Enter inserts a line, because answers are long. */
  #editAnswer(node, turn, index) {
    const { strings, actions } = this;
    const keys = (event) => event.key === "Enter" && (event.ctrlKey || event.metaKey);
    const { text } = turn.versions[turn.shown];
    this.#editBox(node, text, [strings.edit_answer, strings.save], keys, (text) => actions.editAnswer(index, text), () => this.replace(index, turn));
  }

  #editBox(node, text, [label, done], isDone, save, leave, files = null) {
    const { strings } = this;
    const lines = Math.min(20, Math.max(3, text.split("\n").length));
    const box = el("textarea", { dir: "auto", "aria-label": label, rows: lines });
    box.value = text;
    const finish = () => { if (box.value.trim() || files?.list.length) save(box.value); };
    const keys = (event) => {
      if (event.isComposing || event.keyCode === 229) return;
      if (event.key === "Escape") {
        event.stopPropagation();
        leave();
      } else if (isDone(event)) {
        event.preventDefault();
        finish();
      }
    };
    box.addEventListener("keydown", keys);
    const row = el("div", { class: "row" },
      el("button", { type: "button", class: "btn", onclick: leave }, strings.cancel),
      el("button", { type: "button", class: "btn primary", onclick: finish }, done));
    node.replaceChildren(el("div", { class: "edit-box" }, files?.node, box, row));
    box.focus();
  }

  #answerNode(turn, index) {
    const version = turn.versions[turn.shown];
    const node = el("article", { class: "turn assistant", "data-index": index, "aria-label": version.model_name ?? "", tabindex: -1 });
    node.append(el("h3", { class: "sr-only" }, version.model_name ?? ""));
    const thoughts = reasoningView(version, this.strings);
    const body = el("div", { class: "prose-block", dir: "auto" });
    renderBlocks(body, version.blocks, version.text);
    const parts = { body, thoughts, foot: el("div", {}) };
    node.append(thoughts.node, body, parts.foot);
    if (!version.live) this.#foot(node, parts, turn, index);
    else this.growing.set(version, parts);
    if (version.live && !version.text && !version.reasoning) parts.foot.replaceChildren(statusView(version));
    return node;
  }

  #foot(node, parts, turn, index) {
    const { strings, actions } = this;
    const version = turn.versions[turn.shown];
    const again = () => (version.continued ? actions.continueAnswer(index) : actions.regenerate(index));
    parts.foot.replaceChildren();
    if (version.error) parts.foot.append(errorView(version.error, strings, again));
    else if (version.receipt && !hasContent(version)) parts.foot.append(el("p", { class: "answer-empty" }, strings.empty_answer));
    const foot = el("div", { class: "answer-foot" });
    const { line, sheet } = this.#receipt(version);
    if (line) foot.append(line);
    const tools = el("div", { class: "turn-tools" });
    if (turn.versions.length > 1) tools.append(this.#versions(turn, index));
    if (version.text && (version.stopped || version.receipt?.unfinished)) tools.append(el("button", { type: "button", class: "continue-answer", title: strings.continue_hint, onclick: () => actions.continueAnswer(index) }, icon("go"), strings.continue_answer));
    if (version.text) tools.append(iconButton("copy", strings.copy, (event) => copyWithFeedback(event, version.text, strings)));
    tools.append(iconButton("again", strings.regenerate, () => actions.regenerate(index)));
    tools.append(menuButton("more", strings.more, (button) => this.#more(button, node, turn, index)));
    foot.append(tools);
    parts.foot.append(foot);
    if (sheet) parts.foot.append(sheet);
  }

  /** Build the receipt line: model, endpoint, speed, and anything unusual. */
  #receipt(version) {
    const { strings, chat } = this;
    if (version.edited) return { line: el("span", { class: "receipt" }, strings.edited) };
    if (!version.receipt) return {};
    const flags = [version.continued && strings.continued, version.stopped && strings.stopped, version.elsewhere && strings.elsewhere].filter(Boolean);
    if (version.left_out) flags.push(fill(version.left_out === 1 ? strings.left_out_one : strings.left_out_many, { count: version.left_out }));
    const another = version.model && chat && version.model !== chat.model;
    const view = another ? { ...version.receipt, line: [version.model_name, ...version.receipt.line] } : version.receipt;
    return receiptLine(view, strings, flags, differences(version.settings, strings));
  }

  #more(button, node, turn, index) {
    const { strings, actions } = this;
    const { model, text } = turn.versions[turn.shown];
    return [
      { icon: "again", label: strings.regenerate_with, act: () => actions.chooseModel(button, model, (id) => actions.regenerate(index, id)) },
      text && { icon: "edit", label: strings.edit_answer, act: () => this.#editAnswer(node, turn, index) },
      { icon: "branch", label: strings.branch, act: () => actions.branch(index) },
      null,
      { icon: "trash", label: strings.delete, act: () => actions.remove(index), danger: true },
    ].filter((item) => item !== "");
  }

  #versions(turn, index) {
    const { strings, actions } = this;
    const count = turn.versions.length;
    const showVersion = (step) => () => actions.chooseVersion(index, turn.shown + step);
    return el("span", { class: "versions" },
      iconButton("left", strings.previous_version, showVersion(-1), { disabled: turn.shown === 0 }),
      el("span", {}, `${turn.shown + 1}/${count}`),
      iconButton("right", strings.next_version, showVersion(1), { disabled: turn.shown === count - 1 }));
  }

  /** Apply an event to the streaming answer. Does nothing if another chat is open. */
  grow(version, event) {
    const parts = this.growing.get(version);
    if (!parts) return;
    if (event.type === "patch") {
      const answer = event.part === "answer";
      patchBlocks(answer ? parts.body : parts.thoughts.text, event.keep, event.blocks);
      if (answer) parts.foot.replaceChildren();
      else this.#showThoughts(parts, version);
    } else if (event.type === "thought") {
      parts.thoughts.label.textContent = reasoningLabel(version, this.strings);
    } else {
      parts.foot.replaceChildren(statusView(version));
    }
  }

  #showThoughts(parts, version) {
    parts.thoughts.node.hidden = false;
    parts.thoughts.label.textContent = reasoningLabel(version, this.strings);
    parts.foot.replaceChildren();
  }
}

/** Render the visible turns on the server: stored chats hold texts, not HTML. */
export async function renderMissing(turns) {
  const missing = [];
  for (const turn of turns) {
    const version = turn.versions?.[turn.shown];
    if (!version) continue;
    if (version.text && !version.blocks) missing.push([version, "text", "blocks"]);
    if (version.reasoning && !version.reasoning_blocks) missing.push([version, "reasoning", "reasoning_blocks"]);
  }
  if (!missing.length) return;
  const { blocks } = await api.render(missing.map(([version, text]) => version[text]));
  missing.forEach(([version, , field], index) => (version[field] = blocks[index]));
}
