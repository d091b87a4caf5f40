// Shows the differences between the answers of two lanes, side by side.

import { openDialog } from "./dialogs.js";
import { el, fill, toast } from "./dom.js";
import { lastOf } from "./lane.js";
import * as api from "./api.js";

/** Open a dialog with the first two lanes that have an answer. */
export async function openDiff(compare) {
  const { strings } = compare;
  const lanes = compare.lanes.filter((lane) => lastOf(lane)?.text);
  if (lanes.length < 2) return;
  const chosen = [lanes[0], lanes[1]];
  const columns = el("div", { class: "diff" });
  const common = el("span", { class: "diff-common tn", role: "status" });
  const pick = (side) => {
    const select = el("select", { class: "plain", "aria-label": fill(strings.diff_side, { side: side + 1 }), onchange: () => { chosen[side] = lanes[select.selectedIndex]; draw(compare, chosen, columns, common); } });
    for (const lane of lanes) select.append(el("option", { selected: lane === chosen[side] }, nameOf(compare, lane)));
    return select;
  };
  const legend = el("p", { class: "diff-legend" }, el("ins", { class: "mark-only" }, strings.diff_only), el("ins", { class: "mark-number" }, strings.diff_number));
  await draw(compare, chosen, columns, common);
  const { dialog } = openDialog(strings.differences, strings, el("div", { class: "diff-pick" }, pick(0), pick(1), common, legend), columns);
  dialog.classList.add("wide");
}

async function draw(compare, lanes, columns, common) {
  const [a, b] = lanes.map((lane) => lastOf(lane).text);
  const result = await api.diff(a, b).catch((error) => {
    toast(error.view?.title ?? compare.strings.offline_title);
    return null;
  });
  if (!result) return;
  common.textContent = fill(compare.strings.diff_common, { share: Math.round(100 * result.common) });
  columns.replaceChildren(column(compare, lanes[0], result.a), column(compare, lanes[1], result.b));
}

function column(compare, lane, spans) {
  const pieces = spans.map(([text, mark]) => (mark === "same" ? text : el("ins", { class: `mark-${mark}` }, text)));
  const head = el("h3", {}, el("b", { class: "letter" }, lane.letter), compare.hidden ? "" : modelOf(compare, lane));
  return el("section", { class: "diff-side", "data-letter": lane.letter }, head, el("div", { class: "diff-text", dir: "auto", tabindex: 0 }, ...pieces));
}

const modelOf = (compare, lane) => lastOf(lane)?.model_name ?? compare.nameOf(lane);

const nameOf = (compare, lane) => (compare.hidden ? lane.letter : `${lane.letter} · ${modelOf(compare, lane)}`);
