// Receipts: a summary line below each answer, and a sheet with details.

import { el } from "./dom.js";

const join = (parts) => parts.flatMap((part, index) => (index ? [" · ", part] : [part]));

/** Build the line; clicking it opens the sheet. mine: settings that differ from the defaults. */
export function receiptLine(view, strings, extraFlags = [], mine = []) {
  const flags = [...extraFlags, ...view.flags].map((flag) => el("span", { class: "flag" }, flag));
  const sheet = view.rows?.length ? receiptSheet(view) : null;
  const line = el(
    "button",
    { type: "button", class: "receipt", "aria-expanded": "false", title: strings.open_receipt, disabled: !sheet },
    ...join([...view.line, ...mine, ...flags]),
  );
  if (sheet) {
    sheet.hidden = true;
    line.addEventListener("click", () => {
      sheet.hidden = !sheet.hidden;
      line.setAttribute("aria-expanded", String(!sheet.hidden));
      sheet.scrollIntoView({ block: "nearest" });
    });
  }
  return { line, sheet };
}

function receiptSheet(view) {
  const rows = view.rows.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]);
  return el("div", { class: "sheet" }, timeline(view), el("dl", {}, ...rows));
}

function timeline(view) {
  const total = Math.max(view.total_s, ...view.attempts.map((attempt) => attempt.seconds), 0.001);
  const share = (seconds) => `${Math.min(100, (100 * seconds) / total)}%`;
  let from = 0;
  const rows = view.attempts.flatMap((attempt) => {
    const start = from;
    from += attempt.seconds;
    const bar = el("i", { class: attempt.ok ? "" : "bad" });
    bar.style.left = share(start);
    bar.style.width = share(attempt.seconds);
    const lane = el("div", { class: "lane" }, bar);
    if (attempt.ok && view.total_s > from) {
      const flow = el("i", { class: "flow" });
      flow.style.left = share(from);
      flow.style.width = share(view.total_s - from);
      lane.append(flow);
    }
    return [el("span", {}, attempt.endpoint), lane, el("span", {}, `${attempt.outcome} · ${attempt.why}`)];
  });
  return el("div", { class: "timeline" }, ...rows);
}
