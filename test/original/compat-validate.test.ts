/** The validators accept and refuse what the original's do, in its words: the original judges. */
import * as original from "@backloghq/opslog";
import { describe, expect, test } from "vitest";
import { InvalidArgumentError } from "../../src/core/errors.ts";
import * as ours from "../../src/legacy/validate.ts";

type Validator = (raw: unknown) => unknown;

const OPERATION = {
  ts: "2026-01-15T12:00:00.000Z",
  op: "set",
  id: "a",
  prev: null,
  data: { n: 1 },
};
const STATS = {
  activeRecords: 1,
  archivedRecords: 0,
  opsCount: 2,
  created: "c",
  lastCheckpoint: "l",
};
const MANIFEST = {
  version: 1,
  currentSnapshot: "snapshots/s",
  activeOps: "ops/o",
  activeAgentOps: { a: "ops/a" },
  archiveSegments: ["archive/a"],
  stats: STATS,
};
const SNAPSHOT = { version: 1, timestamp: "t", records: { a: 1 } };
const ARCHIVE = { version: 1, period: "2026-Q1", timestamp: "t", records: {} };

/** Values of every kind, for every field. */
const VALUES: readonly unknown[] = [
  undefined,
  null,
  "",
  "x",
  "set",
  "delete",
  "full",
  "delta",
  0,
  1,
  -1,
  1.5,
  Number.NaN,
  Infinity,
  2 ** 60,
  true,
  [],
  [""],
  ["x"],
  [1],
  {},
  { a: "" },
  { a: "x" },
  { a: 1 },
  () => 1,
  5n,
];

const CASES: readonly (readonly [string, Validator, Validator, readonly object[]])[] = [
  [
    "validateOp",
    ours.validateOp,
    original.validateOp,
    [
      OPERATION,
      { ...OPERATION, encoding: "delta", agent: "a", clock: 1, prev: {} },
      { ts: "t", op: "delete", id: "a", prev: { n: 1 } },
    ],
  ],
  ["validateManifest", ours.validateManifest, original.validateManifest, [MANIFEST]],
  ["validateSnapshot", ours.validateSnapshot, original.validateSnapshot, [SNAPSHOT]],
  [
    "validateArchiveSegment",
    ours.validateArchiveSegment,
    original.validateArchiveSegment,
    [ARCHIVE],
  ],
];

/** Each field left out, each field with each value; values that are no object. */
function* variants(base: object): Generator {
  const fields = new Set([...Object.keys(base), "encoding", "agent", "clock", "data", "prev"]);
  yield base;
  for (const field of fields) {
    yield Object.fromEntries(Object.entries(base).filter(([name]) => name !== field));
    for (const value of VALUES) {
      yield { ...base, [field]: value };
      for (const op of ["set", "delete"]) yield { ...base, op, [field]: value };
    }
  }
  for (const field of Object.keys(STATS)) {
    for (const value of VALUES) yield { ...base, stats: { ...STATS, [field]: value } };
  }
  yield* VALUES;
}

function verdict(validate: Validator, raw: unknown): unknown {
  try {
    return validate(raw) === raw ? "accepted" : "another value";
  } catch (error) {
    return error instanceof Error ? error.message : error;
  }
}

describe.each(CASES)("%s", (_name, ourOwn, theirs, bases) => {
  test("accepts and refuses what the original does, with the same text", () => {
    const verdicts = new Set<unknown>();
    for (const base of bases) {
      for (const raw of variants(base)) {
        const expected = verdict(theirs, raw);
        expect(verdict(ourOwn, raw)).toBe(expected);
        verdicts.add(expected);
      }
    }
    expect(verdicts).toContain("accepted");
    expect(verdicts.size).toBeGreaterThan(4);
  });

  test("refuses with InvalidArgumentError", () => {
    expect(() => ourOwn(7)).toThrow(InvalidArgumentError);
  });
});
