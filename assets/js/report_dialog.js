// The report dialog: choose a format and preview the report before downloading it.

import { openDialog } from "./dialogs.js";
import { el, toast } from "./dom.js";
import { download } from "./exporting.js";

const FORMS = { html: "text/html", md: "text/markdown", csv: "text/csv", json: "application/json" };

/**
 * Open the dialog.
 * @param {object} page
 * @param {object} source preview(form) resolves with { text, whole }, whole(form) with the file.
 */
export function openReport(page, { preview, whole }) {
  const setStrings = page.boot.sets;
  let form = "html";
  const sheet = el("div", { class: "report-preview" });
  const chips = Object.keys(FORMS).map((each) => el("button", { type: "button", class: "chip", "aria-pressed": String(each === form), onclick: () => choose(each) }, each.toUpperCase()));
  const show = async () => {
    const requested = form;
    const response = await preview(requested).catch((error) => ({ text: error.view?.title ?? page.strings.offline_title, whole: true }));
    if (requested !== form) return;
    const shown = requested === "html"
      ? el("iframe", { sandbox: "", title: setStrings.preview, srcdoc: response.text })
      : el("pre", { tabindex: "0" }, response.text);
    sheet.replaceChildren(shown, response.whole ? "" : el("p", { class: "set-hint" }, setStrings.preview_cut));
  };
  const choose = (each) => {
    form = each;
    chips.forEach((chip) => chip.setAttribute("aria-pressed", String(chip.textContent === each.toUpperCase())));
    show();
  };
  const save = async () => {
    const requested = form;
    const contents = await whole(requested).catch((error) => void toast(error.view?.title ?? page.strings.offline_title));
    if (contents) download(`${page.strings.title} report.${requested}`, [contents], FORMS[requested]);
  };
  const button = el("button", { type: "button", class: "btn primary", onclick: save }, setStrings.download);
  const { dialog } = openDialog(setStrings.report, page.strings, el("p", { class: "set-hint" }, setStrings.report_contents), el("div", { class: "report-forms" }, el("div", { class: "chips" }, ...chips), button), sheet);
  dialog.classList.add("wide");
  show();
}
