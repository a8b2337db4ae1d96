import { expect, test } from "vitest";
import { simulate } from "./simulate.ts";
import { runSeeds, Tally } from "./tally.ts";

test("what threads counted adds up to what one would have counted", async () => {
  const parts = await Promise.all([runSeeds([2]), runSeeds([1, 3])]);
  const total = new Tally();
  for (const part of parts) total.add(structuredClone(part.state()));
  expect(total.seeds).toBe(3);
  expect(total.state().totals).toEqual((await runSeeds([1, 2, 3])).state().totals);
  const results = [await simulate(1), await simulate(2), await simulate(3)];
  const events = results.reduce((sum, result) => sum + result.events, 0);
  expect(total.summary()).toContain(`events ${events}, `);
  expect(total.failedSeeds()).toEqual([]);
});

test("the lowest seed that failed is the one to look at, whichever job ran it", () => {
  const total = new Tally();
  for (const seed of [7, 3, 5]) {
    const failures = [{ seed, says: "ACKED: gone", schedule: "uniform", trace: [] }];
    total.add({ seeds: 1, totals: new Map(), failures });
  }
  expect(total.lowestFailure()?.seed).toBe(3);
  expect(total.failedSeeds()).toEqual([3, 5, 7]);
});
