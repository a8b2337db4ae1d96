/** What the plans of many passes come to: how often a record is rewritten, and how many runs there are. */
import { expect, test } from "vitest";
import { runBytes, unitBytes } from "../../src/compaction/plan.ts";
import type { RunInfo } from "../../src/format/run-info.ts";
import { run, unit } from "./arbitraries.ts";
import { LIMITS, plan } from "./planned.ts";

/** Passes of a store of growing size that can rewrite so many bytes each. */
function grow(passes: number, bytesMax: number, tiers = 12): { runs: RunInfo[]; written: number } {
  const limits = { ...LIMITS, runsMax: tiers };
  const time = { leftMs: bytesMax / 8, runBytesPerMs: 10 };
  let runs: RunInfo[] = [];
  let [written, names] = [0, 0];
  for (let pass = 0; pass < passes; pass++) {
    let [left, newest] = [bytesMax, undefined as RunInfo | undefined];
    let log = [unit(pass, 10)];
    for (;;) {
      const now = { ...time, leftMs: left === Infinity ? Infinity : left / 8 };
      const { step } = plan(runs, { limits, units: log, newest, time: now });
      if (step === undefined) break;
      const made = run(names++, unitBytes(step.units) + runBytes(step.runs));
      if (log.length > 0) newest = made;
      runs = [...step.keptRuns, made];
      written += made.bytes;
      left -= made.bytes;
      log = [];
    }
  }
  return { runs, written };
}

test("a record is rewritten about once per doubling of the store", () => {
  const { runs, written } = grow(256, Infinity);
  expect(runBytes(runs)).toBe(2_560);
  expect(written / 2_560).toBeLessThanOrEqual(9);
});

test("a record is rewritten seldom also where eight tiers that double do not reach", () => {
  const passes = 30_000;
  const { runs, written } = grow(passes, Infinity, 8);
  expect(runBytes(runs)).toBe(passes * 10);
  expect(runs.length).toBeLessThanOrEqual(8);
  expect(written / (passes * 10)).toBeLessThanOrEqual(1.5 * Math.log2(passes));
});

test("where larger merges never fit, runs are as few as the bound says, and rewritten as seldom", () => {
  // A pass rewrites 1,000 bytes; the store grows to 40 times that.
  const { runs, written } = grow(4_000, 1_000, 4);
  const bytes = runBytes(runs);
  expect(bytes).toBe(40_000);
  const bound = 4 + 3 * (bytes / 1_000) + 1.5 * Math.log2(1_000 / 10);
  expect(runs.length).toBeLessThanOrEqual(bound);
  expect(written / bytes).toBeLessThanOrEqual(2 * Math.log2(1_000 / 10));
});
