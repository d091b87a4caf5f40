// The page's script: waits for Gradio to draw the frame, then ties everything together.

import * as api from "./api.js";
import { Asking, bodyOf, newChat } from "./chat.js";
import { $, arrived, icon, toast } from "./dom.js";
import { Models, themePictures } from "./gallery.js";
import { Settings } from "./settings.js";
import { History, wireFrame } from "./sidebar.js";
import { openStore } from "./store.js";
import { Thread } from "./thread.js";

const OPEN_CHAT = "akash-gradio.open-chat";
const LONGEST_MEASURED = 5_000;
const LONGEST_WRAPPED = 100_000;

function lastOpenChat() {
  try {
    return sessionStorage.getItem(OPEN_CHAT);
  } catch {
    return null;
  }
}

class Page {
  chat = newChat("");

  constructor(boot, store) {
    this.words = boot.words;
    this.defaultModel = boot.default_model;
    this.settings = new Settings((values) => this.#settingsChanged(values));
    this.models = new Models(this.words, () => this.#modelsChanged());
    this.history = new History(this.words, store, {
      open: (id) => this.openChat(id),
      removed: (id) => id === this.chat.id && this.startChat(this.chat.model),
      renamed: ({ id, title }) => id === this.chat.id && (this.chat.title = title),
    });
    this.asking = new Asking(this);
    this.thread = new Thread(this.words, {
      regenerate: (place) => this.asking.regenerate(place),
      edit: (place, text) => this.asking.edit(place, text),
      walk: (place, shown) => this.asking.walk(place, shown),
      starter: (text) => this.#starter(text),
    });
  }

  model() {
    return this.models.find(this.chat.model);
  }

  // ── where we are: the address names the view and the model ──────────────

  async route() {
    const query = new URLSearchParams(location.search);
    const model = query.get("model");
    const about = query.get("about");
    if (about) return this.#view("about", () => this.models.openPanel(about));
    if (model) return this.#chatWith(model);
    const only = this.models.list.filter((one) => one.can_chat);
    if (!query.has("view") && (this.defaultModel || only.length === 1)) {
      return this.#chatWith(this.defaultModel || only[0].id);
    }
    this.#view("models");
  }

  go(address) {
    history.pushState(null, "", address);
    this.route();
  }

  #view(name, then) {
    document.documentElement.dataset.view = name;
    for (const link of document.querySelectorAll("#go-models")) {
      if (name === "models") link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    if (name !== "chat") this.frame.closeDrawer();
    then?.();
  }

  #chatWith(model) {
    const chat = this.chat;
    if (chat.model !== model) {
      if (chat.turns.length && document.documentElement.dataset.view === "chat" && !this.asking.running) {
        chat.model = model;
        this.saved();
      } else {
        this.chat = newChat(model);
      }
    }
    this.#view("chat");
    this.#show();
  }

  startChat(model) {
    this.asking.stop();
    const id = model || this.defaultModel || this.models.first()?.id || "";
    this.chat = newChat(id);
    history.pushState(null, "", chatAddress(id));
    this.#view("chat");
    this.#show();
    $("#message").focus();
  }

  async openChat(id) {
    if (id === this.chat.id && document.documentElement.dataset.view === "chat") return;
    this.asking.stop();
    const entry = this.history.entries.find((one) => one.id === id);
    const body = await this.history.store.read(id);
    if (!entry || !body) return;
    this.chat = { ...entry, settings: body.settings, turns: body.turns };
    history.pushState(null, "", chatAddress(entry.model));
    this.#view("chat");
    this.#show();
  }

  #show() {
    const model = this.model();
    this.settings.open(this.chat.settings, model);
    this.#remember();
    this.thread.show(this.chat, model).catch(() => toast(this.words.offline_title));
    this.#head();
    this.#composer();
  }

