import { expect, test } from "vitest";
import { describeValue } from "../../src/core/describe.ts";

test.each([
  ["text", '"text"'],
  ["x".repeat(200), `"${"x".repeat(80)}…"`],
  ["\n\ud800", '"\\n\\ud800"'],
  [5n, "5n"],
  [Number.NaN, "NaN"],
  [undefined, "undefined"],
  [null, "null"],
  [true, "true"],
  [Symbol("s"), "Symbol(s)"],
  [[1], "an array"],
  [{ secret: "key" }, "an object"],
  [Object.create(null), "an object"],
  [() => 1, "a function"],
])("%# is shown", (value, shown) => {
  expect(describeValue(value)).toBe(shown);
});
