// The visitor's own API key: stored in this tab's session storage, and sent in request headers.

import { openDialog } from "./dialogs.js";
import { $, el } from "./dom.js";

const KEY = "akash-gradio.own-key";
let inMemory = null; // used if the browser provides no storage for this frame

function storedKey() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY)) ?? inMemory;
  } catch {
    return inMemory;
  }
}

function storeKey(own) {
  inMemory = own;
  try {
    if (own) sessionStorage.setItem(KEY, JSON.stringify(own));
    else sessionStorage.removeItem(KEY);
  } catch {
    // Valid while this page is open.
  }
}

/** Return the headers of each request; {} without a key. */
export function ownKeyHeaders() {
  const own = storedKey();
  return own ? { "x-own-key": own.key, "x-own-endpoint": own.endpoint } : {};
}

/** Wire the sidebar button, if the operator accepts visitors' keys. offered: mode, endpoints. */
export function wireOwnKey(strings, offered) {
  const button = $("#own-key");
  const none = offered.mode === "keys" && !offered.endpoints.length;
  if (offered.mode === "off" || none) return storeKey(null);
  const mark = () => ($("#own-key-text").textContent = storedKey() ? strings.own_key_on : strings.own_key);
  button.hidden = false;
  button.addEventListener("click", () => openForm(strings, offered, mark));
  mark();
}

function openForm(strings, { mode, endpoints }, mark) {
  const own = storedKey();
  const other = mode === "endpoints";
  const which = el("select", { class: "dialog-field" }, ...endpoints.map((name) => el("option", { value: name }, name)));
  if (other) which.append(el("option", { value: "" }, strings.own_key_other));
  const address = el("input", { class: "dialog-field", type: "url", placeholder: "https://…/v1", pattern: "https://.+" });
  const addressLabel = el("label", { class: "dialog-label" }, strings.own_key_address, address);
  const key = el("input", { class: "dialog-field", type: "password", autocomplete: "off", spellcheck: "false", required: true, pattern: "[!-~]+" });
  if (own) {
    key.value = own.key;
    which.value = endpoints.includes(own.endpoint) ? own.endpoint : "";
    address.value = endpoints.includes(own.endpoint) ? "" : own.endpoint;
  }
  const fit = () => {
    addressLabel.hidden = which.value !== "";
    address.required = !addressLabel.hidden;
  };
  which.addEventListener("change", fit);
  fit();
  const remove = own && el("button", { type: "button", class: "btn", onclick: () => done(null) }, strings.own_key_remove);
  const form = el("form", { class: "dialog-form" },
    el("p", { class: "dialog-hint" }, strings.own_key_hint),
    el("label", { class: "dialog-label" }, strings.own_key_endpoint, which),
    addressLabel,
    el("label", { class: "dialog-label" }, strings.own_key_field, key),
    el("div", { class: "dialog-row" }, remove || null, el("button", { type: "submit", class: "btn primary" }, strings.own_key_save)),
  );
  const { dialog } = openDialog(strings.own_key, strings, form);
  const done = (value) => {
    storeKey(value);
    mark();
    dialog.close();
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    done({ key: key.value, endpoint: which.value || address.value.trim() });
  });
}

/** Wire the sign-out button. user: the user name, "" for sign-in with an access token. */
export function wireSignOut(signedIn, user) {
  const button = $("#sign-out");
  $("#user-name").textContent = user;
  $("#user-name").hidden = !user;
  button.hidden = !signedIn;
  button.addEventListener("click", async () => {
    storeKey(null);
    await fetch(new URL("page/sign-out", document.baseURI.replace(/[?#].*$/, "")), { method: "POST", redirect: "manual" });
    location.reload();
  });
}
