import { expect, test } from "vitest";
import { append, maxOf, minOf } from "../../src/core/bulk.ts";
import { Queue } from "../../src/core/queue.ts";

const MANY = 500_000;

test("more items than fit on the stack are appended and compared", () => {
  const many = Array.from({ length: MANY }, (_, at) => at);
  expect(() => [].push(...(many as never[]))).toThrow(RangeError);
  const target = [-1];
  append(target, many);
  expect([target.length, target.at(-1)]).toEqual([MANY + 1, MANY - 1]);
  expect([maxOf(many), minOf(many)]).toEqual([MANY - 1, 0]);
});

test("the highest and lowest are those of Math.max and Math.min", () => {
  for (const values of [[], [3], [2, 7, -1], [Infinity, 1], [1, Number.NaN, 2]]) {
    expect(maxOf(values)).toBe(Math.max(...values));
    expect(minOf(values)).toBe(Math.min(...values));
  }
  expect([maxOf([1], 5), minOf([9], 5), maxOf([7], 5)]).toEqual([5, 5, 7]);
});

test("a queue returns what came first, whatever is added between", () => {
  const queue = new Queue<number>();
  const taken: (number | undefined)[] = [queue.take()];
  for (let at = 0; at < 1_000; at++) {
    queue.add(at);
    if (at % 3 === 0) taken.push(queue.take());
  }
  expect(queue.length).toBe(1_000 - (taken.length - 1));
  while (queue.length > 0) taken.push(queue.take());
  expect(taken).toEqual([undefined, ...Array.from({ length: 1_000 }, (_, at) => at)]);
  expect(queue.take()).toBeUndefined();
});
