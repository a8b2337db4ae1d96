/** Levels of a manifest, and the manifest of levels. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { flatLevels, type Level, levelsOf } from "../../src/format/levels.ts";
import type { RunInfo } from "../../src/format/run-info.ts";
import { propertyRuns } from "../support/effort.ts";
import { run, SEED } from "../compaction/arbitraries.ts";

/** Levels with runs of different ids each, some of them empty. */
const levels: fc.Arbitrary<Level[]> = fc
  .array(
    fc.record({
      ids: fc.uniqueArray(fc.constantFrom("a", "b", "c", "\ud800", "😀", "\uffff"), {
        maxLength: 4,
      }),
      isDraining: fc.boolean(),
    }),
    { maxLength: 6 },
  )
  .map((all) => {
    let names = 0;
    return all.map(({ ids, isDraining }) => {
      const runs = ids.map((minId) => ({ ...run(names++, 1), minId, maxId: minId, level: 77 }));
      return { runs, isDraining };
    });
  });

function paths(runs: readonly RunInfo[]): string[] {
  return runs.map(({ path }) => path);
}

test("levels come back as they were, numbered anew, without empty ones", () => {
  fc.assert(
    fc.property(levels, (given) => {
      const expected = given
        .filter(({ runs }) => runs.length > 0)
        .map(({ runs, isDraining }, level) => ({
          isDraining,
          runs: runs
            .map((each) => ({ ...each, level }))
            .toSorted((a, b) => (a.minId < b.minId ? -1 : 1)),
        }));
      expect(levelsOf(flatLevels(given))).toEqual(expected);
    }),
    { seed: SEED, numRuns: propertyRuns(1_000) },
  );
});

test("a manifest of levels is the same again, in whatever order its runs are named", () => {
  const shuffled = levels.chain((given) => {
    const { runs, draining } = flatLevels(given);
    const order = fc.shuffledSubarray([...runs], { minLength: runs.length });
    return order.map((some) => ({ runs, draining, some }));
  });
  fc.assert(
    fc.property(shuffled, ({ runs, draining, some }) => {
      const again = flatLevels(levelsOf({ runs: some, catalogues: [], draining }));
      expect(again).toEqual({ runs, catalogues: [], draining });
    }),
    { seed: SEED, numRuns: propertyRuns(1_000) },
  );
});

describe("in a manifest", () => {
  const [a, b, c, d] = ["a", "b", "c", "d"].map((minId, n) => ({ ...run(n, 1), minId }));

  test("the oldest level comes first, each in the order of its ids", () => {
    const given = [
      { runs: [c, a], isDraining: true },
      { runs: [d, b], isDraining: false },
    ].map(({ runs, isDraining }) => ({ runs: runs.flatMap((each) => each ?? []), isDraining }));
    const { runs, draining } = flatLevels(given);
    expect(runs.map(({ minId, level }) => `${minId}${level}`)).toEqual(["b1", "d1", "a0", "c0"]);
    expect(draining).toEqual([0]);
  });

  test("numbers of levels may have gaps, and a draining one that is gone is nothing", () => {
    const runs = [a, b].flatMap((each, at) => (each ? [{ ...each, level: 5 + 3 * at }] : []));
    const found = levelsOf({ runs, catalogues: [], draining: [0, 8, 9] });
    expect(found.map(({ isDraining }) => isDraining)).toEqual([false, true]);
    expect(found.map((each) => paths(each.runs))).toEqual(runs.map((each) => [each.path]));
    expect(flatLevels(found).draining).toEqual([1]);
  });

  test("without runs there are no levels", () => {
    expect(levelsOf({ runs: [], catalogues: [], draining: [0] })).toEqual([]);
    expect(flatLevels([])).toEqual({ runs: [], catalogues: [], draining: [] });
    expect(flatLevels([{ runs: [], isDraining: true }])).toEqual({
      runs: [],
      catalogues: [],
      draining: [],
    });
  });
});
