// The dialog of saved prompts: find one, fill in its fields, put it to use; write new ones.

import { openDialog } from "./dialogs.js";
import { $, el, fill, icon, iconButton, toast } from "./dom.js";
import { kept } from "./keeping.js";
import { Prompts, asPrompt, fieldsOf, filledIn, matching } from "./prompts.js";

const SEARCHED_FROM = 6;

export class PromptBook {
  /** acts: message(text), system(text): where a chosen prompt goes. */
  constructor(words, acts) {
    this.words = words;
    this.acts = acts;
    this.prompts = new Prompts(kept);
  }

  wire() {
    $("#prompts").addEventListener("click", () => this.open("message"));
    $("#system-prompts").addEventListener("click", () => this.open("system"));
    $("#system-save").addEventListener("click", () => {
      const text = $("#system textarea").value;
      if (!text.trim()) return toast(this.words.prompt_nothing);
      this.open("system");
      this.#write({ name: "", text });
    });
    $("#message").addEventListener("keydown", (event) => {
      if (event.key !== "/" || event.target.value || event.isComposing || !this.prompts.list().length) return;
      event.preventDefault();
      this.open("message");
    });
    document.addEventListener("akash-prompts", ({ detail }) => this.#kept(() => this.prompts.merge(detail)));
  }

  /** target: "message" or "system". */
  open(target) {
    this.target = target;
    const { words } = this;
    const { dialog, body } = openDialog(target === "system" ? words.prompts_system : words.prompts, words);
    dialog.classList.add("prompt-book");
    Object.assign(this, { dialog, body });
    this.#list();
  }

  #list(query = "") {
    const { words } = this;
    const all = this.prompts.list();
    const rows = el("div", { class: "prompt-rows" });
    const draw = (wanted) => rows.replaceChildren(...matching(all, wanted).map((prompt) => this.#row(prompt)));
    draw(query);
    const search = el("input", { type: "search", class: "dialog-field", placeholder: words.prompts_search, "aria-label": words.prompts_search, oninput: (event) => draw(event.target.value) });
    const add = el("button", { type: "button", class: "btn", onclick: () => this.#write({ name: "", text: "" }) }, icon("plus"), words.prompt_new);
    const parts = all.length ? [rows] : [el("p", { class: "dialog-empty" }, words.prompts_empty)];
    if (all.length >= SEARCHED_FROM) parts.unshift(search);
    this.body.replaceChildren(...parts, el("div", { class: "dialog-row" }, add));
    (all.length >= SEARCHED_FROM ? search : (rows.querySelector("button") ?? add)).focus();
  }

  #row(prompt) {
    const { words } = this;
    const fields = fieldsOf(prompt.text).map((name) => el("span", { class: "badge" }, name));
    const use = el("button", { type: "button", class: "prompt-use", onclick: () => this.#use(prompt) },
      el("b", { dir: "auto" }, prompt.name), el("small", { dir: "auto" }, prompt.text.trim().slice(0, 200)), ...fields);
    return el("div", { class: "prompt-row" }, use,
      iconButton("edit", `${words.edit}: ${prompt.name}`, () => this.#write(prompt)),
      iconButton("trash", `${words.delete}: ${prompt.name}`, () => this.#remove(prompt)));
  }

  #remove(prompt) {
    const { words } = this;
    this.#kept(() => this.prompts.remove(prompt.id));
    this.#list();
    this.dialog.append(el("p", { class: "dialog-undo", role: "status" }, fill(words.prompt_deleted, { name: prompt.name }),
      el("button", { type: "button", onclick: (event) => {
        this.#kept(() => this.prompts.put(prompt));
        event.target.parentNode.remove();
        this.#list();
      } }, words.undo)));
  }

  /** A new prompt, or another wording of one. */
  #write(prompt) {
    const { words } = this;
    const name = el("input", { type: "text", class: "dialog-field", maxlength: 80, dir: "auto" });
    const text = el("textarea", { class: "dialog-field", rows: 8, dir: "auto", required: true });
    [name.value, text.value] = [prompt.name, prompt.text];
    this.#form([labelled(words.prompt_name, name), labelled(words.prompt_text, text), el("p", { class: "dialog-hint" }, words.prompt_hint)], words.prompt_save, () => {
      const made = asPrompt({ ...prompt, name: name.value, text: text.value });
      if (made) this.#kept(() => this.prompts.put(made));
      this.#list();
    });
    (prompt.text ? name : text).focus();
  }

  #use(prompt) {
    const names = fieldsOf(prompt.text);
    if (!names.length) return this.#put(prompt.text);
    const fields = names.map((name) => [name, el("textarea", { class: "dialog-field", rows: 1, dir: "auto" })]);
    this.#form(fields.map(([name, field]) => labelled(name, field)), this.words.prompt_insert, () => {
      this.#put(filledIn(prompt.text, Object.fromEntries(fields.map(([name, field]) => [name, field.value]))));
    }, prompt.name);
    fields[0][1].focus();
  }

  #form(parts, label, onsubmit, title = null) {
    const back = el("button", { type: "button", class: "btn", onclick: () => this.#list() }, this.words.cancel);
    const form = el("form", { class: "dialog-form" }, title && el("h3", { dir: "auto" }, title), ...parts,
      el("div", { class: "dialog-row" }, back, el("button", { type: "submit", class: "btn primary" }, label)));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      onsubmit();
    });
    this.body.replaceChildren(form);
  }

  #put(text) {
    this.dialog.close();
    this.acts[this.target](text);
  }

  /** Write to the browser's storage, and say it where there is no room. */
  #kept(write) {
    try {
      write();
    } catch {
      toast(this.words.prompts_unkept);
    }
  }
}

function labelled(name, field) {
  return el("label", { class: "dialog-label" }, el("span", {}, name), field);
}
