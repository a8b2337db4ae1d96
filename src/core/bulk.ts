/**
 * Arrays of any length. A spread into a call (`push(...all)`, `Math.max(...all)`) puts every item on
 * the stack, and throws RangeError from some 120,000 items on: these are what takes its place.
 */

/** Puts the items at the end of `target`. */
export function append<T>(target: T[], items: Iterable<T>): void {
  for (const item of items) target.push(item);
}

/** The highest of the values, at least `least`. */
export function maxOf(values: Iterable<number>, least = -Infinity): number {
  let max = least;
  for (const value of values) max = Math.max(max, value);
  return max;
}

/** The lowest of the values, at most `most`. */
export function minOf(values: Iterable<number>, most = Infinity): number {
  let min = most;
  for (const value of values) min = Math.min(min, value);
  return min;
}
