// The ranking, computed by the server from its own votes or from this browser's.

import { $, el, parseServerHtml, toast } from "./dom.js";
import { download } from "./exporting.js";
import { storedVotes } from "./vote.js";
import * as api from "./api.js";

export class Ranking {
  constructor(page) {
    this.strings = page.strings;
  }

  async open() {
    const container = $("#ranking");
    try {
      const { html } = await api.ranking(storedVotes());
      container.replaceChildren(parseServerHtml(html));
    } catch (error) {
      const { title, hint } = error.view ?? { title: this.strings.offline_title, hint: this.strings.offline_hint };
      container.replaceChildren(el("div", { class: "blank" }, el("p", {}, title), el("p", {}, hint)));
    }
  }

  wire() {
    $("#ranking").addEventListener("click", async (event) => {
      const form = event.target.closest("[data-export]")?.dataset.export;
      if (!form) return;
      const { text } = await api.exportVotes(form, storedVotes()).catch((error) => ({ text: toast(error.view?.title ?? this.strings.offline_title) }));
      if (text) download(`votes.${form}`, [text], form === "csv" ? "text/csv" : "application/json");
    });
  }
}
