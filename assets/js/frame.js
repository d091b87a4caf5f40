// The page's frame: sidebar, settings drawer and theme. Escape closes the topmost open part.

import { $ } from "./dom.js";

const SIDE = "akash-gradio.sidebar";
const NARROW = matchMedia("(max-width: 1099px)");

/** Wire the frame. Returns functions that open and close its parts. */
export function wireFrame() {
  const root = document.documentElement;
  const menus = () => [...document.querySelectorAll("#menu, [data-menu]")]; // some views have their own
  const focusMenu = () => menus().find((menu) => menu.offsetParent)?.focus();
  const sidebar = (open) => {
    root.dataset.sidebar = open ? "open" : "closed";
    for (const menu of menus()) menu.setAttribute("aria-expanded", String(open));
    if (open) $("#new-chat").focus();
    else if ($("#sidebar").contains(document.activeElement)) focusMenu();
  };
  let opener = $("#open-settings");
  const drawer = (open) => {
    const inside = $("#drawer").contains(document.activeElement);
    root.dataset.drawer = open ? "open" : "closed";
    $("#open-settings").setAttribute("aria-expanded", String(open));
    if (open) $("#close-settings").focus();
    else if (inside) opener.focus();
  };
  const toggle = (event) => {
    opener = event.currentTarget;
    drawer(root.dataset.drawer !== "open");
  };
  $("#drawer").setAttribute("role", "dialog");
  $("#drawer").setAttribute("aria-labelledby", "drawer-title");
  const toggleSidebar = () => {
    if (NARROW.matches) return sidebar(root.dataset.sidebar !== "open");
    const away = root.dataset.side !== "away";
    const inside = $("#sidebar").contains(document.activeElement);
    root.dataset.side = away ? "away" : "there";
    rememberSidebar(root.dataset.side);
    if (inside) focusMenu();
    else if (document.activeElement === document.body) $("#hide-sidebar").focus();
  };
  const openSidebar = () => {
    if (NARROW.matches) sidebar(true);
    else if (root.dataset.side === "away") toggleSidebar();
  };
  $("#menu").addEventListener("click", toggleSidebar);
  $("#hide-sidebar").addEventListener("click", toggleSidebar);
  $("#scrim").addEventListener("click", () => sidebar(false));
  $("#sidebar").addEventListener("click", (event) => {
    if (event.target.closest("a, .history-open, #new-chat")) sidebar(false);
  });
  $("#open-settings").addEventListener("click", toggle);
  $("#tune").addEventListener("click", toggle);
  $("#close-settings").addEventListener("click", () => drawer(false));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.isComposing) return;
    if ($(":popover-open, dialog[open]")) return; // the browser closes these itself
    if (root.dataset.sidebar === "open") sidebar(false);
    else if (root.dataset.drawer === "open") drawer(false);
    else return;
    event.preventDefault(); // or the same key press would stop an answer
  });
  wireTheme();
  const openDrawer = (from) => {
    opener = from;
    drawer(true);
  };
  return { closeDrawer: () => drawer(false), openDrawer, openSidebar, toggleSidebar };
}

function rememberSidebar(side) {
  try {
    localStorage.setItem(SIDE, side);
  } catch {
    // No storage in this frame: valid while the page is open.
  }
}

function wireTheme() {
  const mark = () => {
    for (const button of document.querySelectorAll("[data-theme-set]")) {
      button.setAttribute("aria-pressed", String(button.dataset.themeSet === window.akashTheme.choice));
    }
  };
  for (const button of document.querySelectorAll("[data-theme-set]")) {
    button.addEventListener("click", () => window.akashTheme.set(button.dataset.themeSet));
  }
  document.addEventListener("akash-theme", mark);
  mark();
}
