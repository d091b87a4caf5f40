// A report: its form is chosen and its beginning looked at before anything leaves.

import { openDialog } from "./dialogs.js";
import { el, toast } from "./dom.js";
import { download } from "./exporting.js";

const FORMS = { html: "text/html", md: "text/markdown", csv: "text/csv", json: "application/json" };

/** preview, whole: a form → its beginning { text, whole }, and the file's contents. */
export function openReport(page, { preview, whole }) {
  const says = page.boot.sets;
  let form = "html";
  const sheet = el("div", { class: "report-preview" });
  const chips = Object.keys(FORMS).map((each) => el("button", { type: "button", class: "chip", "aria-pressed": String(each === form), onclick: () => choose(each) }, each.toUpperCase()));
  const show = async () => {
    const asked = form;
    const found = await preview(asked).catch((error) => ({ text: error.view?.title ?? page.words.offline_title, whole: true }));
    if (asked !== form) return;
    const shown = asked === "html"
      ? el("iframe", { sandbox: "", title: says.preview, srcdoc: found.text })
      : el("pre", { tabindex: "0" }, found.text);
    sheet.replaceChildren(shown, found.whole ? "" : el("p", { class: "set-hint" }, says.cut));
  };
  const choose = (each) => {
    form = each;
    chips.forEach((chip) => chip.setAttribute("aria-pressed", String(chip.textContent === each.toUpperCase())));
    show();
  };
  const save = async () => {
    const asked = form;
    const contents = await whole(asked).catch((error) => void toast(error.view?.title ?? page.words.offline_title));
    if (contents) download(`${page.words.title} report.${asked}`, [contents], FORMS[asked]);
  };
  const button = el("button", { type: "button", class: "btn primary", onclick: save }, says.download);
  const { dialog } = openDialog(says.report, page.words, el("p", { class: "set-hint" }, says.leaves), el("div", { class: "report-forms" }, el("div", { class: "chips" }, ...chips), button), sheet);
  dialog.classList.add("wide");
  show();
}
