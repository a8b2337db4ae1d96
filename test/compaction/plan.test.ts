import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type CompactionPlan,
  planCompaction,
  purgeFloorAt,
  wantsPurge,
} from "../../src/compaction/plan.ts";
import { EMPTY_MANIFEST, type Manifest } from "../../src/format/manifest-codec.ts";
import type { RunInfo } from "../../src/format/run-info.ts";
import type { LogUnit } from "../../src/log/log.ts";
import { manifests, run, runsOf, SEED, unit, units } from "./arbitraries.ts";

const LIMITS = { logBytesMax: 100, runsMax: 4 };

function plan(
  runs: readonly RunInfo[],
  all: readonly LogUnit[],
  { leftOut = false, full = false } = {},
): CompactionPlan {
  const manifest: Manifest = { ...EMPTY_MANIFEST, generation: 1, runs };
  return planCompaction(manifest, { units: all, leftOut }, LIMITS, full);
}

function bytesIn(all: readonly LogUnit[]): number {
  return all.flatMap(({ segments }) => segments).reduce((sum, { bytes }) => sum + bytes, 0);
}

describe("every plan", () => {
  const any = (check: (runs: RunInfo[], all: LogUnit[], leftOut: boolean, full: boolean) => void) =>
    fc.assert(fc.property(runsOf, units, fc.boolean(), fc.boolean(), check), {
      seed: SEED,
      numRuns: 1_000,
    });

  test("takes the log from its beginning, without what is corrupt, and makes progress", () => {
    any((runs, all, leftOut, full) => {
      const { units: chosen, more } = plan(runs, all, { leftOut, full });
      const mergeable = all.filter(({ corrupt }) => !corrupt);
      expect(chosen).toEqual(mergeable.slice(0, chosen.length));
      if (mergeable.length > 0) expect(chosen.length).toBeGreaterThan(0);
      expect(more).toBe(chosen.length < mergeable.length);
      if (chosen.length > 1) expect(bytesIn(chosen)).toBeLessThanOrEqual(LIMITS.logBytesMax);
      if (more) expect(bytesIn(mergeable.slice(0, chosen.length + 1))).toBeGreaterThan(LIMITS.logBytesMax); // prettier-ignore
    });
  });

  test("keeps or merges each run, and leaves few", () => {
    any((runs, all, leftOut, full) => {
      const { units: chosen, runs: merged, keptRuns } = plan(runs, all, { leftOut, full });
      expect(new Set([...merged, ...keptRuns])).toEqual(new Set(runs));
      expect(merged.length + keptRuns.length).toBe(runs.length);
      const made = bytesIn(chosen) > 0 || merged.length > 0 ? 1 : 0;
      expect(keptRuns.length + made).toBeLessThanOrEqual(Math.max(LIMITS.runsMax, 1));
      if (full) expect(keptRuns).toEqual([]);
    });
  });

  test("is full only when nothing whatever is left out", () => {
    any((runs, all, leftOut, wanted) => {
      const { units: chosen, runs: merged, full } = plan(runs, all, { leftOut, full: wanted });
      const everything = chosen.length === all.length && merged.length === runs.length;
      expect(full).toBe(everything && !leftOut);
    });
  });

  test("rewrites only runs that are no larger than what is merged with them", () => {
    any((runs, all, leftOut) => {
      const { units: chosen, runs: merged, keptRuns } = plan(runs, all, { leftOut });
      let bytes = bytesIn(chosen);
      const tooMany = runs.length + 1 > LIMITS.runsMax;
      for (const { bytes: size } of merged.toSorted((a, b) => a.bytes - b.bytes)) {
        if (!tooMany) expect(size).toBeLessThanOrEqual(bytes);
        bytes += size;
      }
      // A larger run never goes while a smaller one stays.
      const largest = Math.max(0, ...merged.map((one) => one.bytes));
      for (const kept of keptRuns) expect(kept.bytes).toBeGreaterThanOrEqual(largest);
    });
  });
});

