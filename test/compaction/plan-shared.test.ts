/** What a unit takes of levels that are many, and of those that others may merge. */
import { expect, test } from "vitest";
import type { CompactionPlan, PlanInput } from "../../src/compaction/plan.ts";
import type { RunInfo } from "../../src/format/run-info.ts";
import { run } from "./arbitraries.ts";
import { LIMITS, plan } from "./planned.ts";

/** @param runs a level each, the oldest first */
function stepOf(
  runs: readonly RunInfo[],
  input: Partial<PlanInput> = {},
  draining: readonly number[] = [],
): CompactionPlan {
  const { step } = plan(runs, input, draining);
  if (step === undefined) throw new Error("nothing is planned");
  return step;
}

const runsOf = (...bytes: number[]): RunInfo[] => bytes.map((size, n) => run(n, size));

test("where many levels would drain into a large one, the small ones become one before", () => {
  const limits = { ...LIMITS, unitBytesMax: 1_000 };
  const runs = runsOf(1_000, ...Array<number>(9).fill(100));
  expect(stepOf(runs, { limits })).toMatchObject({ into: 8, draining: [...Array(8).keys()] });
  expect(stepOf(runs), "one unit merges all").toMatchObject({ into: 9 });
  const begun = stepOf(runs, { limits }, [8]);
  expect(begun, "above those that drain, too").toMatchObject({ into: 7 });
  const few = runsOf(1_000, ...Array<number>(7).fill(100));
  expect(stepOf(few, { limits }), "readers look into few").toMatchObject({ into: 7 });
});

test("where there are nearly twelve levels, a long merge leaves one with which log can be merged", () => {
  const limits = { ...LIMITS, unitBytesMax: 1_000 };
  const drains = Array<number>(9).fill(900_000);
  const below = [0, 1, 2, 3, 4, 5, 6, 7, 8].map((at) => at + 3);
  const full = stepOf(
    runsOf(9_000_000, ...drains.slice(1), 5_000, 5_000, 900),
    { limits },
    below.slice(0, -1),
  );
  expect(full).toMatchObject({ into: 2, draining: [1, ...below.slice(0, -1)] });
  const one = { ...LIMITS, unitBytesMax: 20_000 };
  const short = stepOf(
    runsOf(9_000_000, ...drains.slice(1), 5_000, 5_000, 900),
    { limits: one },
    below.slice(0, -1),
  );
  expect(short, "one unit").toMatchObject({ into: 2, draining: [0, 1, ...below.slice(0, -1)] });
});

test("beside others a unit leaves what came on top to them, unless it may purge", () => {
  const runs = runsOf(90_000, 40_000, 10);
  const others = { isShared: true };
  expect(stepOf(runs, {}, [1]).taken).toEqual([0, 1, 2]);
  expect(stepOf(runs, others, [1]).taken).toEqual([1, 2]);
  const deleted = [run(9, 90_000), run(8, 40_000, 5), run(7, 10)];
  expect(stepOf(deleted, others, [1]).taken).toEqual([0, 1, 2]);
  expect(stepOf(deleted, { ...others, isOutrun: true }, [1]).taken).toEqual([1, 2]);
  const below = [run(6, 900_000), ...deleted];
  expect(stepOf(below, others, [1]).taken, "not into the oldest").toEqual([1, 2]);
});
