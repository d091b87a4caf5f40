// One question to two to four lanes. The server tells each lane's events in one stream.

import { hintOf, stoppedReceipt, take } from "./answer.js";
import { newChat, titleFrom } from "./chat.js";
import { kept, remember, remembered } from "./compare_state.js";
import { CompareView } from "./compare_view.js";
import { $, announce, fill, toast } from "./dom.js";
import { secretId } from "./ids.js";
import { lastOf, LETTERS } from "./lane.js";
import { readLink } from "./link.js";
import { tooLong } from "./message_size.js";
import { DEFAULTS, differences, mineOf, sentOf } from "./settings.js";
import { drawMissing } from "./thread.js";
import { keptTurns } from "./turns.js";
import { castVotes, ownVotes } from "./vote.js";
import * as api from "./api.js";

const FEWEST = 2;
const STILL_HERE_MS = 2000;
const DRAWN_AT_ONCE = 50;

const newLane = (model) => ({ model, endpoint: null, settings: null, turns: [] });

function answerOf(turn) {
  const version = turn?.versions?.[turn.shown];
  if (!version || version.live) return null;
  const { asked, text, reasoning, stopped, error, receipt } = version;
  return { asked, text, reasoning, stopped: Boolean(stopped), failed: error ? `${error.title} ${hintOf(error)}`.trim() : "", facts: receipt?.facts ?? null };
}

export class Compare {
  /** page: words, models, settings, frame, and how to open a chat. */
  constructor(page) {
    this.page = page;
    this.words = page.words;
    this.view = new CompareView(this);
    Object.assign(this, { lanes: [], shared: { ...DEFAULTS }, blind: false, hidden: false, voted: false, tab: 0 });
  }

  // ── what is compared ────────────────────────────────────────────────────

  /** The view is opened by its address: `with` names models, a fragment is a link of somebody. */
  open(query) {
    const link = readLink(location.hash);
    const asked = query.getAll("with");
    if (link || asked.length) history.replaceState(history.state, "", "./?view=compare"); // a reload restores
    if (link) this.#fill(link);
    else if (asked.length) this.startWith(asked);
    else if (!this.lanes.length) this.#restore();
    this.view.draw();
    $("#compare-message").focus({ preventScroll: true });
  }

  /** note: what is to be said about it under the lanes. */
  startWith(models, text = "", note = "") {
    this.#leave(this.words.compare_replaced);
    this.#begin(models.slice(0, LETTERS.length).map(newLane));
    if (text) this.view.write(text);
    this.view.note(note);
  }

