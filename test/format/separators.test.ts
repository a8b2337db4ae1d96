import fc from "fast-check";
import { expect, test } from "vitest";
import { CorruptionError } from "../../src/core/errors.ts";
import { decodeSeparator, encodeSeparator } from "../../src/format/run-index.ts";
import { ids, SEED } from "../runs/support.ts";
import { propertyRuns } from "../support/effort.ts";

const place = { path: "manifest.json", offset: 0 };

test("a list of separators survives JSON, long common beginnings and split surrogates too", () => {
  const beginnings = fc.constantFrom("", "x".repeat(31), "x".repeat(40), `${"y".repeat(40)}\ud83d`);
  const separators = fc.tuple(beginnings, ids).map(([beginning, id]) => beginning + id);
  fc.assert(
    fc.property(fc.array(separators), (list) => {
      const items = list.map((separator, at) => [
        ...encodeSeparator(separator, list[at - 1] ?? ""),
        at,
      ]);
      const read: unknown = JSON.parse(JSON.stringify(items));
      let before = "";
      for (const [at, item] of (Array.isArray(read) ? read : []).entries()) {
        const decoded = decodeSeparator(item, before, place);
        expect(decoded).toEqual({ separator: list[at], values: [at] });
        before = decoded.separator;
      }
    }),
    { seed: SEED, numRuns: propertyRuns(300) },
  );
});

test("up to 31 shared code units a separator is written whole, from 32 on its rest", () => {
  const [long, longer] = ["x".repeat(31), "x".repeat(10_000)];
  expect(encodeSeparator(`${long}b`, `${long}a`)).toEqual([`${long}b`]);
  expect(encodeSeparator(`${longer}b`, `${longer}a`)).toEqual([10_000, "b"]);
  expect(encodeSeparator("b", "")).toEqual(["b"]);
});

test.each([[1], [[]], [[40]], [[-1, "a"]], [[0.5, "a"]], [[4, "a"]], [[1, 2]], [[null, "a"]]])(
  "%j is no separator",
  (item) => {
    expect(() => decodeSeparator(item, "abc", place)).toThrow(CorruptionError);
  },
);
