/** How many levels a reader looks into at most, whoever publishes what, and that log does not wait for long. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Edit, levelsAfter } from "../../src/compaction/edit.ts";
import { type CompactionPlan, type PlanInput, planUnit } from "../../src/compaction/plan.ts";
import { lateAt, planLog } from "../../src/compaction/plan-log.ts";
import type { CompactionTask } from "../../src/compaction/report.ts";
import { fullness, LEVELS_LATE_MAX, LEVELS_READ_MAX } from "../../src/compaction/tiers.ts";
import { CLOCKS_PER_MS } from "../../src/core/hybrid-clock.ts";
import { countLevels, flatLevels, levelsOf } from "../../src/format/levels.ts";
import { EMPTY_MANIFEST, type Manifest } from "../../src/format/manifest-codec.ts";
import { propertyRuns } from "../support/effort.ts";
import { asLevels, run, SEED, unit } from "./arbitraries.ts";
import { inputOf, LIMITS } from "./planned.ts";
import { Scene as Tasks, ids as idsOf, LIMITS as TASK_LIMITS } from "./tasks-support.ts";
import { ids, Scene, text, UNITS } from "./units-support.ts";

const leveled = (sizes: readonly number[], draining: readonly number[] = []): Manifest => ({
  ...EMPTY_MANIFEST,
  generation: 1,
  runs: asLevels(sizes.map((bytes, n) => run(n, bytes))),
  draining,
});

let made = 1_000;

/** All of what a plan merges, as one run, or half of the ids of a unit. */
function editOf(base: Manifest, plan: CompactionPlan, isHalf: boolean): Edit {
  const to = isHalf && !plan.isWhole ? "k" : undefined;
  const bytes = 10 * (plan.taken.length + plan.units.length);
  const written = { ...run(made++, bytes), maxId: to === undefined ? "z" : "j" };
  const isEmpty = plan.from >= "k" && to !== undefined;
  const span = { from: plan.from, to: isEmpty ? undefined : to };
  return { base, plan, made: [written], span, purgeFloor: undefined, deletesLog: false };
}

describe("no publication leaves more than twelve levels", () => {
  interface Actor {
    readonly sees: number;
    readonly does: "log" | "unit" | "all";
    readonly isHalf: boolean;
    readonly isLate: boolean;
    readonly leftMs: number;
  }
  const actor: fc.Arbitrary<Actor> = fc.record({
    sees: fc.nat({ max: 4 }),
    does: fc.constantFrom("log", "log", "log", "unit", "all"),
    isHalf: fc.boolean(),
    isLate: fc.constant(false),
    leftMs: fc.constantFrom(Infinity, 0, 10),
  });

  function publishAll(actors: readonly Actor[], first: Manifest): Manifest[] {
    const all = [first];
    for (const { sees, does, isHalf, isLate, leftMs } of actors) {
      const current = all.at(-1) ?? first;
      // What it has planned on may be older than what is there when it publishes.
      const base = all.at(-1 - sees) ?? first;
      const given: Partial<PlanInput> = {
        units: does === "log" ? [unit(made, 10)] : [],
        wantsFull: does === "all",
        time: { leftMs, runBytesPerMs: 1 },
        lateMs: isLate ? 1_000 : 0,
        isShared: true,
      };
      const input = inputOf(base, given);
      const plan = does === "log" ? planLog(input) : planUnit(input).step;
      if (plan === undefined) continue;
      const levels = levelsAfter(editOf(base, plan, isHalf), current);
      if (levels === undefined) continue;
      all.push({ ...current, ...flatLevels(levels), generation: current.generation + 1 });
    }
    return all;
  }

  test("in whatever order compactors plan and publish", () => {
    fc.assert(
      fc.property(fc.array(actor, { minLength: 20, maxLength: 80 }), (actors) => {
        const all = publishAll(actors, leveled([5_000, 50]));
        for (const each of all)
          expect(fullness(levelsOf(each))).toBeLessThanOrEqual(LEVELS_READ_MAX);
      }),
      { seed: SEED, numRuns: propertyRuns(400) },
    );
  });

  test("but for log that has waited too long, which leaves at most 24", () => {
    const late = actor.map((each) => ({ ...each, isLate: true, leftMs: 0 }));
    let most = 0;
    fc.assert(
      fc.property(fc.array(late, { minLength: 20, maxLength: 80 }), (actors) => {
        for (const each of publishAll(actors, leveled([5_000, 50])))
          most = Math.max(most, fullness(levelsOf(each)));
        expect(most).toBeLessThanOrEqual(LEVELS_LATE_MAX);
      }),
      { seed: SEED, numRuns: propertyRuns(400) },
    );
    expect(most).toBeGreaterThan(LEVELS_READ_MAX);
  });

  test("and a store that has more of them has no more afterwards", () => {
    const many = leveled(Array.from({ length: 20 }, (_, n) => 10 + n));
    const log = planLog(inputOf(many, { units: [unit(1, 10)], isOutrun: true }));
    expect(log?.taken.length).toBe(20 + 1 - LEVELS_READ_MAX);
    const alone = { ...(log ?? expect.unreachable()), taken: [] };
    expect(levelsAfter(editOf(many, alone, false), many)).toBeUndefined();
    const one = { ...alone, taken: [0] };
    expect(levelsAfter(editOf(many, one, false), many)).toBeDefined();
  });
});

