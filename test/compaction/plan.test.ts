import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type CompactionPlan,
  countUnits,
  hasTooManyLevels,
  hasUnit,
  type PlanInput,
  planLog,
  type Planned,
  planUnit,
  runBytes,
  unitBytes,
} from "../../src/compaction/plan.ts";
import { purgeFloorAt, wantsPurge } from "../../src/compaction/purge.ts";
import { levelsOf } from "../../src/format/levels.ts";
import { EMPTY_MANIFEST, type Manifest } from "../../src/format/manifest-codec.ts";
import type { RunInfo } from "../../src/format/run-info.ts";
import type { LogUnit } from "../../src/log/log.ts";
import { piecesOf, visibleSpans } from "../../src/runs/visible.ts";
import { propertyRuns } from "../support/effort.ts";
import { asLevels, manifests, run, SEED, unit, units } from "./arbitraries.ts";
import { inputOf, LIMITS, plan, runsTaken } from "./planned.ts";

function stepOf(planned: Planned): CompactionPlan {
  if (planned.step === undefined) throw new Error("nothing is planned");
  return planned.step;
}

/** Sizes of the runs merged, the newest first; undefined where nothing is planned. */
function sizes({ step }: Planned): number[] | undefined {
  return step && runsTaken(step).map(({ bytes }) => bytes);
}

