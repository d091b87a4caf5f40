// The open chat: sends messages, streams answers, stops, regenerates and edits.

import { applyEvent, hasContent, partialReceipt } from "./answer.js";
import { announce, fill, toast } from "./dom.js";
import { requestFiles } from "./files.js";
import { newId } from "./ids.js";
import { sizeError } from "./message_size.js";
import { DEFAULTS } from "./settings.js";
import { userTurn } from "./turns.js";
import * as api from "./api.js";

const TITLE_LENGTH = 60;
const SAVE_INTERVAL_MS = 4000;

export function newChat(model, settings = {}) {
  const now = Date.now();
  return { id: newId(), title: "", created: now, updated: now, model, settings: { ...DEFAULTS, ...settings }, turns: [] };
}

export class ChatSession {
  /** @param {object} page Thread, models, settings, strings, and what to call after changes. */
  constructor(page) {
    this.page = page;
    this.running = null;
    this.growing = null; // the chat whose answer is streaming
  }

  get chat() {
    return this.page.chat;
  }

  /** Send a new message. Returns an error text if it can't be sent, else null. */
  send(text, files = []) {
    const { chat, page } = this;
    const error = sizeError(text, page.strings);
    if (error) return error;
    page.thread.following = true;
    if (!chat.title) chat.title = titleFrom(text.trim() ? text : files[0].name);
    this.#push(userTurn(newId(), text, files));
    this.#request();
    return null;
  }

  /** Add a version of the answer at `index`, by `model` if given. Later turns are removed. */
  regenerate(index, model) {
    if (this.#busy()) return;
    this.#truncate(index + 1);
    this.#request(index, { model });
  }

  /** Continue the interrupted version that is shown at `index`. */
  continueAnswer(index) {
    if (this.#busy()) return;
    const { model, text, blocks } = shownOf(this.chat.turns[index]);
    this.#request(index, { model: this.page.models.find(model)?.id, interrupted: { text, blocks } });
  }

  /** Add the visitor's own text as a version of the answer at `index`. Later turns stay. */
  editAnswer(index, text) {
    if (this.#busy()) return;
    const turn = this.chat.turns[index];
    const { model, model_name } = shownOf(turn);
    turn.versions.push({ id: newId(), text, reasoning: "", model, model_name, edited: true });
    this.chooseVersion(index, turn.versions.length - 1);
  }

  /**
   * Delete a user turn with its answer, or an answer alone.
   * @returns {(() => void) | null} Undoes it; null while an answer is streaming.
   */
  remove(index) {
    if (this.#busy()) return null;
    const { chat } = this;
    const pair = chat.turns[index].role === "user" && chat.turns[index + 1]?.role === "assistant";
    const removed = chat.turns.splice(index, pair ? 2 : 1);
    return () => chat.turns.splice(Math.min(index, chat.turns.length), 0, ...removed);
  }

  /** Replace the user turn at `index` and request a new answer. Later turns are removed. */
  edit(index, text, files = []) {
    if (this.#busy()) return;
    const { chat, page } = this;
    page.thread.following = true;
    chat.turns[index] = userTurn(newId(), text, files);
    page.thread.replace(index, chat.turns[index]);
    this.#truncate(index + 1);
    this.#request();
  }

  chooseVersion(index, shown) {
    const turn = this.chat.turns[index];
    turn.shown = Math.max(0, Math.min(turn.versions.length - 1, shown));
    this.page.saved();
    this.page.thread.showVersion(index, turn);
  }

  stop() {
    this.running?.abort();
  }

  #busy() {
    if (this.running) toast(this.page.strings.busy);
    return Boolean(this.running);
  }

  #push(turn) {
    const { chat, page } = this;
    chat.turns.push(turn);
    return page.thread.add(turn, chat.turns.length - 1);
  }

  #truncate(index) {
    this.chat.turns.length = Math.min(index, this.chat.turns.length);
    this.page.thread.cutFrom(index);
  }

  /**
   * Request an answer and stream it.
   * @param {number | null} again Place of the answer that gets another version; null for a new turn.
   * @param {object} options model: another model than the chat's. interrupted: the version to continue;
   *   its text arrives again with the first patch.
   */
  async #request(again = null, { model: id = this.chat.model, interrupted } = {}) {
    const { chat, page } = this;
    const model = page.models.find(id);
    const version = { id: newId(), reasoning: "", ...interrupted, text: "", model: id, model_name: model?.name ?? id, continued: Boolean(interrupted), live: true };
    const before = chat.turns.slice(0, again ?? chat.turns.length);
    const context = interrupted ? [...before, { role: "assistant", shown: 0, versions: [{ text: interrupted.text }] }] : before;
    const plan = page.context.forTurns(context, model, page.settings.values);
    Object.assign(version, { left_out: plan.from, settings: page.settings.custom() });
    const turn = again == null ? { id: newId(), role: "assistant", shown: 0, versions: [version] } : chat.turns[again];
    if (again != null) {
      turn.versions = turn.versions.filter(hasContent);
      turn.versions.push(version);
      turn.shown = turn.versions.length - 1;
    }
    if (again == null) this.#push(turn);
    else page.thread.replace(again, turn);
    page.thread.keeping(() => page.thread.pin());
    const control = new AbortController();
    this.running = control;
    this.growing = chat;
    page.busy(true);
    const waitTimer = this.#startWaitTimer(version);
    page.saved();
    const saveTimer = setInterval(() => page.saved(chat), SAVE_INTERVAL_MS);
    try {
      await this.#stream(this.#requestBody(context.slice(plan.from), id), control.signal, version);
    } catch (error) {
      this.#fail(error, version);
    }
    clearInterval(waitTimer);
    clearInterval(saveTimer);
    page.context.learn(plan.estimated, version.receipt);
    version.live = false;
    this.running = this.growing = null;
    this.#settle(chat, turn, version);
  }

  #settle(chat, turn, version) {
    const { page } = this;
    if (version.continued && version.stopped && !version.text) {
      turn.versions.pop(); // stopped before the first token: there is nothing new
      turn.shown = turn.versions.length - 1;
    }
    version.blocks ??= [];
    chat.updated = Date.now();
    const index = chat.turns.indexOf(turn); // turns of another tab may have been merged before it
    if (page.chat === chat) page.thread.settle(index, turn);
    page.busy(false);
    page.saved(chat);
    if (page.chat === chat) this.#announceEnd(version);
    page.models.watch();
  }

