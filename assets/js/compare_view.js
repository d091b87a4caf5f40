// The view of a comparison: lanes, tabs, composer and settings. The logic is in compare.js.

import { saveComparison } from "./compare_state.js";
import { openDiff } from "./diff.js";
import { $, copyText, el, replaceIfChanged, fill, icon, toast } from "./dom.js";
import { lastOf, LaneView, LETTERS } from "./lane.js";
import { linkOf } from "./link.js";
import { Race } from "./race.js";
import { openReport } from "./report_dialog.js";
import { renderVote } from "./vote.js";
import * as api from "./api.js";

const AT_REST_MS = 100; // after the last scroll event

export class CompareView {
  constructor(compare) {
    this.compare = compare;
    this.strings = compare.strings;
    this.views = new Map(); // lane → its view
  }

  grow(lane, version, event) {
    this.views.get(lane)?.grow(version, event);
  }

  scrollToPrompt(lanes) {
    for (const lane of lanes) this.views.get(lane).scrollToPrompt();
  }

  /** Redraw empty lanes, which show their model; lanes with turns keep their content. */
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
    for (const lane of this.compare.lanes) if (!this.views.has(lane)) this.views.set(lane, new LaneView(lane, this.strings, this.#actions()));
    for (const lane of [...this.views.keys()]) if (!this.compare.lanes.includes(lane)) this.views.delete(lane);
    this.#drawRow();
    for (const lane of this.compare.lanes) this.drawLane(lane);
    this.#drawRace();
    this.drawRest();
    this.#scrollTo(this.compare.tab, "instant");
  }

  /** Place the lanes side by side. A lane that stays is not inserted again, so it keeps its scroll position. */
  #drawRow() {
    const { lanes, hidden, running } = this.compare;
    const box = $("#lanes");
    const nodes = lanes.map((lane) => this.views.get(lane).node);
    this.addButton ??= this.#addButton();
    this.addButton.remove();
    if (nodes.length !== box.children.length || nodes.some((node, index) => node !== box.children[index])) box.replaceChildren(...nodes);
    if (!hidden && !running.length && lanes.length < LETTERS.length) box.append(this.addButton);
    box.style.setProperty("--lanes", lanes.length);
  }

