// How a comparison looks: its lanes, tabs, composer and settings. What happens is compare.js's.

import { remember } from "./compare_state.js";
import { showDiff } from "./diff.js";
import { $, copyText, el, exchange, fill, icon, toast } from "./dom.js";
import { lastOf, LaneView, LETTERS } from "./lane.js";
import { linkOf } from "./link.js";
import { Race } from "./race.js";
import { openReport } from "./report_dialog.js";
import { drawVote } from "./vote.js";
import * as api from "./api.js";

const AT_REST_MS = 100; // after the last that was heard of a scrolling

export class CompareView {
  constructor(compare) {
    this.compare = compare;
    this.words = compare.words;
    this.views = new Map(); // lane → the view that shows it
  }

  grow(lane, version, event) {
    this.views.get(lane)?.grow(version, event);
  }

  toQuestion(lanes) {
    for (const lane of lanes) this.views.get(lane).toQuestion();
  }

  /** Lanes that nothing was said in show their model; the others keep what they say. */
  modelsChanged() {
    for (const lane of this.compare.lanes) {
      if (!this.views.has(lane)) return this.draw();
      if (lane.turns.length) this.#drawHead(lane);
      else this.drawLane(lane);
    }
    this.drawRest();
  }

  // ── drawing ─────────────────────────────────────────────────────────────

  draw() {
    for (const lane of this.compare.lanes) if (!this.views.has(lane)) this.views.set(lane, new LaneView(lane, this.words, this.#acts()));
    for (const lane of [...this.views.keys()]) if (!this.compare.lanes.includes(lane)) this.views.delete(lane);
    this.#drawRow();
    for (const lane of this.compare.lanes) this.drawLane(lane);
    this.#drawRace();
    this.drawRest();
    this.#scrollTo(this.compare.tab, "instant");
  }

  /** The lanes beside each other; one that stays is not put there anew, so it keeps its place. */
  #drawRow() {
    const { lanes, hidden, running } = this.compare;
    const box = $("#lanes");
    const nodes = lanes.map((lane) => this.views.get(lane).node);
    this.adder ??= this.#adder();
    this.adder.remove();
    if (nodes.length !== box.children.length || nodes.some((node, place) => node !== box.children[place])) box.replaceChildren(...nodes);
    if (!hidden && !running.length && lanes.length < LETTERS.length) box.append(this.adder);
    box.style.setProperty("--lanes", lanes.length);
  }

  #drawRace() {
    const { lanes, hidden } = this.compare;
    this.race.show(hidden ? [] : lanes.filter(lastOf).map((lane) => ({ letter: lane.letter, version: lastOf(lane) })));
  }

  #drawHead(lane) {
    const facts = { hidden: this.compare.hidden, places: this.compare.lanes.length, brief: this.#briefOf(lane) };
    this.views.get(lane)?.drawHead(this.compare.page.models.list, facts);
  }

  /** Everything but what the lanes say: readers keep their place, their folds and their focus. */
  drawAround() {
    for (const lane of this.compare.lanes) this.#drawHead(lane);
    this.#drawRow();
    this.#drawRace();
    this.drawRest();
  }

  drawLane(lane) {
    const view = this.views.get(lane);
    this.#drawHead(lane);
    view.drawThread(this.compare.page.models.list, { hidden: this.compare.hidden });
  }

  drawRest() {
    this.#tabs();
    this.#composer();
    drawVote(this.compare);
    const answered = this.compare.lanes.filter((lane) => lastOf(lane)?.text && !lane.run);
    $("#compare-diff").disabled = answered.length < 2;
    $("#compare-report").disabled = !answered.length || this.compare.hidden;
    $("#compare-new").disabled = !this.compare.said;
    $("#compare-blind").setAttribute("aria-pressed", String(this.compare.blind));
    $("#lanes").classList.toggle("untouched", !this.compare.said);
    this.#starters();
  }

