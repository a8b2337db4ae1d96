import fc from "fast-check";
import { expect, test } from "vitest";
import { applyDelta, createDelta, isDeltaSmaller } from "../../src/core/delta.ts";
import { propertyRuns } from "../support/effort.ts";

const SEED = 20_261_122;
const KEYS = fc.constantFrom("a", "b", "__proto__", "constructor", "toString", "1", "\ud800", "");

/** As JSON.parse makes them: own properties only, `__proto__` included. */
const records: fc.Arbitrary<Record<string, unknown>> = fc
  .dictionary(KEYS, fc.jsonValue({ maxDepth: 2 }), { noNullPrototype: true })
  .map((record): Record<string, unknown> => JSON.parse(JSON.stringify(record)));

/** Independent of the order of keys. */
function sorted(record: object): [string, string][] {
  const entries = Object.entries(record).map(([key, value]): [string, string] => [
    key,
    JSON.stringify(value),
  ]);
  return entries.toSorted(([a], [b]) => (a < b ? -1 : 1));
}

test("a patch leads back to the old record, also after a way through JSON", () => {
  fc.assert(
    fc.property(records, records, (old, next) => {
      const delta = createDelta(old, next);
      expect(delta === null).toBe(JSON.stringify(sorted(next)) === JSON.stringify(sorted(old)));
      if (delta === null) return;
      expect(sorted(applyDelta(next, delta))).toEqual(sorted(old));
      expect(sorted(applyDelta(next, JSON.parse(JSON.stringify(delta))))).toEqual(sorted(old));
    }),
    { seed: SEED, numRuns: propertyRuns(2_000) },
  );
});

test("__proto__ is a key like any other", () => {
  const old: unknown = JSON.parse('{"__proto__":{"admin":true},"a":1}');
  const delta = createDelta(old, { a: 1 });
  expect(JSON.stringify(delta)).toBe('{"$set":{"__proto__":{"admin":true}}}');
  const back = applyDelta({ a: 1 }, delta ?? {});
  expect(JSON.stringify(back)).toBe('{"a":1,"__proto__":{"admin":true}}');
  expect(Object.getPrototypeOf(back)).toBe(Object.prototype);
  expect(createDelta({ a: 1 }, old)).toEqual({ $unset: ["__proto__"] });
  expect(JSON.stringify(applyDelta(old, { $unset: ["__proto__"] }))).toBe('{"a":1}');
});

test("a patch holds only what differs, at the top level", () => {
  const old = { same: { deep: [1] }, changed: 1, removed: null };
  const next = { same: { deep: [1] }, changed: 2, added: 1 };
  expect(createDelta(old, next)).toEqual({
    $set: { changed: 1, removed: null },
    $unset: ["added"],
  });
  expect(createDelta(old, { ...old })).toBeNull();
});

test("there is no patch from or to what is no object", () => {
  for (const other of [null, undefined, 1, "text", [1], true]) {
    expect([createDelta(other, { a: 1 }), createDelta({ a: 1 }, other)]).toEqual([null, null]);
  }
});

test("neither record is changed", () => {
  const [old, next] = [Object.freeze({ a: 1 }), Object.freeze({ b: 1 })];
  const delta = createDelta(old, next);
  expect(applyDelta(next, delta ?? {})).toEqual({ a: 1 });
  expect([old, next]).toEqual([{ a: 1 }, { b: 1 }]);
});

test("a patch is smaller when its JSON is shorter than the old record's", () => {
  const old = { text: "x".repeat(50), n: 1 };
  expect(isDeltaSmaller({ $set: { n: 1 } }, old)).toBe(true);
  expect(isDeltaSmaller({ $set: old }, old)).toBe(false);
});
