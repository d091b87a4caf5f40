// Keys for what is done often. None is taken while a text is being written or an IME
// composes, but those with Ctrl or ⌘ that mean nothing in a text.

import { openDialog } from "./dialogs.js";
import { $, copyText, el, toast } from "./dom.js";

const MAC = /Mac|iPhone|iPad/.test(globalThis.navigator?.platform ?? "");

/** name → how it is pressed; `mod` is ⌘ on a Mac and Ctrl elsewhere. */
const KEYS = {
  new_chat: { mod: true, shift: true, key: "o" },
  focus: { shift: true, key: "escape" },
  stop: { key: "escape" },
  regenerate: { mod: true, shift: true, key: "enter" },
  edit: { mod: true, shift: true, key: "e" },
  copy: { mod: true, shift: true, key: "c" },
  model: { mod: true, shift: true, key: "m" },
  search: { mod: true, key: "k" },
  sidebar: { mod: true, shift: true, key: "s" },
  settings: { mod: true, key: "," },
  sheet: { mod: true, key: "/" },
};

/** The name of what the keys mean; null where they mean nothing here. writing: into a text. */
export function meaning(event, writing, mac = MAC) {
  if (event.isComposing || event.keyCode === 229 || event.altKey) return null; // AltGr writes letters
  const mod = mac ? event.metaKey : event.ctrlKey;
  if (mac ? event.ctrlKey : event.metaKey) return null;
  if (event.key === "?" && !mod) return writing ? null : "sheet";
  const pressed = letterOf(event);
  const found = Object.entries(KEYS).find(([, keys]) =>
    keys.key === pressed && Boolean(keys.mod) === mod && (Boolean(keys.shift) === event.shiftKey || pressed === "/"));
  return found?.[0] ?? null;
}

/** The Latin letter on the key, where the layout writes others. */
function letterOf({ key, code }) {
  const low = key.toLowerCase();
  if (low.length > 1 || /[a-z/,]/.test(low)) return low;
  return { Slash: "/", Comma: "," }[code] ?? code?.match(/^Key([A-Z])$/)?.[1].toLowerCase() ?? low;
}

/** Tie them. page: its chat, thread, frame and words. */
export function wireKeys(page) {
  const acts = actsOf(page);
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.repeat) return;
    const name = meaning(event, isText(event.target));
    if (!name || (name !== "sheet" && $(":popover-open, dialog[open]"))) return; // what is open has the keys
    if (acts[name]() !== false) event.preventDefault();
  });
  $("#show-keys").addEventListener("click", () => showKeys(page.words));
}

/** By the names in KEYS; what does nothing now returns false. */
function actsOf(page) {
  const { asking, frame, thread, words } = page;
  const inChat = (act) => () => (document.documentElement.dataset.view === "chat" ? act() : false);
  const last = (role) => page.chat.turns.findLastIndex((turn) => turn.role === role);
  const press = (selector) => () => $(selector).click();
  return {
    new_chat: () => page.startChat(page.chat.model),
    focus: inChat(() => $("#message").focus()),
    stop: () => {
      const { view } = document.documentElement.dataset;
      if (view === "compare") return page.compare.running.length ? page.compare.stopAll() : false;
      return view === "chat" && asking.running ? asking.stop() : false;
    },
    regenerate: inChat(() => (last("assistant") < 0 ? false : asking.regenerate(last("assistant")))),
    edit: inChat(() => (last("user") < 0 || asking.running ? false : thread.edit(last("user")))),
    copy: inChat(() => copyLast(page.chat.turns[last("assistant")], words)),
    model: inChat(press("#pick")),
    search: () => {
      frame.openSidebar();
      $("#chat-search").select();
    },
    sidebar: () => frame.toggleSidebar(),
    settings: inChat(press("#open-settings")),
    sheet: () => showKeys(words),
  };
}

function copyLast(turn, words) {
  const text = turn?.versions[turn.shown].text;
  if (!text) return false;
  copyText(text, words).then((done) => done && toast(words.copied));
}

const isText = (node) => Boolean(node.closest?.("input:not([type=checkbox], [type=radio], [type=range]), textarea, select, [contenteditable]"));

/** The sheet that lists them; pressed again it closes. */
export function showKeys(words) {
  const open = $("dialog.keys");
  if (open) return open.close();
  const names = [
    ["new_chat", words.new_chat],
    ["focus", words.key_focus],
    ["stop", words.key_stop],
    ["regenerate", words.key_regenerate],
    ["edit", words.key_edit],
    ["copy", words.key_copy],
    ["model", words.key_model],
    ["search", words.search_chats],
    ["sidebar", words.key_sidebar],
    ["settings", words.settings],
  ];
  const rows = names.flatMap(([name, label]) => [el("dt", {}, label), el("dd", {}, ...caps(KEYS[name]))]);
  rows.push(el("dt", {}, words.key_sheet), el("dd", {}, cap("?"), ...caps(KEYS.sheet)));
  rows.push(el("dt", {}, words.key_line), el("dd", {}, ...caps({ shift: true, key: "enter" })));
  const { dialog } = openDialog(words.all_keys, words, el("dl", { class: "key-list" }, ...rows));
  dialog.classList.add("keys");
}

const cap = (text) => el("kbd", {}, text);

function caps({ mod, shift, key }) {
  const names = { escape: "Esc", enter: "Enter" };
  return [mod && (MAC ? "⌘" : "Ctrl"), shift && "Shift", names[key] ?? key.toUpperCase()].filter(Boolean).map(cap);
}