  #head() {
    const model = this.model();
    $("#pick-name").textContent = model?.name ?? (this.chat.model || this.words.choose_model);
    const state = $("#pick-state");
    state.className = model ? `only-chat state ${model.state}` : "only-chat";
    state.textContent = model?.state_word ?? "";
    const name = model?.name ?? this.chat.model;
    const title = document.documentElement.dataset.view === "chat" && name ? `${name} · ${this.words.title}` : this.words.title;
    if (document.title !== title) document.title = title;
  }

  // ── what changed ────────────────────────────────────────────────────────

  #modelsChanged() {
    if (!this.routed) return;
    this.#head();
    const model = this.model();
    if (model && this.settings.card?.id !== model.id) this.settings.open(this.chat.settings, model);
    if (!this.chat.turns.length && document.documentElement.dataset.view === "chat") this.thread.show(this.chat, model);
    this.#composer();
  }

  #settingsChanged(values) {
    this.chat.settings = { ...values };
    this.#composer();
    this.saved();
  }

  /** Keep the chat, if there is something to keep. */
  saved(chat = this.chat) {
    if (!chat.turns.length) return;
    this.history.save(chat, bodyOf(chat)).catch(() => toast(this.words.history_off));
    if (chat === this.chat) this.#remember();
  }

  /** A reload comes back to the chat that was open in this tab. */
  #remember() {
    this.history.mark(this.chat.id);
    try {
      sessionStorage.setItem(OPEN_CHAT, this.chat.id);
    } catch {
      // No storage in this frame: a reload begins a new chat.
    }
  }

  busy(running) {
    const send = $("#send");
    send.classList.toggle("stop", running);
    send.setAttribute("aria-label", running ? this.words.stop : this.words.send);
    send.type = running ? "button" : "submit";
    send.replaceChildren(icon(running ? "stop" : "send"));
    this.#composer();
  }

  // ── the composer ────────────────────────────────────────────────────────

  #composer() {
    const box = $("#message");
    const model = this.model();
    const label = model ? this.words.message_to.replace("{model}", model.name) : this.words.message;
    box.placeholder = label;
    box.setAttribute("aria-label", label);
    $("#send").disabled = !this.asking.running && (!box.value.trim() || !this.chat.model);
    const brief = this.settings.brief(this.words) + (this.settings.changed() ? ` · ${this.words.mine}` : "");
    $("#tune-text").textContent = brief;
    $("#tune").setAttribute("aria-label", `${this.words.settings}: ${brief}`);
    fit(box);
  }

  #starter(text) {
    const box = $("#message");
    box.value = text;
    this.#composer();
    box.focus();
  }

  #send() {
    if (this.asking.running) return;
    const box = $("#message");
    const text = box.value;
    if (!text.trim() || !this.chat.model) return;
    const fault = this.asking.send(text);
    this.#note(fault);
    if (fault) return;
    box.value = "";
    this.#composer();
  }

  #note(fault) {
    const note = $("#note");
    note.textContent = fault ?? this.words.send_hint;
    note.classList.toggle("bad", Boolean(fault));
    note.classList.toggle("hint", !fault);
  }

  wire() {
    this.frame = wireFrame();
    this.models.wire();
    this.settings.wire();
    const box = $("#message");
    box.addEventListener("input", () => { this.#note(null); this.#composer(); });
    box.addEventListener("keydown", (event) => {
      // An IME's Enter only ends its composition; Safari tells so by the key code alone.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
      event.preventDefault();
      this.#send();
    });
    $("#composer").addEventListener("submit", (event) => { event.preventDefault(); this.#send(); });
    $("#send").addEventListener("click", (event) => {
      if (!this.asking.running) return;
      event.preventDefault();
      this.asking.stop();
    });
    for (const id of ["#new-chat", "#new-chat-top"]) {
      $(id).addEventListener("click", () => this.startChat(this.chat.model));
    }
    this.#wireMenu();
    document.addEventListener("click", (event) => this.#followLink(event));
    document.addEventListener("akash-theme", () => themePictures());
    addEventListener("popstate", () => this.route());
    addEventListener("pagehide", () => this.saved());
  }

  /** Links of the page change the view without loading it again. */
  #followLink(event) {
    const link = event.target.closest?.("a[data-go], a[data-about], a[data-chat]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    if (link.dataset.chat) this.startChat(link.dataset.chat);
    else this.go(link.getAttribute("href"));
  }

  #wireMenu() {
    const pick = $("#pick");
    const box = $("#pick-menu");
    const close = () => { box.hidden = true; pick.setAttribute("aria-expanded", "false"); };
    const choose = (id) => {
      close();
      pick.focus();
      if (id === this.chat.model) return;
      this.chat.model = id;
      history.replaceState(null, "", chatAddress(id));
      this.saved();
      this.#show();
    };
    pick.addEventListener("click", () => {
      if (!box.hidden) return close();
      this.models.menu(this.chat.model, choose);
      box.hidden = false;
      pick.setAttribute("aria-expanded", "true");
      (box.querySelector("input") ?? box.querySelector("button"))?.focus();
    });
    box.setAttribute("role", "menu");
    box.addEventListener("keydown", (event) => {
      if (event.key === "Escape") { close(); pick.focus(); event.stopPropagation(); }
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const items = [...box.querySelectorAll(".menu-item")];
      const next = items.indexOf(document.activeElement) + step;
      items[Math.max(0, Math.min(items.length - 1, next))]?.focus();
    });
    document.addEventListener("click", (event) => {
      if (!box.hidden && !event.target.closest("#pick-menu, #pick")) close();
    });
  }

  async start() {
    await this.models.watch();
    await this.history.load();
    this.routed = true;
    const last = lastOpenChat();
    await this.route();
    await this.#reopen(last);
  }

  async #reopen(id) {
    const entry = this.history.entries.find((one) => one.id === id);
    if (entry && document.documentElement.dataset.view === "chat" && entry.model === this.chat.model) await this.openChat(id);
  }
}

/** As high as its text. To wrap and measure a pasted megabyte would hang the page for a minute. */
function fit(box) {
  box.wrap = box.value.length > LONGEST_WRAPPED ? "off" : "soft";
  if (box.value.length > LONGEST_MEASURED) {
    box.style.height = "40dvh";
    return;
  }
  box.style.height = "auto";
  box.style.height = `${box.scrollHeight}px`;
}

function chatAddress(model) {
  const id = encodeURIComponent(model).replaceAll("%2F", "/").replaceAll("%3A", ":");
  return model ? `./?model=${id}` : "./";
}

const [boot, store] = await Promise.all([
  api.boot(),
  openStore(),
  ...["#sidebar .side", "#send", "#cards", "#pick-menu", "#panel", "#system", "#stop", "#settings-reset", "#close-settings"].map(arrived),
]);
const page = new Page(boot, store);
window.akashGradio = page;
page.wire();
await page.start();
