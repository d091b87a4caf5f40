// A visitor's own key: in this tab's session storage, and in the headers of what is asked.

import { openDialog } from "./dialogs.js";
import { $, el } from "./dom.js";

const PLACE = "akash-gradio.own-key";
let inMemory = null; // where the browser gives this frame no storage

function kept() {
  try {
    return JSON.parse(sessionStorage.getItem(PLACE)) ?? inMemory;
  } catch {
    return inMemory;
  }
}

function keep(own) {
  inMemory = own;
  try {
    if (own) sessionStorage.setItem(PLACE, JSON.stringify(own));
    else sessionStorage.removeItem(PLACE);
  } catch {
    // It lasts as long as this page.
  }
}

/** What goes with each question; {} without a key. */
export function ownKeyHeaders() {
  const own = kept();
  return own ? { "x-own-key": own.key, "x-own-endpoint": own.endpoint } : {};
}

/** The button in the sidebar, where the host takes visitors' keys. offered: mode, endpoints. */
export function wireOwnKey(words, offered) {
  const button = $("#own-key");
  const none = offered.mode === "keys" && !offered.endpoints.length;
  if (offered.mode === "off" || none) return keep(null);
  const mark = () => ($("#own-key-text").textContent = kept() ? words.own_key_on : words.own_key);
  button.hidden = false;
  button.addEventListener("click", () => openForm(words, offered, mark));
  mark();
}

function openForm(words, { mode, endpoints }, mark) {
  const own = kept();
  const other = mode === "endpoints";
  const which = el("select", { class: "dialog-field" }, ...endpoints.map((name) => el("option", { value: name }, name)));
  if (other) which.append(el("option", { value: "" }, words.own_key_other));
  const address = el("input", { class: "dialog-field", type: "url", placeholder: "https://…/v1", pattern: "https://.+" });
  const place = el("label", { class: "dialog-label" }, words.own_key_address, address);
  const key = el("input", { class: "dialog-field", type: "password", autocomplete: "off", spellcheck: "false", required: true, pattern: "[!-~]+" });
  if (own) {
    key.value = own.key;
    which.value = endpoints.includes(own.endpoint) ? own.endpoint : "";
    address.value = endpoints.includes(own.endpoint) ? "" : own.endpoint;
  }
  const fit = () => {
    place.hidden = which.value !== "";
    address.required = !place.hidden;
  };
  which.addEventListener("change", fit);
  fit();
  const remove = own && el("button", { type: "button", class: "btn", onclick: () => done(null) }, words.own_key_remove);
  const form = el("form", { class: "dialog-form" },
    el("p", { class: "dialog-hint" }, words.own_key_hint),
    el("label", { class: "dialog-label" }, words.own_key_endpoint, which),
    place,
    el("label", { class: "dialog-label" }, words.own_key_field, key),
    el("div", { class: "dialog-row" }, remove || null, el("button", { type: "submit", class: "btn primary" }, words.own_key_save)),
  );
  const { dialog } = openDialog(words.own_key, words, form);
  const done = (value) => {
    keep(value);
    mark();
    dialog.close();
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    done({ key: key.value, endpoint: which.value || address.value.trim() });
  });
}

/** Where there is a session, it can be ended. user: whose, "" for who gave the token. */
export function wireSignOut(signedIn, user) {
  const button = $("#sign-out");
  $("#who").textContent = user;
  $("#who").hidden = !user;
  button.hidden = !signedIn;
  button.addEventListener("click", async () => {
    keep(null);
    await fetch(new URL("page/sign-out", document.baseURI.replace(/[?#].*$/, "")), { method: "POST", redirect: "manual" });
    location.reload();
  });
}
