/** Which levels merge: how often that rewrites a byte, and how many levels it leaves. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { countMerged, LEVELS_MAX, levelsBeside } from "../../src/compaction/tiers.ts";
import { propertyRuns, repeat } from "../support/effort.ts";
import { SEED } from "./arbitraries.ts";

/** Bytes of a portion of log, and from which on a level is not small. */
const PORTION = 1_000;
const SMALL = PORTION / 4;

interface Grown {
  readonly sizes: readonly number[];
  /** How often a byte was written. */
  readonly amplification: number;
  readonly levelsMax: number;
}

/**
 * Merges one portion after the other.
 * @param bytesMax what the store holds at most: from then on each portion replaces as much
 */
function grow(
  incoming: Iterable<number>,
  first: readonly number[] = [],
  bytesMax = Infinity,
): Grown {
  let sizes = [...first];
  let [added, written, levelsMax] = [0, 0, 0];
  for (const bytes of incoming) {
    const count = countMerged(sizes, bytes, SMALL);
    const merged = sizes.slice(0, count).reduce((sum, size) => sum + size, bytes);
    const made = Math.min(merged, bytesMax);
    sizes = [made, ...sizes.slice(count)];
    added += bytes;
    written += made;
    levelsMax = Math.max(levelsMax, sizes.length);
  }
  return { sizes, amplification: written / added, levelsMax };
}

function portions(count: number): number[] {
  return Array.from({ length: count }, () => PORTION);
}

describe("a store that grows", () => {
  test.each(repeat({ quick: [1e2, 1e3, 1e4, 1e5], full: [1e2, 1e3, 1e4, 1e5, 1e6] }))(
    "to %i portions is written at most 16 times, and has at most 9 levels",
    (count) => {
      const { sizes, amplification, levelsMax } = grow(portions(count));
      expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(count * PORTION);
      expect(amplification).toBeLessThanOrEqual(16);
      expect(levelsMax).toBeLessThanOrEqual(9);
      // Of small stores a reader looks into few.
      if (count <= 1e3) expect(levelsMax).toBeLessThanOrEqual(4);
    },
  );

  test("by portions of all sizes does so too", () => {
    const portion = fc.oneof(
      fc.integer({ min: 1, max: PORTION }),
      fc.integer({ min: 1, max: 100 * PORTION }),
    );
    fc.assert(
      fc.property(fc.array(portion, { minLength: 200, maxLength: 400 }), (all) => {
        const { amplification, levelsMax } = grow(all);
        expect(amplification).toBeLessThanOrEqual(16);
        expect(levelsMax).toBeLessThanOrEqual(LEVELS_MAX);
      }),
      { seed: SEED, numRuns: propertyRuns(300) },
    );
  });
});

test.each([1e1, 1e2, 1e3, 1e4, 1e5])(
  "a store of the size of %i portions that stay is written at most 16 times",
  (count) => {
    const bytes = count * PORTION;
    const rounds = Math.min(5 * count, 1e5);
    const { amplification, levelsMax } = grow(portions(rounds), [bytes], bytes);
    expect(amplification).toBeLessThanOrEqual(16);
    expect(levelsMax).toBeLessThanOrEqual(9);
  },
);

describe("small levels", () => {
  test("are one, whatever came in which order", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 20 }), { maxLength: 50 }), (all) => {
        const portionBytesMin = 1_000;
        let sizes: number[] = [];
        for (const bytes of all) {
          const count = countMerged(sizes, bytes, portionBytesMin);
          expect(count).toBe(sizes.length);
          sizes = [sizes.reduce((sum, size) => sum + size, bytes)];
        }
      }),
      { seed: SEED, numRuns: propertyRuns(100) },
    );
  });

  test("are merged with all that is above them, and not with a large one below", () => {
    expect(countMerged([100_000, 90, 1e9], 100, 100)).toBe(2);
    expect(countMerged([90, 100, 1e9], 10, 100)).toBe(2);
    expect(countMerged([1e9], 10, 100)).toBe(0);
  });
});

describe("whatever the levels are", () => {
  const sizes = fc.array(
    fc.oneof(fc.integer({ min: 1, max: 10 * PORTION }), fc.integer({ min: 1, max: 1e12 })),
    { maxLength: 25 },
  );
  const all = (check: (given: readonly number[]) => void): void =>
    fc.assert(fc.property(sizes, check), { seed: SEED, numRuns: propertyRuns(2_000) });

  test("without log at least two are merged, until at most 9 are left", () => {
    all((given) => {
      let left = [...given];
      for (;;) {
        const count = countMerged(left, 0, SMALL);
        if (count === 0) break;
        expect(count).toBeGreaterThanOrEqual(2);
        expect(count).toBeLessThanOrEqual(left.length);
        left = [left.slice(0, count).reduce((sum, size) => sum + size), ...left.slice(count)];
      }
      expect(left.length).toBeLessThanOrEqual(LEVELS_MAX);
    });
  });

  test("with log not more are taken than there are, and 9 are not exceeded", () => {
    all((given) => {
      const count = countMerged(given, PORTION, SMALL);
      expect(count).toBeGreaterThanOrEqual(0);
      expect(count).toBeLessThanOrEqual(given.length);
      const left = given.length - count + 1;
      if (given.length <= LEVELS_MAX) expect(left).toBeLessThanOrEqual(LEVELS_MAX);
    });
  });

  test("no levels, and one alone, are left as they are", () => {
    expect(countMerged([], 0, SMALL)).toBe(0);
    expect(countMerged([], PORTION, SMALL)).toBe(0);
    for (const bytes of [1, SMALL, 1e12]) expect(countMerged([bytes], 0, SMALL)).toBe(0);
  });
});

test("there are at most twelve levels while some of them drain", () => {
  expect([1, 3, 4, 9, 11].map(levelsBeside)).toEqual([9, 9, 8, 3, 2]);
  const above = Array.from({ length: 7 }, () => 1_000_000);
  for (const others of [8, 9, 10]) {
    const left = above.length - countMerged(above, 0, 1, levelsBeside(others)) + 1;
    expect(left).toBeLessThanOrEqual(levelsBeside(others));
  }
});