  /** Another comparison comes in the place of this one, which can be had back where it said something. */
  #leave(sentence) {
    const { lanes, shared, blind, hidden, voted, tab, said } = this;
    this.stopAll();
    if (!said) return;
    toast(sentence, this.words.undo, () => {
      this.stopAll();
      Object.assign(this, { lanes, shared, blind, hidden, voted, tab });
      this.view.note("");
      this.changed();
    });
  }

  #begin(lanes) {
    const spare = this.page.models.list.filter((model) => model.can_chat).map(({ id }) => id);
    while (lanes.length < FEWEST) {
      const next = spare.find((id) => !lanes.some((lane) => lane.model === id));
      // With one model alone there is still something to compare: its own temperature.
      const lane = newLane(next ?? lanes[0]?.model ?? "");
      if (!next && lanes.length) lane.settings = { ...DEFAULTS, temperature: 0 };
      lanes.push(lane);
    }
    this.lanes = lanes;
    Object.assign(this, { hidden: false, voted: false, tab: 0 });
    this.#lettered();
    this.view.note("");
  }

  #fill(link) {
    this.#leave(this.words.compare_replaced);
    this.#begin(link.lanes.map(({ model, endpoint, settings }) => ({ ...newLane(model), endpoint, settings })));
    this.shared = link.shared;
    this.blind = link.blind;
    this.view.write(link.prompt);
    this.view.note(this.words.link_filled);
  }

  #restore() {
    const before = remembered();
    if (!before) return this.#begin([]);
    Object.assign(this, before);
    this.#lettered();
    if (before.draft) this.view.write(before.draft);
    this.#redraw();
  }

  /** Kept answers hold no HTML: the server draws them again. */
  async #redraw() {
    const turns = this.lanes.flatMap((lane) => lane.turns);
    for (let from = 0; from < turns.length; from += DRAWN_AT_ONCE) {
      await drawMissing(turns.slice(from, from + DRAWN_AT_ONCE)).catch(() => toast(this.words.offline_title));
    }
    this.view.draw();
  }

  #lettered() {
    this.lanes.forEach((lane, place) => Object.assign(lane, { letter: LETTERS[place], place }));
    this.tab = Math.max(0, Math.min(this.tab, this.lanes.length - 1));
  }

  get running() {
    return this.lanes.filter((lane) => lane.run);
  }

  get said() {
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

  /** What differs from the defaults, in a word each. */
  variantOf(settings, lane) {
    return differences(mineOf(settings, this.cardOf(lane)), this.words);
  }

  /** What a vote calls the lane: its model, and what of its settings is its own. */
  labelOf(lane) {
    const parts = [lane.model, ...this.variantOf(this.settingsOf(lane), lane), lane.endpoint && fill(this.words.at_endpoint, { endpoint: lane.endpoint })];
    return parts.filter(Boolean).join(", ").slice(0, 300);
  }

  // ── asking ──────────────────────────────────────────────────────────────

  send() {
    const box = $("#compare-message");
    const text = box.value;
    if (this.running.length || !text.trim()) return;
    const fault = tooLong(text, this.words);
    if (fault) return this.view.hint(fault);
    if (this.lanes.some(({ model }) => !model)) return this.view.hint(this.words.choose_models);
    this.view.hint(null);
    this.view.note("");
    if (this.blind && (!this.said || this.voted)) this.#hide();
    this.voted = false;
    box.value = "";
    for (const lane of this.lanes) lane.turns.push({ role: "user", text });
    this.#ask(this.lanes);
  }

  /** A new blind round: nothing of an earlier one may tell who is who. */
  #hide() {
    const { lanes } = this;
    this.page.frame.closeDrawer();
    for (let last = lanes.length - 1; last > 0; last -= 1) {
      const other = Math.floor(Math.random() * (last + 1));
      [lanes[last], lanes[other]] = [lanes[other], lanes[last]];
    }
    for (const lane of lanes) lane.turns = [];
    this.#lettered();
    this.hidden = true;
  }

  retry(lane) {
    if (lane.run) return;
    if (lane.turns.at(-1)?.role === "assistant") lane.turns.pop();
    this.#ask([lane]);
  }

  async #ask(lanes) {
    const run = { id: secretId(), control: new AbortController(), lanes };
    const body = { run: run.id, lanes: lanes.map((lane) => this.#asked(lane)) };
    for (const lane of lanes) {
      const version = { text: "", reasoning: "", model: lane.model, model_name: this.nameOf(lane), label: this.labelOf(lane), settings: { ...this.settingsOf(lane) }, live: true, status: this.words.waiting, asked: new Date().toISOString(), began_ms: performance.now() };
      lane.turns.push({ role: "assistant", shown: 0, versions: [version] });
      lane.run = run;
    }
    this.view.draw();
    this.view.toQuestion(lanes);
    announce(this.words.compare_began);
    try {
      await this.#follow(run, body);
    } catch (error) {
      this.#broke(run, error);
    }
    for (const lane of lanes) this.#settle(lane, run);
    this.page.models.watch();
  }

  #asked(lane) {
    const turns = lane.turns.map((turn) => (turn.role === "user" ? { role: "user", text: turn.text } : { role: "assistant", text: turn.versions[turn.shown].text }));
    return { letter: lane.letter, model: lane.model, endpoint: lane.endpoint, turns, settings: sentOf(this.settingsOf(lane), this.cardOf(lane)) };
  }

  async #follow(run, body) {
    const byLetter = new Map(run.lanes.map((lane) => [lane.letter, lane]));
    for await (const event of api.compare(body, run.control.signal)) {
      const lane = byLetter.get(event.lane);
      const version = lastOf(lane);
      if (!version?.live) continue;
      if (event.type === "stopped") this.#stopped(version);
      else take(version, event, this.words);
      if (event.type === "started" || event.type === "patch") version.first_ms ??= performance.now();
      if (event.type === "done" || event.type === "stopped") this.#settle(lane, run);
      else this.view.grow(lane, version, event);
    }
    if (run.lanes.some((lane) => lane.run === run)) throw new TypeError("the stream ended early");
  }

  #stopped(version) {
    version.stopped = true;
    version.receipt = stoppedReceipt(version);
  }

  #broke(run, error) {
    const { words } = this;
    for (const lane of run.lanes.filter((each) => each.run === run)) {
      const version = lastOf(lane);
      if (!version) continue; // the lane was emptied meanwhile
      if (error.name === "AbortError" || this.leaving) this.#stopped(version);
      else version.error = error.view ?? { title: words.offline_title, hint: words.offline_hint, details: "", retry: true };
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
    remember(this);
    const failed = this.lanes.filter((lane) => lastOf(lane)?.error).length;
    announce(fill(failed ? this.words.compare_done_failed : this.words.compare_done, { count: this.lanes.length, failed }));
  }

  stopAll() {
    for (const run of new Set(this.running.map((lane) => lane.run))) run.control.abort();
  }

  /** One lane alone; where another replica runs it, that can't be told, and it is said. */
  async stop(lane) {
    const { run } = lane;
    if (!run) return;
    if (run.lanes.filter((each) => each.run === run).length === 1) return run.control.abort();
    const { stopped } = await api.stopLane(run.id, lane.letter).catch(() => ({ stopped: false }));
    if (!stopped && lane.run === run) toast(this.words.stop_failed, this.words.stop_all, () => run.control.abort());
  }

  // ── changing the lanes ──────────────────────────────────────────────────

  add() {
    if (this.lanes.length >= LETTERS.length || this.running.length) return;
    const taken = new Set(this.lanes.map(({ model }) => model));
    const next = this.page.models.list.find((model) => model.can_chat && !taken.has(model.id));
    const lane = newLane(next?.id ?? this.lanes[0]?.model ?? "");
    const asked = this.lanes[0]?.turns.findLast(({ role }) => role === "user");
    if (asked) lane.turns.push({ ...asked }); // waits there until it is asked in this lane too
    this.lanes.push(lane);
    this.tab = this.lanes.length - 1;
    this.changed();
  }

  remove(lane) {
    this.page.frame.closeDrawer(); // it may show what is another lane's then
    if (this.lanes.length <= FEWEST || lane.run) return;
    const { lanes } = this;
    this.lanes = lanes.filter((other) => other !== lane);
    this.changed();
    toast(fill(this.words.lane_removed, { letter: lane.letter }), this.words.undo, () => {
      this.lanes = lanes;
      this.changed();
    });
  }

  swap(lane, step) {
    this.page.frame.closeDrawer(); // it may show what is another lane's then
    const other = this.lanes[lane.place + step];
    if (!other || this.running.length) return;
    [this.lanes[lane.place], this.lanes[other.place]] = [other, lane];
    this.changed();
  }

  choose(lane, model) {
    this.page.frame.closeDrawer(); // it may show what is another lane's then
    Object.assign(lane, { model, endpoint: null });
    this.changed();
  }

  changed() {
    this.#lettered();
    this.view.draw();
    remember(this);
  }

  /** All that was said, as a report asks for it. */
  saidInAll() {
    const lanes = this.lanes.map((lane) => {
      const asked = lane.turns.flatMap((turn, place) => (turn.role === "user" ? [{ question: turn.text, answer: answerOf(lane.turns[place + 1]) }] : []));
      return { model: lane.model, endpoint: lane.endpoint, settings: sentOf(this.settingsOf(lane), this.cardOf(lane)), turns: asked };
    });
    return { lanes, votes: ownVotes() };
  }

  /** A new comparison of the same models. */
  fresh() {
    this.#leave(this.words.compare_cleared);
    this.lanes = this.lanes.map(({ model, endpoint, settings }) => ({ ...newLane(model), endpoint, settings }));
    Object.assign(this, { hidden: false, voted: false });
    this.view.note("");
    this.changed();
    $("#compare-message").focus();
  }

  goOn(lane) {
    const { model, settings } = lastOf(lane);
    const chat = newChat(model, settings ?? this.settingsOf(lane));
    chat.title = titleFrom(lane.turns[0].text);
    chat.turns = keptTurns(structuredClone(kept(lane.turns)));
    this.page.adopt(chat);
  }

  setBlind(blind) {
    this.blind = blind;
    if (!blind) this.hidden = false;
    if (blind && this.said && !this.voted) this.view.note(this.words.blind_next);
    this.changed();
  }

  async vote(choice) {
    if (this.voted || this.voting) return;
    this.voting = true;
    await castVotes(this, choice);
    Object.assign(this, { hidden: false, voted: true, voting: false });
    this.view.draw();
    remember(this);
    $("#compare-message").focus({ preventScroll: true });
  }

  /** The models have changed, or whether they can be asked. */
  modelsChanged() {
    if (document.documentElement.dataset.view !== "compare") return;
    if (this.lanes.every(({ model }) => !model)) this.#begin([]);
    this.view.modelsChanged();
  }

  wire() {
    this.view.wire();
    // Streams are cut between `beforeunload` and `pagehide`; a page that stays after all is told so.
    addEventListener("beforeunload", () => {
      this.leaving = true;
      setTimeout(() => (this.leaving = false), STILL_HERE_MS);
    });
    addEventListener("pagehide", () => remember(this));
  }
}
