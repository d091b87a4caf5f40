// The models: cards with search, filters and order; one model's panel; the model menu.

import { $, announce, el, fill, fromServer, toast } from "./dom.js";
import { openPop } from "./menus.js";
import * as api from "./api.js";

const ORDER = { ready: 0, slow: 1, busy: 2, starting: 3, waking: 4, unknown: 5, resting: 6, down: 7, drained: 8, unserved: 9 };
const MOST_TICKED = 4;
const BY = {
  served: (a, b) => ORDER[a.state] - ORDER[b.state] || a.place - b.place,
  name: (a, b) => a.name.localeCompare(b.name),
  context: (a, b) => b.context_tokens - a.context_tokens || a.place - b.place,
};

export class Models {
  list = [];
  hidden = [];
  waking = false;
  unreached = false;
  #cards = new Map(); // model id → its card, drawn anew only when the server's HTML differs

  constructor(words, onchange) {
    this.words = words;
    this.onchange = onchange;
    this.filter = "all";
  }

  find(id) {
    return this.list.find((model) => model.id === id);
  }

  /** The model to open when nobody chose: the first that can be asked. */
  first() {
    return this.list.find((model) => model.can_chat) ?? this.list[0];
  }

  /**
   * Ask the server, then again: each second while something wakes up, else rarely.
   * asked: the first answer, where it is on its way already.
   */
  async watch(asked = api.models()) {
    try {
      this.take(await asked);
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
    if (text === this.taken) return;
    this.taken = text;
    this.list = view.models.map((model, place) => ({ ...model, place }));
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
    if (!reached) announce(this.words.offline_badge);
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

  /** Ticked cards are compared; a card that is drawn anew keeps its tick. */
  #wireTicks() {
    $("#cards").addEventListener("change", ({ target }) => {
      const id = target.dataset.tick;
      if (!id) return;
      if (!target.checked) this.ticked.delete(id);
      else if (this.ticked.size < MOST_TICKED) this.ticked.add(id);
      else {
        target.checked = false;
        toast(this.words.ticked_most);
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
    $("#ticked-count").textContent = count === 1 ? this.words.ticked_one : "";
    const go = $("#ticked-go");
    go.hidden = count < 2;
    go.textContent = fill(this.words.ticked_go, { count });
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
    const wanted = {
      all: true,
      ready: model.state === "ready" || model.state === "slow",
      reasoning: model.reasoning,
      vision: model.vision,
    }[this.filter];
    const text = `${model.name} ${model.id} ${model.description} ${model.badges.join(" ")}`.toLowerCase();
    return wanted && query.split(/\s+/).every((part) => text.includes(part));
  }

  draw() {
    const cards = $("#cards");
    if (!cards) return;
    const query = $("#model-search").value.trim().toLowerCase();
    const shown = this.list.filter((model) => this.#matches(model, query)).sort(BY[$("#model-sort").value]);
    cards.setAttribute("aria-busy", "false");
    this.#place(cards, shown.map((model) => this.#card(model)));
    themePictures(cards);
    for (const name of ["reasoning", "vision"]) {
      $(`[data-filter="${name}"]`).hidden = !this.list.some((model) => model[name]);
    }
    this.#count(shown.length, $("#model-search").value.trim());
    this.#unshown();
  }

  #card({ id, html }) {
    const known = this.#cards.get(id);
    if (known?.html === html) return known.node;
    const node = fromServer(html).firstElementChild;
    tellSince(node, this.words);
    const tick = node.querySelector("[data-tick]");
    if (tick) tick.checked = this.ticked.has(id);
    this.#cards.set(id, { html, node });
    return node;
  }

  /** Put the cards there, if they aren't; what had the focus keeps it. */
  #place(grid, nodes) {
    const same = grid.children.length === nodes.length && nodes.every((node, place) => node === grid.children[place]);
    if (same) return;
    const held = document.activeElement?.closest?.(".card :is(a, [data-tick])");
    const model = held?.closest(".card").dataset.model;
    grid.replaceChildren(...nodes);
    if (!held) return;
    const card = nodes.find((node) => node.dataset.model === model);
    const kind = ["tick", "chat", "about"].find((name) => name in held.dataset);
    card?.querySelector(`[data-${kind}]`)?.focus({ preventScroll: true });
  }

  /** Catalog models that nobody serves: a host wants to know why they are missing. */
  #unshown() {
    const count = this.hidden.length;
    $("#unshown").hidden = count === 0;
    $("#unshown-title").textContent = fill(count === 1 ? this.words.hidden_one : this.words.hidden_many, { count });
    const rows = this.hidden.map(({ name, reason }) => el("div", {}, el("dt", {}, name), el("dd", {}, reason)));
    $("#unshown-list").replaceChildren(...rows);
  }

  #count(shown, query) {
    const count = this.list.length;
    const say = shown === count ? (count === 1 ? this.words.one_model : this.words.many_models) : this.words.some_models;
    const said = count ? fill(say, { count, shown }) : "";
    if ($("#model-count").textContent !== said) $("#model-count").textContent = said;
    $("#no-match").hidden = shown > 0 || count === 0;
    $(".gallery-head").hidden = count === 0;
    const told = $("#gallery .notice:not(.settled)"); // it says already why there is none
    $("#no-models").hidden = count > 0 || Boolean(told);
    $("#no-match-text").textContent = fill(this.words.no_match, { query: query || this.filter });
  }

  async openPanel(id) {
    const panel = $("#panel .html-container > div") ?? $("#panel");
    try {
      const { html } = await api.panel(id);
      panel.replaceChildren(fromServer(html));
      tellSince(panel, this.words);
      themePictures(panel);
    } catch (error) {
      const title = error.view?.title ?? this.words.offline_title;
      const hint = error.view?.hint ?? this.words.offline_hint;
      panel.replaceChildren(el("div", { class: "blank" }, el("p", {}, title), el("p", {}, hint)));
    }
  }

  /** The menu in the top bar, or in another box. onpick is told the id. */
  menu(current, onpick, box = $("#pick-menu")) {
    const list = el("div", { class: "menu-list", role: "menu", "aria-label": this.words.choose_model });
    const draw = (query = "") => {
      const models = this.list.filter((m) => m.can_chat && `${m.name} ${m.id}`.toLowerCase().includes(query));
      list.replaceChildren(...models.sort(BY.served).map((model) => this.#item(model, current, onpick)));
    };
    draw();
    box.replaceChildren();
    if (this.list.length > 8) {
      const label = this.words.search_models;
      const input = el("input", { class: "field-input", type: "search", placeholder: label, "aria-label": label, oninput: (e) => draw(e.target.value.trim().toLowerCase()) });
      box.append(el("div", { class: "menu-search" }, el("div", { class: "field" }, input)));
    }
    box.append(list);
    return box;
  }

  /** Choose a model in a box at `button`. */
  choose(button, current, then) {
    const box = el("div", { class: "pop-models" });
    openPop(button, this.words.choose_model, (close) => [this.menu(current, (id) => { close(); then(id); }, box)]);
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
  for (const place of document.querySelectorAll("[data-notices]")) {
    place.replaceChildren(...notices.map(fromServer));
  }
}

/** "down since 14:02", in the visitor's own time; with the day where that isn't today. */
export function tellSince(root, words, now = new Date()) {
  for (const state of root.querySelectorAll("[data-since]")) {
    const since = new Date(state.dataset.since * 1000);
    const clock = { hour: "2-digit", minute: "2-digit" };
    const day = since.toDateString() === now.toDateString() ? {} : { weekday: "short" };
    state.textContent = fill(words.down_since, { time: since.toLocaleString([], { ...day, ...clock }) });
  }
}

export function themePictures(root = document) {
  const { dark } = window.akashTheme;
  for (const picture of root.querySelectorAll("img[data-dark]")) {
    const wanted = dark ? picture.dataset.dark : picture.dataset.light;
    if (picture.getAttribute("src") !== wanted) picture.src = wanted;
  }
}
