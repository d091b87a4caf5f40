// The models: cards with search, filters and sorting; a model's panel; the model menu.

import { $, announce, el, fill, parseServerHtml, toast } from "./dom.js";
import { openPopover } from "./menus.js";
import * as api from "./api.js";

const ORDER = { ready: 0, slow: 1, busy: 2, starting: 3, waking: 4, unknown: 5, resting: 6, down: 7, drained: 8, unserved: 9 };
const MAX_TICKED = 4;
const BY = {
  served: (a, b) => ORDER[a.state] - ORDER[b.state] || a.order - b.order,
  name: (a, b) => a.name.localeCompare(b.name),
  context: (a, b) => b.context_tokens - a.context_tokens || a.order - b.order,
};

export class Models {
  list = [];
  hidden = [];
  waking = false;
  unreached = false;
  #cards = new Map(); // model id → its card, rebuilt only when the server's HTML changes

  constructor(strings, onchange) {
    this.strings = strings;
    this.onchange = onchange;
    this.filter = "all";
  }

  find(id) {
    return this.list.find((model) => model.id === id);
  }

  /** Return the model to open by default: the first usable one. */
  first() {
    return this.list.find((model) => model.can_chat) ?? this.list[0];
  }

  /**
   * Fetch the models, and again every second while a model is loading, else less often.
   * @param {Promise<object>} request The first request, if it is already running.
   */
  async watch(request = api.models()) {
    try {
      this.take(await request);
      this.#reached(true);
    } catch {
      this.#reached(false);
    }
    clearTimeout(this.timer);
    const pause = this.unreached ? 3000 : this.waking ? 700 : document.hidden ? 60000 : 10000;
    this.timer = setTimeout(() => this.watch(), pause);
  }

  take(view) {
    const text = JSON.stringify(view);
    if (text === this.current) return;
    this.current = text;
    this.list = view.models.map((model, order) => ({ ...model, order }));
    this.hidden = view.hidden;
    this.waking = view.waking;
    if (String(view.notices) !== this.notices) showNotices(view.notices);
    this.notices = String(view.notices);
    this.draw();
    this.onchange();
  }

