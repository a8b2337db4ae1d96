import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type CompactionPlan,
  countUnits,
  type PlanInput,
  type Planned,
  purgeFloorAt,
  runBytes,
  unitBytes,
  wantsPurge,
} from "../../src/compaction/plan.ts";
import { EMPTY_MANIFEST, type Manifest } from "../../src/format/manifest-codec.ts";
import type { RunInfo } from "../../src/format/run-info.ts";
import type { LogUnit } from "../../src/log/log.ts";
import { propertyRuns } from "../support/effort.ts";
import { manifests, run, runsOf, SEED, unit, units } from "./arbitraries.ts";
import { LIMITS, plan, WITHOUT_END } from "./planned.ts";

function stepOf(planned: Planned): CompactionPlan {
  if (planned.step === undefined) throw new Error("nothing is planned");
  return planned.step;
}

/** Sizes of the runs merged, ascending. */
function sizes({ step }: Planned): number[] {
  return (step?.runs ?? []).map(({ bytes }) => bytes).toSorted((a, b) => a - b);
}

function runsOfSizes(...bytes: number[]): RunInfo[] {
  return bytes.map((size, n) => run(n, size));
}

/** 10 bytes of runs in a ms: with 0.8 of the time, 8 bytes for each ms that is left. */
function within(leftMs: number): Pick<PlanInput, "time"> {
  return { time: { leftMs, runBytesPerMs: 10 } };
}

test("a portion of the log is taken by bytes and by count, and is never empty", () => {
  const limits = { ...LIMITS, logSegmentsMax: 5 };
  const isWithin = (all: readonly LogUnit[]): boolean =>
    unitBytes(all) <= limits.logBytesMax && all.flatMap(({ segments }) => segments).length <= 5;
  fc.assert(
    fc.property(units, units, (first, more) => {
      const held = first.slice(0, countUnits([], first, limits));
      expect(held.length === 0).toBe(first.length === 0);
      const count = countUnits(held, more, limits);
      const taken = [...held, ...more.slice(0, count)];
      if (taken.length > 1) expect(isWithin(taken)).toBe(true);
      if (count < more.length) expect(isWithin([...held, ...more.slice(0, count + 1)])).toBe(false);
    }),
    { seed: SEED, numRuns: propertyRuns(1_000) },
  );
});

describe("every step", () => {
  const flags = fc.record({
    isDrained: fc.boolean(),
    leftOut: fc.boolean(),
    isDue: fc.boolean(),
    wantsFull: fc.boolean(),
    wantsPurge: fc.boolean(),
  });
  const times = fc.record({
    leftMs: fc.oneof(fc.constant(Infinity), fc.nat({ max: 100 })),
    runBytesPerMs: fc.option(fc.integer({ min: 1, max: 20 }), { nil: undefined }),
  });
  const any = (
    check: (runs: RunInfo[], input: Partial<PlanInput>, all: readonly LogUnit[]) => void,
  ): void =>
    fc.assert(
      fc.property(runsOf, units, flags, times, (runs, all, given, time) => {
        check(runs, { ...given, time, units: all }, all);
      }),
      { seed: SEED, numRuns: propertyRuns(2_000) },
    );

  test("merges the log that it is given, whatever the runs are", () => {
    any((runs, input, all) => {
      const { step } = plan(runs, input);
      if (all.length > 0) expect(step?.units).toEqual(all);
    });
  });

  test("keeps or merges each run, and more than one where there is no log", () => {
    any((runs, input, all) => {
      const { step } = plan(runs, input);
      if (step === undefined) return;
      expect(new Set([...step.runs, ...step.keptRuns])).toEqual(new Set(runs));
      expect(step.runs.length + step.keptRuns.length).toBe(runs.length);
      const isCopied = step.runs.length === 1 && all.length === 0;
      if (isCopied) expect(input.wantsPurge).toBe(true);
    });
  });

  test("is full only when nothing whatever is left out", () => {
    any((runs, input) => {
      const { step } = plan(runs, input);
      if (step === undefined) return;
      const everything = step.runs.length === runs.length && input.isDrained === true;
      expect(step.full).toBe(everything && input.leftOut === false);
    });
  });

  test("holds the log up by few runs: a quarter of the time at most, and no more than the bound", () => {
    any((runs, input, all) => {
      if (all.length === 0) return;
      const limits = { ...LIMITS, joinBytesMax: 300 };
      const joined = runBytes(plan(runs, { ...input, limits }).step?.runs ?? []);
      expect(joined).toBeLessThanOrEqual(limits.joinBytesMax);
      const { leftMs, runBytesPerMs } = input.time ?? WITHOUT_END;
      if (leftMs === Infinity || runBytesPerMs === undefined) return;
      expect(joined).toBeLessThanOrEqual((leftMs * runBytesPerMs) / 4);
    });
  });

  test("without log fits into the time, where the pace is known", () => {
    any((runs, input, all) => {
      const { leftMs, runBytesPerMs } = input.time ?? WITHOUT_END;
      if (all.length > 0 || leftMs === Infinity || runBytesPerMs === undefined) return;
      const merged = runBytes(plan(runs, input).step?.runs ?? []);
      expect(merged).toBeLessThanOrEqual(leftMs * runBytesPerMs);
    });
  });
});

