// What stands behind the `#` of an address reaches no server, so signing in would lose it.

import { keptInTab } from "./keeping.js";

const KEY = "akash-gradio.behind-hash";

/** The sign-in page lays it aside, with the query that it belongs to. */
export function layAside({ search, hash }) {
  if (!hash) return; // a second try: what was laid aside at the first still holds
  try {
    keptInTab.setItem(KEY, JSON.stringify({ after: query(new URLSearchParams(search).get("next") ?? ""), hash }));
  } catch {
    // No room in this tab: the comparison of a link is lost, and nothing else.
  }
}

/** The page takes it up once: the part for this address, "" for none. */
export function takeUp({ search, hash }) {
  const aside = JSON.parse(keptInTab.getItem(KEY) ?? "null");
  keptInTab.removeItem(KEY);
  return !hash && aside?.after === query(search) ? aside.hash : "";
}

/** The same for the same parts, however they are written. */
const query = (search) => new URLSearchParams(search).toString();
