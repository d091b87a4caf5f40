// Keeps the URL fragment during sign-in. Browsers don't send fragments, so it would be lost.

import { safeSessionStorage } from "./safe_storage.js";

const KEY = "akash-gradio.behind-hash";

/** Save the fragment, with the query it belongs to. Called by the sign-in page. */
export function saveFragment({ search, hash }) {
  if (!hash) return; // a second attempt: the fragment of the first one stays
  try {
    safeSessionStorage.setItem(KEY, JSON.stringify({ after: query(new URLSearchParams(search).get("next") ?? ""), hash }));
  } catch {
    // Storage is full: the comparison of a shared link is lost.
  }
}

/** Return the saved fragment for this URL once, or "". */
export function restoreFragment({ search, hash }) {
  const aside = JSON.parse(safeSessionStorage.getItem(KEY) ?? "null");
  safeSessionStorage.removeItem(KEY);
  return !hash && aside?.after === query(search) ? aside.hash : "";
}

/** Normalize a query, so that equivalent ones are equal. */
const query = (search) => new URLSearchParams(search).toString();
