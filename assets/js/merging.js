// Two tabs changed one chat: what becomes of it. Nothing that was said is ever lost.

import { shapeOf } from "./turns.js";

/**
 * The turns that hold both changes; null when the tabs went different ways.
 *
 * base: the shape of the turns that both began from. mine: turns of this tab, which stay the
 * same objects and take on the versions of the other. theirs: turns that the other tab has kept.
 */
export function merged(base, mine, theirs) {
  const [me, them] = [shapeOf(mine), shapeOf(theirs)];
  if (!same(me, base) && !same(them, base) && !same(me, them)) return null;
  const leading = same(me, base) ? theirs : mine;
  const left = shapeOf(leading === mine ? theirs : mine);
  if (left.some((turn) => !has(leading, turn) && grown(turn, base))) return null;
  return leading.map((turn) => joined(has(mine, turn) ?? turn, has(theirs, turn)));
}

const has = (turns, { id }) => turns.find((turn) => turn.id === id);

/** Whether something was said in a turn since both tabs had it. */
const grown = (turn, base) => has(base, turn)?.size !== turn.size;

/** An answer with the versions of both; of one that both have, the longer text. */
function joined(mine, theirs) {
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

const same = (one, other) => one.length === other.length && one.every(({ id }, place) => id === other[place].id);
