// Sends one prompt to two to four lanes. The server interleaves the events of all lanes in one stream.

import { applyEvent, hintOf, partialReceipt } from "./answer.js";
import { newChat, titleFrom } from "./chat.js";
import { serializeTurns, saveComparison, restoreComparison } from "./compare_state.js";
import { CompareView } from "./compare_view.js";
import { $, announce, fill, toast } from "./dom.js";
import { secretId } from "./ids.js";
import { lastOf, LETTERS } from "./lane.js";
import { readLink } from "./link.js";
import { sizeError } from "./message_size.js";
import { DEFAULTS, differences, customSettings, requestSettings } from "./settings.js";
import { renderMissing } from "./thread.js";
import { storedTurns } from "./turns.js";
import { saveVotes, storedVotes } from "./vote.js";
import * as api from "./api.js";

const FEWEST = 2;
const UNLOAD_CANCELLED_MS = 2000;
const DRAWN_AT_ONCE = 50;

const newLane = (model) => ({ model, endpoint: null, settings: null, turns: [] });

function answerOf(turn) {
  const version = turn?.versions?.[turn.shown];
  if (!version || version.live) return null;
  const { requested_at, text, reasoning, stopped, error, receipt } = version;
  return { requested_at, text, reasoning, stopped: Boolean(stopped), failed: error ? `${error.title} ${hintOf(error)}`.trim() : "", facts: receipt?.facts ?? null };
}

export class Compare {
  /** @param {object} page Strings, models, settings, frame, and how to open a chat. */
  constructor(page) {
    this.page = page;
    this.strings = page.strings;
    this.view = new CompareView(this);
    Object.assign(this, { lanes: [], shared: { ...DEFAULTS }, blind: false, hidden: false, voted: false, tab: 0 });
  }

  // ── lanes ───────────────────────────────────────────────────────────────

  /** Open the view from its URL: `with` names models, a fragment is a shared comparison. */
  open(query) {
    const link = readLink(location.hash);
    const models = query.getAll("with");
    if (link || models.length) history.replaceState(history.state, "", "./?view=compare"); // so that a reload restores the comparison
    if (link) this.#fill(link);
    else if (models.length) this.startWith(models);
    else if (!this.lanes.length) this.#restore();
    this.view.draw();
    $("#compare-message").focus({ preventScroll: true });
  }

  /**
   * Start a comparison of these models.
   * @param {string[]} models
   * @param {string} text The prompt, not sent yet.
   * @param {string} note Shown under the lanes.
   */
  startWith(models, text = "", note = "") {
    this.#offerUndo(this.strings.compare_replaced);
    this.#setLanes(models.slice(0, LETTERS.length).map(newLane));
    if (text) this.view.write(text);
    this.view.note(note);
  }