  #reached(reached) {
    if (this.unreached === !reached) return;
    this.unreached = !reached;
    if (!reached) announce(this.strings.offline_badge);
    this.onchange();
  }

  ticked = new Set();

  wire() {
    this.#wireTicks();
    $("#model-search").addEventListener("input", () => this.draw());
    $("#model-sort").addEventListener("change", () => this.draw());
    $("#clear-search").addEventListener("click", () => {
      $("#model-search").value = "";
      this.#choose("all");
      $("#model-search").focus();
    });
    for (const chip of document.querySelectorAll("[data-filter]")) {
      chip.addEventListener("click", () => this.#choose(chip.dataset.filter));
    }
  }

  /** Wire the checkboxes for comparing. A rebuilt card keeps its checkbox. */
  #wireTicks() {
    $("#cards").addEventListener("change", ({ target }) => {
      const id = target.dataset.tick;
      if (!id) return;
      if (!target.checked) this.ticked.delete(id);
      else if (this.ticked.size < MAX_TICKED) this.ticked.add(id);
      else {
        target.checked = false;
        toast(this.strings.ticked_most);
      }
      this.#showTicks();
    });
    const clear = () => {
      this.ticked.clear();
      this.#showTicks();
    };
    $("#ticked-clear").addEventListener("click", clear);
    $("#ticked-go").addEventListener("click", () => setTimeout(clear));
  }

  #showTicks() {
    for (const box of document.querySelectorAll("[data-tick]")) box.checked = this.ticked.has(box.dataset.tick);
    const count = this.ticked.size;
    $("#gallery").classList.toggle("ticking", count > 0);
    $("#ticked").hidden = count === 0;
    $("#ticked-count").textContent = count === 1 ? this.strings.ticked_one : "";
    const go = $("#ticked-go");
    go.hidden = count < 2;
    go.textContent = fill(this.strings.ticked_go, { count });
    go.href = `./?view=compare${[...this.ticked].map((id) => `&with=${encodeURIComponent(id)}`).join("")}`;
  }

  #choose(filter) {
    this.filter = filter;
    for (const chip of document.querySelectorAll("[data-filter]")) {
      chip.setAttribute("aria-pressed", String(chip.dataset.filter === filter));
    }
    this.draw();
  }

  #matches(model, query) {
    const passes = {
      all: true,
      ready: model.state === "ready" || model.state === "slow",
      reasoning: model.reasoning,
      vision: model.vision,
    }[this.filter];
    const text = `${model.name} ${model.id} ${model.description} ${model.badges.join(" ")}`.toLowerCase();
    return passes && query.split(/\s+/).every((part) => text.includes(part));
  }

  draw() {
    const cards = $("#cards");
    if (!cards) return;
    const query = $("#model-search").value.trim().toLowerCase();
    const shown = this.list.filter((model) => this.#matches(model, query)).sort(BY[$("#model-sort").value]);
    cards.setAttribute("aria-busy", "false");
    this.#insertCards(cards, shown.map((model) => this.#card(model)));
    applyThemeToPictures(cards);
    for (const name of ["reasoning", "vision"]) {
      $(`[data-filter="${name}"]`).hidden = !this.list.some((model) => model[name]);
    }
    this.#count(shown.length, $("#model-search").value.trim());
    this.#showUnavailable();
  }

  #card({ id, html }) {
    const known = this.#cards.get(id);
    if (known?.html === html) return known.node;
    const node = parseServerHtml(html).firstElementChild;
    showDownSince(node, this.strings);
    const tick = node.querySelector("[data-tick]");
    if (tick) tick.checked = this.ticked.has(id);
    this.#cards.set(id, { html, node });
    return node;
  }

  /** Insert the cards if they changed; the focus stays. */
  #insertCards(grid, nodes) {
    const same = grid.children.length === nodes.length && nodes.every((node, index) => node === grid.children[index]);
    if (same) return;
    const focused = document.activeElement?.closest?.(".card :is(a, [data-tick])");
    const model = focused?.closest(".card").dataset.model;
    grid.replaceChildren(...nodes);
    if (!focused) return;
    const card = nodes.find((node) => node.dataset.model === model);
    const kind = ["tick", "chat", "about"].find((name) => name in focused.dataset);
    card?.querySelector(`[data-${kind}]`)?.focus({ preventScroll: true });
  }

  /** List catalog models that no endpoint serves, with the reason for the operator. */
  #showUnavailable() {
    const count = this.hidden.length;
    $("#unavailable").hidden = count === 0;
    $("#unavailable-title").textContent = fill(count === 1 ? this.strings.hidden_one : this.strings.hidden_many, { count });
    const rows = this.hidden.map(({ name, reason }) => el("div", {}, el("dt", {}, name), el("dd", {}, reason)));
    $("#unavailable-list").replaceChildren(...rows);
  }

  #count(shown, query) {
    const count = this.list.length;
    const say = shown === count ? (count === 1 ? this.strings.one_model : this.strings.many_models) : this.strings.some_models;
    const label = count ? fill(say, { count, shown }) : "";
    if ($("#model-count").textContent !== label) $("#model-count").textContent = label;
    $("#no-match").hidden = shown > 0 || count === 0;
    $(".gallery-head").hidden = count === 0;
    const blocked = $("#gallery .notice:not(.settled)"); // a notice already explains it
    $("#no-models").hidden = count > 0 || Boolean(blocked);
    $("#no-match-text").textContent = fill(this.strings.no_match, { query: query || this.filter });
  }

  async openPanel(id) {
    const panel = $("#panel .html-container > div") ?? $("#panel");
    try {
      const { html } = await api.panel(id);
      panel.replaceChildren(parseServerHtml(html));
      showDownSince(panel, this.strings);
      applyThemeToPictures(panel);
    } catch (error) {
      const title = error.view?.title ?? this.strings.offline_title;
      const hint = error.view?.hint ?? this.strings.offline_hint;
      panel.replaceChildren(el("div", { class: "blank" }, el("p", {}, title), el("p", {}, hint)));
    }
  }

  /** Build the model menu in a box. Calls onpick with the id of the chosen model. */
  menu(current, onpick, box = $("#pick-menu")) {
    const list = el("div", { class: "menu-list", role: "menu", "aria-label": this.strings.choose_model });
    const draw = (query = "") => {
      const models = this.list.filter((m) => m.can_chat && `${m.name} ${m.id}`.toLowerCase().includes(query));
      list.replaceChildren(...models.sort(BY.served).map((model) => this.#item(model, current, onpick)));
    };
    draw();
    box.replaceChildren();
    if (this.list.length > 8) {
      const label = this.strings.search_models;
      const input = el("input", { class: "field-input", type: "search", placeholder: label, "aria-label": label, oninput: (e) => draw(e.target.value.trim().toLowerCase()) });
      box.append(el("div", { class: "menu-search" }, el("div", { class: "field" }, input)));
    }
    box.append(list);
    return box;
  }

  /** Open a popover at `button` for choosing a model. */
  choose(button, current, then) {
    const box = el("div", { class: "pop-models" });
    openPopover(button, this.strings.choose_model, (close) => [this.menu(current, (id) => { close(); then(id); }, box)]);
  }

  #item(model, current, onpick) {
    const picture = window.akashTheme.dark ? model.picture_dark : model.picture;
    const state = el("span", { class: `state ${model.state}` }, model.state_word);
    return el(
      "button",
      { type: "button", class: "menu-item", "aria-checked": String(model.id === current), role: "menuitemradio", onclick: () => onpick(model.id) },
      el("img", { src: picture, alt: "", width: 28, height: 28 }),
      el("span", { style: "min-width:0" }, el("b", {}, model.name), el("small", {}, model.badges.join(" · "))),
      state,
    );
  }
}

function showNotices(notices) {
  for (const container of document.querySelectorAll("[data-notices]")) {
    container.replaceChildren(...notices.map(parseServerHtml));
  }
}

/** Show since when a model is down, in the visitor's time zone; with the weekday if it is not today. */
export function showDownSince(root, strings, now = new Date()) {
  for (const state of root.querySelectorAll("[data-since]")) {
    const since = new Date(state.dataset.since * 1000);
    const clock = { hour: "2-digit", minute: "2-digit" };
    const day = since.toDateString() === now.toDateString() ? {} : { weekday: "short" };
    state.textContent = fill(strings.down_since, { time: since.toLocaleString([], { ...day, ...clock }) });
  }
}

export function applyThemeToPictures(root = document) {
  const { dark } = window.akashTheme;
  for (const picture of root.querySelectorAll("img[data-dark]")) {
    const source = dark ? picture.dataset.dark : picture.dataset.light;
    if (picture.getAttribute("src") !== source) picture.src = source;
  }
}
