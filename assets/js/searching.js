// What search looks through: of each chat its different words, folded, in one short text.

const ACCENTS = /[\u0300-\u036f]/g;
const BETWEEN = /[^\p{L}\p{N}\p{M}]+/u;

/** Letters as they are compared: without case, accents and widths. */
export const folded = (text) => text.normalize("NFKD").replace(ACCENTS, "").toLowerCase();

/** The different words of all that was said, each once. */
export function searchText(turns) {
  const found = new Set();
  for (const turn of turns) {
    for (const { text } of turn.versions ?? [turn]) {
      for (const word of folded(text ?? "").split(BETWEEN)) found.add(word);
    }
  }
  found.delete("");
  return [...found].join(" ");
}

/** The parts of a query, each of which a chat must have somewhere. */
export const termsOf = (query) => folded(query).split(BETWEEN).filter(Boolean);

/**
 * The chats that have every term, those first that have them all in the title.
 *
 * entries: newest first. texts: id → what `searchText` made of the chat.
 */
export function search(entries, texts, query) {
  const terms = termsOf(query);
  const inTitle = [];
  const inText = [];
  for (const entry of entries) {
    const title = folded(`${entry.title} ${entry.folder ?? ""}`);
    const text = texts.get(entry.id) ?? "";
    if (terms.every((term) => title.includes(term))) inTitle.push(entry);
    else if (terms.every((term) => title.includes(term) || text.includes(term))) inText.push(entry);
  }
  return { inTitle, inText };
}

/** Where the text has the first term: a few words around it, or null. */
export function excerpt(turns, query, before = 16) {
  const terms = termsOf(query);
  for (const turn of turns) {
    const version = turn.versions ? turn.versions[turn.shown] : turn;
    const text = (version.text ?? "").replace(/[*_`#>|\s]+/g, " ");
    const low = text.toLowerCase();
    const at = terms.map((term) => low.indexOf(term)).find((place) => place >= 0);
    if (at === undefined) continue;
    const from = Math.max(0, at - before);
    return (from ? "…" : "") + text.slice(from, at + 6 * before);
  }
  return null;
}
