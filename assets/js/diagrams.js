// Draws finished mermaid code blocks as pictures. No script runs in a picture, and it requests nothing
// from any host. Code that can't be drawn stays code, with an error message below it.

import { openDialog } from "./dialogs.js";
import { el, fill } from "./dom.js";
import { errorMessage, isLarge, isTooLarge, toPicture, themeOf, withReadableLabels, withoutRequests, withoutTags } from "./mermaid.js";

const RENDER_TIMEOUT_MS = 8000;
const CACHE_SIZE = 60; // pictures in the cache; the oldest are dropped
const NEAR = "600px 0px"; // diagrams are drawn shortly before they are scrolled into view
const NEAR_END = 80;

/**
 * Start drawing diagrams.
 * @param {Record<string, string>} strings Texts of the page.
 * @param {string} script URL of the mermaid library, "" if there is none.
 */
export function drawDiagrams(strings, script) {
  if (!script || customElements.get("ag-diagram")) return;
  const renderer = new DiagramRenderer(strings, new URL(script, document.baseURI.replace(/[?#].*$/, "")));
  const near = new IntersectionObserver((seen) => {
    for (const { isIntersecting, target } of seen) if (isIntersecting) target.draw();
  }, { rootMargin: NEAR, scrollMargin: NEAR });
  customElements.define("ag-diagram", diagramElement(strings, renderer, near));
}

/** Draws diagrams one after another, each once per theme. */
class DiagramRenderer {
  constructor(strings, address) {
    Object.assign(this, { strings, address });
    this.drawn = new Map(); // theme and source → { url, width, height, text } or { error }
    this.inProgress = new Set(); // theme and source of diagrams that are being drawn
    this.queue = Promise.resolve();
  }

  /** Load the library. Called when the first diagram starts to stream, so that it is loaded when the diagram ends. */
  load() {
    this.library ??= import(this.address).then((module) => module.default);
    this.library.catch(() => (this.library = null)); // try again with the next diagram
    return this.library;
  }

  known(source) {
    return this.drawn.get(keyOf(source));
  }

  isDrawing(source) {
    return this.inProgress.has(keyOf(source));
  }

  /** Draw a diagram. Rejects if the library can't be loaded. */
  draw(source) {
    const key = keyOf(source);
    this.inProgress.add(key);
    const drawn = this.queue.then(async () => {
      if (!this.drawn.has(key)) this.#keep(key, await this.#draw(source));
      return this.drawn.get(key);
    });
    this.queue = drawn.catch(() => {}).then(() => this.inProgress.delete(key));
    return drawn;
  }

  async #draw(source) {
    const { strings } = this;
    if (isTooLarge(source)) return { error: strings.diagram_large };
    const mermaid = await this.load();
    const container = el("div", { class: "diagram-renderer", "aria-hidden": "true", inert: true });
    document.body.append(container);
    try {
      mermaid.initialize(themeOf(getComputedStyle(document.documentElement), window.akashTheme.dark));
      const { svg } = await withTimeout(mermaid.render(`diagram-${this.drawn.size}-${Date.now()}`, withoutTags(withoutRequests(source)), container), strings.diagram_slow);
      return toPicture(withReadableLabels(new DOMParser().parseFromString(svg, "image/svg+xml"), hexOf));
    } catch (error) {
      return { error: error.slow ?? fill(strings.diagram_invalid, { why: errorMessage(error) }) };
    } finally {
      container.remove();
    }
  }

  #keep(key, picture) {
    this.drawn.set(key, picture);
    if (this.drawn.size > CACHE_SIZE) this.drawn.delete(this.drawn.keys().next().value);
  }
}

/** Convert a CSS color to "#rrggbb"; invalid colors become black. */
function hexOf(color) {
  const brush = document.createElement("canvas").getContext("2d");
  brush.fillStyle = color;
  return brush.fillStyle;
}

const keyOf = (source) => `${window.akashTheme.dark} ${source}`;

function withTimeout(promise, slow) {
  let timer;
  const late = new Promise((_, reject) => (timer = setTimeout(() => reject({ slow }), RENDER_TIMEOUT_MS)));
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** The element around a code block that the server marks as a diagram. */
const diagramElement = (strings, renderer, near) => class extends HTMLElement {
  connectedCallback() {
    if (this.dataset.growing != null) return void renderer.load().catch(() => {});
    this.source = this.querySelector("code").textContent;
    document.addEventListener("akash-theme", this);
    const known = renderer.known(this.source);
    if (known) this.#show(known);
    else if (renderer.isDrawing(this.source)) this.draw(); // it came into view while the answer was streaming
    else if (isLarge(this.source)) this.#setSwitch(strings.diagram, () => this.draw());
    else near.observe(this);
  }

  disconnectedCallback() {
    document.removeEventListener("akash-theme", this);
    near.unobserve(this);
  }

  /** Redraw after a change of the theme. */
  handleEvent() {
    if (this.querySelector(".diagram")) this.draw();
  }

  async draw() {
    near.unobserve(this);
    const picture = await renderer.draw(this.source).catch(() => null);
    if (!picture || !this.isConnected) return;
    whenStill(scrollerOf(this), () => this.isConnected && keepScrollPosition(this, () => this.#show(picture)));
  }

  #show({ error, url, width, height, text }) {
    const code = this.querySelector("pre");
    this.querySelector(".diagram, .diagram-error")?.remove();
    if (error) {
      code.after(el("p", { class: "diagram-error" }, error));
      return this.#switch(false);
    }
    const alt = fill(strings.diagram_alt, { text });
    const picture = () => el("img", { src: url, width, height, alt });
    const open = el("button", { type: "button", title: strings.diagram_larger, onclick: () => openDialog(strings.diagram, strings, picture()).dialog.classList.add("large") }, picture());
    open.firstChild.style.setProperty("--width", `${width}px`);
    code.before(el("div", { class: "diagram" }, open));
    this.#switch(true);
  }

  /** Show the picture or the code. A button next to the copy button switches between them. */
  #switch(pictured) {
    const code = this.querySelector("pre");
    const picture = this.querySelector(".diagram");
    code.hidden = pictured;
    if (picture) picture.hidden = !pictured;
    if (picture) this.#setSwitch(pictured ? strings.diagram_code : strings.diagram, () => this.#switch(!pictured));
    else this.querySelector(".diagram-switch")?.remove();
  }

  #setSwitch(label, onclick) {
    const button = this.querySelector(".diagram-switch") ?? el("button", { type: "button", class: "code-copy diagram-switch" });
    button.textContent = label;
    button.onclick = onclick;
    this.querySelector(".code-copy:not(.diagram-switch)").before(button);
  }
};

const waiting = new Map(); // scroller → pending changes of height

/**
 * Run a change of height in a frame in which nothing else in the scroller grows or moves.
 *
 * Two changes in one frame would make the content between them jump. While an answer grows in every
 * frame, the change waits; the end of the answer redraws the diagram.
 */
function whenStill(scroller, change) {
  const queue = waiting.get(scroller);
  if (queue) return void queue.push(change);
  waiting.set(scroller, [change]);
  let before = null;
  const check = () => {
    const queue = waiting.get(scroller);
    if (scrollExtent(scroller) === before) queue.shift()();
    if (!queue.length) return void waiting.delete(scroller);
    before = scrollExtent(scroller);
    requestAnimationFrame(check);
  };
  requestAnimationFrame(check);
}

const scrollExtent = (scroller) => (scroller ? `${scroller.scrollTop} ${scroller.scrollHeight}` : "");

/** Run a change of an element's height without moving what is being read below it or at the end. */
function keepScrollPosition(node, change) {
  const scroller = scrollerOf(node);
  if (!scroller) return change();
  const atEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR_END;
  const { top, bottom } = node.getBoundingClientRect();
  const beginsAbove = top < scroller.getBoundingClientRect().top;
  change();
  if (atEnd) scroller.scrollTop = scroller.scrollHeight;
  else if (beginsAbove) scroller.scrollTop += node.getBoundingClientRect().bottom - bottom;
}

function scrollerOf(node) {
  for (let at = node.parentElement; at; at = at.parentElement) {
    if (/auto|scroll/.test(getComputedStyle(at).overflowY)) return at;
  }
  return null;
}