describe("with the log", () => {
  const log = (bytes: number): Pick<PlanInput, "units"> => ({ units: [unit(1, bytes)] });

  test("runs are merged that are no larger than what is merged with them", () => {
    expect(sizes(plan(runsOfSizes(40, 20, 10), log(10)))).toEqual([10, 20, 40]);
    expect(sizes(plan(runsOfSizes(50, 20, 10), log(10)))).toEqual([10, 20]);
    expect(sizes(plan(runsOfSizes(20, 11), log(10)))).toEqual([]);
  });

  test("runs are merged that are too many, the smallest", () => {
    expect(sizes(plan(runsOfSizes(1_000, 30_000, 40_000, 50_000), log(10)))).toEqual([1_000]);
  });

  test("tiers grow faster where those that double are too few for the whole store", () => {
    expect(sizes(plan(runsOfSizes(1_000, 2_000, 4_000, 8_000), log(10)))).toEqual([
      1_000, 2_000, 4_000, 8_000,
    ]);
  });

  test("larger ones wait, and what is small among them does not", () => {
    const limits = { ...LIMITS, joinBytesMax: 100 };
    const bytes = [10, 20, 40, 80];
    expect(sizes(plan(runsOfSizes(...bytes), { ...log(10), limits }))).toEqual([]);
    // Of too many only the tier is taken.
    expect(sizes(plan(runsOfSizes(10, 200, 300, 400, 500), { ...log(10), limits }))).toEqual([10]);
  });

  test("where no pace is known, 1 MB/s is assumed", () => {
    const time = { leftMs: 10, runBytesPerMs: undefined };
    const large = { ...log(10_000), time };
    expect(sizes(plan(runsOfSizes(2_000), large))).toEqual([2_000]);
    expect(sizes(plan(runsOfSizes(2_001), large))).toEqual([]);
  });
});

describe("what is due for deletion", () => {
  test("is published at once, not behind a long merge", () => {
    const limits = { ...LIMITS, joinBytesMax: 100 };
    const runs = runsOfSizes(100, 100, 100, 100, 100);
    expect(stepOf(plan(runs, { isDue: true, limits })).runs).toEqual([]);
    expect(sizes(plan(runs, { limits }))).toHaveLength(5);
  });
});

