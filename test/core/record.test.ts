import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InvalidArgumentError } from "../../src/core/errors.ts";
import { checkId, copyRecord, deepFreeze } from "../../src/core/record.ts";
import { propertyRuns } from "../support/effort.ts";

const SEED = 20_261_122;

test("the text of a record is its own JSON, whatever way it takes through memory", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.jsonValue(),
        fc.json().map((text): unknown => JSON.parse(text)),
      ),
      (value) => {
        const { text, value: copy } = copyRecord("id", value);
        expect(JSON.stringify(copy)).toBe(text);
        expect(JSON.stringify(JSON.parse(text))).toBe(text);
        expect(JSON.stringify(JSON.parse(JSON.stringify(JSON.parse(text))))).toBe(text);
        expect(text.includes("\n")).toBe(false);
        expect(text.isWellFormed()).toBe(true);
      },
    ),
    { seed: SEED, numRuns: propertyRuns(1_000) },
  );
});

class Point {
  readonly x: number;
  readonly y: number | undefined;
  readonly #hidden = 1;
  constructor(x: number, y: number | undefined) {
    this.x = x;
    this.y = y;
  }
  get sum(): number {
    return this.x + this.#hidden;
  }
}

class Tagged {
  readonly a = 1;
  get [Symbol.toStringTag](): string {
    return "Tagged";
  }
}

test.each([
  ["keys like numbers", { 2: "b", 1: "a", x: 1 }, '{"1":"a","2":"b","x":1}'],
  ["a negative zero", -0, "0"],
  ["the largest number", Number.MAX_VALUE, "1.7976931348623157e+308"],
  ["a tiny number", 5e-324, "5e-324"],
  ["an element that is undefined, or missing", [undefined, , 1], "[null,null,1]"], // eslint-disable-line no-sparse-arrays
  ["a date", new Date(0), '"1970-01-01T00:00:00.000Z"'],
  ["a lone surrogate", "\udfff\ud800", '"\\udfff\\ud800"'],
  ["a toJSON of its own", { toJSON: () => ({ a: 1 }) }, '{"a":1}'],
  ["an undefined property", { a: undefined, b: 1 }, '{"b":1}'],
  ["a Buffer", Buffer.from("a"), '{"type":"Buffer","data":[97]}'],
  ["a URL", new URL("https://example.org/a"), '"https://example.org/a"'],
  ["boxed values", [Object(1), Object("a"), Object(false)], '[1,"a",false]'],
  ["an object without a prototype", Object.assign(Object.create(null), { a: 1 }), '{"a":1}'],
  ["an instance of a class", { at: new Point(1, undefined) }, '{"at":{"x":1}}'],
  ["an instance of a class that names its kind", new Tagged(), '{"a":1}'],
  ["an error with toJSON", Object.assign(new Error("x"), { toJSON: () => "x" }), '"x"'],
  ["an object of another realm", runInNewContext("({ a: [1, {}] })"), '{"a":[1,{}]}'],
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

describe("what JSON would change without a word is refused", () => {
  test.each([
    ["NaN", Number.NaN],
    ["Infinity", Infinity],
    ["-Infinity", -Infinity],
    ["NaN", Object(Number.NaN)],
    ["a Map", new Map([["a", 1]])],
    ["a Map", runInNewContext("new Map()")],
    ["a Map", new (class Index extends Map<string, number> {})()],
    ["a Set", new Set()],
    ["a WeakMap", new WeakMap()],
    ["a WeakSet", new WeakSet()],
    ["a WeakRef", new WeakRef({})],
    ["a RegExp", /a/],
    ["an Error", new Error("lost")],
    ["an Error", new TypeError("lost")],
    ["an Error", Object.assign(new Error("lost"), { code: "E" })],
    ["a Promise", Promise.resolve(1)],
    ["a Symbol", Object(Symbol("s"))],
    ["an ArrayBuffer", new ArrayBuffer(1)],
    ["a SharedArrayBuffer", new SharedArrayBuffer(1)],
    ["a DataView", new DataView(new ArrayBuffer(1))],
    ["a Uint8Array", new Uint8Array([1])],
    ["a Float64Array", new Float64Array([1])],
    ["a BigInt64Array", new BigInt64Array([1n])],
    [
      "a Generator",
      (function* numbers() {
        yield 1;
      })(),
    ],
    ["a Map Iterator", new Map().entries()],
    ["a Headers", new Headers({ a: "1" })],
    ["an AbortSignal", new AbortController().signal],
    ["a function", () => 1],
    ["a symbol", Symbol("s")],
    ["a bigint", 1n],
  ])("%s, at its place (%#)", (found, value) => {
    for (const [record, place] of [
      [value, ""],
      [{ a: { "odd key": [0, value] } }, ' at a["odd key"][1]'],
      [[{ list: value }], " at [0].list"],
    ] as const) {
      expect(() => copyRecord("my id", record)).toThrow(
        new InvalidArgumentError(
          `Record 'my id' cannot be stored as JSON: found ${found}${place}`,
          { id: "my id" },
        ),
      );
    }
  });

  test("where it lies deep, its path is cut", () => {
    let value: unknown = Number.NaN;
    for (let level = 0; level < 900; level++) value = { level: value };
    expect(() => copyRecord("x", value)).toThrow(/found NaN at level\.level.{180,200}…$/);
  });
});

test("deepFreeze freezes all levels once and returns the value", () => {
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
