// A dialog over the page. The browser keeps the focus inside and gives it back.

import { el, iconButton } from "./dom.js";

/** Open a dialog with a title; returns { dialog, body }. It is gone once it is closed. */
export function openDialog(title, words, ...children) {
  const body = el("div", { class: "dialog-body" }, ...children);
  const dialog = el("dialog", { class: "dialog ag", "aria-label": title });
  const close = iconButton("close", words.close, () => dialog.close());
  dialog.append(el("div", { class: "dialog-head" }, el("h2", {}, title), close), body);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close(); // beside it: the dialog's own box is filled
  });
  document.querySelector(".gradio-container").append(dialog);
  dialog.showModal();
  return { dialog, body };
}
