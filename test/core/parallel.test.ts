import { expect, test } from "vitest";
import { asTheyBranch, mapParallel, type Source } from "../../src/core/parallel.ts";

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

/** Counts down: each number leads to those below it. */
function below(n: number, called: number[] = []): Source<number> {
  return async () => {
    called.push(n);
    for (let turn = 0; turn < n; turn++) await Promise.resolve();
    const rest = Array.from({ length: n }, (_, each) => below(each, called));
    return { item: n === 2 ? undefined : n, rest };
  };
}

test("sources that lead to others are all read, those without an item as well", async () => {
  const found: number[] = [];
  for await (const n of asTheyBranch([below(3), below(1)])) found.push(n);
  expect(found.toSorted((a, b) => a - b)).toEqual([0, 0, 0, 0, 0, 1, 1, 1, 3]);
});

test("the failure of a source is thrown when its turn comes, and what is under way awaited", async () => {
  const failure = new Error("failed");
  let ended = false;
  const failing: Source<number> = () => Promise.reject(failure);
  const slow: Source<number> = async () => {
    await new Promise((next) => setImmediate(next));
    ended = true;
    return { item: 7, rest: [] };
  };
  const found: number[] = [];
  const read = async (): Promise<void> => {
    for await (const n of asTheyBranch([below(0), failing, slow])) found.push(n);
  };
  await expect(read()).rejects.toBe(failure);
  expect([found, ended]).toEqual([[0], true]);
});

test("left early, nothing more is called", async () => {
  const called: number[] = [];
  for await (const n of asTheyBranch([below(3, called)])) if (n === 3) break;
  expect(called.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3]);
});