describe("log", () => {
  const full = leveled(Array.from({ length: 12 }, () => 100));

  test("is joined by as many levels as make room, unless it takes too long or they drain", () => {
    const given = { units: [unit(1, 10)], limits: { ...LIMITS, joinBytesMax: 0 }, isOutrun: true };
    const slow = { leftMs: 399, runBytesPerMs: 1 };
    expect(planLog(inputOf(full, given))?.taken).toEqual([0]);
    expect(planLog(inputOf(full, { ...given, time: { ...slow, leftMs: 400 } }))?.taken).toEqual([
      0,
    ]);
    expect(planLog(inputOf(full, { ...given, time: slow }))).toBeUndefined();
    expect(planLog(inputOf({ ...full, draining: [0] }, given))).toBeUndefined();
    expect(planLog(inputOf({ ...full, draining: [1, 11] }, given)), "one more will come").toBe(
      undefined,
    );
    const eleven = leveled(Array.from({ length: 11 }, () => 100));
    expect(planLog(inputOf({ ...eleven, draining: [0] }, given))?.taken).toEqual([]);
  });

  test("that was written more than five minutes ago does not wait", () => {
    const nowMs = 1_000_000_000;
    const of = (agoMs: number) => {
      const lo = (nowMs - agoMs) * CLOCKS_PER_MS;
      const { segments, ...rest } = unit(1, 10);
      const units = [{ ...rest, segments: segments.map((ref) => ({ ...ref, lo })) }];
      return planLog(inputOf({ ...full, draining: [0] }, { units, lateMs: lateAt(nowMs) }));
    };
    expect(of(5 * 60_000)).toBeUndefined();
    expect(of(5 * 60_000 + 1)).toMatchObject({ taken: [], levelsMax: LEVELS_LATE_MAX });
  });

  test("that is late does not wait at all as the first step of a pass", () => {
    const many = leveled(Array.from({ length: 24 }, () => 100));
    const given = { units: [unit(1, 10)], lateMs: 1, isOutrun: true };
    const slow = { ...given, time: { leftMs: 1, runBytesPerMs: 1 } };
    expect(planLog(inputOf(many, slow))).toBeUndefined();
    expect(planLog(inputOf(many, { ...slow, isFirst: true }))?.taken).toEqual([]);
    expect(planLog(inputOf(many, { ...slow, lateMs: 0, isFirst: true }))).toBeUndefined();
  });
});

const UNIT_LIMITS = { ...UNITS, unitBytesMax: 2_000 };
const LOG: CompactionTask = { kind: "log", index: 0, of: 1 };