  #acts() {
    const own = (name) => (...args) => this.compare[name](...args);
    return { ...Object.fromEntries(["choose", "remove", "swap", "retry", "stop", "goOn"].map((name) => [name, own(name)])), tune: (lane, opener) => this.tune(lane, opener), scrolled: (view) => this.#together(view) };
  }

  #adder() {
    return el("button", { type: "button", class: "lane-add", "aria-label": this.words.lane_add, title: this.words.lane_add, onclick: () => this.compare.add() }, icon("plus"), el("span", {}, this.words.lane_add));
  }

  // ── on a phone: a lane at a time, swiped or chosen by its tab ───────────

  #showLane(place) {
    this.#mark(place);
    this.#scrollTo(place);
  }

  #scrollTo(place, behavior = "auto") {
    const box = $("#lanes");
    box.scrollTo({ left: box.children[place]?.offsetLeft ?? 0, behavior });
  }

  /** The lanes came to rest. Where all are beside each other they never move. */
  #swiped() {
    const box = $("#lanes");
    if (box.scrollWidth > box.clientWidth) this.#mark(Math.round(box.scrollLeft / box.clientWidth));
  }

  #mark(place) {
    this.compare.tab = place;
    for (const [at, tab] of [...$("#lane-tabs").children].entries()) tab.setAttribute("aria-selected", String(at === place));
    $("#lane-tabs").children[place]?.scrollIntoView({ block: "nearest", inline: "center" });
  }

  #tabs() {
    const tabs = this.compare.lanes.map((lane) =>
      el("button", { type: "button", role: "tab", class: "lane-tab", "data-letter": lane.letter, "aria-selected": String(lane.place === this.compare.tab), onclick: ({ currentTarget }) => this.#showLane([...$("#lane-tabs").children].indexOf(currentTarget)) },
        el("b", { class: "letter" }, lane.letter), el("span", {}, this.compare.hidden ? "" : this.compare.nameOf(lane)), lane.run ? el("i", { class: "pulse" }) : null));
    exchange($("#lane-tabs"), ...tabs);
  }

  /** Questions to begin with, of the models that are compared. */
  #starters() {
    const texts = this.compare.said || this.compare.hidden ? [] : this.compare.lanes.flatMap(({ model }) => this.compare.page.models.find(model)?.starters ?? []);
    const buttons = [...new Set(texts)].slice(0, 3).map((text) =>
      el("button", { type: "button", class: "chip", onclick: () => { this.write(text); this.#composer(); $("#compare-message").focus(); } }, text));
    exchange($("#compare-starters"), ...buttons);
  }

  #briefOf(lane) {
    const own = lane.settings ? this.compare.variantOf(lane.settings, lane) : [];
    if (lane.endpoint) own.push(fill(this.words.at_endpoint, { endpoint: lane.endpoint }));
    return own.join(", ") || (lane.settings ? this.words.own_settings : "");
  }

  #composer() {
    const send = $("#compare-send");
    const running = this.compare.running.length > 0;
    send.classList.toggle("stop", running);
    send.type = running ? "button" : "submit";
    send.setAttribute("aria-label", running ? this.words.stop_all : this.words.compare_send);
    send.replaceChildren(icon(running ? "stop" : "send"));
    send.disabled = !running && !$("#compare-message").value.trim();
    const brief = this.compare.variantOf(this.compare.shared, this.compare.lanes[0]).join(", ") || this.words.defaults;
    $("#compare-tune-text").textContent = brief;
    $("#compare-tune").setAttribute("aria-label", `${this.words.shared_settings}: ${brief}`);
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

  write(text) {
    const box = $("#compare-message");
    box.value = text;
    this.compare.page.fit(box);
  }

  hint(fault) {
    const hint = $("#compare-hint");
    hint.textContent = fault ?? this.words.compare_hint;
    hint.classList.toggle("bad", Boolean(fault));
    hint.classList.toggle("hint", !fault);
  }

  note(text) {
    const note = $("#compare-note");
    note.hidden = !text;
    note.textContent = text;
  }

  // ── settings: the drawer shows the shared ones, or one lane's ───────────

  tune(lane, opener) {
    const { words } = this;
    const { page } = this.compare;
    const card = this.compare.cardOf(lane ?? this.compare.lanes[0]);
    const told = (values) => {
      if (lane) lane.settings = { ...values };
      else this.compare.shared = { ...values };
      for (const each of this.compare.lanes) this.views.get(each).drawHead(page.models.list, { hidden: this.compare.hidden, places: this.compare.lanes.length, brief: this.#briefOf(each) });
      this.#composer();
      remember(this.compare);
    };
    const title = lane ? fill(words.lane_settings, { letter: lane.letter }) : words.shared_settings;
    page.tuneOther({ values: lane ? this.compare.settingsOf(lane) : this.compare.shared, card, told, title, extra: lane ? this.#laneExtra(lane) : null, opener: lane ? this.#tuneOf(lane) : opener });
  }

  /** The lane's button for it as it is then: heads are drawn again and again. */
  #tuneOf(lane) {
    return { focus: () => this.views.get(lane)?.head.querySelector('[data-act="tune"]')?.focus() };
  }

  /** Which endpoint answers, and the way back to the settings of all lanes. */
  #laneExtra(lane) {
    const { words } = this;
    const aliases = this.compare.cardOf(lane)?.endpoints ?? [];
    const pinned = (event) => { lane.endpoint = event.target.value || null; this.compare.changed(); };
    const select = el("select", { class: "plain", id: "lane-endpoint", onchange: pinned },
      el("option", { value: "" }, words.any_endpoint), ...aliases.map((alias) => el("option", { value: alias, selected: alias === lane.endpoint }, alias)));
    const link = el("button", { type: "button", class: "btn", onclick: () => { lane.settings = null; this.compare.changed(); this.tune(lane); $("#close-settings").focus(); } }, words.use_shared);
    return el("div", { class: "lane-extra ag" }, el("label", { for: "lane-endpoint" }, words.answered_by), select, link);
  }

  // ── wiring ──────────────────────────────────────────────────────────────

  wire() {
    this.race = new Race($("#race"), this.words);
    $("#lanes").addEventListener("scroll", () => {
      clearTimeout(this.swiping);
      this.swiping = setTimeout(() => this.#swiped(), AT_REST_MS);
    }, { passive: true });
    const box = $("#compare-message");
    box.addEventListener("input", () => { this.compare.page.fit(box); this.hint(null); this.#composer(); });
    box.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
      event.preventDefault();
      this.compare.send();
    });
    $("#compare-composer").addEventListener("submit", (event) => { event.preventDefault(); this.compare.send(); });
    $("#compare-send").addEventListener("click", (event) => {
      if (!this.compare.running.length) return;
      event.preventDefault();
      this.compare.stopAll();
    });
    $("#compare-tune").addEventListener("click", (event) => this.tune(null, event.currentTarget));
    $("#compare-blind").addEventListener("click", () => this.compare.setBlind(!this.compare.blind));
    $("#compare-sync").addEventListener("click", ({ currentTarget: chip }) => chip.setAttribute("aria-pressed", String(chip.getAttribute("aria-pressed") !== "true")));
    $("#compare-new").addEventListener("click", () => this.compare.fresh());
    $("#compare-diff").addEventListener("click", () => showDiff(this.compare));
    $("#compare-report").addEventListener("click", () => {
      const said = this.compare.saidInAll();
      openReport(this.compare.page, { preview: (form) => api.previewLanes(said, form), whole: (form) => api.lanesReport(said, form) });
    });
    $("#compare-link").addEventListener("click", () => this.#share());
  }

  async #share() {
    const prompt = $("#compare-message").value || this.compare.lanes[0]?.turns.findLast(({ role }) => role === "user")?.text || "";
    const address = new URL("./?view=compare", document.baseURI.replace(/[?#].*$/, ""));
    const hash = linkOf({ lanes: this.compare.lanes, shared: this.compare.shared, blind: this.compare.blind, prompt });
    if (!hash) return toast(this.words.link_too_long);
    address.hash = hash;
    if (await copyText(address.href, this.words)) toast(this.words.link_copied);
  }
}
