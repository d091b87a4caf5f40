// The table of votes, as the server works it out; the votes are its own or this browser's.

import { $, el, fromServer, toast } from "./dom.js";
import { download } from "./exporting.js";
import { ownVotes } from "./vote.js";
import * as api from "./api.js";

export class Ranking {
  constructor(page) {
    this.words = page.words;
  }

  async open() {
    const place = $("#ranking");
    try {
      const { html } = await api.ranking(ownVotes());
      place.replaceChildren(fromServer(html));
    } catch (error) {
      const { title, hint } = error.view ?? { title: this.words.offline_title, hint: this.words.offline_hint };
      place.replaceChildren(el("div", { class: "blank" }, el("p", {}, title), el("p", {}, hint)));
    }
  }

  wire() {
    $("#ranking").addEventListener("click", async (event) => {
      const form = event.target.closest("[data-export]")?.dataset.export;
      if (!form) return;
      const { text } = await api.exportVotes(form, ownVotes()).catch((error) => ({ text: toast(error.view?.title ?? this.words.offline_title) }));
      if (text) download(`votes.${form}`, [text], form === "csv" ? "text/csv" : "application/json");
    });
  }
}