describe("without log", () => {
  test("one run alone is not copied, nor are those that are few and differ", () => {
    expect(plan([run(1, 5)]).step).toBeUndefined();
    expect(plan(runsOfSizes(5, 500)).step).toBeUndefined();
    expect(plan([run(1, 5)], { wantsFull: true }).step).toBeUndefined();
    expect(sizes(plan(runsOfSizes(5, 500), { wantsFull: true }))).toEqual([5, 500]);
  });

  test("what the log became takes in the runs that the log would have joined", () => {
    const runs = runsOfSizes(10, 100, 9, 1_000);
    expect(sizes(plan(runs, { newest: runs[0] }))).toEqual([9, 10]);
    const more = runsOfSizes(10, 18, 9, 1_000);
    expect(sizes(plan(more, { newest: more[0] }))).toEqual([9, 10, 18]);
    // As many of them as fit into the time.
    expect(sizes(plan(more, { newest: more[0], ...within(3) }))).toEqual([9, 10]);
    expect(plan(more, { newest: more[0], ...within(2) })).toEqual({
      step: undefined,
      waiting: expect.arrayContaining(more.slice(0, 3)),
    });
  });

  test("a purge that does not fit waits and is reported; what fits is merged meanwhile", () => {
    const runs = runsOfSizes(10, 10, 10, 10, 1_000);
    const planned = plan(runs, { wantsPurge: true, ...within(10) });
    expect(sizes(planned)).toEqual([10, 10, 10, 10]);
    expect(planned.step?.full).toBe(false);
    expect(planned.waiting).toEqual(runs);
    expect(stepOf(plan(runs, { wantsPurge: true, ...within(200) })).full).toBe(true);
    expect(stepOf(plan([run(1, 5)], { wantsPurge: true })).full).toBe(true);
    const leftOut = { wantsPurge: true, leftOut: true };
    expect(plan([run(1, 5)], leftOut).step, "a merge that may not purge").toBeUndefined();
  });

  test("too many are merged: those that are alike first, in units; then as many as it takes", () => {
    const limits = { ...LIMITS, unitBytesMax: 100 };
    expect(sizes(plan(runsOfSizes(1, 20, 20, 21, 30, 400), { limits }))).toEqual([
      1, 20, 20, 21, 30,
    ]);
    expect(sizes(plan(runsOfSizes(1, 3, 9, 27, 200), { limits }))).toEqual([1, 3]);
    const large = runsOfSizes(100, 300, 900, 2_700, 8_100);
    expect(sizes(plan(large, { limits }))).toEqual([100, 300]);
    const planned = plan(large, { limits, ...within(40) });
    expect(planned).toEqual({ step: undefined, waiting: large.slice(0, 2) });
  });

  test("runs that are requested are merged, with those no larger, or one of them alone", () => {
    const runs = runsOfSizes(1_000, 500, 100, 10);
    const isAsked = ({ bytes }: RunInfo): boolean => bytes === 100 || bytes === 1_000;
    expect(sizes(plan(runs, { isAsked }))).toEqual([10, 100, 500, 1_000]);
    expect(sizes(plan(runs, { isAsked, ...within(20) }))).toEqual([100]);
    expect(sizes(plan([run(3, 100)], { isAsked })), "alone too").toEqual([100]);
  });
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
          const floor = purgeFloorAt(m, m.history, dateMs, GRACE);
          expect(floor).toBeGreaterThanOrEqual(m.purgeFloor);
          expect(floor).toBeLessThanOrEqual(Math.max(m.clock, m.purgeFloor));
          const included = m.history.filter(({ at }) => at <= dateMs - GRACE);
          if (floor > m.purgeFloor) expect(included.map(({ clock }) => clock)).toContain(floor);
          for (const { clock } of included) expect(floor).toBeGreaterThanOrEqual(clock);
          expect(purgeFloorAt(m, m.history, dateMs + later, GRACE)).toBeGreaterThanOrEqual(floor);
        },
      ),
      { seed: SEED, numRuns: propertyRuns(1_000) },
    );
  });

  test("takes an entry in at the grace period exactly", () => {
    const history = [{ generation: 1, clock: 7, at: 500 }];
    expect(purgeFloorAt(EMPTY_MANIFEST, history, 1_499, GRACE)).toBe(0);
    expect(purgeFloorAt(EMPTY_MANIFEST, history, 1_500, GRACE)).toBe(7);
  });
});
