// A small menu at a button: arrows walk it, Escape and a click elsewhere close it.

import { el, icon } from "./dom.js";

const EDGE = 8;

/**
 * Open a menu at `button`. items: { icon, label, act, danger }, null for a line between.
 * Returns the menu's element.
 */
export function openMenu(button, items, label) {
  const pop = el("div", { class: "pop ag", role: "menu", "aria-label": label, popover: "auto" });
  pop.append(...items.map((item) => (item ? menuItem(item, pop) : el("hr", {}))));
  document.querySelector(".gradio-container").append(pop);
  pop.addEventListener("keydown", (event) => walk(event, pop));
  pop.addEventListener("toggle", ({ newState }) => {
    if (newState !== "closed") return;
    if (pop.contains(document.activeElement) || document.activeElement === document.body) button.focus();
    button.setAttribute("aria-expanded", "false");
    pop.remove();
  });
  pop.showPopover();
  button.setAttribute("aria-expanded", "true");
  place(pop, button);
  pop.querySelector("button")?.focus();
  return pop;
}

export const menuButton = (name, label, items) => {
  const button = el(
    "button",
    { type: "button", class: "icon-btn", "aria-label": label, title: label, "aria-haspopup": "menu", "aria-expanded": "false", onclick: () => openMenu(button, items(button), label) },
    icon(name),
  );
  return button;
};

function menuItem({ icon: name, label, act, danger }, pop) {
  const press = () => {
    pop.hidePopover();
    act();
  };
  return el("button", { type: "button", role: "menuitem", class: danger ? "pop-item danger" : "pop-item", onclick: press }, icon(name), el("span", {}, label));
}

/** Below the button, or above it where there is no room; never outside of the window. */
function place(pop, button) {
  const at = button.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = pop;
  const below = at.bottom + 4 + height <= innerHeight - EDGE;
  pop.style.top = `${Math.max(EDGE, below ? at.bottom + 4 : at.top - 4 - height)}px`;
  pop.style.left = `${Math.max(EDGE, Math.min(at.right - width, innerWidth - width - EDGE))}px`;
}

function walk(event, pop) {
  const items = [...pop.querySelectorAll("button")];
  const at = items.indexOf(document.activeElement);
  const last = items.length - 1;
  const next = { ArrowDown: (at + 1) % items.length, ArrowUp: at > 0 ? at - 1 : last, Home: 0, End: last }[event.key];
  if (event.key === "Tab") pop.hidePopover();
  if (next === undefined) return;
  event.preventDefault();
  items[next].focus();
}
