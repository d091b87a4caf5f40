// Modal dialogs. The browser traps the focus and restores it.

import { el, iconButton } from "./dom.js";

/** Open a dialog with a title; it is removed when it is closed. Returns { dialog, body }. */
export function openDialog(title, strings, ...children) {
  const body = el("div", { class: "dialog-body" }, ...children);
  const dialog = el("dialog", { class: "dialog ag", "aria-label": title });
  const close = iconButton("close", strings.close, () => dialog.close());
  dialog.append(el("div", { class: "dialog-head" }, el("h2", {}, title), close), body);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close(); // a click on the backdrop
  });
  document.querySelector(".gradio-container").append(dialog);
  dialog.showModal();
  return { dialog, body };
}
