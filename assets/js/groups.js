// In which groups the list shows the chats: pinned ones, folders, then by day. No page in it.

const DAY = 86_400_000;

/**
 * The groups in the order of the list: [{ name, entries, folder }], none of them empty.
 *
 * entries: newest first. today: when it began, in milliseconds. month: names the month of a time.
 */
export function grouped(entries, words, today, month) {
  const [pinned, folders, days] = [[], new Map(), new Map()];
  const into = (groups, name, entry) => groups.get(name)?.push(entry) ?? groups.set(name, [entry]);
  for (const entry of entries) {
    if (entry.pinned) pinned.push(entry);
    else if (entry.folder) into(folders, entry.folder, entry);
    else into(days, dayOf(entry.updated, words, today, month), entry);
  }
  const inOrder = [...folders].sort(([a], [b]) => a.localeCompare(b));
  return [
    ...(pinned.length ? [{ name: words.pinned, entries: pinned, folder: false }] : []),
    ...inOrder.map(([name, found]) => ({ name, entries: found, folder: true })),
    ...[...days].map(([name, found]) => ({ name, entries: found, folder: false })),
  ];
}

function dayOf(time, words, today, month) {
  if (time >= today) return words.today;
  if (time >= today - DAY) return words.yesterday;
  return time >= today - 6 * DAY ? words.week : month(time);
}

/** The groups as far as `rows` chats are shown; a folder that isn't open shows its name alone. */
export function upTo(rows, groups, isOpen) {
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

/** The names of all folders, in the order of the alphabet. */
export const foldersOf = (entries) =>
  [...new Set(entries.map(({ folder }) => folder).filter(Boolean))].sort((a, b) => a.localeCompare(b));
