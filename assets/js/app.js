// The page's entry point: waits for Gradio to render the frame, then creates and wires all parts.

import * as api from "./api.js";
import { restoreFragment } from "./url_fragment.js";
import { ChatSession, newChat } from "./chat.js";
import { Compare } from "./compare.js";
import { Chats } from "./chats.js";
import { Attachments } from "./attachments.js";
import { ContextBar } from "./context_bar.js";
import { Draft } from "./draft.js";
import { Check } from "./check.js";
import { drawDiagrams } from "./diagrams.js";
import { saveCode } from "./exporting.js";
import { $, whenPresent, copyCode, fill, icon, toast } from "./dom.js";
import { wireFrame } from "./frame.js";
import { Models, applyThemeToPictures } from "./gallery.js";
import { wireShortcuts } from "./shortcuts.js";
import { Ranking } from "./ranking.js";
import { PromptBook } from "./prompt_book.js";
import { Sets } from "./sets.js";
import { wireOwnKey, wireSignOut } from "./own_key.js";
import { setRanges } from "./ranges.js";
import { Settings } from "./settings.js";
import { openStore } from "./store.js";
import { Thread } from "./thread.js";
import { announceZeroGpu } from "./zerogpu.js";

const OPEN_CHAT = "akash-gradio.open-chat";
const UNLOAD_CANCELLED_MS = 2000;
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
  views = Object.create(null); // views by the value of `?view=`: { name: { open(query) } }

  constructor(boot, store) {
    this.boot = boot;
    this.strings = boot.strings;
    if (boot.is_operator) this.views.check = new Check();
    $("#go-check").hidden = !boot.is_operator;
    drawDiagrams(this.strings, boot.diagrams);
    setRanges(boot.ranges);
    announceZeroGpu(boot.zero_gpu);
    wireOwnKey(this.strings, boot.own_keys);
    wireSignOut(boot.signed_in, boot.user);
    this.defaultModel = boot.default_model;
    this.draft = new Draft();
    this.settings = new Settings(this.strings, (values) => this.#settingsChanged(values));
    this.models = new Models(this.strings, () => this.#modelsChanged());
    this.chats = new Chats(this, store);
    this.history = this.chats.history;
    this.session = new ChatSession(this);
    this.files = new Attachments(this.strings, {
      changed: () => this.#updateComposer(),
      note: (sentence) => this.#note(sentence),
      insert: (text) => this.#insert(text),
      choose: (id) => this.switchModel(id),
    });
    this.prompts = new PromptBook(this.strings, {
      message: (text) => this.#insert(text),
      system: (text) => this.settings.setSystem(text),
    });
    this.context = new ContextBar(this.strings, {
      choose: (id) => this.switchModel(id),
      whole: (whole) => this.settings.set("whole", whole),
    });
    this.views.compare = this.compare = new Compare(this);
    this.views.votes = this.ranking = new Ranking(this);
    this.views.sets = this.sets = new Sets(this);
    this.thread = new Thread(this.strings, {
      regenerate: (index, model) => this.session.regenerate(index, model),
      continueAnswer: (index) => this.session.continueAnswer(index),
      editAnswer: (index, text) => this.session.editAnswer(index, text),
      remove: (index) => this.#removeTurn(index),
      branch: (index) => this.chats.branch(this.chat, index),
      chooseModel: (button, current, then) => this.models.choose(button, current, then),
      edit: (index, text, files) => this.session.edit(index, text, files),
      chooseVersion: (index, shown) => this.session.chooseVersion(index, shown),
      starter: (text) => this.#starter(text),
    });
  }

  model() {
    return this.models.find(this.chat.model);
  }

  // ── routing: the URL names the view and the model ───────────────────────

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

  /** Handle the browser's back and forward buttons: reopen the chat of that history entry if it is still stored. */
  #restoreEntry(id) {
    if (!id) return this.route();
    if (id === this.chat.id) {
      this.#enter(this.chat);
      return this.#updateUrl();
    }
    if (this.history.entry(id)) return this.openChat(id, { push: false });
    this.session.stop();
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
    this.session.stop();
    this.#enter(newChat(model));
  }

  #enter(chat) {
    this.chat = chat;
    this.#view("chat");
    this.#show();
  }

  startChat(model) {
    this.session.stop();
    const id = model || this.defaultModel || this.models.first()?.id || "";
    history.pushState(null, "", chatUrl(id));
    this.#enter(newChat(id));
    $("#message").focus();
  }

  /** Replace the open chat, which was deleted, with an empty one. Other views stay open. */
  closeChat() {
    if (document.documentElement.dataset.view === "chat") return this.startChat(this.chat.model);
    this.session.stop();
    this.chat = newChat(this.chat.model);
  }

  /** Open a chat that was created elsewhere on the page. */
  openNewChat(chat) {
    this.session.stop();
    history.pushState(null, "", chatUrl(chat.model));
    this.#enter(chat);
    this.saved();
    $("#message").focus();
  }

  /** Compare the open chat's model and its last prompt with another model. */
  #compareThis() {
    const { text, attachments } = this.chat.turns.findLast(({ role }) => role === "user") ?? {};
    this.compare.startWith([this.chat.model], text, attachments?.length ? this.strings.compare_without_files : "");
    this.go("./?view=compare");
  }

  async openChat(id, { push = true } = {}) {
    const isOpen = id === this.chat.id;
    if (isOpen && document.documentElement.dataset.view === "chat") return;
    if (!isOpen) this.session.stop();
    const chat = isOpen ? this.chat : await this.history.read(id).catch(() => null);
    if (!chat) return toast(this.strings.history_unreadable);
    if (push) history.pushState(null, "", chatUrl(chat.model));
    this.#enter(chat);
  }

  /** Delete a message, with an undo button. */
  #removeTurn(index) {
    const { chat } = this;
    const undo = this.session.remove(index);
    if (!undo) return;
    const shown = () => {
      if (this.chat === chat) this.thread.show(chat, this.model(), { stay: true });
      this.#updateComposer();
      this.saved(chat);
    };
    shown();
    toast(this.strings.turn_deleted, this.strings.undo, () => { undo(); shown(); });
  }

  /** Redraw the open chat after it was changed elsewhere. */
  redraw() {
    if (!this.onSettings) this.settings.open(this.chat.settings, this.model());
    this.thread.show(this.chat, this.model());
    this.#updateComposer();
  }

  /** Return whether the open chat must not be replaced now. */
  isBusy() {
    return Boolean(this.session.running || document.querySelector("#thread .edit-box"));
  }

  #show() {
    const model = this.model();
    this.onSettings = null;
    $("#drawer .lane-extra")?.remove();
    $("#drawer-title").textContent = this.drawerTitle;
    this.settings.open(this.chat.settings, model);
    this.rememberOpenChat();
    this.thread.show(this.chat, model);
    this.#updateTopbar();
    this.#updateComposer();
  }

  /** Update the URL: the chat's model may have changed since this history entry was made. */
  #updateUrl() {
    history.replaceState(history.state, "", chatUrl(this.chat.model));
  }

  #updateTopbar() {
    const model = this.model();
    const { unreached } = this.models;
    $("#pick-name").textContent = model?.name ?? (this.chat.model || this.strings.choose_model);
    const state = $("#pick-state");
    state.className = model ? `only-chat state ${unreached ? "down" : model.state}` : "only-chat";
    state.textContent = unreached ? this.strings.offline_badge : (model?.state_word ?? "");
    const name = this.chat.title || (model?.name ?? this.chat.model);
    const title = document.documentElement.dataset.view === "chat" && name ? `${name} · ${this.strings.title}` : this.strings.title;
    if (document.title !== title) document.title = title;
  }

  // ── changes ─────────────────────────────────────────────────────────────

  #modelsChanged() {
    if (!this.routed) return;
    this.compare.modelsChanged();
    this.sets.modelsChanged();
    this.#updateTopbar();
    const model = this.model();
    if (!this.onSettings && model && this.settings.card?.id !== model.id) this.settings.open(this.chat.settings, model);
    if (!this.chat.turns.length && document.documentElement.dataset.view === "chat") this.thread.show(this.chat, model);
    this.#updateComposer();
  }

  /** Use the settings drawer for something other than the open chat, until it is closed or a chat is opened. */
  openSettingsFor({ values, card, onchange, title, extra, opener }) {
    this.onSettings = onchange;
    this.settings.open(values, card);
    $("#drawer-title").textContent = title;
    $("#drawer .lane-extra")?.remove();
    if (extra) $("#drawer .drawer-head").after(extra);
    if (opener) this.frame.openDrawer(opener);
  }

  #settingsChanged(values) {
    if (this.onSettings) return this.onSettings(values);
    this.chat.settings = { ...values };
    this.#updateComposer();
    this.saved();
  }

  /** Save the chat, unless it is empty. */
  saved(chat = this.chat) {
    if (!(chat.turns.length || chat.rev) || chat.removed) return;
    if (this.unloading) {
      this.unsaved = chat;
      return;
    }
    this.history.save(chat).catch((error) => this.chats.showError(error));
    if (chat === this.chat) this.rememberOpenChat();
  }

  /** Remember the open chat, so that a reload of this tab reopens it. */
  rememberOpenChat() {
    this.chats.sidebar.mark(this.chat.id);
    this.#updateTopbar();
    try {
      sessionStorage.setItem(OPEN_CHAT, this.chat.id);
    } catch {
      // No storage in this frame: a reload starts a new chat.
    }
    if (document.documentElement.dataset.view === "chat") history.replaceState({ chat: this.chat.id }, "");
  }

  busy(running) {
    const send = $("#send");
    send.classList.toggle("stop", running);
    send.setAttribute("aria-label", running ? this.strings.stop : this.strings.send);
    send.type = running ? "button" : "submit";
    send.replaceChildren(icon(running ? "stop" : "send"));
    this.#updateComposer();
  }

  // ── the composer ────────────────────────────────────────────────────────

  #updateComposer() {
    const box = $("#message");
    this.draft.save(box.value);
    const model = this.model();
    const label = model ? fill(this.strings.message_to, { model: model.name }) : this.strings.message;
    box.placeholder = label;
    box.setAttribute("aria-label", label);
    $("#send").disabled = !this.session.running && (!(box.value.trim() || this.files.list.length) || !this.chat.model);
    const brief = this.settings.brief(this.strings) + (this.settings.changed() ? ` · ${this.strings.custom}` : "");
    $("#tune-text").textContent = brief;
    $("#tune").setAttribute("aria-label", `${this.strings.settings}: ${brief}`);
    const { chat, settings } = this;
    const draft = { text: box.value, attachments: this.files.list };
    const plan = this.context.show({ chat, model, settings: settings.values, draft, models: this.models.list });
    this.thread.dim(plan.from);
    this.files.warn(model, chat.turns, this.models.list);
    fit(box);
  }

  /** Continue the chat with another model. */
  switchModel(id) {
    if (id === this.chat.model) return;
    this.chat.model = id;
    this.#updateUrl();
    this.saved();
    this.#show();
  }

  #starter(text) {
    const box = $("#message");
    box.value = text;
    this.#updateComposer();
    box.focus();
  }

  /** Insert text into the message at the cursor. */
  #insert(text) {
    const box = $("#message");
    box.focus();
    box.setRangeText(text, box.selectionStart, box.selectionEnd, "end");
    this.#updateComposer();
  }

  #send() {
    if (this.session.running) return;
    const box = $("#message");
    const text = box.value;
    if (!(text.trim() || this.files.list.length) || !this.chat.model) return;
    const error = this.files.error(this.model()) || this.session.send(text, this.files.list);
    this.#note(error);
    if (error) return;
    box.value = "";
    this.files.take();
    this.#updateComposer();
  }

  #note(error) {
    const note = $("#note");
    note.textContent = error ?? this.strings.send_hint;
    note.classList.toggle("bad", Boolean(error));
    note.classList.toggle("hint", !error);
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
    box.value = this.draft.restore();
    box.addEventListener("input", () => { this.#note(null); this.#updateComposer(); });
    box.addEventListener("keydown", (event) => {
      // While an IME composes, Enter only ends the composition. Safari reports it by key code 229 alone.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
      event.preventDefault();
      this.#send();
    });
    $("#composer").addEventListener("submit", (event) => { event.preventDefault(); this.#send(); });
    $("#send").addEventListener("click", (event) => {
      if (!this.session.running) return;
      event.preventDefault();
      this.session.stop();
    });
    for (const id of ["#new-chat", "#new-chat-top"]) {
      $(id).addEventListener("click", () => this.startChat(this.chat.model));
    }
    this.#wireMenu();
    document.addEventListener("click", (event) => this.#followLink(event));
    document.addEventListener("click", (event) => copyCode(event, this.strings));
    document.addEventListener("click", saveCode);
    document.addEventListener("akash-theme", () => applyThemeToPictures());
    addEventListener("popstate", (event) => this.#restoreEntry(event.state?.chat));
    wireShortcuts(this);
    addEventListener("beforeunload", () => this.#beforeUnload());
    addEventListener("pagehide", () => this.#saveUnsaved());
    addEventListener("pageshow", () => (this.unloading = false));
  }

  /**
   * Stop saving from `beforeunload` on: browsers cut streams and writes between it and `pagehide`.
   *
   * If the visitor stays on the page, saving resumes.
   */
  #beforeUnload() {
    this.unloading = true;
    setTimeout(() => {
      this.unloading = false;
      if (this.unsaved) this.saved(this.unsaved);
      this.unsaved = null;
    }, UNLOAD_CANCELLED_MS);
  }

  #saveUnsaved() {
    const chats = [this.session.growing, this.unsaved];
    this.history.saveOnExit(chats.filter(Boolean));
    this.unloading = true;
  }

  /** Switch the view for links of the page, without a page load. */
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

  /**
   * Load models and chats, then open the view of the URL.
   * @param {Promise<object>} models The response to the first request for the models.
   */
  async start(models) {
    await this.models.watch(models.catch(() => api.models()));
    await this.history.load();
    $("#early")?.remove(); // the outline of the frame; from here on the page can be used
    this.routed = true;
    const last = lastOpenChat();
    const behind = restoreFragment(location);
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

/** Fit the height to the text. Wrapping and measuring a pasted megabyte would block the page for a minute. */
function fit(box) {
  box.wrap = box.value.length > LONGEST_WRAPPED ? "off" : "soft";
  if (box.value.length > LONGEST_MEASURED) {
    box.style.height = "40dvh";
    return;
  }
  box.style.height = "auto";
  box.style.height = `${box.scrollHeight}px`;
}

function chatUrl(model) {
  const id = encodeURIComponent(model).replaceAll("%2F", "/").replaceAll("%3A", ":");
  return model ? `./?model=${id}` : "./";
}

/** Fetch the boot data. Repeat until the server responds, which may be restarting. */
async function fetchBoot() {
  for (;;) {
    try {
      return await api.boot();
    } catch {
      await new Promise((again) => setTimeout(again, 2000));
    }
  }
}

const models = api.models();
models.catch(() => {}); // handled where it is awaited
const [boot, store] = await Promise.all([
  fetchBoot(),
  openStore(),
  ...["#sidebar .side", "#send", "#cards", "#pick-menu", "#panel", "#system", "#stop", "#settings-reset", "#close-settings", "#compare-composer", "#ranking", "#check-form"].map(whenPresent),
]);
const page = new Page(boot, store);
window.akashGradio = page;
page.wire();
await page.start(models);
