// Keyboard shortcuts. While text is typed or an IME composes, only shortcuts with Ctrl or ⌘ that have no
// meaning in text apply.

import { openDialog } from "./dialogs.js";
import { $, copyText, el, toast } from "./dom.js";

const MAC = /Mac|iPhone|iPad/.test(globalThis.navigator?.platform ?? "");

/** Shortcut name → its keys; `mod` is ⌘ on a Mac and Ctrl elsewhere. */
const SHORTCUTS = {
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

/** Return the name of the shortcut for a key event; null if there is none. writing: in a text field. */
export function shortcutFor(event, writing, mac = MAC) {
  if (event.isComposing || event.keyCode === 229 || event.altKey) return null; // AltGr types characters
  const mod = mac ? event.metaKey : event.ctrlKey;
  if (mac ? event.ctrlKey : event.metaKey) return null;
  if (event.key === "?" && !mod) return writing ? null : "sheet";
  const pressed = letterOf(event);
  const match = Object.entries(SHORTCUTS).find(([, keys]) =>
    keys.key === pressed && Boolean(keys.mod) === mod && (Boolean(keys.shift) === event.shiftKey || pressed === "/"));
  return match?.[0] ?? null;
}

/** Return the Latin letter of the key on layouts that type other letters. */
function letterOf({ key, code }) {
  const low = key.toLowerCase();
  if (low.length > 1 || /[a-z/,]/.test(low)) return low;
  return { Slash: "/", Comma: "," }[code] ?? code?.match(/^Key([A-Z])$/)?.[1].toLowerCase() ?? low;
}

/** Wire the shortcuts. */
export function wireShortcuts(page) {
  const actions = actsOf(page);
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.repeat) return;
    const name = shortcutFor(event, isText(event.target));
    if (!name || (name !== "sheet" && $(":popover-open, dialog[open]"))) return; // open dialogs and popovers handle keys
    if (actions[name]() !== false) event.preventDefault();
  });
  $("#show-shortcuts").addEventListener("click", () => showShortcuts(page.strings));
}

/** Return an action for each shortcut; it returns false if it does nothing now. */
function actsOf(page) {
  const { session, frame, thread, strings } = page;
  const inChat = (act) => () => (document.documentElement.dataset.view === "chat" ? act() : false);
  const last = (role) => page.chat.turns.findLastIndex((turn) => turn.role === role);
  const press = (selector) => () => $(selector).click();
  return {
    new_chat: () => page.startChat(page.chat.model),
    focus: inChat(() => $("#message").focus()),
    stop: () => {
      const { view } = document.documentElement.dataset;
      if (view === "compare") return page.compare.running.length ? page.compare.stopAll() : false;
      return view === "chat" && session.running ? session.stop() : false;
    },
    regenerate: inChat(() => (last("assistant") < 0 ? false : session.regenerate(last("assistant")))),
    edit: inChat(() => (last("user") < 0 || session.running ? false : thread.edit(last("user")))),
    copy: inChat(() => copyLast(page.chat.turns[last("assistant")], strings)),
    model: inChat(press("#pick")),
    search: () => {
      frame.openSidebar();
      $("#chat-search").select();
    },
    sidebar: () => frame.toggleSidebar(),
    settings: inChat(press("#open-settings")),
    sheet: () => showShortcuts(strings),
  };
}

function copyLast(turn, strings) {
  const text = turn?.versions[turn.shown].text;
  if (!text) return false;
  copyText(text, strings).then((done) => done && toast(strings.copied));
}

const isText = (node) => Boolean(node.closest?.("input:not([type=checkbox], [type=radio], [type=range]), textarea, select, [contenteditable]"));

/** Open the list of shortcuts, or close it if it is open. */
export function showShortcuts(strings) {
  const open = $("dialog.shortcuts");
  if (open) return open.close();
  const names = [
    ["new_chat", strings.new_chat],
    ["focus", strings.key_focus],
    ["stop", strings.key_stop],
    ["regenerate", strings.key_regenerate],
    ["edit", strings.key_edit],
    ["copy", strings.key_copy],
    ["model", strings.key_model],
    ["search", strings.search_chats],
    ["sidebar", strings.key_sidebar],
    ["settings", strings.settings],
  ];
  const rows = names.flatMap(([name, label]) => [el("dt", {}, label), el("dd", {}, ...keyCaps(SHORTCUTS[name]))]);
  rows.push(el("dt", {}, strings.key_sheet), el("dd", {}, cap("?"), ...keyCaps(SHORTCUTS.sheet)));
  rows.push(el("dt", {}, strings.key_line), el("dd", {}, ...keyCaps({ shift: true, key: "enter" })));
  const { dialog } = openDialog(strings.shortcuts, strings, el("dl", { class: "key-list" }, ...rows));
  dialog.classList.add("shortcuts");
}

const cap = (text) => el("kbd", {}, text);

function keyCaps({ mod, shift, key }) {
  const names = { escape: "Esc", enter: "Enter" };
  return [mod && (MAC ? "⌘" : "Ctrl"), shift && "Shift", names[key] ?? key.toUpperCase()].filter(Boolean).map(cap);
}
