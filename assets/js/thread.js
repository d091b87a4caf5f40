// One chat on the screen: its turns, and the answer that grows.
// Settled turns are never touched while an answer comes; only its last blocks are.

import { copied, failureOf, put, statusOf, thoughtsOf, thoughtWords } from "./answer.js";
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
  /** acts: what the buttons of a turn do: regenerate, goOn, edit, editAnswer, remove, branch,
   * walk, chooseModel, starter. */
  constructor(words, acts) {
    this.words = words;
    this.acts = acts;
    this.root = $("#thread");
    this.scroller = $("#scroller");
    this.following = true;
    this.growing = new WeakMap(); // version that is still coming → the parts that show it
    this.scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    $("#to-end").addEventListener("click", () => this.toEnd());
  }

  /** Draw a chat from its turns. stay: where the reader is, for a chat that is on the screen already. */
  async show(chat, model, { stay = false } = {}) {
    if (this.chat !== chat) {
      this.last = LAST_TURNS;
      this.root.replaceChildren(); // its buttons would act on the new chat
    }
    this.chat = chat;
    $("#lead").style.height = "";
    if (chat.turns.length === 0) return this.#hero(model, chat.model);
    const from = Math.max(0, chat.turns.length - this.last);
    await this.#drawMissing(chat.turns.slice(from));
    if (this.chat !== chat) return;
    const turns = chat.turns.slice(from).map((turn, place) => this.node(turn, from + place));
    const { scrollTop } = this.scroller;
    this.root.className = "thread";
    this.root.replaceChildren(...turns);
    if (from > 0) {
      this.root.prepend(el("button", { type: "button", class: "btn earlier", onclick: () => this.#earlier(model) }, this.words.earlier));
    }
    if (stay) this.scroller.scrollTop = scrollTop;
    else this.toEnd();
  }

  /** More of the chat above; what was being read stays where it is. */
  async #earlier(model) {
    const below = this.scroller.scrollHeight - this.scroller.scrollTop;
    this.last += EARLIER_TURNS;
    await this.show(this.chat, model);
    this.scroller.scrollTop = this.scroller.scrollHeight - below;
  }

  /** Another version of the answer at `place`; the reader stays, and so does the focus. */
  async turnTo(place, turn) {
    const { chat } = this;
    await this.#drawMissing([turn]);
    if (this.chat !== chat) return;
    const pressed = document.activeElement?.closest(".versions button")?.getAttribute("aria-label");
    const node = this.replace(place, turn);
    const arrows = [...node.querySelectorAll(".versions button:not([disabled])")];
    if (pressed) (arrows.find((arrow) => arrow.getAttribute("aria-label") === pressed) ?? arrows[0])?.focus();
  }

  async #drawMissing(turns) {
    await drawMissing(turns).catch(() => toast(this.words.offline_title));
  }

  node(turn, place) {
    const node = turn.role === "user" ? this.#userNode(turn, place) : this.#answerNode(turn, place);
    this.#dimNode(node);
    return node;
  }

  /** The turns before `from` will not be sent: they are dimmed, and a line says where they end. */
  dim(from) {
    if (this.dimmed === from) return;
    this.dimmed = from;
    for (const node of this.root.querySelectorAll(":scope > [data-place]")) this.#dimNode(node);
  }

  #dimNode(node) {
    const place = Number(node.dataset.place);
    const from = this.dimmed ?? 0;
    node.classList.toggle("left-out", place < from);
    if (from && place === from) node.dataset.leftOut = this.words.context_line;
    else delete node.dataset.leftOut;
  }

  add(turn, place) {
    if (this.root.classList.contains("hero")) {
      this.root.className = "thread";
      this.root.replaceChildren();
    }
    const node = this.node(turn, place);
    this.root.append(node);
    return node;
  }

  replace(place, turn) {
    const node = this.node(turn, place);
    const old = this.root.querySelector(`[data-place="${place}"]`);
    const focused = old?.contains(document.activeElement);
    old?.replaceWith(node);
    if (focused) node.focus({ preventScroll: true });
    return node;
  }

  /** The answer at `place` as it ended. Diagrams in it may be pictures now: who reads stays at the line. */
  settle(place, turn) {
    if (this.following) return this.keeping(() => this.replace(place, turn));
    const blocks = () => [...this.root.querySelectorAll(`[data-place="${place}"] > .prose-block > .blk`)];
    const topOf = (block) => block?.getBoundingClientRect().top;
    const { top } = this.scroller.getBoundingClientRect();
    const before = blocks();
    const read = before.findIndex((block) => block.getBoundingClientRect().bottom > top);
    const was = topOf(before[read]);
    this.replace(place, turn);
    const now = topOf(blocks()[read]);
    if (was != null && now != null) this.scroller.scrollTop += now - was;
  }

  cutFrom(place) {
    for (const node of [...this.root.querySelectorAll("[data-place]")]) {
      if (Number(node.dataset.place) >= place) node.remove();
    }
  }

  /** Run a change of the page; keep the reader at the end if they were there. */
  keeping(change) {
    change();
    if (this.following) this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  /**
   * While an answer grows, the free room above a short chat stays as it is and the growth is
   * scrolled: if the room shrank instead, everything that is read would jump at each line.
   */
  pin() {
    this.#unpin();
    const room = Math.max(0, this.scroller.clientHeight - this.root.offsetHeight);
    $("#lead").style.height = `${room}px`;
  }

  /** No room above what doesn't need it; nothing that is seen moves. */
  #unpin() {
    const top = this.root.getBoundingClientRect().top;
    $("#lead").style.height = "";
    this.scroller.scrollTop += this.root.getBoundingClientRect().top - top;
  }

  toEnd() {
    this.following = true;
    this.scroller.scrollTop = this.scroller.scrollHeight;
    $("#to-end").hidden = true;
  }

  #scrolled() {
    this.#look();
    if (this.following || !$("#lead").offsetHeight) return;
    this.#unpin();
    this.#look(); // all of a short chat may be seen now
  }

  /** Whether the reader is at the end. */
  #look() {
    const { scrollTop, clientHeight, scrollHeight } = this.scroller;
    this.following = scrollHeight - scrollTop - clientHeight < NEAR_END;
    $("#to-end").hidden = this.following;
  }

  #hero(model, id) {
    const look = JSON.stringify([id, model?.name, model?.description, model?.picture, model?.starters]);
    if (this.root.className === "hero" && this.root.firstChild && look === this.heroLook) return;
    this.heroLook = look;
    this.root.className = "hero";
    const parts = [];
    if (model) {
      const { picture, picture_dark } = model;
      const src = window.akashTheme.dark ? picture_dark : picture;
      parts.push(el("img", { src, "data-dark": picture_dark, "data-light": picture, width: 56, height: 56, alt: "" }));
    }
    const unknown = id ? fill(this.words.unknown_model, { model: id }) : "";
    parts.push(el("h2", {}, model?.name ?? this.words.empty_start), el("p", { dir: "auto" }, model?.description ?? unknown));
    const starters = (model?.starters ?? []).map((text) => el("button", { type: "button", onclick: () => this.acts.starter(text) }, text));
    if (starters.length) parts.push(el("div", { class: "starters" }, ...starters));
    this.root.replaceChildren(...parts);
  }

  #userNode(turn, place) {
    const { words } = this;
    const node = el("article", { class: "turn user", "data-place": place, "aria-label": words.you, tabindex: -1 });
    const bubble = turn.text ? el("div", { class: "bubble", dir: "auto" }, turn.text) : null;
    const copy = iconButton("copy", words.copy, (event) => copied(event, turn.text, words));
    const edit = iconButton("edit", words.edit, () => this.#editUser(node, turn, place), { "data-act": "edit" });
    const remove = iconButton("trash", words.delete, () => this.acts.remove(place));
    node.append(el("h3", { class: "sr-only" }, words.you));
    node.append(...[filesOf(turn, words), bubble].filter(Boolean), el("div", { class: "turn-tools" }, copy, edit, remove));
    return node;
  }

  /** Begin to edit the turn at `place`, as its button does. */
  edit(place) {
    this.root.querySelector(`[data-place="${place}"] [data-act="edit"]`)?.click();
  }

  #editUser(node, turn, place) {
    const { words, acts } = this;
    const keys = (event) => event.key === "Enter" && !event.shiftKey;
    const files = editableFiles(turn, words);
    const send = (text) => acts.edit(place, text, files.list);
    this.#editBox(node, turn.text, [words.edit, words.save_and_send], keys, send, () => this.replace(place, turn), files);
  }

  /** An answer is long and has lines: Enter makes one. */
  #editAnswer(node, turn, place) {
    const { words, acts } = this;
    const keys = (event) => event.key === "Enter" && (event.ctrlKey || event.metaKey);
    const { text } = turn.versions[turn.shown];
    this.#editBox(node, text, [words.edit_answer, words.save], keys, (said) => acts.editAnswer(place, said), () => this.replace(place, turn));
  }

  #editBox(node, text, [label, done], isDone, save, leave, files = null) {
    const { words } = this;
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
      el("button", { type: "button", class: "btn", onclick: leave }, words.cancel),
      el("button", { type: "button", class: "btn primary", onclick: finish }, done));
    node.replaceChildren(el("div", { class: "edit-box" }, files?.node, box, row));
    box.focus();
  }

  #answerNode(turn, place) {
    const version = turn.versions[turn.shown];
    const node = el("article", { class: "turn assistant", "data-place": place, "aria-label": version.model_name ?? "", tabindex: -1 });
    node.append(el("h3", { class: "sr-only" }, version.model_name ?? ""));
    const thoughts = thoughtsOf(version, this.words);
    const body = el("div", { class: "prose-block", dir: "auto" });
    put(body, version.blocks, version.text);
    const parts = { body, thoughts, foot: el("div", {}) };
    node.append(thoughts.node, body, parts.foot);
    if (!version.live) this.#foot(node, parts, turn, place);
    else this.growing.set(version, parts);
    if (version.live && !version.text && !version.reasoning) parts.foot.replaceChildren(statusOf(version));
    return node;
  }

  #foot(node, parts, turn, place) {
    const { words, acts } = this;
    const version = turn.versions[turn.shown];
    const again = () => (version.continued ? acts.goOn(place) : acts.regenerate(place));
    parts.foot.replaceChildren();
    if (version.error) parts.foot.append(failureOf(version.error, words, again));
    const foot = el("div", { class: "answer-foot" });
    const { line, sheet } = this.#receipt(version);
    if (line) foot.append(line);
    const tools = el("div", { class: "turn-tools" });
    if (turn.versions.length > 1) tools.append(this.#versions(turn, place));
    if (version.text && (version.stopped || version.receipt?.unfinished)) tools.append(el("button", { type: "button", class: "go-on", title: words.go_on_what, onclick: () => acts.goOn(place) }, icon("go"), words.go_on));
    if (version.text) tools.append(iconButton("copy", words.copy, (event) => copied(event, version.text, words)));
    tools.append(iconButton("again", words.regenerate, () => acts.regenerate(place)));
    tools.append(menuButton("more", words.more, (button) => this.#more(button, node, turn, place)));
    foot.append(tools);
    parts.foot.append(foot);
    if (sheet) parts.foot.append(sheet);
  }

  /** The quiet line: whose words, where from, how fast, and what is out of the ordinary. */
  #receipt(version) {
    const { words, chat } = this;
    if (version.edited) return { line: el("span", { class: "receipt" }, words.edited) };
    if (!version.receipt) return {};
    const flags = [version.continued && words.continued, version.stopped && words.stopped, version.elsewhere && words.elsewhere].filter(Boolean);
    if (version.left_out) flags.push(fill(version.left_out === 1 ? words.left_out_one : words.left_out_many, { count: version.left_out }));
    const another = version.model && chat && version.model !== chat.model;
    const view = another ? { ...version.receipt, line: [version.model_name, ...version.receipt.line] } : version.receipt;
    return receiptLine(view, words, flags, differences(version.settings, words));
  }

  #more(button, node, turn, place) {
    const { words, acts } = this;
    const { model, text } = turn.versions[turn.shown];
    return [
      { icon: "again", label: words.regenerate_with, act: () => acts.chooseModel(button, model, (id) => acts.regenerate(place, id)) },
      text && { icon: "edit", label: words.edit_answer, act: () => this.#editAnswer(node, turn, place) },
      { icon: "branch", label: words.branch, act: () => acts.branch(place) },
      null,
      { icon: "trash", label: words.delete, act: () => acts.remove(place), danger: true },
    ].filter((item) => item !== "");
  }

  #versions(turn, place) {
    const { words, acts } = this;
    const count = turn.versions.length;
    const walk = (step) => () => acts.walk(place, turn.shown + step);
    return el("span", { class: "versions" },
      iconButton("left", words.previous_version, walk(-1), { disabled: turn.shown === 0 }),
      el("span", {}, `${turn.shown + 1}/${count}`),
      iconButton("right", words.next_version, walk(1), { disabled: turn.shown === count - 1 }));
  }

  /** The growing answer: apply what came. Not seen when another chat is open. */
  grow(version, event) {
    const parts = this.growing.get(version);
    if (!parts) return;
    if (event.type === "patch") {
      const answer = event.part === "answer";
      patchBlocks(answer ? parts.body : parts.thoughts.text, event.keep, event.blocks);
      if (answer) parts.foot.replaceChildren();
      else this.#showThoughts(parts, version);
    } else if (event.type === "thought") {
      parts.thoughts.label.textContent = thoughtWords(version, this.words);
    } else {
      parts.foot.replaceChildren(statusOf(version));
    }
  }

  #showThoughts(parts, version) {
    parts.thoughts.node.hidden = false;
    parts.thoughts.label.textContent = thoughtWords(version, this.words);
    parts.foot.replaceChildren();
  }
}

/** Kept chats hold texts, not HTML: have the server draw those that are to be seen. */
export async function drawMissing(turns) {
  const wanted = [];
  for (const turn of turns) {
    const version = turn.versions?.[turn.shown];
    if (!version) continue;
    if (version.text && !version.blocks) wanted.push([version, "text", "blocks"]);
    if (version.reasoning && !version.reasoning_blocks) wanted.push([version, "reasoning", "reasoning_blocks"]);
  }
  if (!wanted.length) return;
  const { blocks } = await api.render(wanted.map(([version, text]) => version[text]));
  wanted.forEach(([version, , place], index) => (version[place] = blocks[index]));
}
