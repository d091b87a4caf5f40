// The chat search. Its index holds for each chat the distinct words of its texts, normalized.

const ACCENTS = /[\u0300-\u036f]/g;
const BETWEEN = /[^\p{L}\p{N}\p{M}]+/u;

/** Normalize text for comparison: without case, accents and width variants. */
export const normalizeText = (text) => text.normalize("NFKD").replace(ACCENTS, "").toLowerCase();

/** Return the distinct words of all turns. */
export function searchText(turns) {
  const words = new Set();
  for (const turn of turns) {
    for (const { text } of turn.versions ?? [turn]) {
      for (const word of normalizeText(text ?? "").split(BETWEEN)) words.add(word);
    }
  }
  words.delete("");
  return [...words].join(" ");
}

/** Return the terms of a query; a chat must have all of them. */
export const termsOf = (query) => normalizeText(query).split(BETWEEN).filter(Boolean);

/**
 * Return the chats that have every term, separated by whether the title has them all.
 * @param {object[]} entries Newest first.
 * @param {Map<string, string>} texts Chat id → its index text.
 * @param {string} query
 */
export function search(entries, texts, query) {
  const terms = termsOf(query);
  const inTitle = [];
  const inText = [];
  for (const entry of entries) {
    const title = normalizeText(`${entry.title} ${entry.folder ?? ""}`);
    const text = texts.get(entry.id) ?? "";
    if (terms.every((term) => title.includes(term))) inTitle.push(entry);
    else if (terms.every((term) => title.includes(term) || text.includes(term))) inText.push(entry);
  }
  return { inTitle, inText };
}

/** Return the text around the first term, or null. */
export function excerpt(turns, query, before = 16) {
  const terms = termsOf(query);
  for (const turn of turns) {
    const version = turn.versions ? turn.versions[turn.shown] : turn;
    const text = (version.text ?? "").replace(/[*_`#>|\s]+/g, " ");
    const low = text.toLowerCase();
    const at = terms.map((term) => low.indexOf(term)).find((index) => index >= 0);
    if (at === undefined) continue;
    const from = Math.max(0, at - before);
    return (from ? "…" : "") + text.slice(from, at + 6 * before);
  }
  return null;
}
