/**
 * How often the tests repeat what they do. OPSLOG_TEST_EFFORT is `quick`, the default: each behaviour
 * is tested, with few seeds, kills, rounds and places of a sweep; or `full`: with many. The numbers
 * of a test stand in its file as `repeat({ quick, full })`.
 */
export type Effort = "quick" | "full";

const VARIABLE = "OPSLOG_TEST_EFFORT";

/** @throws Error when `text` is neither empty nor an effort */
export function parseEffort(text: string | undefined): Effort {
  if (text === undefined || text === "" || text === "quick") return "quick";
  if (text === "full") return "full";
  throw new Error(`${VARIABLE} must be quick or full, found ${JSON.stringify(text)}`);
}

export const EFFORT: Effort = parseEffort(process.env[VARIABLE]);

/** The number that belongs to the effort of this run. */
export function repeat<T>(numbers: Readonly<Record<Effort, T>>): T {
  return numbers[EFFORT];
}

/** Runs of a property of fast-check: `full`, or a tenth of it, and at least 20. */
export function propertyRuns(full: number): number {
  return repeat({ quick: Math.min(full, Math.max(20, Math.ceil(full / 10))), full });
}

/**
 * Places of a sweep: all of them with full effort; with quick effort every `every`-th one, from the
 * one at `turn % every` on. Callers pass different turns, so that together they reach more places.
 */
export function sampled<T>(places: Iterable<T>, every: number, turn = 0): T[] {
  const all = [...places];
  const step = repeat({ quick: every, full: 1 });
  const chosen = all.filter((_, at) => at % step === turn % step);
  return chosen.length > 0 ? chosen : all.slice(0, 1);
}
