// The ranges that the operator allows: parameter → [lowest, highest].

let ranges = {};

/** Set the ranges, once when the page starts. */
export const setRanges = (given) => (ranges = given ?? {});

/** Clamp a number to the allowed range. Other values are states and stay as they are. */
export function clamp(name, value) {
  const [low, high] = ranges[name] ?? [-Infinity, Infinity];
  return typeof value === "number" ? Math.min(high, Math.max(low, value)) : value;
}

/** Return the highest allowed value of a parameter; undefined if there is no limit. */
export const upperBound = (name) => ranges[name]?.[1];