  /** Offer to undo the replacement of a comparison that has turns. */
  #offerUndo(sentence) {
    const { lanes, shared, blind, hidden, voted, tab, hasTurns } = this;
    this.stopAll();
    if (!hasTurns) return;
    toast(sentence, this.strings.undo, () => {
      this.stopAll();
      Object.assign(this, { lanes, shared, blind, hidden, voted, tab });
      this.view.note("");
      this.changed();
    });
  }

  #setLanes(lanes) {
    const spare = this.page.models.list.filter((model) => model.can_chat).map(({ id }) => id);
    while (lanes.length < FEWEST) {
      const next = spare.find((id) => !lanes.some((lane) => lane.model === id));
      // With a single model, compare it with itself at temperature 0.
      const lane = newLane(next ?? lanes[0]?.model ?? "");
      if (!next && lanes.length) lane.settings = { ...DEFAULTS, temperature: 0 };
      lanes.push(lane);
    }
    this.lanes = lanes;
    Object.assign(this, { hidden: false, voted: false, tab: 0 });
    this.#assignLetters();
    this.view.note("");
  }

  #fill(link) {
    this.#offerUndo(this.strings.compare_replaced);
    this.#setLanes(link.lanes.map(({ model, endpoint, settings }) => ({ ...newLane(model), endpoint, settings })));
    this.shared = link.shared;
    this.blind = link.blind;
    this.view.write(link.prompt);
    this.view.note(this.strings.link_filled);
  }

  #restore() {
    const before = restoreComparison();
    if (!before) return this.#setLanes([]);
    Object.assign(this, before);
    this.#assignLetters();
    if (before.draft) this.view.write(before.draft);
    this.#redraw();
  }

  /** Render stored answers, which hold no HTML. */
  async #redraw() {
    const turns = this.lanes.flatMap((lane) => lane.turns);
    for (let from = 0; from < turns.length; from += DRAWN_AT_ONCE) {
      await renderMissing(turns.slice(from, from + DRAWN_AT_ONCE)).catch(() => toast(this.strings.offline_title));
    }
    this.view.draw();
  }

  #assignLetters() {
    this.lanes.forEach((lane, index) => Object.assign(lane, { letter: LETTERS[index], index }));
    this.tab = Math.max(0, Math.min(this.tab, this.lanes.length - 1));
  }

  get running() {
    return this.lanes.filter((lane) => lane.run);
  }

  get hasTurns() {
    return this.lanes.some((lane) => lane.turns.length);
  }

  settingsOf(lane) {
    return lane.settings ?? this.shared;
  }

  cardOf(lane) {
    return this.page.models.find(lane?.model);
  }

  nameOf(lane) {
    return this.cardOf(lane)?.name ?? lane.model;
  }

  /** Describe settings that differ from the defaults, a short text for each. */
  variantOf(settings, lane) {
    return differences(customSettings(settings, this.cardOf(lane)), this.strings);
  }

  /** Return the lane's name in votes: its model and what is specific to the lane. */
  labelOf(lane) {
    const parts = [lane.model, ...this.variantOf(this.settingsOf(lane), lane), lane.endpoint && fill(this.strings.at_endpoint, { endpoint: lane.endpoint })];
    return parts.filter(Boolean).join(", ").slice(0, 300);
  }

  // ── requests ────────────────────────────────────────────────────────────

  send() {
    const box = $("#compare-message");
    const text = box.value;
    if (this.running.length || !text.trim()) return;
    const error = sizeError(text, this.strings);
    if (error) return this.view.hint(error);
    if (this.lanes.some(({ model }) => !model)) return this.view.hint(this.strings.choose_models);
    this.view.hint(null);
    this.view.note("");
    if (this.blind && (!this.hasTurns || this.voted)) this.#startBlindRound();
    this.voted = false;
    box.value = "";
    for (const lane of this.lanes) lane.turns.push({ role: "user", text });
    this.#request(this.lanes);
  }

  /** Start a new blind round: shuffled, and without earlier turns that would identify a lane. */
  #startBlindRound() {
    const { lanes } = this;
    this.page.frame.closeDrawer();
    for (let last = lanes.length - 1; last > 0; last -= 1) {
      const other = Math.floor(Math.random() * (last + 1));
      [lanes[last], lanes[other]] = [lanes[other], lanes[last]];
    }
    for (const lane of lanes) lane.turns = [];
    this.#assignLetters();
    this.hidden = true;
  }

  retry(lane) {
    if (lane.run) return;
    if (lane.turns.at(-1)?.role === "assistant") lane.turns.pop();
    this.#request([lane]);
  }

  async #request(lanes) {
    const run = { id: secretId(), control: new AbortController(), lanes };
    const body = { run: run.id, lanes: lanes.map((lane) => this.#laneRequest(lane)) };
    for (const lane of lanes) {
      const version = { text: "", reasoning: "", model: lane.model, model_name: this.nameOf(lane), label: this.labelOf(lane), settings: { ...this.settingsOf(lane) }, live: true, status: this.strings.waiting, requested_at: new Date().toISOString(), began_ms: performance.now() };
      lane.turns.push({ role: "assistant", shown: 0, versions: [version] });
      lane.run = run;
    }
    this.view.draw();
    this.view.scrollToPrompt(lanes);
    announce(this.strings.compare_began);
    try {
      await this.#stream(run, body);
    } catch (error) {
      this.#fail(run, error);
    }
    for (const lane of lanes) this.#settle(lane, run);
    this.page.models.watch();
  }

  #laneRequest(lane) {
    const turns = lane.turns.map((turn) => (turn.role === "user" ? { role: "user", text: turn.text } : { role: "assistant", text: turn.versions[turn.shown].text }));
    return { letter: lane.letter, model: lane.model, endpoint: lane.endpoint, turns, settings: requestSettings(this.settingsOf(lane), this.cardOf(lane)) };
  }

  async #stream(run, body) {
    const byLetter = new Map(run.lanes.map((lane) => [lane.letter, lane]));
    for await (const event of api.compare(body, run.control.signal)) {
      const lane = byLetter.get(event.lane);
      const version = lastOf(lane);
      if (!version?.live) continue;
      if (event.type === "stopped") this.#stopped(version);
      else applyEvent(version, event, this.strings);
      if (event.type === "started" || event.type === "patch") version.first_ms ??= performance.now();
      if (event.type === "done" || event.type === "stopped") this.#settle(lane, run);
      else this.view.grow(lane, version, event);
    }
    if (run.lanes.some((lane) => lane.run === run)) throw new TypeError("the stream ended early");
  }

  #stopped(version) {
    version.stopped = true;
    version.receipt = partialReceipt(version);
  }

  #fail(run, error) {
    const { strings } = this;
    for (const lane of run.lanes.filter((each) => each.run === run)) {
      const version = lastOf(lane);
      if (!version) continue; // the lane was emptied in the meantime
      if (error.name === "AbortError" || this.unloading) this.#stopped(version);
      else version.error = error.view ?? { title: strings.offline_title, hint: strings.offline_hint, details: "", retry: true };
    }
  }

  #settle(lane, run) {
    if (lane.run !== run) return;
    lane.run = null;
    const version = lastOf(lane);
    if (!version) return;
    Object.assign(version, { live: false, ended_ms: performance.now() });
    version.blocks ??= [];
    if (!this.lanes.includes(lane)) return;
    this.view.drawLane(lane);
    if (!this.running.length) this.#allSettled();
    else this.view.drawRest();
  }

  #allSettled() {
    this.view.drawAround();
    saveComparison(this);
    const failed = this.lanes.filter((lane) => lastOf(lane)?.error).length;
    announce(fill(failed ? this.strings.compare_done_failed : this.strings.compare_done, { count: this.lanes.length, failed }));
  }

  stopAll() {
    for (const run of new Set(this.running.map((lane) => lane.run))) run.control.abort();
  }

  /** Stop one lane. If it runs on another replica that is impossible, and stopping all is offered. */
  async stop(lane) {
    const { run } = lane;
    if (!run) return;
    if (run.lanes.filter((each) => each.run === run).length === 1) return run.control.abort();
    const { stopped } = await api.stopLane(run.id, lane.letter).catch(() => ({ stopped: false }));
    if (!stopped && lane.run === run) toast(this.strings.stop_failed, this.strings.stop_all, () => run.control.abort());
  }

  // ── editing the lanes ───────────────────────────────────────────────────

  add() {
    if (this.lanes.length >= LETTERS.length || this.running.length) return;
    const taken = new Set(this.lanes.map(({ model }) => model));
    const next = this.page.models.list.find((model) => model.can_chat && !taken.has(model.id));
    const lane = newLane(next?.id ?? this.lanes[0]?.model ?? "");
    const prompt = this.lanes[0]?.turns.findLast(({ role }) => role === "user");
    if (prompt) lane.turns.push({ ...prompt }); // not sent until the visitor sends it to this lane too
    this.lanes.push(lane);
    this.tab = this.lanes.length - 1;
    this.changed();
  }

  remove(lane) {
    this.page.frame.closeDrawer(); // it may show another lane's settings
    if (this.lanes.length <= FEWEST || lane.run) return;
    const { lanes } = this;
    this.lanes = lanes.filter((other) => other !== lane);
    this.changed();
    toast(fill(this.strings.lane_removed, { letter: lane.letter }), this.strings.undo, () => {
      this.lanes = lanes;
      this.changed();
    });
  }

  swap(lane, step) {
    this.page.frame.closeDrawer(); // it may show another lane's settings
    const other = this.lanes[lane.index + step];
    if (!other || this.running.length) return;
    [this.lanes[lane.index], this.lanes[other.index]] = [other, lane];
    this.changed();
  }

  choose(lane, model) {
    this.page.frame.closeDrawer(); // it may show another lane's settings
    Object.assign(lane, { model, endpoint: null });
    this.changed();
  }

  changed() {
    this.#assignLetters();
    this.view.draw();
    saveComparison(this);
  }

  /** Return all turns and votes as a report request. */
  reportRequest() {
    const lanes = this.lanes.map((lane) => {
      const turns = lane.turns.flatMap((turn, index) => (turn.role === "user" ? [{ prompt: turn.text, answer: answerOf(lane.turns[index + 1]) }] : []));
      return { model: lane.model, endpoint: lane.endpoint, settings: requestSettings(this.settingsOf(lane), this.cardOf(lane)), turns };
    });
    return { lanes, votes: storedVotes() };
  }

  /** Start a new comparison of the same models. */
  reset() {
    this.#offerUndo(this.strings.compare_cleared);
    this.lanes = this.lanes.map(({ model, endpoint, settings }) => ({ ...newLane(model), endpoint, settings }));
    Object.assign(this, { hidden: false, voted: false });
    this.view.note("");
    this.changed();
    $("#compare-message").focus();
  }

  continueAnswer(lane) {
    const { model, settings } = lastOf(lane);
    const chat = newChat(model, settings ?? this.settingsOf(lane));
    chat.title = titleFrom(lane.turns[0].text);
    chat.turns = storedTurns(structuredClone(serializeTurns(lane.turns)));
    this.page.openNewChat(chat);
  }

  setBlind(blind) {
    this.blind = blind;
    if (!blind) this.hidden = false;
    if (blind && this.hasTurns && !this.voted) this.view.note(this.strings.blind_next);
    this.changed();
  }

  async vote(choice) {
    if (this.voted || this.voting) return;
    this.voting = true;
    await saveVotes(this, choice);
    Object.assign(this, { hidden: false, voted: true, voting: false });
    this.view.draw();
    saveComparison(this);
    $("#compare-message").focus({ preventScroll: true });
  }

  /** The models or their states have changed. */
  modelsChanged() {
    if (document.documentElement.dataset.view !== "compare") return;
    if (this.lanes.every(({ model }) => !model)) this.#setLanes([]);
    this.view.modelsChanged();
  }

  wire() {
    this.view.wire();
    // Browsers cut streams between `beforeunload` and `pagehide`. If the visitor stays, this is reset.
    addEventListener("beforeunload", () => {
      this.unloading = true;
      setTimeout(() => (this.unloading = false), UNLOAD_CANCELLED_MS);
    });
    addEventListener("pagehide", () => saveComparison(this));
  }
}