  #drawRace() {
    const { lanes, hidden } = this.compare;
    this.race.show(hidden ? [] : lanes.filter(lastOf).map((lane) => ({ letter: lane.letter, version: lastOf(lane) })));
  }

  #drawHead(lane) {
    const facts = { hidden: this.compare.hidden, places: this.compare.lanes.length, brief: this.#summaryOf(lane) };
    this.views.get(lane)?.drawHead(this.compare.page.models.list, facts);
  }

  /** Redraw everything except the threads: scroll positions, open details and the focus stay. */
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
    this.#updateComposer();
    renderVote(this.compare);
    const answered = this.compare.lanes.filter((lane) => lastOf(lane)?.text && !lane.run);
    $("#compare-diff").disabled = answered.length < 2;
    $("#compare-report").disabled = !answered.length || this.compare.hidden;
    $("#compare-new").disabled = !this.compare.hasTurns;
    $("#compare-blind").setAttribute("aria-pressed", String(this.compare.blind));
    $("#lanes").classList.toggle("untouched", !this.compare.hasTurns);
    this.#starters();
  }

  #actions() {
    const own = (name) => (...args) => this.compare[name](...args);
    return { ...Object.fromEntries(["choose", "remove", "swap", "retry", "stop", "continueAnswer"].map((name) => [name, own(name)])), tune: (lane, opener) => this.tune(lane, opener), scrolled: (view) => this.#syncScroll(view) };
  }

  #addButton() {
    return el("button", { type: "button", class: "lane-add", "aria-label": this.strings.lane_add, title: this.strings.lane_add, onclick: () => this.compare.add() }, icon("plus"), el("span", {}, this.strings.lane_add));
  }

  // ── narrow screens: one lane at a time, swiped or chosen by its tab ─────

  #showLane(index) {
    this.#mark(index);
    this.#scrollTo(index);
  }

  #scrollTo(index, behavior = "auto") {
    const box = $("#lanes");
    box.scrollTo({ left: box.children[index]?.offsetLeft ?? 0, behavior });
  }

  /** Select the tab of the lane that was swiped to. Wide screens show all lanes and don't scroll. */
  #swiped() {
    const box = $("#lanes");
    if (box.scrollWidth > box.clientWidth) this.#mark(Math.round(box.scrollLeft / box.clientWidth));
  }

  #mark(index) {
    this.compare.tab = index;
    for (const [at, tab] of [...$("#lane-tabs").children].entries()) tab.setAttribute("aria-selected", String(at === index));
    $("#lane-tabs").children[index]?.scrollIntoView({ block: "nearest", inline: "center" });
  }

  #tabs() {
    const tabs = this.compare.lanes.map((lane) =>
      el("button", { type: "button", role: "tab", class: "lane-tab", "data-letter": lane.letter, "aria-selected": String(lane.index === this.compare.tab), onclick: ({ currentTarget }) => this.#showLane([...$("#lane-tabs").children].indexOf(currentTarget)) },
        el("b", { class: "letter" }, lane.letter), el("span", {}, this.compare.hidden ? "" : this.compare.nameOf(lane)), lane.run ? el("i", { class: "pulse" }) : null));
    replaceIfChanged($("#lane-tabs"), ...tabs);
  }

  /** Show starter prompts of the compared models. */
  #starters() {
    const texts = this.compare.hasTurns || this.compare.hidden ? [] : this.compare.lanes.flatMap(({ model }) => this.compare.page.models.find(model)?.starters ?? []);
    const buttons = [...new Set(texts)].slice(0, 3).map((text) =>
      el("button", { type: "button", class: "chip", onclick: () => { this.write(text); this.#updateComposer(); $("#compare-message").focus(); } }, text));
    replaceIfChanged($("#compare-starters"), ...buttons);
  }

  #summaryOf(lane) {
    const own = lane.settings ? this.compare.variantOf(lane.settings, lane) : [];
    if (lane.endpoint) own.push(fill(this.strings.at_endpoint, { endpoint: lane.endpoint }));
    return own.join(", ") || (lane.settings ? this.strings.own_settings : "");
  }

  #updateComposer() {
    const send = $("#compare-send");
    const running = this.compare.running.length > 0;
    send.classList.toggle("stop", running);
    send.type = running ? "button" : "submit";
    send.setAttribute("aria-label", running ? this.strings.stop_all : this.strings.compare_send);
    send.replaceChildren(icon(running ? "stop" : "send"));
    send.disabled = !running && !$("#compare-message").value.trim();
    const brief = this.compare.variantOf(this.compare.shared, this.compare.lanes[0]).join(", ") || this.strings.defaults;
    $("#compare-tune-text").textContent = brief;
    $("#compare-tune").setAttribute("aria-label", `${this.strings.shared_settings}: ${brief}`);
  }

  #syncScroll(view) {
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

  hint(error) {
    const hint = $("#compare-hint");
    hint.textContent = error ?? this.strings.compare_hint;
    hint.classList.toggle("bad", Boolean(error));
    hint.classList.toggle("hint", !error);
  }

  note(text) {
    const note = $("#compare-note");
    note.hidden = !text;
    note.textContent = text;
  }

  // ── settings of all lanes, or of one ────────────────────────────────────

  tune(lane, opener) {
    const { strings } = this;
    const { page } = this.compare;
    const card = this.compare.cardOf(lane ?? this.compare.lanes[0]);
    const onchange = (values) => {
      if (lane) lane.settings = { ...values };
      else this.compare.shared = { ...values };
      for (const each of this.compare.lanes) this.views.get(each).drawHead(page.models.list, { hidden: this.compare.hidden, places: this.compare.lanes.length, brief: this.#summaryOf(each) });
      this.#updateComposer();
      saveComparison(this.compare);
    };
    const title = lane ? fill(strings.lane_settings, { letter: lane.letter }) : strings.shared_settings;
    page.openSettingsFor({ values: lane ? this.compare.settingsOf(lane) : this.compare.shared, card, onchange, title, extra: lane ? this.#laneExtra(lane) : null, opener: lane ? this.#tuneButton(lane) : opener });
  }

  /** Return a focus target for the lane's settings button, looked up late: heads are redrawn often. */
  #tuneButton(lane) {
    return { focus: () => this.views.get(lane)?.head.querySelector('[data-action="tune"]')?.focus() };
  }

  /** Build the lane's endpoint choice, and the button that returns to the shared settings. */
  #laneExtra(lane) {
    const { strings } = this;
    const aliases = this.compare.cardOf(lane)?.endpoints ?? [];
    const pinned = (event) => { lane.endpoint = event.target.value || null; this.compare.changed(); };
    const select = el("select", { class: "plain", id: "lane-endpoint", onchange: pinned },
      el("option", { value: "" }, strings.any_endpoint), ...aliases.map((alias) => el("option", { value: alias, selected: alias === lane.endpoint }, alias)));
    const link = el("button", { type: "button", class: "btn", onclick: () => { lane.settings = null; this.compare.changed(); this.tune(lane); $("#close-settings").focus(); } }, strings.use_shared);
    return el("div", { class: "lane-extra ag" }, el("label", { for: "lane-endpoint" }, strings.lane_endpoint), select, link);
  }

  // ── wiring ──────────────────────────────────────────────────────────────

  wire() {
    this.race = new Race($("#race"), this.strings);
    $("#lanes").addEventListener("scroll", () => {
      clearTimeout(this.swiping);
      this.swiping = setTimeout(() => this.#swiped(), AT_REST_MS);
    }, { passive: true });
    const box = $("#compare-message");
    box.addEventListener("input", () => { this.compare.page.fit(box); this.hint(null); this.#updateComposer(); });
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
    $("#compare-new").addEventListener("click", () => this.compare.reset());
    $("#compare-diff").addEventListener("click", () => openDiff(this.compare));
    $("#compare-report").addEventListener("click", () => {
      const request = this.compare.reportRequest();
      openReport(this.compare.page, { preview: (form) => api.previewLanes(request, form), whole: (form) => api.lanesReport(request, form) });
    });
    $("#compare-link").addEventListener("click", () => this.#share());
  }

  async #share() {
    const prompt = $("#compare-message").value || this.compare.lanes[0]?.turns.findLast(({ role }) => role === "user")?.text || "";
    const address = new URL("./?view=compare", document.baseURI.replace(/[?#].*$/, ""));
    const hash = linkOf({ lanes: this.compare.lanes, shared: this.compare.shared, blind: this.compare.blind, prompt });
    if (!hash) return toast(this.strings.link_too_long);
    address.hash = hash;
    if (await copyText(address.href, this.strings)) toast(this.strings.link_copied);
  }
}
