import { expect, test } from "vitest";
import { mapParallel } from "../../src/core/parallel.ts";

test("results keep the order of the items, at most `limit` calls run", async () => {
  let [running, most] = [0, 0];
  const doubled = await mapParallel([5, 1, 4, 2, 3], 2, async (n) => {
    most = Math.max(most, ++running);
    for (let turn = 0; turn < n; turn++) await Promise.resolve();
    running--;
    return n * 2;
  });
  expect(doubled).toEqual([10, 2, 8, 4, 6]);
  expect(most).toBe(2);
  expect(await mapParallel([], 2, async (n) => n)).toEqual([]);
});

test("after a failure nothing more starts, and what runs is awaited", async () => {
  const failure = new Error("second");
  const [started, ended]: [number[], number[]] = [[], []];
  const call = mapParallel([1, 2, 3, 4], 2, async (n) => {
    started.push(n);
    if (n === 2) throw failure;
    for (let turn = 0; turn < 5; turn++) await Promise.resolve();
    ended.push(n);
  });
  await expect(call).rejects.toBe(failure);
  expect([started, ended]).toEqual([[1, 2], [1]]);
});
