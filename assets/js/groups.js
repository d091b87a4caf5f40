// Groups of the chat list: pinned chats, folders, then days. Independent of the page.

const DAY = 86_400_000;

/**
 * Group chats in the order of the list: [{ name, entries, folder }], without empty groups.
 * @param {object[]} entries Newest first.
 * @param {Record<string, string>} strings Texts of the page.
 * @param {number} today Start of today in milliseconds.
 * @param {(time: number) => string} month Formats the month of a time.
 */
export function groupChats(entries, strings, today, month) {
  const [pinned, folders, days] = [[], new Map(), new Map()];
  const into = (groups, name, entry) => groups.get(name)?.push(entry) ?? groups.set(name, [entry]);
  for (const entry of entries) {
    if (entry.pinned) pinned.push(entry);
    else if (entry.folder) into(folders, entry.folder, entry);
    else into(days, dayOf(entry.updated, strings, today, month), entry);
  }
  const inOrder = [...folders].sort(([a], [b]) => a.localeCompare(b));
  return [
    ...(pinned.length ? [{ name: strings.pinned, entries: pinned, folder: false }] : []),
    ...inOrder.map(([name, entries]) => ({ name, entries: entries, folder: true })),
    ...[...days].map(([name, entries]) => ({ name, entries: entries, folder: false })),
  ];
}

function dayOf(time, strings, today, month) {
  if (time >= today) return strings.today;
  if (time >= today - DAY) return strings.yesterday;
  return time >= today - 6 * DAY ? strings.week : month(time);
}

/** Limit the groups to `rows` chats. A closed folder has no entries. */
export function limitRows(rows, groups, isOpen) {
  const shown = [];
  let left = rows;
  for (const group of groups) {
    if (left <= 0) break;
    const open = !group.folder || isOpen(group.name);
    const entries = open ? group.entries.slice(0, left) : [];
    left -= entries.length;
    shown.push({ ...group, open, entries, count: group.entries.length });
  }
  return shown;
}

/** Return the names of all folders in alphabetical order. */
export const foldersOf = (entries) =>
  [...new Set(entries.map(({ folder }) => folder).filter(Boolean))].sort((a, b) => a.localeCompare(b));