test("a record is rewritten about once per doubling of the store", () => {
  let runs: RunInfo[] = [];
  let written = 0;
  for (let n = 0; n < 256; n++) {
    const planned = planCompaction(
      { ...EMPTY_MANIFEST, runs },
      { units: [unit(n, 10)], leftOut: false },
      { logBytesMax: 100, runsMax: 12 },
      false,
    );
    const bytes = planned.runs.reduce((sum, one) => sum + one.bytes, 10);
    written += bytes;
    runs = [...planned.keptRuns, run(n, bytes)];
  }
  expect(runs.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(2_560);
  expect(written / 2_560).toBeLessThanOrEqual(9);
});

test("one run alone, without log, is not copied", () => {
  expect(plan([run(1, 5)], []).runs).toEqual([]);
  expect(plan([run(1, 5), run(2, 500)], [unit(1, 0)]).runs).toEqual([]);
});

test("runs that must join do, with those no larger, and no more than it takes to keep few", () => {
  const runs = [run(1, 1_000), run(2, 500), run(3, 100), run(4, 10)];
  const joined = (all: readonly LogUnit[], names: readonly RunInfo[]): RunInfo[] => {
    const manifest: Manifest = { ...EMPTY_MANIFEST, generation: 1, runs: names };
    const mustJoin = ({ path }: RunInfo): boolean => path === runs[2]?.path;
    return [...planCompaction(manifest, { units: all, leftOut: false }, LIMITS, false, mustJoin).runs]; // prettier-ignore
  };
  expect(joined([], runs)).toEqual([runs[2], runs[3]]);
  expect(joined([unit(1, 50)], [run(1, 1_000), run(3, 100)])).toEqual([runs[2]]);
  expect(joined([], [run(3, 100)]), "alone too").toEqual([runs[2]]);
  const five = [run(1, 1_000), run(2, 500), run(3, 100), run(5, 5_000), run(6, 50_000)];
  expect(joined([], five).length, "the new run is one of four").toBe(2);
});

test("a purge is wanted when the floor can rise and a quarter of all lines are deletions", () => {
  const manifest = (tombstones: number, purgeFloor = 0): Manifest => ({
    ...EMPTY_MANIFEST,
    purgeFloor,
    runs: [run(1, 1, tombstones, 10), run(2, 1, 0, 10)],
  });
  expect(wantsPurge(manifest(6), 1)).toBe(true);
  expect(wantsPurge(manifest(5), 1)).toBe(false);
  expect(wantsPurge(manifest(6, 1), 1)).toBe(false);
  expect(wantsPurge(EMPTY_MANIFEST, 1)).toBe(false);
});

describe("the purge floor", () => {
  const GRACE = 1_000;

  test("is a clock that was included long enough ago, and never falls", () => {
    fc.assert(
      fc.property(
        manifests,
        fc.nat({ max: 20_000 }),
        fc.nat({ max: 5_000 }),
        (m, dateMs, later) => {
          // prettier-ignore
          const floor = purgeFloorAt(m, m.history, dateMs, GRACE);
          expect(floor).toBeGreaterThanOrEqual(m.purgeFloor);
          expect(floor).toBeLessThanOrEqual(Math.max(m.clock, m.purgeFloor));
          const included = m.history.filter(({ at }) => at <= dateMs - GRACE);
          if (floor > m.purgeFloor) expect(included.map(({ clock }) => clock)).toContain(floor);
          for (const { clock } of included) expect(floor).toBeGreaterThanOrEqual(clock);
          expect(purgeFloorAt(m, m.history, dateMs + later, GRACE)).toBeGreaterThanOrEqual(floor);
        },
      ),
      { seed: SEED, numRuns: 1_000 },
    );
  });

  test("takes an entry in at the grace period exactly", () => {
    const history = [{ generation: 1, clock: 7, at: 500 }];
    expect(purgeFloorAt(EMPTY_MANIFEST, history, 1_499, GRACE)).toBe(0);
    expect(purgeFloorAt(EMPTY_MANIFEST, history, 1_500, GRACE)).toBe(7);
  });
});
