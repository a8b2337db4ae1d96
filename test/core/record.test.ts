import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InvalidArgumentError } from "../../src/core/errors.ts";
import { checkId, copyRecord, deepFreeze } from "../../src/core/record.ts";

const SEED = 20_261_122;

test("the text of a record is its own JSON, whatever way it takes through memory", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.jsonValue(),
        fc.json().map((text): unknown => JSON.parse(text)),
      ),
      (value) => {
        // prettier-ignore
        const { text, value: copy } = copyRecord("id", value);
        expect(JSON.stringify(copy)).toBe(text);
        expect(JSON.stringify(JSON.parse(text))).toBe(text);
        expect(JSON.stringify(JSON.parse(JSON.stringify(JSON.parse(text))))).toBe(text);
        expect(text.includes("\n")).toBe(false);
        expect(text.isWellFormed()).toBe(true);
      },
    ),
    { seed: SEED, numRuns: 1_000 },
  );
});

test.each([
  ["keys like numbers", { 2: "b", 1: "a", x: 1 }, '{"1":"a","2":"b","x":1}'],
  ["a negative zero", -0, "0"],
  ["the largest number", Number.MAX_VALUE, "1.7976931348623157e+308"],
  ["a tiny number", 5e-324, "5e-324"],
  ["no number", [Number.NaN, Infinity], "[null,null]"],
  ["a date", new Date(0), '"1970-01-01T00:00:00.000Z"'],
  ["a lone surrogate", "\udfff\ud800", '"\\udfff\\ud800"'],
  ["a toJSON of its own", { toJSON: () => ({ a: 1 }) }, '{"a":1}'],
  ["an undefined property", { a: undefined, b: 1 }, '{"b":1}'],
  ["own __proto__", JSON.parse('{"__proto__":1}'), '{"__proto__":1}'],
])("%s has one text", (_, value, text) => {
  expect(copyRecord("id", value).text).toBe(text);
});

test("the copy shares nothing with the caller's value", () => {
  const mine = { list: [{ a: 1 }] };
  const { value } = copyRecord("id", mine);
  deepFreeze(value);
  mine.list[0] = { a: 2 };
  mine.list.push({ a: 3 });
  expect(value).toEqual({ list: [{ a: 1 }] });
  expect(Object.isFrozen(mine.list)).toBe(false);
});

describe("what JSON cannot carry", () => {
  const cycle: { self?: unknown } = {};
  cycle.self = cycle;
  const throwing = {
    get a(): number {
      throw new Error("a getter");
    },
  };
  test.each([
    ["undefined", undefined],
    ["a function", () => 1],
    ["a symbol", Symbol("s")],
    ["a BigInt", 1n],
    ["a function inside", { a: [{ b: () => 1 }] }],
    ["a symbol inside", [[Symbol("s")]]],
    ["a cycle", cycle],
    ["a getter that throws", throwing],
    ["what is nested too deeply", JSON.parse(`${"[".repeat(200_000)}${"]".repeat(200_000)}`)],
  ])("%s is refused, naming the record", (_, value) => {
    expect(() => copyRecord("my id", value)).toThrow(InvalidArgumentError);
    expect(() => copyRecord("my id", value)).toThrow("Record 'my id' cannot be stored as JSON: ");
  });
});

test("deepFreeze freezes all levels once and gives the value back", () => {
  const value = { a: [{ b: {} }], c: null };
  expect(deepFreeze(value)).toBe(value);
  expect([value, value.a, value.a[0], value.a[0]?.b].every(Object.isFrozen)).toBe(true);
  expect(deepFreeze("text")).toBe("text");
  expect(deepFreeze(undefined)).toBeUndefined();
});

test("an id is a non-empty string of at most 64 KiB", () => {
  for (const id of ["a", "__proto__", "\ud800", "\u0000", "x".repeat(65_536)]) {
    expect(checkId(id)).toBe(id);
  }
  for (const id of ["", undefined, null, 1, {}, "x".repeat(65_537)]) {
    expect(() => checkId(id)).toThrow(InvalidArgumentError);
  }
});

test("a record nested so deeply that others could not write it again is refused", () => {
  const nested = (levels: number): unknown => JSON.parse("[".repeat(levels) + "]".repeat(levels));
  expect(copyRecord("x", nested(1_000)).text).toHaveLength(2_000);
  for (const levels of [1_001, 4_000, 100_000]) {
    expect(() => copyRecord("x", nested(levels)), `${levels}`).toThrow(InvalidArgumentError);
  }
});