/** Twelve levels, of which the newest drain, and those below, unit by unit. */
async function fullScene(): Promise<{ scene: Scene; contents: Map<string, string> }> {
  const scene = new Scene();
  await scene.backend.initialize("store", { readOnly: false });
  const contents = new Map<string, string>();
  const units: CompactionTask = { kind: "units", index: 0, of: 1 };
  for (let n = 0; n < LEVELS_READ_MAX; n++) {
    // What has begun before them goes on below the last two.
    if (n === LEVELS_READ_MAX - 2) await scene.pass(UNIT_LIMITS, { task: units, steps: 1 });
    const records = ids(40, n + 1).map((id): [string, string] => [id, text(`${n}`)]);
    await scene.write(records);
    for (const [id, value] of records) contents.set(id, value);
    // The first publication of a store is no task.
    const task = n === 0 ? {} : { task: LOG };
    await scene.pass({ ...UNITS, portionBytesMin: 1 }, task);
  }
  expect(countLevels(await scene.backend.manifest())).toBe(LEVELS_READ_MAX);
  await scene.pass(UNIT_LIMITS, { task: units, steps: 1 });
  const { draining } = await scene.backend.manifest();
  expect(draining).toContain(0);
  await scene.write([["late", "log"]]);
  contents.set("late", "log");
  return { scene, contents };
}

test.each([undefined, LOG])(
  "log waits for units that make room for it, of the same pass: %o",
  async (task) => {
    const { scene, contents } = await fullScene();
    const from = scene.backend.published.length;
    expect(await scene.pass(UNIT_LIMITS, { ...(task && { task }), steps: 1 })).toMatchObject({
      outcome: "published",
      segments: 0,
      more: true,
    });
    let segments = 0;
    for (let passes = 0; segments === 0; passes++) {
      expect(passes, "it is not starved").toBeLessThan(20);
      ({ segments } = await scene.pass(UNIT_LIMITS, { ...(task && { task }), steps: 50 }));
    }
    expect(segments).toBe(1);
    const most = Math.max(...scene.backend.published.slice(from).map(countLevels));
    expect(most).toBeLessThanOrEqual(LEVELS_READ_MAX);
    const sorted = [...contents].toSorted(([a], [b]) => (a < b ? -1 : 1));
    expect(await scene.contents()).toEqual(sorted);
  },
);

test.each([undefined, LOG])(
  "log that waits too long is published before them: %o",
  async (task) => {
    const { scene } = await fullScene();
    await scene.runtime.advance(5 * 60_000 + 1_000);
    const report = await scene.pass(UNIT_LIMITS, { ...(task && { task }), steps: 1 });
    expect(report).toMatchObject({ outcome: "published", segments: 1 });
    expect(countLevels(await scene.backend.manifest())).toBe(LEVELS_READ_MAX + 1);
  },
);

test("16 workers race for the last places of the levels: each segment is merged once, and few are read again", async () => {
  const held = new Tasks();
  await held.backend.initialize("store", { readOnly: false });
  await held.write([["a", "first"]]);
  await held.pass();
  await held.write(idsOf(160).map((id) => [id, `of ${id}`]));
  const { backend } = held;
  const counts: number[] = [];
  const put = backend.put.bind(backend);
  backend.put = async (...args) => {
    const result = await put(...args);
    if (args[0] === "manifest.json" && result.status !== "conflict")
      counts.push(countLevels(await held.manifest()));
    return result;
  };
  const reads: string[] = [];
  const get = backend.get.bind(backend);
  backend.get = async (...args) => {
    if (args[0].startsWith("ops/")) reads.push(args[0]);
    return get(...args);
  };
  const limits = { ...TASK_LIMITS, logSegmentsMax: 3 };
  const tasks = Array.from({ length: 16 }, (_, index) => ({ kind: "log", index, of: 16 }) as const);
  let merged = 0;
  for (let round = 0; merged < 160; round++) {
    expect(round).toBeLessThan(20);
    const reports = await Promise.all(tasks.map((task) => held.pass(task, limits)));
    merged += reports.reduce((sum, { segments }) => sum + segments, 0);
  }
  expect(merged).toBe(160);
  expect(Math.max(...counts)).toBe(LEVELS_READ_MAX);
  expect(await held.contents()).toHaveLength(161);
  expect(held.warnings).toEqual([]);
  expect(reads.length, "few are read again").toBeLessThan(250);
});
