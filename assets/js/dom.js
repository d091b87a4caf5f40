// Small things that every part of the page uses.

export const $ = (selector, root = document) => root.querySelector(selector);

/** An element with attributes and children; `on*` are listeners, text is always escaped. */
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

/** An icon of the sprite in the sidebar. */
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

/** HTML that this page's own server rendered and escaped. */
export function fromServer(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content;
}

/** Server's HTML in the place of what is there; what hasn't changed stays, with its focus and scroll. */
export function renew(container, html) {
  renewChildren(container, fromServer(html));
}

/** Nodes in the place of what is there, unless they look alike: what has the focus keeps it then. */
export function exchange(box, ...nodes) {
  const same = nodes.length === box.childNodes.length && nodes.every((node, place) => node.isEqualNode(box.childNodes[place]));
  if (!same) box.replaceChildren(...nodes);
}

function renewChildren(there, fresh) {
  const wanted = [...fresh.childNodes];
  wanted.forEach((node, place) => {
    const old = there.childNodes[place];
    if (old) renewNode(old, node);
    else there.append(node);
  });
  while (there.childNodes.length > wanted.length) there.lastChild.remove();
}

function renewNode(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  if (old.nodeType !== Node.ELEMENT_NODE || old.nodeName !== fresh.nodeName) return old.replaceWith(fresh);
  for (const name of old.getAttributeNames()) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  renewChildren(old, fresh);
}

/** Put blocks in place of all but the first `keep` of a container. */
export function patchBlocks(container, keep, blocks) {
  while (container.children.length > keep) container.lastChild.remove();
  for (const block of blocks) {
    const wrap = el("div", { class: "blk" });
    wrap.append(fromServer(block));
    container.append(wrap);
  }
}

export function fill(sentence, facts) {
  return sentence.replace(/\{(\w+)\}/g, (_, name) => facts[name] ?? "");
}

/** Resolves with the first element that matches, as soon as the page has it. */
export function arrived(selector) {
  const found = $(selector);
  if (found) return Promise.resolve(found);
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

/** A short message at the bottom, with one thing to do about it. */
export function toast(text, action, onaction) {
  $(".toast")?.remove();
  clearTimeout(toastTimer);
  const node = el("div", { class: "toast ag", role: "status" }, el("span", {}, text));
  if (action) {
    node.append(el("button", { type: "button", onclick: () => { node.remove(); onaction(); } }, action));
  }
  ($("dialog[open]") ?? $(".gradio-container")).append(node); // nothing outside an open dialog can be pressed
  toastTimer = setTimeout(() => node.remove(), action ? 8000 : 2400);
}

export async function copyText(text, words) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    toast(words.copy_failed);
    return false;
  }
}

/** Copy the block of code whose button was pressed. */
export async function copyCode(event, words) {
  const button = event.target.closest?.("[data-copy]");
  if (!button) return;
  const code = button.closest(".code").querySelector("code").textContent;
  if (!(await copyText(code, words))) return;
  button.textContent = words.copied;
  setTimeout(() => (button.textContent = words.copy), 1500);
}

/** Say a sentence to screen readers. */
export function announce(sentence) {
  const live = $("#live");
  if (live) live.textContent = sentence;
}
