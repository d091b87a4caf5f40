// What the host lets visitors set: parameter → [lowest, highest].

let ranges = {};

/** Said once, when the page begins. */
export const allow = (given) => (ranges = given ?? {});

/** A number as it may be sent; what is no number is nobody's but the catalog's or the endpoint's. */
export function within(name, value) {
  const [low, high] = ranges[name] ?? [-Infinity, Infinity];
  return typeof value === "number" ? Math.min(high, Math.max(low, value)) : value;
}

/** The highest value of a parameter that may be sent; undefined where any may. */
export const highest = (name) => ranges[name]?.[1];
