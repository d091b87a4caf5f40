// Popover menus at a button: arrow keys move, Escape and a click outside close.

import { el, icon } from "./dom.js";

const EDGE = 8;

/**
 * Open a menu at `button`.
 * @param {HTMLElement} button
 * @param {(object | null)[]} items { icon, label, act, danger }, or null for a separator.
 * @param {string} label Accessible name of the menu.
 */
export function openMenu(button, items, label) {
  const pop = openPopover(button, label, (close) => items.map((item) => (item ? menuItem(item, close) : el("hr", {}))));
  pop.setAttribute("role", "menu");
}

/** Open a popover at `button`. fill receives a function that closes it, and returns its content. */
export function openPopover(button, label, fill) {
  const pop = el("div", { class: "pop ag", "aria-label": label, popover: "auto" });
  pop.append(...fill(() => pop.hidePopover()));
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
  position(pop, button);
  pop.querySelector("input, button")?.focus();
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

function menuItem({ icon: name, label, act, danger }, close) {
  const press = () => {
    close();
    act();
  };
  return el("button", { type: "button", role: "menuitem", class: danger ? "pop-item danger" : "pop-item", onclick: press }, icon(name), el("span", {}, label));
}

/** Place the popover below the button, or above it if there is no room, and inside the window. */
function position(pop, button) {
  const at = button.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = pop;
  const below = at.bottom + 4 + height <= innerHeight - EDGE;
  pop.style.top = `${Math.max(EDGE, below ? at.bottom + 4 : at.top - 4 - height)}px`;
  pop.style.left = `${Math.max(EDGE, Math.min(at.right - width, innerWidth - width - EDGE))}px`;
}

function walk(event, pop) {
  if (event.isComposing) return;
  const items = [...pop.querySelectorAll("button")];
  const at = items.indexOf(document.activeElement);
  const last = items.length - 1;
  if (at < 0 && event.key === "Enter") {
    event.preventDefault(); // or the element that gets the focus would be clicked too
    return items[0]?.click();
  }
  const next = { ArrowDown: (at + 1) % items.length, ArrowUp: at > 0 ? at - 1 : last, Home: at < 0 ? undefined : 0, End: at < 0 ? undefined : last }[event.key];
  if (event.key === "Tab") pop.hidePopover();
  if (next === undefined || !items.length) return;
  event.preventDefault();
  items[next].focus();
}
