// Merges changes that two tabs made to one chat. No content is ever lost.

import { shapeOf } from "./turns.js";

/**
 * Return turns with both changes; null if they can't be merged.
 * @param {object[]} base The shape of the turns that both tabs started from.
 * @param {object[]} mine Turns of this tab; they get the other tab's versions and stay the same objects.
 * @param {object[]} theirs Turns that the other tab stored.
 */
export function mergeTurns(base, mine, theirs) {
  const [me, them] = [shapeOf(mine), shapeOf(theirs)];
  if (!sameOrder(me, base) && !sameOrder(them, base) && !sameOrder(me, them)) return null;
  const leading = sameOrder(me, base) ? theirs : mine;
  const left = shapeOf(leading === mine ? theirs : mine);
  if (left.some((turn) => !findTurn(leading, turn) && hasGrown(turn, base))) return null;
  return leading.map((turn) => mergeVersions(findTurn(mine, turn) ?? turn, findTurn(theirs, turn)));
}

const findTurn = (turns, { id }) => turns.find((turn) => turn.id === id);

/** Return whether a turn got content since both tabs had it. */
const hasGrown = (turn, base) => findTurn(base, turn)?.size !== turn.size;

/** Merge the versions of one answer; of a version that both have, keep the longer text. */
function mergeVersions(mine, theirs) {
  if (!theirs || mine.role === "user" || mine === theirs) return mine;
  const shown = mine.versions[mine.shown]?.id;
  const versions = theirs.versions.map((version) => longer(mine.versions.find(({ id }) => id === version.id), version));
  const more = mine.versions.filter(({ id }) => !versions.some((version) => version.id === id));
  mine.versions = [...versions, ...more];
  mine.shown = Math.max(0, mine.versions.findIndex(({ id }) => id === shown));
  return mine;
}

function longer(mine, theirs) {
  return mine && (mine.live || mine.text.length >= theirs.text.length) ? mine : theirs;
}

const sameOrder = (one, other) => one.length === other.length && one.every(({ id }, index) => id === other[index].id);
