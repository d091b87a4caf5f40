// DOM helpers that all parts of the page use.

export const $ = (selector, root = document) => root.querySelector(selector);

/** Create an element. Attributes named `on*` are event listeners; text children are escaped. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

/** Create an icon from the sprite in the sidebar. */
export function icon(name) {
  const SVG = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "i");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

export function iconButton(name, label, onclick, extra = {}) {
  return el("button", { type: "button", class: "icon-btn", "aria-label": label, title: label, onclick, ...extra }, icon(name));
}

/** Parse HTML that the page's own server rendered and escaped. */
export function parseServerHtml(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content;
}

/** Update a container to the server's HTML. Unchanged nodes stay, with their focus and scroll position. */
export function morph(container, html) {
  renewChildren(container, parseServerHtml(html));
}

/** Replace the children of an element unless they look the same, so that the focus stays. */
export function replaceIfChanged(box, ...nodes) {
  const same = nodes.length === box.childNodes.length && nodes.every((node, index) => node.isEqualNode(box.childNodes[index]));
  if (!same) box.replaceChildren(...nodes);
}

function renewChildren(there, fresh) {
  const children = [...fresh.childNodes];
  children.forEach((node, index) => {
    const old = there.childNodes[index];
    if (old) renewNode(old, node);
    else there.append(node);
  });
  while (there.childNodes.length > children.length) there.lastChild.remove();
}

function renewNode(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  if (old.nodeType !== Node.ELEMENT_NODE || old.nodeName !== fresh.nodeName) return old.replaceWith(fresh);
  for (const name of old.getAttributeNames()) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  renewChildren(old, fresh);
}

/** Replace all but the first `keep` blocks of a container. */
export function patchBlocks(container, keep, blocks) {
  while (container.children.length > keep) container.lastChild.remove();
  for (const block of blocks) {
    const wrap = el("div", { class: "blk" });
    wrap.append(parseServerHtml(block));
    container.append(wrap);
  }
}

export function fill(sentence, facts) {
  return sentence.replace(/\{(\w+)\}/g, (_, name) => facts[name] ?? "");
}

/** Resolve with the first matching element as soon as the page has it. */
export function whenPresent(selector) {
  const element = $(selector);
  if (element) return Promise.resolve(element);
  return new Promise((resolve) => {
    const watch = new MutationObserver(() => {
      const node = $(selector);
      if (node) {
        watch.disconnect();
        resolve(node);
      }
    });
    watch.observe(document.documentElement, { childList: true, subtree: true });
  });
}

let toastTimer;

/** Show a short message at the bottom of the page, optionally with an action. */
export function toast(text, action, onaction) {
  $(".toast")?.remove();
  clearTimeout(toastTimer);
  const node = el("div", { class: "toast ag", role: "status" }, el("span", {}, text));
  if (action) {
    node.append(el("button", { type: "button", onclick: () => { node.remove(); onaction(); } }, action));
  }
  ($("dialog[open]") ?? $(".gradio-container")).append(node); // elements outside an open dialog can't be clicked
  toastTimer = setTimeout(() => node.remove(), action ? 8000 : 2400);
}

export async function copyText(text, strings) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    toast(strings.copy_failed);
    return false;
  }
}

/** Copy the code block whose copy button was clicked. */
export async function copyCode(event, strings) {
  const button = event.target.closest?.("[data-copy]");
  if (!button) return;
  const code = button.closest(".code").querySelector("code").textContent;
  if (!(await copyText(code, strings))) return;
  button.textContent = strings.copied;
  setTimeout(() => (button.textContent = strings.copy), 1500);
}

/** Announce a sentence to screen readers. */
export function announce(sentence) {
  const live = $("#live");
  if (live) live.textContent = sentence;
}