  /** Announce the end of the answer to screen readers. */
  #announceEnd({ error, stopped, model_name: model, text }) {
    const { strings } = this.page;
    if (error) announce(`${error.title} ${error.hint}`);
    else announce(stopped ? strings.stopped : fill(strings.answer_done, { model, text: text.slice(0, 300) }));
  }

  #requestBody(turns, model) {
    const sees = this.page.models.find(model)?.vision;
    const lastPrompt = turns.findLastIndex((turn) => turn.role === "user");
    const messages = turns.map((turn, index) => {
      if (turn.role !== "user") return { role: "assistant", text: shownOf(turn).text };
      // The message itself is sent with its pictures: the server explains that a model can't read them.
      const attachments = requestFiles(turn.attachments, sees || index === lastPrompt);
      return { role: "user", text: turn.text, ...(attachments.length && { attachments }) };
    });
    return { model, turns: messages, settings: this.page.settings.request() };
  }

  async #stream(body, signal, version) {
    const { thread, strings } = this.page;
    const request = version.continued ? api.continueAnswer : api.reply;
    for await (const event of request(body, signal)) {
      applyEvent(version, event, strings);
      if (event.type === "done") return;
      thread.keeping(() => thread.grow(version, event));
      if (event.type === "started") announce(fill(strings.answer_began, { model: version.model_name }));
    }
    throw new TypeError("the stream ended early");
  }

  #fail(error, version) {
    const { strings } = this.page;
    if (error.name === "AbortError" || this.page.unloading) { // leaving the page is not an error
      version.stopped = true;
      version.receipt = partialReceipt(version);
    } else if (error.view) {
      version.error = error.view;
    } else {
      version.error = { title: strings.offline_title, hint: strings.offline_hint, details: "", retry: true };
    }
  }

  /** Show the seconds of waiting, from the second one on, until the first token. */
  #startWaitTimer(version) {
    const began = Date.now();
    const { strings, thread } = this.page;
    version.status = strings.waiting;
    thread.grow(version, { type: "waiting" });
    return setInterval(() => {
      if (hasContent(version) || version.retrying) return;
      const seconds = Math.round((Date.now() - began) / 1000);
      if (seconds < 2 || version.starting) return;
      version.status = fill(strings.waiting_s, { seconds });
      thread.grow(version, { type: "waiting" });
    }, 1000);
  }
}

const shownOf = (turn) => turn.versions[turn.shown];

/** Return the start of a message as a title, without splitting a character. */
export function titleFrom(text) {
  const line = text.trim().slice(0, 1000).replace(/\s+/g, " ");
  return [...line].slice(0, TITLE_LENGTH).join("");
}
