// The open chat: what was said, asking, stopping, asking again.

import { saidSomething, stoppedReceipt, take } from "./answer.js";
import { announce, fill, toast } from "./dom.js";
import { sentFiles } from "./files.js";
import { newId } from "./ids.js";
import { tooLong } from "./message_size.js";
import { DEFAULTS } from "./settings.js";
import { userTurn } from "./turns.js";
import * as api from "./api.js";

const TITLE_LENGTH = 60;
const KEPT_EACH_MS = 4000;

export function newChat(model, settings = {}) {
  const now = Date.now();
  return { id: newId(), title: "", created: now, updated: now, model, settings: { ...DEFAULTS, ...settings }, turns: [] };
}

export class Asking {
  /** page: thread, models, settings, words, and what to do when something changed. */
  constructor(page) {
    this.page = page;
    this.running = null;
    this.growing = null; // the chat whose answer is coming
  }

  get chat() {
    return this.page.chat;
  }

  /** A new message of the visitor. Returns a sentence when it can't be sent. */
  send(text, files = []) {
    const { chat, page } = this;
    const fault = tooLong(text, page.words);
    if (fault) return fault;
    page.thread.following = true;
    if (!chat.title) chat.title = titleFrom(text.trim() ? text : files[0].name);
    this.#push(userTurn(newId(), text, files));
    this.#ask();
    return null;
  }

  /** Another version of the answer at `place`, by another model if one is named; what came after it goes. */
  regenerate(place, model) {
    if (this.#busy()) return;
    this.#cut(place + 1);
    this.#ask(place, { model });
  }

  /** A version that goes on where the shown one of the last answer broke off. */
  goOn(place) {
    if (this.#busy()) return;
    const { model, text, blocks } = shownOf(this.chat.turns[place]);
    this.#ask(place, { model: this.page.models.find(model)?.id, begun: { text, blocks } });
  }

  /** The answer at `place` as the visitor writes it: a version of its own. What came after it stays. */
  editAnswer(place, text) {
    if (this.#busy()) return;
    const turn = this.chat.turns[place];
    const { model, model_name } = shownOf(turn);
    turn.versions.push({ id: newId(), text, reasoning: "", model, model_name, edited: true });
    this.walk(place, turn.versions.length - 1);
  }

  /** Delete a question with its answer, or an answer alone; returns what brings it back, null while an answer comes. */
  remove(place) {
    if (this.#busy()) return null;
    const { chat } = this;
    const pair = chat.turns[place].role === "user" && chat.turns[place + 1]?.role === "assistant";
    const removed = chat.turns.splice(place, pair ? 2 : 1);
    return () => chat.turns.splice(Math.min(place, chat.turns.length), 0, ...removed);
  }

  /** The turn at `place` said otherwise; what came after it goes. */
  edit(place, text, files = []) {
    if (this.#busy()) return;
    const { chat, page } = this;
    page.thread.following = true;
    chat.turns[place] = userTurn(newId(), text, files);
    page.thread.replace(place, chat.turns[place]);
    this.#cut(place + 1);
    this.#ask();
  }

  walk(place, shown) {
    const turn = this.chat.turns[place];
    turn.shown = Math.max(0, Math.min(turn.versions.length - 1, shown));
    this.page.saved();
    this.page.thread.turnTo(place, turn);
  }

  stop() {
    this.running?.abort();
  }

  #busy() {
    if (this.running) toast(this.page.words.busy);
    return Boolean(this.running);
  }

  #push(turn) {
    const { chat, page } = this;
    chat.turns.push(turn);
    return page.thread.add(turn, chat.turns.length - 1);
  }

  #cut(place) {
    this.chat.turns.length = Math.min(place, this.chat.turns.length);
    this.page.thread.cutFrom(place);
  }

  /**
   * again: the place of the answer that gets another version. model: another one than the chat's.
   * begun: parts of a version that is gone on with; its text comes again with the first patch.
   */
  async #ask(again = null, { model: id = this.chat.model, begun } = {}) {
    const { chat, page } = this;
    const model = page.models.find(id);
    const version = { id: newId(), reasoning: "", ...begun, text: "", model: id, model_name: model?.name ?? id, continued: Boolean(begun), live: true };
    const before = chat.turns.slice(0, again ?? chat.turns.length);
    const said = begun ? [...before, { role: "assistant", shown: 0, versions: [{ text: begun.text }] }] : before;
    const plan = page.context.forTurns(said, model, page.settings.values);
    Object.assign(version, { left_out: plan.from, settings: page.settings.mine() });
    const turn = again == null ? { id: newId(), role: "assistant", shown: 0, versions: [version] } : chat.turns[again];
    if (again != null) {
      turn.versions = turn.versions.filter(saidSomething);
      turn.versions.push(version);
      turn.shown = turn.versions.length - 1;
    }
    const place = again ?? chat.turns.length;
    if (again == null) this.#push(turn);
    else page.thread.replace(again, turn);
    page.thread.keeping(() => page.thread.pin());
    const control = new AbortController();
    this.running = control;
    this.growing = chat;
    page.busy(true);
    const waited = this.#waiting(version);
    page.saved();
    const kept = setInterval(() => page.saved(chat), KEPT_EACH_MS);
    try {
      await this.#follow(this.#body(said.slice(plan.from), id), control.signal, version);
    } catch (error) {
      this.#broke(error, version);
    }
    clearInterval(waited);
    clearInterval(kept);
    page.context.learn(plan.estimated, version.receipt);
    version.live = false;
    this.running = this.growing = null;
    this.#settle(chat, turn, version);
  }

  #settle(chat, turn, version) {
    const { page } = this;
    if (version.continued && version.stopped && !version.text) {
      turn.versions.pop(); // stopped before a word came: nothing is new
      turn.shown = turn.versions.length - 1;
    }
    version.blocks ??= [];
    chat.updated = Date.now();
    const place = chat.turns.indexOf(turn); // another tab's turns may have come before it
    if (page.chat === chat) page.thread.settle(place, turn);
    page.busy(false);
    page.saved(chat);
    if (page.chat === chat) this.#tell(version);
    page.models.watch();
  }

