import { expect, test } from "vitest";
import { EFFORT, parseEffort, propertyRuns, repeat, sampled } from "./effort.ts";

test("without a value the effort is quick", () => {
  expect([parseEffort(undefined), parseEffort("")]).toEqual(["quick", "quick"]);
  expect([parseEffort("quick"), parseEffort("full")]).toEqual(["quick", "full"]);
});

test.each(["Quick", "all", "0", " full"])("the value %j is an error", (text) => {
  const message = `OPSLOG_TEST_EFFORT must be quick or full, found ${JSON.stringify(text)}`;
  expect(() => parseEffort(text)).toThrow(message);
});

test("numbers are those of the effort, and no sample is empty", () => {
  const isFull = EFFORT === "full";
  expect(repeat({ quick: 1, full: 9 })).toBe(isFull ? 9 : 1);
  expect([10, 100, 2_000].map(propertyRuns)).toEqual(isFull ? [10, 100, 2_000] : [10, 20, 200]);
  expect(sampled([0, 1, 2, 3, 4, 5, 6], 3, 4)).toEqual(isFull ? [0, 1, 2, 3, 4, 5, 6] : [1, 4]);
  expect(sampled([7], 3, 2)).toEqual([7]);
});
