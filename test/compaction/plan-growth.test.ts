/** What the plans of many passes come to: how often a record is rewritten, and how many levels there are. */
import { describe, expect, test } from "vitest";
import {
  type CompactionLimits,
  type CompactionPlan,
  planLog,
  planUnit,
  runBytes,
  unitBytes,
} from "../../src/compaction/plan.ts";
import { flatLevels, type Level } from "../../src/format/levels.ts";
import type { Manifest } from "../../src/format/manifest-codec.ts";
import type { RunInfo } from "../../src/format/run-info.ts";
import { repeat } from "../support/effort.ts";
import { run, unit } from "./arbitraries.ts";
import { inputOf, LIMITS, plan, runsTaken } from "./planned.ts";

type Held = Pick<Manifest, "runs" | "draining">;

interface Grown extends Held {
  readonly written: number;
  readonly levelsMax: number;
}

const LOG_BYTES = 10;

/** What is left of a manifest once the step is done, to its end. */
function after({ levels, taken, into, draining }: CompactionPlan, made: RunInfo): Held {
  const next: Level[] = levels.map(({ runs }, at) => ({
    runs: at === into ? [made] : taken.includes(at) ? [] : runs,
    isDraining: draining.includes(at) && !taken.includes(at),
  }));
  const added = { runs: [made], isDraining: false };
  if (into < 0) next.unshift(added);
  else if (into === levels.length) next.push(added);
  return flatLevels(next);
}

/** Passes of a store of growing size: each merges its log, then units while there are any. */
function grow(passes: number, limits: Partial<CompactionLimits> = {}, unitsMax = Infinity): Grown {
  const given = { limits: { ...LIMITS, portionBytesMin: LOG_BYTES / 4, ...limits } };
  let held: Held = { runs: [], draining: [] };
  let [written, names, levelsMax] = [0, 0, 0];
  const carryOut = (step: CompactionPlan): void => {
    const made = run(names++, unitBytes(step.units) + runBytes(runsTaken(step)));
    held = after(step, made);
    written += made.bytes;
  };
  for (let pass = 0; pass < passes; pass++) {
    carryOut(planLog(inputOf(held, { ...given, units: [unit(pass, LOG_BYTES)] })));
    for (let units = 0; units < unitsMax; units++) {
      const { step } = planUnit(inputOf(held, given));
      if (step === undefined) break;
      carryOut(step);
    }
    levelsMax = Math.max(levelsMax, held.runs.length);
  }
  return { ...held, written, levelsMax };
}

describe.each([
  ["joins the log", {}],
  ["is left to units", { joinBytesMax: 0 }],
  ["joins the log while it is small", { joinBytesMax: 50 * LOG_BYTES }],
])("where what is to be merged %s", (_, limits) => {
  test.each([16, 256, 4_000])("%i passes rewrite a record seldom", (passes) => {
    const { runs, written, levelsMax } = grow(passes, limits);
    const bytes = passes * LOG_BYTES;
    expect(runBytes(runs)).toBe(bytes);
    // Log that is a level before it is merged is written once more.
    expect(written / bytes).toBeLessThanOrEqual(16);
    expect(levelsMax).toBeLessThanOrEqual(passes <= 256 ? 4 : 6);
  });
});

test.each(repeat({ quick: [1e5], full: [1e6] }))(
  "%i passes rewrite a record at most 16 times",
  { timeout: 300_000 },
  (passes) => {
    const { runs, written, levelsMax } = grow(passes);
    const bytes = passes * LOG_BYTES;
    expect(runBytes(runs)).toBe(bytes);
    expect(written / bytes).toBeLessThanOrEqual(16);
    expect(levelsMax).toBeLessThanOrEqual(9);
  },
);

test("what drains has its turn although a level of log comes with each pass", () => {
  const MB = 1_000_000;
  const sizes = [10_000, 4_000, 800, 250, 130, 40, 40, 20, 14, 40, 20].map((size) => size * MB);
  // Those of 800 to 14 drain; what came since is two levels.
  const draining = [2, 3, 4, 5, 6, 7, 8];
  const runs = sizes.map((size, n) => run(n, size));
  const limits = { ...LIMITS, portionBytesMin: 64 * 1_024 };
  const { step } = plan(runs, { limits }, draining);
  expect([step?.into, step?.draining]).toEqual([9, draining]);
  // Log that came twice as often is merged first.
  const more = plan(
    [...runs, run(20, 20 * MB), run(21, 20 * MB)],
    { limits },
    [4, 5, 6, 7, 8, 9, 10],
  );
  expect(more.step?.into).toBeLessThan(4);
});

test("one unit for each pass is enough to keep the levels few", () => {
  const { runs, levelsMax, written } = grow(2_000, { joinBytesMax: 0 }, 1);
  expect(runBytes(runs)).toBe(2_000 * LOG_BYTES);
  expect(levelsMax).toBeLessThanOrEqual(10);
  expect(written / (2_000 * LOG_BYTES)).toBeLessThanOrEqual(16);
});
