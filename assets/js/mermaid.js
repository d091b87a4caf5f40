// Configuration of the mermaid library, and processing of its output. Independent of the page.

const CHARACTERS_LIMIT = 10_000;
const EDGES_LIMIT = 150;
const LARGE = 1_500; // characters

const TEXT_LENGTH = 300;
const ERROR_LENGTH = 160;
const AROUND = 16;
const PLOTS = "#0072B2, #E69F00, #009E73, #CC79A7"; // colors of the lanes, distinguishable with color blindness

/** Options that a diagram can't override: safety, limits and the page's own look. */
const SECURE = [
  "secure", "securityLevel", "startOnLoad", "maxTextSize", "maxEdges", "suppressErrorRendering", "htmlLabels", "flowchart",
  "theme", "darkMode", "themeCSS", "fontFamily", "altFontFamily", "fontSize", "logLevel", "dompurifyConfig", "layout", "look",
];

/** Return whether a diagram is drawn only on request, because it may block the page for a while. */
export const isLarge = (source) => source.length > LARGE;

export const isTooLarge = (source) => source.length > CHARACTERS_LIMIT;

/**
 * Escape tags in the source, which the library would otherwise insert into the page for a moment.
 *
 * What the diagram language itself writes with `<` stays, as do line breaks.
 */
export const withoutTags = (source) => source.replace(/(?<!<)<(?!br\s*\/?>)(?=[a-z!/?])/gi, "#lt;");

/**
 * Disarm what would make the library request a picture or a style from a host.
 *
 * Nodes can be pictures (`A@{ img: "https://…" }`, also in a quoted key with escapes), and styles may
 * contain `url(…)`. The Content-Security-Policy would stop both, but only in the browser.
 */
export const withoutRequests = (source) =>
  source
    .split("\n")
    .map((line) => (/\b(style|classDef|linkStyle)\b/i.test(line) ? line.replaceAll("\\", "").replace(/[\w-]*(url|image|image-set|src|cross-fade|element|paint)\s*\(/gi, "none(") : line))
    .join("\n")
    .replace(/@\{[^]*/, (rest) => rest.replaceAll("\\", "").replace(/\bimg\b/gi, "label"));

/** Return the library's configuration in the page's colors. style: computed style with the page's tokens. */
export function themeOf(style, dark) {
  const token = (name) => style.getPropertyValue(`--${name}`).trim();
  const [page, raised, line, strong, text, heading, quiet] = ["page", "raised-2", "line", "line-strong", "text", "heading", "quiet"].map(token);
  const lanes = dark ? ["#1f4e6b", "#6b5012", "#14543f", "#6b3f58", "#3f3f46"] : ["#cfe6f5", "#fbe7bf", "#c5ebdf", "#f3dbe8", "#e4e4e7"];
  const scale = Object.fromEntries(Array.from({ length: 12 }, (_, n) => [
    [`cScale${n}`, lanes[n % lanes.length]], [`cScaleLabel${n}`, heading], [`pie${n + 1}`, lanes[n % lanes.length]],
    [`git${n}`, lanes[n % lanes.length]], [`gitBranchLabel${n}`, heading],
  ]).flat());
  return {
    startOnLoad: false, securityLevel: "strict", suppressErrorRendering: true, logLevel: "fatal", secure: SECURE,
    maxTextSize: CHARACTERS_LIMIT, maxEdges: EDGES_LIMIT, htmlLabels: false, flowchart: { htmlLabels: false },
    fontFamily: "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif",
    theme: "base", darkMode: dark,
    themeVariables: {
      darkMode: dark, background: page, fontSize: "14px", textColor: text, titleColor: heading, lineColor: quiet,
      primaryColor: raised, primaryTextColor: heading, primaryBorderColor: strong,
      secondaryColor: line, secondaryTextColor: heading, secondaryBorderColor: strong,
      tertiaryColor: page, tertiaryTextColor: text, tertiaryBorderColor: line,
      noteBkgColor: lanes[1], noteTextColor: heading, noteBorderColor: strong,
      edgeLabelBackground: page, clusterBkg: page, clusterBorder: strong,
      pieStrokeColor: page, pieOuterStrokeColor: page, pieSectionTextColor: heading, pieTitleTextColor: heading, pieLegendTextColor: text,
      xyChart: {
        backgroundColor: page, titleColor: heading, plotColorPalette: PLOTS,
        ...Object.fromEntries(["x", "y"].flatMap((axis) => ["Label", "Title", "Tick", "Line"].map((part) => [`${axis}Axis${part}Color`, text]))),
      },
      ...scale,
    },
  };
}

/**
 * Make labels readable on fills that the diagram sets itself, mostly for light pages.
 * @param {Document} drawing
 * @param {(color: string) => string} hexOf Converts a CSS color to "#rrggbb".
 */
export function withReadableLabels(drawing, hexOf) {
  for (const node of drawing.querySelectorAll("g.node")) {
    const styles = [...node.querySelectorAll("[style]:not(text, tspan, .label)")].map((one) => one.getAttribute("style"));
    const fill = styles.map((style) => style.match(/fill:\s*([^;!]+)/)?.[1].trim()).find(Boolean);
    if (!fill || fill === "none" || styles.some((style) => /(^|;)\s*color:/.test(style))) continue;
    for (const label of node.querySelectorAll("text, tspan")) label.style.setProperty("fill", isLight(hexOf(fill)) ? "#09090b" : "#fafafa", "important");
  }
  return drawing;
}

/** Decide by the luma of BT.601, which is accurate enough for black or white labels. */
function isLight(hex) {
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  return 0.299 * red + 0.587 * green + 0.114 * blue > 140;
}

/**
 * Convert a drawing to a picture: { url, width, height, text }. text: the labels in it.
 * @throws {Error} If it is not a drawing.
 */
export function toPicture(drawing) {
  const root = drawing.documentElement;
  const [, , width, height] = (root.getAttribute("viewBox") ?? "").split(/[\s,]+/).map(Number);
  if (root.localName !== "svg" || !(width > 0 && height > 0)) throw new Error("no drawing");
  root.removeAttribute("style");
  root.setAttribute("width", width);
  root.setAttribute("height", height);
  const texts = [...root.querySelectorAll("text, foreignObject")].map((one) => one.textContent.replace(/\s+/g, " ").trim());
  const text = [...new Set(texts.filter(Boolean))].join(", ");
  const url = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(drawing))}`;
  return { url, width: Math.ceil(width), height: Math.ceil(height), text: shortened(text, TEXT_LENGTH) };
}

/** Describe a syntax error in one line. The library marks the position with dashes and a ^. */
export function errorMessage({ message }) {
  const lines = String(message ?? "").replaceAll("ﬂ°lt¶ß", "<").split("\n"); // the library's internal replacement of "#lt;"
  const line = lines[0].match(/(?:Parse|Lexical) error on line (\d+)/i)?.[1];
  if (!line) return shortened(lines[0].trim(), ERROR_LENGTH);
  const at = Math.max(0, lines[2]?.indexOf("^") ?? 0);
  const near = (lines[1] ?? "").slice(Math.max(0, at - AROUND), at + AROUND).replace(/\s+/g, " ").trim();
  return near ? `line ${line}, near “${near}”` : `line ${line}`;
}

const shortened = (text, length) => (text.length > length ? `${text.slice(0, length - 1)}…` : text);
