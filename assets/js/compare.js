// One question to two to four lanes. The server tells each lane's events in one stream.

import { stoppedReceipt, take } from "./answer.js";
import { newChat, titleFrom } from "./chat.js";
import { kept, remember, remembered } from "./compare_state.js";
import { showDiff } from "./diff.js";
import { $, announce, copyText, el, fill, icon, toast } from "./dom.js";
import { lastOf, LaneView } from "./lane.js";
import { linkOf, readLink } from "./link.js";
import { Race } from "./race.js";
import { DEFAULTS, differences, mineOf, sentOf } from "./settings.js";
import { keptTurns } from "./turns.js";
import { castVotes, drawVote } from "./vote.js";
import * as api from "./api.js";

const LETTERS = ["A", "B", "C", "D"];
const FEWEST = 2;
const MESSAGE_LIMIT_BYTES = 1_000_000;

const newLane = (model) => ({ model, endpoint: null, settings: null, turns: [] });

/** Not to be guessed: who knows it may stop the run. `randomUUID` is there over https alone. */
const secretId = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

export class Compare {
  /** page: words, models, settings, frame, and how to open a chat. */
  constructor(page) {
    this.page = page;
    this.words = page.words;
    Object.assign(this, { lanes: [], shared: { ...DEFAULTS }, blind: false, hidden: false, voted: false, views: new Map(), tab: 0 });
  }

  // ── what is compared ────────────────────────────────────────────────────

  /** The view is opened by its address: `with` names models, a fragment is a link of somebody. */
  open(query) {
    const link = readLink(location.hash);
    const asked = query.getAll("with");
    if (location.hash) history.replaceState(history.state, "", "./?view=compare");
    if (link) this.#fill(link);
    else if (asked.length) this.startWith(asked);
    else if (!this.lanes.length) this.#restore();
    this.draw();
    $("#compare-message").focus({ preventScroll: true });
  }

  startWith(models, text = "") {
    this.stopAll();
    this.#begin(models.slice(0, LETTERS.length).map(newLane));
    if (text) this.#write(text);
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
    this.#note("");
  }

