/** One flipped bit in any byte of any object of a store, where a flush is an object. */
import { expect, test } from "vitest";
import { inMemory } from "./image.ts";
import { judgeCompaction, judgeReads, judgeVerify } from "./judge.ts";
import { makeSpecimen } from "./specimen.ts";
import { type Sweep, sweep } from "./sweep.ts";

const make = inMemory;
const specimen = await makeSpecimen(make);
const all = (): boolean => true;
const current = (path: string): boolean => specimen.current.has(path);

test("the store holds every kind of object", () => {
  const paths = [...specimen.image.keys()];
  for (const kind of ["manifest.json", "archive/", ".index", ".retired", "ops/", ".lease"]) {
    expect(
      paths.filter((path) => path.includes(kind)),
      kind,
    ).not.toEqual([]);
  }
  expect(paths.filter((path) => path.startsWith("snapshots/")).length).toBeGreaterThan(4);
  expect(specimen.flushes).toHaveLength(4);
});

const JUDGES: readonly (readonly [string, Omit<Sweep, "make" | "specimen">])[] = [
  ["never changes what any way to read shows", { judge: judgeReads, isDamaged: all, stride: 1 }],
  [
    "never makes a compaction lose or invent anything",
    { judge: judgeCompaction, isDamaged: all, stride: 9 },
  ],
  [
    "is told by verify, with object and offset",
    { judge: judgeVerify, isDamaged: current, stride: 1 },
  ],
];

test.each(JUDGES)("one bit %s", { timeout: 120_000 }, async (_, how) => {
  expect(await sweep({ make, specimen, ...how })).toEqual([]);
});
