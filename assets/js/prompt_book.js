// The dialog of saved prompts: search, fill in fields, insert, create and edit.

import { openDialog } from "./dialogs.js";
import { $, el, fill, icon, iconButton, toast } from "./dom.js";
import { safeLocalStorage } from "./safe_storage.js";
import { Prompts, asPrompt, fieldsOf, fillFields, matchingPrompts } from "./prompts.js";

const SEARCHED_FROM = 6;

export class PromptBook {
  /**
   * @param {Record<string, string>} strings Texts of the page.
   * @param {object} actions message(text), system(text): receive a chosen prompt.
   */
  constructor(strings, actions) {
    this.strings = strings;
    this.actions = actions;
    this.prompts = new Prompts(safeLocalStorage);
  }

  wire() {
    $("#prompts").addEventListener("click", () => this.open("message"));
    $("#system-prompts").addEventListener("click", () => this.open("system"));
    $("#system-save").addEventListener("click", () => {
      const text = $("#system textarea").value;
      if (!text.trim()) return toast(this.strings.prompt_nothing);
      this.open("system");
      this.#write({ name: "", text });
    });
    $("#message").addEventListener("keydown", (event) => {
      if (event.key !== "/" || event.target.value || event.isComposing || !this.prompts.list().length) return;
      event.preventDefault();
      this.open("message");
    });
    document.addEventListener("akash-prompts", ({ detail }) => this.#store(() => this.prompts.merge(detail)));
  }

  /** @param {"message" | "system"} target Where a chosen prompt goes. */
  open(target) {
    this.target = target;
    const { strings } = this;
    const { dialog, body } = openDialog(target === "system" ? strings.prompts_system : strings.prompts, strings);
    dialog.classList.add("prompt-book");
    Object.assign(this, { dialog, body });
    this.#list();
  }

  #list(query = "") {
    const { strings } = this;
    const all = this.prompts.list();
    const rows = el("div", { class: "prompt-rows" });
    const draw = (query) => rows.replaceChildren(...matchingPrompts(all, query).map((prompt) => this.#row(prompt)));
    draw(query);
    const search = el("input", { type: "search", class: "dialog-field", placeholder: strings.prompts_search, "aria-label": strings.prompts_search, oninput: (event) => draw(event.target.value) });
    const add = el("button", { type: "button", class: "btn", onclick: () => this.#write({ name: "", text: "" }) }, icon("plus"), strings.prompt_new);
    const parts = all.length ? [rows] : [el("p", { class: "dialog-empty" }, strings.prompts_empty)];
    if (all.length >= SEARCHED_FROM) parts.unshift(search);
    this.body.replaceChildren(...parts, el("div", { class: "dialog-row" }, add));
    (all.length >= SEARCHED_FROM ? search : (rows.querySelector("button") ?? add)).focus();
  }

  #row(prompt) {
    const { strings } = this;
    const fields = fieldsOf(prompt.text).map((name) => el("span", { class: "badge" }, name));
    const use = el("button", { type: "button", class: "prompt-use", onclick: () => this.#use(prompt) },
      el("b", { dir: "auto" }, prompt.name), el("small", { dir: "auto" }, prompt.text.trim().slice(0, 200)), ...fields);
    return el("div", { class: "prompt-row" }, use,
      iconButton("edit", `${strings.edit}: ${prompt.name}`, () => this.#write(prompt)),
      iconButton("trash", `${strings.delete}: ${prompt.name}`, () => this.#remove(prompt)));
  }

  #remove(prompt) {
    const { strings } = this;
    this.#store(() => this.prompts.remove(prompt.id));
    this.#list();
    this.dialog.append(el("p", { class: "dialog-undo", role: "status" }, fill(strings.prompt_deleted, { name: prompt.name }),
      el("button", { type: "button", onclick: (event) => {
        this.#store(() => this.prompts.put(prompt));
        event.target.parentNode.remove();
        this.#list();
      } }, strings.undo)));
  }

  /** Show the form for a new or changed prompt. */
  #write(prompt) {
    const { strings } = this;
    const name = el("input", { type: "text", class: "dialog-field", maxlength: 80, dir: "auto" });
    const text = el("textarea", { class: "dialog-field", rows: 8, dir: "auto", required: true });
    [name.value, text.value] = [prompt.name, prompt.text];
    this.#form([labelled(strings.prompt_name, name), labelled(strings.prompt_text, text), el("p", { class: "dialog-hint" }, strings.prompt_hint)], strings.prompt_save, () => {
      const made = asPrompt({ ...prompt, name: name.value, text: text.value });
      if (made) this.#store(() => this.prompts.put(made));
      this.#list();
    });
    (prompt.text ? name : text).focus();
  }

  #use(prompt) {
    const names = fieldsOf(prompt.text);
    if (!names.length) return this.#put(prompt.text);
    const fields = names.map((name) => [name, el("textarea", { class: "dialog-field", rows: 1, dir: "auto" })]);
    this.#form(fields.map(([name, field]) => labelled(name, field)), this.strings.prompt_insert, () => {
      this.#put(fillFields(prompt.text, Object.fromEntries(fields.map(([name, field]) => [name, field.value]))));
    }, prompt.name);
    fields[0][1].focus();
  }

  #form(parts, label, onsubmit, title = null) {
    const back = el("button", { type: "button", class: "btn", onclick: () => this.#list() }, this.strings.cancel);
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
    this.actions[this.target](text);
  }

  /** Write to the browser's storage; show a message if it is full. */
  #store(write) {
    try {
      write();
    } catch {
      toast(this.strings.prompts_full);
    }
  }
}

function labelled(name, field) {
  return el("label", { class: "dialog-label" }, el("span", {}, name), field);
}
