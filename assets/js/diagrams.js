// Diagrams in answers: a finished block of mermaid becomes a picture, wherever it stands on the
// page. In a picture no script runs and nothing is asked of any host. What can't be drawn stays
// code, with one line that says why.

import { openDialog } from "./dialogs.js";
import { el, fill } from "./dom.js";
import { faultOf, isLarge, isTooLarge, picturedIn, themeOf, withReadableWords, withoutTags } from "./mermaid.js";

const PATIENCE_MS = 8000;
const KEPT = 60; // pictures; the oldest go
const NEAR = "600px 0px"; // drawn a little before it is seen
const NEAR_END = 80;

/** From now on diagrams are drawn. script: the library's address, "" where there is none. */
export function drawDiagrams(words, script) {
  if (!script || customElements.get("ag-diagram")) return;
  const studio = new Studio(words, new URL(script, document.baseURI.replace(/[?#].*$/, "")));
  const near = new IntersectionObserver((seen) => {
    for (const { isIntersecting, target } of seen) if (isIntersecting) target.draw();
  }, { rootMargin: NEAR, scrollMargin: NEAR });
  customElements.define("ag-diagram", diagramElement(words, studio, near));
}

/** Draws, one after another; each diagram and theme once. */
class Studio {
  constructor(words, address) {
    Object.assign(this, { words, address });
    this.drawn = new Map(); // theme and source → { url, width, height, text } or { fault }
    this.begun = new Set(); // theme and source of what is asked for and not drawn yet
    this.queue = Promise.resolve();
  }

  /** The library is loaded when the first diagram begins, so that it is there when it ends. */
  load() {
    this.library ??= import(this.address).then((module) => module.default);
    this.library.catch(() => (this.library = null)); // another try with the next diagram
    return this.library;
  }

  known(source) {
    return this.drawn.get(keyOf(source));
  }

  isDrawing(source) {
    return this.begun.has(keyOf(source));
  }

  /** Rejects where the library could not be had. */
  draw(source) {
    const key = keyOf(source);
    this.begun.add(key);
    const drawn = this.queue.then(async () => {
      if (!this.drawn.has(key)) this.#keep(key, await this.#draw(source));
      return this.drawn.get(key);
    });
    this.queue = drawn.catch(() => {}).then(() => this.begun.delete(key));
    return drawn;
  }

  async #draw(source) {
    const { words } = this;
    if (isTooLarge(source)) return { fault: words.diagram_large };
    const mermaid = await this.load();
    const host = el("div", { class: "diagram-studio", "aria-hidden": "true", inert: true });
    document.body.append(host);
    try {
      mermaid.initialize(themeOf(getComputedStyle(document.documentElement), window.akashTheme.dark));
      const { svg } = await inTime(mermaid.render(`diagram-${this.drawn.size}-${Date.now()}`, withoutTags(source), host), words.diagram_slow);
      return picturedIn(withReadableWords(new DOMParser().parseFromString(svg, "image/svg+xml"), hexOf));
    } catch (error) {
      return { fault: error.slow ?? fill(words.diagram_fault, { why: faultOf(error) }) };
    } finally {
      host.remove();
    }
  }

  #keep(key, picture) {
    this.drawn.set(key, picture);
    if (this.drawn.size > KEPT) this.drawn.delete(this.drawn.keys().next().value);
  }
}

/** A color as "#rrggbb"; black for what is none. */
function hexOf(color) {
  const brush = document.createElement("canvas").getContext("2d");
  brush.fillStyle = color;
  return brush.fillStyle;
}

const keyOf = (source) => `${window.akashTheme.dark} ${source}`;

function inTime(promise, slow) {
  let timer;
  const late = new Promise((_, reject) => (timer = setTimeout(() => reject({ slow }), PATIENCE_MS)));
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Around a block of code, as the server marks it. */
const diagramElement = (words, studio, near) => class extends HTMLElement {
  connectedCallback() {
    if (this.dataset.growing != null) return void studio.load().catch(() => {});
    this.source = this.querySelector("code").textContent;
    document.addEventListener("akash-theme", this);
    const known = studio.known(this.source);
    if (known) this.#show(known);
    else if (studio.isDrawing(this.source)) this.draw(); // it was near when the answer still came
    else if (isLarge(this.source)) this.#turn(words.diagram, () => this.draw());
    else near.observe(this);
  }

  disconnectedCallback() {
    document.removeEventListener("akash-theme", this);
    near.unobserve(this);
  }

  /** The theme changed. */
  handleEvent() {
    if (this.querySelector(".diagram")) this.draw();
  }

  async draw() {
    near.unobserve(this);
    const picture = await studio.draw(this.source).catch(() => null);
    if (!picture || !this.isConnected) return;
    whenStill(scrollerOf(this), () => this.isConnected && keepingPlace(this, () => this.#show(picture)));
  }

  #show({ fault, url, width, height, text }) {
    const code = this.querySelector("pre");
    this.querySelector(".diagram, .diagram-fault")?.remove();
    if (fault) {
      code.after(el("p", { class: "diagram-fault" }, fault));
      return this.#switch(false);
    }
    const alt = fill(words.diagram_alt, { text });
    const picture = () => el("img", { src: url, width, height, alt });
    const open = el("button", { type: "button", title: words.diagram_larger, onclick: () => openDialog(words.diagram, words, picture()).dialog.classList.add("large") }, picture());
    open.firstChild.style.setProperty("--width", `${width}px`);
    code.before(el("div", { class: "diagram" }, open));
    this.#switch(true);
  }

  /** Picture or code, by a button beside the one that copies. */
  #switch(pictured) {
    const code = this.querySelector("pre");
    const picture = this.querySelector(".diagram");
    code.hidden = pictured;
    if (picture) picture.hidden = !pictured;
    if (picture) this.#turn(pictured ? words.diagram_code : words.diagram, () => this.#switch(!pictured));
    else this.querySelector(".diagram-switch")?.remove();
  }

  #turn(label, onclick) {
    const button = this.querySelector(".diagram-switch") ?? el("button", { type: "button", class: "code-copy diagram-switch" });
    button.textContent = label;
    button.onclick = onclick;
    this.querySelector(".code-copy:not(.diagram-switch)").before(button);
  }
};

const waiting = new Map(); // scroller → changes of heights in it

/**
 * Run a change of height in a frame of its own, in which nothing else in the scroller grows or
 * moves: of the two together, what is between them would jump. An answer that grows in every frame
 * is waited for; its end draws it anew.
 */
function whenStill(scroller, change) {
  const queue = waiting.get(scroller);
  if (queue) return void queue.push(change);
  waiting.set(scroller, [change]);
  let before = null;
  const look = () => {
    const queue = waiting.get(scroller);
    if (extentOf(scroller) === before) queue.shift()();
    if (!queue.length) return void waiting.delete(scroller);
    before = extentOf(scroller);
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}

const extentOf = (scroller) => (scroller ? `${scroller.scrollTop} ${scroller.scrollHeight}` : "");

/** Run a change of a part's height. Who reads at the end stays there; so does who reads below it. */
function keepingPlace(node, change) {
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
