import { expect, test } from "vitest";
import { growthOf, LINEAR_MAX } from "./growth.ts";

function linear(size: number): void {
  const seen = new Set<string>();
  for (let n = 0; n < size; n++) seen.add(`${n}`);
}

function quadratic(size: number): void {
  const seen: number[] = [];
  for (let n = 0; n < size; n++) if (!seen.includes(n)) seen.push(n);
}

test("work that grows with the square of its size is told from work that grows with its size", async () => {
  expect(await growthOf(5_000, linear)).toBeLessThan(LINEAR_MAX);
  expect(await growthOf(2_000, quadratic)).toBeGreaterThan(LINEAR_MAX);
});

test("tries that something else disturbs do not count, as long as one is undisturbed", async () => {
  let tries = 0;
  const disturbed = (size: number): void => {
    for (let n = size > 2_000 && tries++ < 5 ? 60 : 1; n > 0; n--) linear(size);
  };
  expect(await growthOf(2_000, disturbed)).toBeLessThan(LINEAR_MAX);
  expect(tries).toBeGreaterThan(5);
});
