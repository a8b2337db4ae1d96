import fc from "fast-check";
import { expect, test } from "vitest";
import {
  compareVersions,
  type Entry,
  keyOf,
  nextRevision,
  type Version,
  wins,
} from "../../src/core/version.ts";
import { propertyRuns } from "../support/effort.ts";

const SEED = 20_261_122;

/** Few values, so that ties of every kind happen often. */
const entries: fc.Arbitrary<Entry> = fc.record({
  version: fc.record({
    clock: fc.integer({ min: 1, max: 3 }),
    agent: fc.constantFrom("", "a", "b", "\ud800", "\uffff", "\u{1f600}"),
    writerNonce: fc.constantFrom("0000000000000000", "ffffffffffffffff"),
    revision: fc.constantFrom(0, 1, 2, 10),
  }),
  schemaVersion: fc.constant(1),
  text: fc.option(fc.constantFrom('"a"', '"b"', "{}"), { nil: undefined }),
});

function merge(all: readonly Entry[]): Entry | undefined {
  return all.reduce<Entry | undefined>((best, next) => (wins(next, best) ? next : best), undefined);
}

function sameEntry(a: Entry, b: Entry): boolean {
  return compareVersions(a.version, b.version) === 0 && a.text === b.text;
}

test("merging returns the same in any order, and any number of times", () => {
  const shuffled = fc
    .array(entries, { minLength: 1, maxLength: 8 })
    .chain((all) =>
      fc.tuple(
        fc.constant(all),
        fc.shuffledSubarray([...all, ...all], { minLength: all.length * 2 }),
      ),
    );
  fc.assert(
    fc.property(shuffled, ([all, again]) => {
      expect(merge(again)).toEqual(merge(all));
    }),
    { seed: SEED, numRuns: propertyRuns(2_000) },
  );
});

test("of two different entries exactly one wins, of equal ones none", () => {
  fc.assert(
    fc.property(entries, entries, (a, b) => {
      expect(Number(wins(a, b)) + Number(wins(b, a))).toBe(sameEntry(a, b) ? 0 : 1);
    }),
    { seed: SEED, numRuns: propertyRuns(2_000) },
  );
});

test("winning is transitive", () => {
  fc.assert(
    fc.property(entries, entries, entries, (a, b, c) => {
      if (wins(a, b) && wins(b, c)) expect(wins(a, c)).toBe(true);
    }),
    { seed: SEED, numRuns: propertyRuns(3_000) },
  );
});

test("a revision lies between its base and the next plain write, and counts as a number", () => {
  const base: Version = { clock: 2, agent: "a", writerNonce: "8" };
  const guarded = Array.from({ length: 11 }).reduce<Version[]>(
    (all) => [...all, nextRevision(all.at(-1) ?? base)],
    [base],
  );
  const ascending = [
    { clock: 2, agent: "a", writerNonce: "7", revision: 99 },
    ...guarded,
    { clock: 2, agent: "a", writerNonce: "9" },
    { clock: 2, agent: "b", writerNonce: "0" },
    { clock: 3, agent: "", writerNonce: "0" },
  ];
  ascending.forEach((low, n) => {
    for (const high of ascending.slice(n + 1)) {
      expect(compareVersions(low, high)).toBeLessThan(0);
      expect(compareVersions(high, low)).toBeGreaterThan(0);
    }
  });
  expect(new Set(ascending.map(keyOf)).size).toBe(ascending.length);
  const plain = { ...base, revision: 0 };
  expect([compareVersions(base, plain), keyOf(plain)]).toEqual([0, keyOf(base)]);
});

test("clock, then agent by UTF-16 code unit, then w, then a tombstone, then schema and text", () => {
  const entry = (
    clock: number,
    agent: string,
    writerNonce: string,
    text?: string,
    schemaVersion = 1,
  ): Entry => ({
    version: { clock, agent, writerNonce },
    schemaVersion,
    text,
  });
  const ascending = [
    entry(1, "z", "f", '"z"'),
    entry(2, "", "f", '"z"'),
    entry(2, "B", "f", '"z"'),
    entry(2, "a", "0", '"z"'),
    entry(2, "a", "f", '"a"'),
    entry(2, "a", "f", '"b"'),
    entry(2, "a", "f", '"a"', 2),
    entry(2, "a", "f"),
    entry(2, "\u{1f600}", "0", '"a"'),
    // U+FFFF is below U+1F600 as a code point, but not as code units.
    entry(2, "\uffff", "0", '"a"'),
  ];
  ascending.forEach((low, n) => {
    for (const high of ascending.slice(n + 1))
      expect([wins(high, low), wins(low, high)]).toEqual([true, false]);
  });
  expect(wins(entry(1, "", "0"), undefined)).toBe(true);
});