  /** How it ended, for those who hear the page. */
  #tell({ error, stopped, model_name: model, text }) {
    const { words } = this.page;
    if (error) announce(`${error.title} ${error.hint}`);
    else announce(stopped ? words.stopped : fill(words.answer_done, { model, text: text.slice(0, 300) }));
  }

  #body(turns, model) {
    const sees = this.page.models.find(model)?.vision;
    const asked = turns.findLastIndex((turn) => turn.role === "user");
    const said = turns.map((turn, place) => {
      if (turn.role !== "user") return { role: "assistant", text: shownOf(turn).text };
      // Of the message itself everything goes: a model that can't see it is told by the server.
      const attachments = sentFiles(turn.attachments, sees || place === asked);
      return { role: "user", text: turn.text, ...(attachments.length && { attachments }) };
    });
    return { model, turns: said, settings: this.page.settings.sent() };
  }

  async #follow(body, signal, version) {
    const { thread, words } = this.page;
    const ask = version.continued ? api.goOn : api.reply;
    for await (const event of ask(body, signal)) {
      take(version, event, words);
      if (event.type === "done") return;
      thread.keeping(() => thread.grow(version, event));
      if (event.type === "started") announce(fill(words.answer_began, { model: version.model_name }));
    }
    throw new TypeError("the stream ended early");
  }

  #broke(error, version) {
    const { words } = this.page;
    if (error.name === "AbortError" || this.page.left) { // an answer that leaving cuts is no failure
      version.stopped = true;
      version.receipt = stoppedReceipt(version);
    } else if (error.view) {
      version.error = error.view;
    } else {
      version.error = { title: words.offline_title, hint: words.offline_hint, details: "", retry: true };
    }
  }

  /** Seconds are counted from the second on, until the first token. */
  #waiting(version) {
    const began = Date.now();
    const { words, thread } = this.page;
    version.status = words.waiting;
    thread.grow(version, { type: "waiting" });
    return setInterval(() => {
      if (saidSomething(version) || version.retrying) return;
      const seconds = Math.round((Date.now() - began) / 1000);
      if (seconds < 2 || version.starting) return;
      version.status = fill(words.waiting_s, { seconds });
      thread.grow(version, { type: "waiting" });
    }, 1000);
  }
}

const shownOf = (turn) => turn.versions[turn.shown];

/** The message's beginning; never half of a character. */
export function titleFrom(text) {
  const line = text.trim().slice(0, 1000).replace(/\s+/g, " ");
  return [...line].slice(0, TITLE_LENGTH).join("");
}