/** The oldest first. */
function runsOfSizes(...bytes: number[]): RunInfo[] {
  return bytes.map((size, n) => run(n, size));
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

type Held = Pick<Manifest, "runs" | "draining">;

/** Levels of several runs, excised here and there, of which the oldest does not drain. */
const held: fc.Arbitrary<Held> = fc
  .record({
    levels: fc.array(
      fc.array(
        fc.record({
          bytes: fc.integer({ min: 1, max: 200 }),
          tombstones: fc.nat({ max: 3 }),
          excised: fc.constantFrom(undefined, "start", "middle", "end"),
          oldestMs: fc.constantFrom(undefined, 5, 15),
        }),
        { minLength: 1, maxLength: 3 },
      ),
      { maxLength: 14 },
    ),
    draining: fc.array(fc.boolean(), { maxLength: 14 }),
  })
  .map(({ levels, draining }) => {
    let names = 0;
    const runs = levels.flatMap((level, at) =>
      level.map(({ bytes, tombstones, excised, oldestMs }, n): RunInfo => {
        const ids = ["a", "d", "g"][n] ?? "";
        const [minId, maxId] = [ids, `${ids}z`];
        const span =
          excised === "start"
            ? { from: "", to: `${ids}b` }
            : { from: `${ids}c`, to: excised === "end" ? undefined : `${ids}d` };
        const dated = oldestMs === undefined ? {} : { oldestMs };
        const plain = { ...run(names++, bytes, tombstones), minId, maxId, level: at, ...dated };
        return excised === undefined ? plain : { ...plain, excised: [span] };
      }),
    );
    const positions = levels.map((_, at) => at).slice(0, -1);
    return { runs, draining: positions.filter((at) => draining[at] === true) };
  });

const flags = fc.record({
  isDrained: fc.boolean(),
  wantsFull: fc.boolean(),
  wantsPurge: fc.boolean(),
  overdueMs: fc.constantFrom(0, 10),
});
const times = fc.record({
  leftMs: fc.oneof(fc.constant(Infinity), fc.nat({ max: 100 })),
  runBytesPerMs: fc.option(fc.integer({ min: 1, max: 20 }), { nil: undefined }),
});

describe("every step", () => {
  const any = (check: (input: PlanInput, all: readonly LogUnit[]) => void): void =>
    fc.assert(
      fc.property(held, units, flags, times, fc.nat(9), (store, all, given, time, asked) => {
        const isAsked = ({ bytes }: RunInfo): boolean => asked > 7 && bytes % asked === 0;
        check(inputOf(store, { ...given, time, units: all, isAsked }), all);
      }),
      { seed: SEED, numRuns: propertyRuns(3_000) },
    );

  test("of log merges all that it is given, with the newest levels, into a new level 0", () => {
    any((input, all) => {
      const step = planLog(input);
      expect(step.units).toEqual(all);
      expect(step.levels).toEqual(levelsOf(input.manifest));
      expect(step).toMatchObject({ from: "", to: undefined, isWhole: true, into: -1 });
      expect(step.taken).toEqual(step.taken.map((_, at) => at));
      expect(step.taken.length).toBeLessThanOrEqual(step.levels.length);
      expect(step.draining).toEqual(input.manifest.draining);
    });
  });

  test("of log is held up by few: a quarter of the time at most, and no more than the bound", () => {
    any((input) => {
      const limits = { ...LIMITS, joinBytesMax: 300 };
      const joined = runBytes(runsTaken(planLog({ ...input, limits })));
      expect(joined).toBeLessThanOrEqual(limits.joinBytesMax);
      const { leftMs, runBytesPerMs } = input.time;
      if (leftMs === Infinity || runBytesPerMs === undefined) return;
      expect(joined).toBeLessThanOrEqual((leftMs * runBytesPerMs) / 4);
    });
  });

  test("of log leaves levels that drain alone, unless all are merged", () => {
    any((input) => {
      const { taken, levels } = planLog(input);
      if (taken.length === levels.length) return;
      expect(taken.some((at) => levels[at]?.isDraining)).toBe(false);
    });
  });

  test("without log takes the newest levels down to the one that it merges into", () => {
    any((input) => {
      const { step } = planUnit({ ...input, units: [] });
      if (step === undefined || step.draining.length === 0) return;
      const { into, taken, levels, draining } = step;
      expect(taken).toEqual(levels.flatMap((_, at) => (at <= into ? [at] : [])));
      expect(draining.some((at) => at < into)).toBe(true);
      expect(into).toBeLessThanOrEqual(levels.length);
      expect(draining, "it would drain into itself").not.toContain(into);
      expect(step).toMatchObject({ units: [], isWhole: false });
    });
  });

  test("without log begins where a draining level does, and goes on with all that drain", () => {
    any((input) => {
      const { step } = planUnit({ ...input, units: [] });
      if (step === undefined || step.draining.length === 0) return;
      const { from, into, levels, draining } = step;
      const above = levels.slice(0, into);
      // Of draining levels, one right above the other, the ones that drain into this.
      const others = above.findLastIndex((_, at) => !draining.includes(at));
      const firsts = above
        .slice(others + 1)
        .flatMap(({ runs }) => runs)
        .flatMap((each) => visibleSpans(each).map((span) => span.from));
      const lasts = above.slice(others + 1).flatMap(({ runs }) => runs.map(({ maxId }) => maxId));
      const drained = { from: firsts.toSorted()[0] ?? "", to: `${lasts.toSorted().at(-1)}\0` };
      // Runs of the level below that begin before it, or end behind it, are taken whole.
      const pieces = piecesOf(levels[into]?.runs ?? []).map(({ run: { maxId }, span }) => {
        return { from: span.from, to: span.to ?? `${maxId}\0` };
      });
      const across = (id: string) => pieces.find((piece) => piece.from < id && id < piece.to);
      expect(from).toBe(across(drained.from)?.from ?? drained.from);
      expect(step.to, "what lies behind is not copied").toBe(across(drained.to)?.to ?? drained.to);
      const unfinished = levels.flatMap(({ isDraining }, at) => (isDraining ? [at] : []));
      for (const at of unfinished) expect(draining).toContain(at);
    });
  });

  test("rewrites a run that is requested in its level, where nothing else is to be done", () => {
    any((input) => {
      const { step, waiting } = planUnit({ ...input, units: [] });
      const asked = input.manifest.runs.filter((each) => input.isAsked(each));
      if (step === undefined) expect(asked).toEqual([]);
      if (step === undefined || step.draining.length > 0) return;
      const { into, taken, levels, from, to } = step;
      expect(taken).toEqual([into]);
      const inside = levels[into]?.runs.filter((each) =>
        visibleSpans(each).some((span) => span.from === from && `${each.maxId}\0` === to),
      );
      expect(inside).toHaveLength(1);
      expect(inside?.every((each) => input.isAsked(each))).toBe(true);
      expect(new Set(waiting)).toEqual(new Set(asked));
    });
  });

  test("is found by whoever looks whether there is one", () => {
    any(({ manifest, overdueMs }) => {
      const input = inputOf(manifest, { overdueMs });
      const { step } = planUnit(input);
      expect(hasUnit(input)).toBe(step !== undefined);
    });
  });
});

describe("with the log", () => {
  const log = (bytes: number): Pick<PlanInput, "units"> => ({ units: [unit(1, bytes)] });

  test("levels are merged that are no larger than what comes often enough, the newest first", () => {
    expect(sizes(plan(runsOfSizes(40, 20, 10), log(10)))).toEqual([10, 20, 40]);
    expect(sizes(plan(runsOfSizes(4_000, 20, 5), log(10)))).toEqual([5]);
    expect(sizes(plan(runsOfSizes(4_000, 15, 15), log(10)))).toEqual([15, 15]);
    expect(sizes(plan(runsOfSizes(4_000, 400), log(10)))).toEqual([]);
  });

  test("small levels are merged always", () => {
    const limits = { ...LIMITS, portionBytesMin: 500 };
    expect(sizes(plan(runsOfSizes(4_000, 400), { ...log(10), limits }))).toEqual([400]);
  });

  test("large ones wait, and what is small among them does not", () => {
    const limits = { ...LIMITS, joinBytesMax: 100 };
    const bytes = [80, 40, 20, 10];
    expect(sizes(plan(runsOfSizes(...bytes), { ...log(10), limits }))).toEqual([10, 20, 40]);
    expect(sizes(plan(runsOfSizes(...bytes), { ...log(9), limits }))).toEqual([]);
    expect(sizes(plan(runsOfSizes(...bytes), log(10)))).toEqual([10, 20, 40, 80]);
  });

  test("where no pace is known, 1 MB/s is assumed", () => {
    const time = { leftMs: 10, runBytesPerMs: undefined };
    const large = { ...log(10_000), time };
    expect(sizes(plan(runsOfSizes(2_500), large))).toEqual([2_500]);
    expect(sizes(plan(runsOfSizes(2_501), large))).toEqual([]);
  });

  test("all levels are merged where the caller wants it, if they fit", () => {
    const runs = runsOfSizes(4_000, 400);
    expect(sizes(plan(runs, { ...log(10), wantsFull: true }))).toEqual([400, 4_000]);
    const limits = { ...LIMITS, joinBytesMax: 4_000 };
    expect(sizes(plan(runs, { ...log(10), wantsFull: true, limits }))).toEqual([]);
    const more = { wantsFull: true, isDrained: false };
    expect(sizes(plan(runs, { ...log(10), ...more })), "more log follows").toEqual([]);
  });

  test("levels that drain are not rewritten twice", () => {
    expect(sizes(plan(runsOfSizes(40, 20, 5), log(10), [1]))).toEqual([5]);
    expect(stepOf(plan(runsOfSizes(40, 20, 5), log(10), [1])).draining).toEqual([1]);
  });
});

test("what is due for deletion is published at once, not behind a long merge", () => {
  const limits = { ...LIMITS, joinBytesMax: 100 };
  const runs = runsOfSizes(100, 100, 100, 100, 100);
  expect(sizes(plan(runs, { isDue: true, limits }))).toEqual([]);
  expect(sizes(plan(runs, { limits }))).toHaveLength(5);
});

describe("without log", () => {
  test("one level alone is not copied, nor are those that are few and differ", () => {
    expect(plan([run(1, 5)]).step).toBeUndefined();
    expect(plan(runsOfSizes(50_000, 5)).step).toBeUndefined();
    expect(plan([run(1, 5)], { wantsFull: true }).step).toBeUndefined();
    expect(sizes(plan(runsOfSizes(50_000, 5), { wantsFull: true }))).toEqual([5, 50_000]);
  });

  test("units begin at the first id that is left, and go on into the same level", () => {
    const excised = [{ from: "", to: "k" }];
    const [old, drains] = [
      { ...run(1, 50_000), excised },
      { ...run(2, 100), excised },
    ];
    const { step, waiting } = plan([old, drains], {}, [0]);
    expect(step).toMatchObject({ from: "k", to: "z\0", into: 1, taken: [0, 1], draining: [0] });
    expect(waiting.map(({ path }) => path)).toEqual([drains.path]);
    const above = run(3, 5);
    const withLog = stepOf(plan([old, drains, above], {}, [1]));
    expect(withLog).toMatchObject({ from: "k", into: 2, taken: [0, 1, 2], draining: [1] });
  });

  test("runs of the level below that lie in part beside what drains are taken whole, others stay", () => {
    const drains = { ...run(2, 100), minId: "f", maxId: "p" };
    const below = ["a-c", "d-g", "h-l", "n-r", "s-z"].map((ids, at) => {
      return { ...run(3 + at, 50_000), minId: ids[0] ?? "", maxId: ids[2] ?? "", level: 1 };
    });
    const { step } = planUnit(inputOf({ runs: [...below, drains], draining: [0] }));
    expect(step).toMatchObject({ from: "d", to: "r\0" });
    const beside = { ...drains, minId: "t0", maxId: "t1" };
    const apart = planUnit(inputOf({ runs: [...below.slice(0, 4), beside], draining: [0] }));
    expect(apart.step).toMatchObject({ from: "t0", to: "t1\0" });
  });

  test("what came on top of a draining level is merged before it, where it is too much", () => {
    const runs = runsOfSizes(90_000, 40_000, 10, 10);
    expect(stepOf(plan(runs, {}, [2]))).toMatchObject({ into: 1, draining: [0, 2] });
  });

  test("what is left without a level below makes one", () => {
    const [drains] = runsOfSizes(100);
    const step = stepOf(plan([drains ?? run(0, 1)], {}, [0]));
    expect(step).toMatchObject({ from: "a", into: 1, taken: [0], draining: [0] });
  });

  test("a purge takes all levels into a new one, once, and then goes on", () => {
    const runs = [run(0, 50_000, 5), run(1, 5, 1)];
    const step = stepOf(plan(runs, { wantsPurge: true }));
    expect(step).toMatchObject({ into: 2, taken: [0, 1], draining: [0, 1], from: "a" });
    expect(stepOf(plan(runs, { wantsFull: true }))).toMatchObject({ into: 2 });
    const alone = stepOf(plan([run(0, 50_000, 5)], { wantsPurge: true }));
    expect(alone).toMatchObject({ into: 1, taken: [0], draining: [0] });
    const begun = stepOf(plan([run(2, 5), ...runs], {}, [0, 1]));
    expect(begun).toMatchObject({ into: 2, taken: [0, 1, 2], draining: [0, 1] });
    expect(plan([run(0, 5, 5)], { wantsPurge: true, isDrained: false }).step).toBeUndefined();
  });

  test("levels that are too many come before a merge of all, which may take long", () => {
    const runs = runsOfSizes(500_000, ...Array<number>(9).fill(10));
    for (const wish of [{ wantsFull: true }, { wantsPurge: true }]) {
      expect(stepOf(plan(runs, wish, [8]))).toMatchObject({ into: 7, from: "a" });
      expect(stepOf(plan(runs.slice(1), wish)).into).toBe(8);
    }
  });

  test("runs that are requested are rewritten one by one, each in its level", () => {
    const runs = runsOfSizes(500_000, 50_000, 10);
    const isAsked = ({ bytes }: RunInfo): boolean => bytes >= 50_000;
    const { step, waiting } = plan(runs, { isAsked });
    expect(step).toMatchObject({ taken: [1], into: 1, from: "a", to: "z\0", draining: [] });
    expect(waiting).toHaveLength(2);
    expect(sizes(plan([run(3, 100)], { isAsked: () => true })), "alone too").toEqual([100]);
  });
});

test("units come before more log where readers would look into more than nine levels", () => {
  const of = (count: number): boolean =>
    hasTooManyLevels({ ...EMPTY_MANIFEST, runs: asLevels(runsOfSizes(...Array(count).fill(5))) });
  expect([of(0), of(9), of(10)]).toEqual([false, false, true]);
  const runs = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map((n) => ({ ...run(n, 5), minId: `${n}` }));
  expect(hasTooManyLevels({ ...EMPTY_MANIFEST, runs }), "runs of one level").toBe(false);
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