  #fill(link) {
    this.stopAll();
    this.#begin(link.lanes.map(({ model, endpoint, settings }) => ({ ...newLane(model), endpoint, settings })));
    this.shared = link.shared;
    this.blind = link.blind;
    this.#write(link.prompt);
    this.#note(this.words.link_filled);
  }

  #restore() {
    const before = remembered();
    if (!before) return this.#begin([]);
    Object.assign(this, { ...before, views: new Map() });
    this.#lettered();
    if (before.draft) this.#write(before.draft);
    this.#redraw();
  }

  /** Kept answers hold no HTML: the server draws them again. */
  async #redraw() {
    const undrawn = this.lanes.flatMap(({ turns }) => turns.flatMap(({ versions = [] }) => versions)).filter((version) => version.text && !version.blocks);
    if (!undrawn.length) return;
    const { blocks } = await api.render(undrawn.map(({ text }) => text)).catch(() => ({ blocks: [] }));
    undrawn.forEach((version, place) => (version.blocks = blocks[place]));
    this.draw();
  }

  #lettered() {
    this.lanes.forEach((lane, place) => Object.assign(lane, { letter: LETTERS[place], place }));
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

  #cardOf(lane) {
    return this.page.models.find(lane?.model);
  }

  /** What differs from the defaults, in a word each. */
  #variantOf(settings, lane) {
    return differences(mineOf(settings, this.#cardOf(lane)), this.words);
  }

  /** What a vote calls the lane: its model, and what of its settings is its own. */
  labelOf(lane) {
    const parts = [lane.model, ...this.#variantOf(this.settingsOf(lane), lane), lane.endpoint && fill(this.words.at_endpoint, { endpoint: lane.endpoint })];
    return parts.filter(Boolean).join(", ").slice(0, 300);
  }

  // ── asking ──────────────────────────────────────────────────────────────

  send() {
    const box = $("#compare-message");
    const text = box.value;
    if (this.running.length || !text.trim()) return;
    const size = new Blob([text]).size;
    const mb = (bytes) => (bytes / 1e6).toFixed(1);
    if (size > MESSAGE_LIMIT_BYTES) return this.#hint(fill(this.words.too_long, { size: mb(size), limit: mb(MESSAGE_LIMIT_BYTES) }));
    if (this.lanes.some(({ model }) => !model)) return this.#hint(this.words.choose_models);
    this.#hint(null);
    this.#note("");
    if (this.blind && (!this.said || this.voted)) this.#hide();
    this.voted = false;
    box.value = "";
    for (const lane of this.lanes) lane.turns.push({ role: "user", text });
    this.#ask(this.lanes);
  }

  /** A new blind round: nothing of an earlier one may tell who is who. */
  #hide() {
    const { lanes } = this;
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
      const version = { text: "", reasoning: "", model: lane.model, model_name: this.#nameOf(lane), live: true, status: this.words.waiting, began_ms: performance.now() };
      lane.turns.push({ role: "assistant", shown: 0, versions: [version] });
      lane.run = run;
    }
    this.draw();
    for (const lane of lanes) this.views.get(lane).toQuestion();
    announce(this.words.compare_began);
    try {
      await this.#follow(run, body);
    } catch (error) {
      if (this.page.left) return; // leaving the page cut it: what had come is remembered
      this.#broke(run, error);
    }
    for (const lane of lanes) this.#settle(lane, run);
    this.page.models.watch();
  }

  #asked(lane) {
    const turns = lane.turns.map((turn) => (turn.role === "user" ? { role: "user", text: turn.text } : { role: "assistant", text: turn.versions[turn.shown].text }));
    return { letter: lane.letter, model: lane.model, endpoint: lane.endpoint, turns, settings: sentOf(this.settingsOf(lane), this.#cardOf(lane)) };
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
      else this.views.get(lane)?.grow(version, event);
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
      if (error.name === "AbortError") this.#stopped(version);
      else version.error = error.view ?? { title: words.offline_title, mend: words.offline_mend, details: "", retry: true };
    }
  }

  #settle(lane, run) {
    if (lane.run !== run) return;
    const version = lastOf(lane);
    Object.assign(version, { live: false, ended_ms: performance.now() });
    version.blocks ??= [];
    lane.run = null;
    this.#drawLane(lane);
    if (!this.running.length) this.#allSettled();
    else this.#drawRest();
  }

  #allSettled() {
    this.draw();
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
    this.#changed();
  }

  remove(lane) {
    if (this.lanes.length <= FEWEST || lane.run) return;
    const { lanes } = this;
    this.lanes = lanes.filter((other) => other !== lane);
    this.#changed();
    toast(fill(this.words.lane_removed, { letter: lane.letter }), this.words.undo, () => {
      this.lanes = lanes;
      this.#changed();
    });
  }

  swap(lane, step) {
    const other = this.lanes[lane.place + step];
    if (!other || this.running.length) return;
    [this.lanes[lane.place], this.lanes[other.place]] = [other, lane];
    this.#changed();
  }

  choose(lane, model) {
    Object.assign(lane, { model, endpoint: null });
    this.#changed();
  }

  #changed() {
    this.#lettered();
    this.draw();
    remember(this);
  }

  /** A new comparison of the same models. */
  fresh() {
    this.stopAll();
    for (const lane of this.lanes) lane.turns = [];
    Object.assign(this, { hidden: false, voted: false });
    this.#note("");
    this.#changed();
    $("#compare-message").focus();
  }

  goOn(lane) {
    const settings = { ...this.settingsOf(lane) };
    const chat = newChat(lane.model, settings);
    chat.title = titleFrom(lane.turns[0].text);
    chat.turns = keptTurns(structuredClone(kept(lane.turns)));
    this.page.adopt(chat);
  }

  setBlind(blind) {
    this.blind = blind;
    if (!blind) this.hidden = false;
    if (blind && this.said && !this.voted) this.#note(this.words.blind_next);
    this.#changed();
  }

  async vote(choice) {
    await castVotes(this, choice);
    Object.assign(this, { hidden: false, voted: true });
    this.draw();
    remember(this);
    $("#compare-message").focus({ preventScroll: true });
  }

  // ── drawing ─────────────────────────────────────────────────────────────

  draw() {
    const box = $("#lanes");
    for (const lane of this.lanes) if (!this.views.has(lane)) this.views.set(lane, new LaneView(lane, this.words, this.#acts()));
    for (const lane of [...this.views.keys()]) if (!this.lanes.includes(lane)) this.views.delete(lane);
    const nodes = this.lanes.map((lane) => this.views.get(lane).node);
    if (!this.hidden && !this.running.length && this.lanes.length < LETTERS.length) nodes.push(this.#adder());
    if (nodes.length !== box.children.length || nodes.some((node, place) => node !== box.children[place])) box.replaceChildren(...nodes);
    box.style.setProperty("--lanes", this.lanes.length);
    for (const lane of this.lanes) this.#drawLane(lane);
    this.race.show(this.hidden ? [] : this.lanes.filter(lastOf).map((lane) => ({ letter: lane.letter, version: lastOf(lane) })));
    this.#drawRest();
  }

  #drawHead(lane) {
    const facts = { hidden: this.hidden, places: this.lanes.length, brief: this.#briefOf(lane) };
    this.views.get(lane)?.drawHead(this.page.models.list, facts);
  }

  #drawLane(lane) {
    const view = this.views.get(lane);
    this.#drawHead(lane);
    view.drawThread(this.page.models.list, { hidden: this.hidden });
    view.node.classList.toggle("shown", lane.place === this.tab);
  }

  #drawRest() {
    this.#tabs();
    this.#composer();
    drawVote(this);
    const answered = this.lanes.filter((lane) => lastOf(lane)?.text && !lane.run);
    $("#compare-diff").disabled = answered.length < 2;
    $("#compare-new").disabled = !this.said;
    $("#compare-blind").setAttribute("aria-pressed", String(this.blind));
    $("#lanes").classList.toggle("untouched", !this.said);
    this.#starters();
  }

  #acts() {
    const own = (name) => (...args) => this[name](...args);
    return { ...Object.fromEntries(["choose", "remove", "swap", "retry", "stop", "goOn"].map((name) => [name, own(name)])), tune: (lane, opener) => this.tune(lane, opener), scrolled: (view) => this.#together(view) };
  }

  #adder() {
    return el("button", { type: "button", class: "lane-add", "aria-label": this.words.lane_add, title: this.words.lane_add, onclick: () => this.add() }, icon("plus"), el("span", {}, this.words.lane_add));
  }

  #tabs() {
    const tabs = this.lanes.map((lane) =>
      el("button", { type: "button", role: "tab", class: "lane-tab", "data-letter": lane.letter, "aria-selected": String(lane.place === this.tab), onclick: () => { this.tab = lane.place; this.draw(); } },
        el("b", { class: "letter" }, lane.letter), el("span", {}, this.hidden ? "" : this.#nameOf(lane)), lane.run ? el("i", { class: "pulse" }) : null));
    $("#lane-tabs").replaceChildren(...tabs);
  }

  /** Questions to begin with, of the models that are compared. */
  #starters() {
    const texts = this.said || this.hidden ? [] : this.lanes.flatMap(({ model }) => this.page.models.find(model)?.starters ?? []);
    const buttons = [...new Set(texts)].slice(0, 3).map((text) =>
      el("button", { type: "button", class: "chip", onclick: () => { this.#write(text); this.#composer(); $("#compare-message").focus(); } }, text));
    $("#compare-starters").replaceChildren(...buttons);
  }

  #nameOf(lane) {
    return this.#cardOf(lane)?.name ?? lane.model;
  }

  #briefOf(lane) {
    const own = lane.settings ? this.#variantOf(lane.settings, lane) : [];
    if (lane.endpoint) own.push(fill(this.words.at_endpoint, { endpoint: lane.endpoint }));
    return own.join(", ") || (lane.settings ? this.words.own_settings : "");
  }

  #composer() {
    const send = $("#compare-send");
    const running = this.running.length > 0;
    send.classList.toggle("stop", running);
    send.type = running ? "button" : "submit";
    send.setAttribute("aria-label", running ? this.words.stop_all : this.words.compare_send);
    send.replaceChildren(icon(running ? "stop" : "send"));
    send.disabled = !running && !$("#compare-message").value.trim();
    $("#compare-tune-text").textContent = this.#variantOf(this.shared, this.lanes[0]).join(", ") || this.words.defaults;
  }

  #together(view) {
    if ($("#compare-sync").getAttribute("aria-pressed") !== "true" || this.syncing) return;
    const { scrollTop, scrollHeight, clientHeight } = view.scroller;
    const share = scrollTop / Math.max(1, scrollHeight - clientHeight);
    this.syncing = true;
    for (const other of this.views.values()) {
      if (other !== view) other.scroller.scrollTop = share * (other.scroller.scrollHeight - other.scroller.clientHeight);
    }
    requestAnimationFrame(() => (this.syncing = false));
  }

  #write(text) {
    const box = $("#compare-message");
    box.value = text;
    this.page.fit(box);
  }

  #hint(fault) {
    const hint = $("#compare-hint");
    hint.textContent = fault ?? this.words.compare_hint;
    hint.classList.toggle("bad", Boolean(fault));
    hint.classList.toggle("hint", !fault);
  }

  #note(text) {
    const note = $("#compare-note");
    note.hidden = !text;
    note.textContent = text;
  }

  // ── settings: the drawer shows the shared ones, or one lane's ───────────

  tune(lane, opener) {
    const { page, words } = this;
    const card = this.#cardOf(lane ?? this.lanes[0]);
    const told = (values) => {
      if (lane) lane.settings = { ...values };
      else this.shared = { ...values };
      for (const each of this.lanes) this.views.get(each).drawHead(page.models.list, { hidden: this.hidden, places: this.lanes.length, brief: this.#briefOf(each) });
      this.#composer();
      remember(this);
    };
    const title = lane ? fill(words.lane_settings, { letter: lane.letter }) : words.shared_settings;
    page.tuneOther({ values: lane ? this.settingsOf(lane) : this.shared, card, told, title, extra: lane ? this.#laneExtra(lane) : null, opener });
  }

  /** Which endpoint answers, and the way back to the settings of all lanes. */
  #laneExtra(lane) {
    const { words } = this;
    const aliases = this.#cardOf(lane)?.endpoints ?? [];
    const pinned = (event) => { lane.endpoint = event.target.value || null; this.#changed(); };
    const select = el("select", { class: "plain", id: "lane-endpoint", onchange: pinned },
      el("option", { value: "" }, words.any_endpoint), ...aliases.map((alias) => el("option", { value: alias, selected: alias === lane.endpoint }, alias)));
    const link = el("button", { type: "button", class: "btn", onclick: () => { lane.settings = null; this.#changed(); this.tune(lane); } }, words.use_shared);
    return el("div", { class: "lane-extra ag" }, el("label", { for: "lane-endpoint" }, words.answered_by), select, link);
  }

  // ── wiring ──────────────────────────────────────────────────────────────

  wire() {
    this.race = new Race($("#race"), this.words);
    const box = $("#compare-message");
    box.addEventListener("input", () => { this.page.fit(box); this.#hint(null); this.#composer(); });
    box.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
      event.preventDefault();
      this.send();
    });
    $("#compare-composer").addEventListener("submit", (event) => { event.preventDefault(); this.send(); });
    $("#compare-send").addEventListener("click", (event) => {
      if (!this.running.length) return;
      event.preventDefault();
      this.stopAll();
    });
    $("#compare-tune").addEventListener("click", (event) => this.tune(null, event.currentTarget));
    $("#compare-blind").addEventListener("click", () => this.setBlind(!this.blind));
    $("#compare-sync").addEventListener("click", ({ currentTarget: chip }) => chip.setAttribute("aria-pressed", String(chip.getAttribute("aria-pressed") !== "true")));
    $("#compare-new").addEventListener("click", () => this.fresh());
    $("#compare-diff").addEventListener("click", () => showDiff(this));
    $("#compare-link").addEventListener("click", () => this.#share());
    addEventListener("pagehide", () => remember(this));
  }

  async #share() {
    const prompt = $("#compare-message").value || this.lanes[0]?.turns.findLast(({ role }) => role === "user")?.text || "";
    const address = new URL("./?view=compare", document.baseURI.replace(/[?#].*$/, ""));
    address.hash = linkOf({ lanes: this.lanes, shared: this.shared, blind: this.blind, prompt });
    if (await copyText(address.href, this.words)) toast(this.words.link_copied);
  }

  /** The models have changed, or whether they can be asked. */
  modelsChanged() {
    if (document.documentElement.dataset.view !== "compare") return;
    if (this.lanes.every(({ model }) => !model)) return this.#begin([]), this.draw();
    for (const lane of this.lanes) {
      if (lane.turns.length) this.#drawHead(lane);
      else this.#drawLane(lane);
    }
    this.#drawRest();
  }
}

