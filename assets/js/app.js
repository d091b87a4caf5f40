// The page's script: waits for Gradio to draw the frame, then ties everything together.

import * as api from "./api.js";
import { takeUp } from "./behind_hash.js";
import { Asking, newChat } from "./chat.js";
import { Compare } from "./compare.js";
import { Chats } from "./chats.js";
import { Attachments } from "./attachments.js";
import { ContextBar } from "./context_bar.js";
import { Draft } from "./draft.js";
import { Check } from "./check.js";
import { drawDiagrams } from "./diagrams.js";
import { saveCode } from "./exporting.js";
import { $, arrived, copyCode, fill, icon, toast } from "./dom.js";
import { wireFrame } from "./frame.js";
import { Models, themePictures } from "./gallery.js";
import { wireKeys } from "./keys.js";
import { Ranking } from "./ranking.js";
import { PromptBook } from "./prompt_book.js";
import { Sets } from "./sets.js";
import { wireOwnKey, wireSignOut } from "./own_key.js";
import { allow } from "./ranges.js";
import { Settings } from "./settings.js";
import { openStore } from "./store.js";
import { Thread } from "./thread.js";

const OPEN_CHAT = "akash-gradio.open-chat";
const STILL_HERE_MS = 2000;
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
  views = Object.create(null); // what `?view=` names beside the models: { name: { open(query) } }

  constructor(boot, store) {
    this.boot = boot;
    this.words = boot.words;
    if (boot.host) this.views.check = new Check();
    $("#go-check").hidden = !boot.host;
    drawDiagrams(this.words, boot.diagrams);
    allow(boot.ranges);
    wireOwnKey(this.words, boot.own_keys);
    wireSignOut(boot.signed_in, boot.user);
    this.defaultModel = boot.default_model;
    this.draft = new Draft();
    this.settings = new Settings(this.words, (values) => this.#settingsChanged(values));
    this.models = new Models(this.words, () => this.#modelsChanged());
    this.chats = new Chats(this, store);
    this.history = this.chats.history;
    this.asking = new Asking(this);
    this.files = new Attachments(this.words, {
      changed: () => this.#composer(),
      note: (sentence) => this.#note(sentence),
      insert: (text) => this.#insert(text),
      choose: (id) => this.switchModel(id),
    });
    this.prompts = new PromptBook(this.words, {
      message: (text) => this.#insert(text),
      system: (text) => this.settings.setSystem(text),
    });
    this.context = new ContextBar(this.words, {
      choose: (id) => this.switchModel(id),
      whole: (whole) => this.settings.told("whole", whole),
    });
    this.views.compare = this.compare = new Compare(this);
    this.views.votes = this.ranking = new Ranking(this);
    this.views.sets = this.sets = new Sets(this);
    this.thread = new Thread(this.words, {
      regenerate: (place, model) => this.asking.regenerate(place, model),
      goOn: (place) => this.asking.goOn(place),
      editAnswer: (place, text) => this.asking.editAnswer(place, text),
      remove: (place) => this.#removeTurn(place),
      branch: (place) => this.chats.branch(this.chat, place),
      chooseModel: (button, current, then) => this.models.choose(button, current, then),
      edit: (place, text, files) => this.asking.edit(place, text, files),
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
    const view = this.views[query.get("view")];
    if (about) return this.#view("about", () => this.models.openPanel(about));
    if (view) return this.#view(query.get("view"), () => view.open(query));
    if (model) return this.#chatWith(model);
    const only = this.models.list.filter((one) => one.can_chat);
    if (!query.has("view") && (this.defaultModel || only.length === 1)) {
      return this.#chatWith(this.defaultModel || only[0].id);
    }
    this.#view("models");
  }

  /** Back and forward: to the chat that was open then, as far as it is kept. */
  #goneTo(id) {
    if (!id) return this.route();
    if (id === this.chat.id) {
      this.#enter(this.chat);
      return this.#address();
    }
    if (this.history.entry(id)) return this.openChat(id, { push: false });
    this.asking.stop();
    this.chat = newChat("");
    this.route();
  }

  go(address) {
    history.pushState(null, "", address);
    this.route();
  }

  #view(name, then) {
    document.documentElement.dataset.view = name;
    for (const link of document.querySelectorAll(".side-link[data-go]")) {
      if (link.dataset.go === name) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    if (name !== "chat") this.frame.closeDrawer();
    then?.();
  }

  #chatWith(model) {
    if (this.chat.model === model) return this.#enter(this.chat);
    this.asking.stop();
    this.#enter(newChat(model));
  }

  #enter(chat) {
    this.chat = chat;
    this.#view("chat");
    this.#show();
  }

  startChat(model) {
    this.asking.stop();
    const id = model || this.defaultModel || this.models.first()?.id || "";
    history.pushState(null, "", chatAddress(id));
    this.#enter(newChat(id));
    $("#message").focus();
  }

  /** The open chat is gone; who looks at something else stays there. */
  dropChat() {
    if (document.documentElement.dataset.view === "chat") return this.startChat(this.chat.model);
    this.asking.stop();
    this.chat = newChat(this.chat.model);
  }

  /** A chat that was begun elsewhere on the page. */
  adopt(chat) {
    this.asking.stop();
    history.pushState(null, "", chatAddress(chat.model));
    this.#enter(chat);
    this.saved();
    $("#message").focus();
  }

  /** The open chat's model and its last question, beside another model. */
  #compareThis() {
    const { text, attachments } = this.chat.turns.findLast(({ role }) => role === "user") ?? {};
    this.compare.startWith([this.chat.model], text, attachments?.length ? this.words.compare_without_files : "");
    this.go("./?view=compare");
  }

  async openChat(id, { push = true } = {}) {
    const isOpen = id === this.chat.id;
    if (isOpen && document.documentElement.dataset.view === "chat") return;
    if (!isOpen) this.asking.stop();
    const chat = isOpen ? this.chat : await this.history.read(id).catch(() => null);
    if (!chat) return toast(this.words.history_unread);
    if (push) history.pushState(null, "", chatAddress(chat.model));
    this.#enter(chat);
  }

  /** A message is deleted, and comes back if the visitor says so. */
  #removeTurn(place) {
    const { chat } = this;
    const undo = this.asking.remove(place);
    if (!undo) return;
    const shown = () => {
      if (this.chat === chat) this.thread.show(chat, this.model(), { stay: true });
      this.#composer();
      this.saved(chat);
    };
    shown();
    toast(this.words.turn_deleted, this.words.undo, () => { undo(); shown(); });
  }

  /** The open chat was changed elsewhere. */
  showAgain() {
    if (!this.told) this.settings.open(this.chat.settings, this.model());
    this.thread.show(this.chat, this.model());
    this.#composer();
  }

  /** Whether what is on the screen must not be exchanged now. */
  inUse() {
    return Boolean(this.asking.running || document.querySelector("#thread .edit-box"));
  }

  #show() {
    const model = this.model();
    this.told = null;
    $("#drawer .lane-extra")?.remove();
    $("#drawer-title").textContent = this.drawerTitle;
    this.settings.open(this.chat.settings, model);
    this.remember();
    this.thread.show(this.chat, model);
    this.#head();
    this.#composer();
  }

  /** The chat's model may have changed since this entry of the browser's history was made. */
  #address() {
    history.replaceState(history.state, "", chatAddress(this.chat.model));
  }

  #head() {
    const model = this.model();
    const { unreached } = this.models;
    $("#pick-name").textContent = model?.name ?? (this.chat.model || this.words.choose_model);
    const state = $("#pick-state");
    state.className = model ? `only-chat state ${unreached ? "down" : model.state}` : "only-chat";
    state.textContent = unreached ? this.words.offline_badge : (model?.state_word ?? "");
    const name = this.chat.title || (model?.name ?? this.chat.model);
    const title = document.documentElement.dataset.view === "chat" && name ? `${name} · ${this.words.title}` : this.words.title;
    if (document.title !== title) document.title = title;
  }

  // ── what changed ────────────────────────────────────────────────────────

  #modelsChanged() {
    if (!this.routed) return;
    this.compare.modelsChanged();
    this.sets.modelsChanged();
    this.#head();
    const model = this.model();
    if (!this.told && model && this.settings.card?.id !== model.id) this.settings.open(this.chat.settings, model);
    if (!this.chat.turns.length && document.documentElement.dataset.view === "chat") this.thread.show(this.chat, model);
    this.#composer();
  }

  /** The drawer is for something else than the open chat, until it is closed or a chat is entered. */
  tuneOther({ values, card, told, title, extra, opener }) {
    this.told = told;
    this.settings.open(values, card);
    $("#drawer-title").textContent = title;
    $("#drawer .lane-extra")?.remove();
    if (extra) $("#drawer .drawer-head").after(extra);
    if (opener) this.frame.openDrawer(opener);
  }

  #settingsChanged(values) {
    if (this.told) return this.told(values);
    this.chat.settings = { ...values };
    this.#composer();
    this.saved();
  }

  /** Keep the chat, if there is something to keep. */
  saved(chat = this.chat) {
    if (!(chat.turns.length || chat.rev) || chat.removed) return;
    if (this.left) {
      this.unsaved = chat;
      return;
    }
    this.history.save(chat).catch((error) => this.chats.complain(error));
    if (chat === this.chat) this.remember();
  }

  /** A reload comes back to the chat that was open in this tab. */
  remember() {
    this.chats.sidebar.mark(this.chat.id);
    this.#head();
    try {
      sessionStorage.setItem(OPEN_CHAT, this.chat.id);
    } catch {
      // No storage in this frame: a reload begins a new chat.
    }
    if (document.documentElement.dataset.view === "chat") history.replaceState({ chat: this.chat.id }, "");
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
    this.draft.keep(box.value);
    const model = this.model();
    const label = model ? fill(this.words.message_to, { model: model.name }) : this.words.message;
    box.placeholder = label;
    box.setAttribute("aria-label", label);
    $("#send").disabled = !this.asking.running && (!(box.value.trim() || this.files.list.length) || !this.chat.model);
    const brief = this.settings.brief(this.words) + (this.settings.changed() ? ` · ${this.words.mine}` : "");
    $("#tune-text").textContent = brief;
    $("#tune").setAttribute("aria-label", `${this.words.settings}: ${brief}`);
    const { chat, settings } = this;
    const draft = { text: box.value, attachments: this.files.list };
    const plan = this.context.show({ chat, model, settings: settings.values, draft, models: this.models.list });
    this.thread.dim(plan.from);
    this.files.warn(model, chat.turns, this.models.list);
    fit(box);
  }

  /** The chat goes on with another model. */
  switchModel(id) {
    if (id === this.chat.model) return;
    this.chat.model = id;
    this.#address();
    this.saved();
    this.#show();
  }

  #starter(text) {
    const box = $("#message");
    box.value = text;
    this.#composer();
    box.focus();
  }

  /** A text where the cursor stands in the message. */
  #insert(text) {
    const box = $("#message");
    box.focus();
    box.setRangeText(text, box.selectionStart, box.selectionEnd, "end");
    this.#composer();
  }

  #send() {
    if (this.asking.running) return;
    const box = $("#message");
    const text = box.value;
    if (!(text.trim() || this.files.list.length) || !this.chat.model) return;
    const fault = this.files.fault(this.model()) || this.asking.send(text, this.files.list);
    this.#note(fault);
    if (fault) return;
    box.value = "";
    this.files.take();
    this.#composer();
  }

  #note(fault) {
    const note = $("#note");
    note.textContent = fault ?? this.words.send_hint;
    note.classList.toggle("bad", Boolean(fault));
    note.classList.toggle("hint", !fault);
  }

  fit = fit;

  wire() {
    this.frame = wireFrame();
    this.chats.wire();
    this.models.wire();
    this.settings.wire();
    this.context.wire();
    this.drawerTitle = $("#drawer-title").textContent;
    this.compare.wire();
    $("#compare-this").addEventListener("click", () => this.#compareThis());
    for (const button of document.querySelectorAll("[data-menu]")) button.addEventListener("click", () => $("#menu").click());
    this.ranking.wire();
    this.sets.wire();
    this.files.wire();
    this.prompts.wire();
    const box = $("#message");
    box.value = this.draft.taken();
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
    document.addEventListener("click", (event) => copyCode(event, this.words));
    document.addEventListener("click", saveCode);
    document.addEventListener("akash-theme", () => themePictures());
    addEventListener("popstate", (event) => this.#goneTo(event.state?.chat));
    wireKeys(this);
    addEventListener("beforeunload", () => this.#leaving());
    addEventListener("pagehide", () => this.#leave());
    addEventListener("pageshow", () => (this.left = false));
  }

  /**
   * Streams are cut between this and `pagehide`. No writing begins any more: it would be cut
   * off too, and hold up what is laid down at the end. A page that stays after all goes on.
   */
  #leaving() {
    this.left = true;
    setTimeout(() => {
      this.left = false;
      if (this.unsaved) this.saved(this.unsaved);
      this.unsaved = null;
    }, STILL_HERE_MS);
  }

  #leave() {
    const chats = [this.asking.growing, this.unsaved];
    this.history.leave(chats.filter(Boolean));
    this.left = true;
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
      this.switchModel(id);
    };
    pick.addEventListener("click", () => {
      if (!box.hidden) return close();
      this.models.menu(this.chat.model, choose);
      box.hidden = false;
      pick.setAttribute("aria-expanded", "true");
      (box.querySelector("input") ?? box.querySelector("button"))?.focus();
    });
    box.addEventListener("keydown", (event) => {
      if (event.isComposing) return;
      if (event.key === "Escape") { close(); pick.focus(); event.stopPropagation(); }
      const items = [...box.querySelectorAll(".menu-item")];
      const at = items.indexOf(document.activeElement);
      if (at < 0 && event.key === "Enter") return items[0]?.click();
      const last = items.length - 1;
      const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: at < 0 ? null : 0, End: at < 0 ? null : last }[event.key];
      if (next == null) return;
      event.preventDefault();
      items[Math.max(0, Math.min(last, next))]?.focus();
    });
    box.addEventListener("focusout", ({ relatedTarget: to }) => {
      if (to && to !== pick && !box.contains(to)) close();
    });
    document.addEventListener("click", (event) => {
      if (!box.hidden && !event.target.closest("#pick-menu, #pick")) close();
    });
  }

  /** models: the answer to the first question for them. */
  async start(models) {
    await this.models.watch(models.catch(() => api.models()));
    await this.history.load();
    $("#early")?.remove(); // the frame's outline: from here on what is seen can be used
    this.routed = true;
    const last = lastOpenChat();
    const behind = takeUp(location);
    if (behind) history.replaceState(history.state, "", location.search + behind);
    await this.route();
    await this.#reopen(last);
  }

  async #reopen(id) {
    const entry = this.history.entry(id);
    if (document.documentElement.dataset.view === "chat" && entry?.model === this.chat.model) {
      await this.openChat(id, { push: false });
    }
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

/** The server may be starting again: ask until it answers. */
async function booted() {
  for (;;) {
    try {
      return await api.boot();
    } catch {
      await new Promise((again) => setTimeout(again, 2000));
    }
  }
}

const models = api.models();
models.catch(() => {}); // told where it is waited for
const [boot, store] = await Promise.all([
  booted(),
  openStore(),
  ...["#sidebar .side", "#send", "#cards", "#pick-menu", "#panel", "#system", "#stop", "#settings-reset", "#close-settings", "#compare-composer", "#ranking", "#check-form"].map(arrived),
]);
const page = new Page(boot, store);
window.akashGradio = page;
page.wire();
await page.start(models);
