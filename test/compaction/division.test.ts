/** How the work of compactors is divided. */
import { expect, test } from "vitest";
import { DEFAULT_LIMITS } from "../../src/compaction/plan.ts";
import { checkTask, spanOf, wantedWorkers } from "../../src/compaction/tasks.ts";
import { run } from "./arbitraries.ts";

test("how many workers a backlog is worth", () => {
  const wanted = (segments: number, units: number, parallel: number, isCut = false) =>
    wantedWorkers(
      {
        generation: 7,
        backlog: { segments, claims: 0, isCut, ageMs: 0, lagMs: 0 },
        waiting: { runs: 1, bytes: units * DEFAULT_LIMITS.unitBytesMax },
      },
      { parallel },
    );
  expect(wanted(200_000, 9, 1)).toEqual({ log: 0, units: 0 });
  expect(wanted(5_000, 0, 8), "one pass does it").toEqual({ log: 0, units: 0 });
  expect(wanted(50_000, 0, 8)).toEqual({ log: 4, units: 1 });
  expect(wanted(200_000, 0, 8, true)).toEqual({ log: 4, units: 1 });
  expect(wanted(200_000, 40, 8)).toEqual({ log: 4, units: 4 });
  expect(wanted(200_000, 40, 64)).toEqual({ log: 16, units: 16 });
  expect(wanted(0, 6, 4), "log that comes meanwhile").toEqual({ log: 1, units: 3 });
  expect(wanted(20_000, 0, 2)).toEqual({ log: 1, units: 1 });
  for (let parallel = 2; parallel <= 40; parallel++) {
    for (const segments of [0, 9_999, 40_000, 200_000]) {
      for (const units of [0, 1, 2, 7, 90]) {
        const { log, units: forUnits } = wanted(segments, units, parallel);
        expect(log + forUnits).toBeLessThanOrEqual(parallel);
        expect(log === 0).toBe(forUnits === 0);
      }
    }
  }
});

test("spans of workers lie side by side and cover all ids", () => {
  const runs = Array.from({ length: 30 }, (_, n) => {
    const minId = `m${String(n).padStart(2, "0")}`;
    return { ...run(n, 100 + 37 * (n % 5)), minId, maxId: `${minId}z` };
  });
  const levels = [{ runs, isDraining: false }];
  for (let of = 1; of <= 16; of++) {
    const spans = Array.from({ length: of }, (_, index) => spanOf(levels, { index, of }));
    expect(spans[0]?.from).toBe("");
    expect(spans.at(-1)?.to).toBeUndefined();
    for (const [at, span] of spans.slice(1).entries()) expect(span?.from).toBe(spans[at]?.to);
  }
  const few = Array.from({ length: 16 }, (_, index) =>
    spanOf([{ runs: runs.slice(0, 3), isDraining: false }], { index, of: 16 }),
  ).filter((span) => span !== undefined);
  expect(few.length).toBeLessThanOrEqual(3);
  expect(few[0]?.from).toBe("");
  expect(few.at(-1)?.to).toBeUndefined();
});

test("what is no task is refused", () => {
  for (const wrong of [
    { kind: "log", index: 2, of: 2 },
    { kind: "log", index: -1, of: 2 },
    { kind: "units", index: 0, of: 17 },
    { kind: "log", index: 0.5, of: 2 },
  ] as const) {
    expect(() => checkTask(wrong)).toThrow("no task of a compaction");
  }
});
