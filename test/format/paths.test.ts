import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CLOCK_MAX } from "../../src/core/version.ts";
import * as paths from "../../src/format/paths.ts";
import { checkPath } from "../../src/core/relative-path.ts";
import { propertyRuns } from "../support/effort.ts";

const SEED = 20_261_122;
const RAND = "9f86d081884c7d65";
const STREAM = `agent-web_7-1766400000000-${RAND}`;

const hex = fc
  .array(fc.constantFrom(..."0123456789abcdef".split("")), { minLength: 16, maxLength: 16 })
  .map((digits) => digits.join(""));
const streams = fc.record({
  agentId: fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom("", "..", "../../x", "\ud800")),
  openMs: fc.integer({ min: 0, max: 2 ** 43 }),
  rand: hex,
});

test("the names in the documentation are the names", () => {
  expect(paths.runPaths(12, RAND)).toEqual({
    path: `snapshots/snap-12-${RAND}.jsonl`,
    index: `snapshots/snap-12-${RAND}.index`,
  });
  const openMs = 1_766_400_000_000;
  expect(paths.streamName({ agentId: "web-7", openMs, rand: RAND })).toBe(STREAM);
  expect(paths.streamName({ agentId: "", openMs: openMs + 0.5, rand: RAND })).toBe(
    `ops-1766400000000-${RAND}`,
  );
  const name = { stream: `ops-1-${RAND}`, n: 1, lo: 41, hi: 42, filter: "mfzwi4k3nzqw" };
  expect(paths.segmentPath(name)).toBe(`ops/9/ops-1-${RAND}/1-41-42-mfzwi4k3nzqw.jsonl`);
  expect(paths.logFilePath(`ops-1-${RAND}`, 3)).toBe(`ops/ops-1-${RAND}.3.jsonl`);
});

test.each([-1, -1.5, 1e16, 1e21, Infinity, Number.NaN])(
  "a clock at %s ms makes names that can be parsed",
  (openMs) => {
    const stream = paths.streamName({ agentId: "web-7", openMs, rand: RAND });
    const name = { stream, n: 1, lo: 41, hi: 42, filter: "mfzwi4k3nzqw" };
    expect(paths.parseSegmentPath(paths.segmentPath(name))).toMatchObject({ stream, lo: 41 });
    expect(paths.parseLogFilePath(paths.logFilePath(stream, 1))).toEqual({ stream, k: 1 });
  },
);

test("segment names are parsed back, whatever the agentId, and stay inside the store", () => {
  const ids = fc.array(fc.string({ unit: "binary", minLength: 1 }), {
    minLength: 1,
    maxLength: 12,
  });
  fc.assert(
    fc.property(streams, ids, fc.nat(), fc.nat(), fc.nat(), (stream, some, n, lo, span) => {
      const name = {
        stream: paths.streamName(stream),
        n: n + 1,
        lo: lo + 1,
        hi: Math.min(lo + 1 + span, CLOCK_MAX),
        filter: paths.encodeFilter(some),
      };
      const path = paths.segmentPath(name);
      expect(path).toMatch(
        /^ops\/[0-9a-f]\/(agent-\w{1,32}|ops)-\d+-[0-9a-f]{16}\/[a-z2-7\d-]+\.jsonl$/,
      );
      expect(checkPath(path).length).toBeLessThan(250);
      const filter = paths.decodeFilter(name.filter);
      expect(paths.parseSegmentPath(path)).toEqual({ ...name, filter });
    }),
    { seed: SEED, numRuns: propertyRuns(500) },
  );
});

test("log file names and run names are parsed back", () => {
  fc.assert(
    fc.property(streams, fc.integer({ min: 1, max: 999_999_999 }), (parts, k) => {
      const stream = paths.streamName(parts);
      expect(paths.parseLogFilePath(paths.logFilePath(stream, k))).toEqual({ stream, k });
      const { path, index } = paths.runPaths(k, parts.rand);
      expect([paths.parseRunBase(path), paths.parseRunBase(index)]).toEqual([k, k]);
    }),
    { seed: SEED, numRuns: propertyRuns(300) },
  );
});

test("archives are parsed back, and lie in archive/ whatever they are called", () => {
  fc.assert(
    fc.property(streams, fc.string({ minLength: 1 }), fc.nat(), ({ rand }, period, base) => {
      const path = paths.archivePath({ period, base, rand });
      expect(path).toMatch(/^archive\/archive-[A-Za-z0-9_-]{1,32}-\d+-[0-9a-f]{16}\.jsonl$/);
      expect(paths.parseArchiveBase(checkPath(path))).toBe(base);
      expect(paths.parseRunBase(path)).toBeUndefined();
    }),
    { seed: SEED, numRuns: propertyRuns(300) },
  );
  const name = paths.archivePath({ period: "2026-Q4", base: 12, rand: RAND });
  expect(name).toBe(`archive/archive-2026-Q4-12-${RAND}.jsonl`);
  expect(paths.archiveName("2026-Q4")).toBe("archive/archive-2026-Q4.json");
});

test("claims and transactions are parsed back", () => {
  expect(paths.claimPath({ lane: 0x3f, n: 12 })).toBe("ops/3/lane-3f/000000000012.jsonl");
  const t = 1_795_356_093;
  const txn = "ops/a/txn-001795356093-a1b2c3d4e5f60718.jsonl";
  expect(paths.txnPath({ t, rand: "a1b2c3d4e5f60718" })).toBe(txn);
  fc.assert(
    fc.property(fc.nat(255), fc.integer({ min: 1, max: 10 ** 12 - 1 }), hex, (lane, n, rand) => {
      const path = paths.claimPath({ lane, n });
      expect(paths.parseClaimPath(checkPath(path))).toEqual({ lane, n });
      const name = paths.txnPath({ t: n, rand });
      expect(paths.parseTxnPath(checkPath(name))).toEqual({ t: n, rand });
      for (const other of [path, name]) {
        expect(paths.parseSegmentPath(other) ?? paths.parseLogFilePath(other)).toBeUndefined();
        expect(paths.isLegacyLog(other)).toBe(false);
        // Programs that know of no lanes stop at it.
        expect(paths.isLikeLog(other)).toBe(true);
      }
      expect(paths.parseTxnPath(path) ?? paths.parseClaimPath(name)).toBeUndefined();
    }),
    { seed: SEED, numRuns: propertyRuns(300) },
  );
});

describe("a name that this code does not write", () => {
  test.each([
    "ops/3/lane-3f/000000000000.jsonl",
    "ops/4/lane-3f/000000000012.jsonl",
    "ops/3/lane-3F/000000000012.jsonl",
    "ops/3/lane-3f/12.jsonl",
    "ops/3/lane-3f/0000000000012.jsonl",
    "ops/lane-3f/000000000012.jsonl",
    "ops/3/lane-3f0/000000000012.jsonl",
    "ops/3/lane-3f/000000000012.jsonl.tmp",
    `ops/9/txn-1795356093-${RAND}.jsonl`,
    `ops/8/txn-001795356093-${RAND}.jsonl`,
    `ops/9/txn-001795356093-${RAND}0.jsonl`,
    `ops/9/txn-001795356093-${RAND.toUpperCase()}.jsonl`,
  ])("is no claim and no transaction: %s", (path) => {
    expect(paths.parseClaimPath(path) ?? paths.parseTxnPath(path)).toBeUndefined();
  });

  const good = `ops/9/${STREAM}/1-41-42-mfzwi4.jsonl`;

  test("differs from a good one in one character at most", () => {
    expect(paths.parseSegmentPath(good)).toBeDefined();
  });

  test.each([
    `ops/8/${STREAM}/1-41-42-mfzwi4.jsonl`,
    `ops/${STREAM}/1-41-42-mfzwi4.jsonl`,
    `ops/9/x/${STREAM}/1-41-42-mfzwi4.jsonl`,
    `ops/9/${STREAM}/0-41-42-mfzwi4.jsonl`,
    `ops/9/${STREAM}/-1-41-42-mfzwi4.jsonl`,
    `ops/9/${STREAM}/1-41-mfzwi4.jsonl`,
    `ops/9/${STREAM}/1-41-42-mfzwi.jsonl`,
    `ops/9/${STREAM}/1-41-42-mfzwi1.jsonl`,
    `ops/9/${STREAM}/1-41-42-.jsonl`,
    `ops/9/${STREAM}/1-41-42-00.jsonl`,
    `ops/9/${STREAM}/1-41-42-${"a".repeat(198)}.jsonl`,
    `ops/9/${STREAM}/1-41-42-mfzwi4.jsonl.gz`,
    `ops/9/${STREAM}/1-4e1-42-mfzwi4.jsonl`,
    `ops/9/agent--1-${RAND}/1-41-42-mfzwi4.jsonl`,
    `ops/9/agent-${"x".repeat(33)}-1-${RAND}/1-41-42-mfzwi4.jsonl`,
    `ops/9/ops-1-${RAND.toUpperCase()}/1-41-42-mfzwi4.jsonl`,
    "ops/agent-a-1766400000000.jsonl",
    "ops//.jsonl",
    "",
  ])("is no segment: %s", (path) => {
    expect(paths.parseSegmentPath(path)).toBeUndefined();
  });

  test.each([
    `ops/${STREAM}.0.jsonl`,
    `ops/${STREAM}.jsonl`,
    `ops/9/${STREAM}.1.jsonl`,
    `ops/${STREAM}.1.jsonl.tmp`,
    `ops/${STREAM}.-1.jsonl`,
    `ops/${STREAM}.1234567890.jsonl`,
    "ops/ops-1766400000000.jsonl",
  ])("is no log file: %s", (path) => {
    expect(paths.parseLogFilePath(path)).toBeUndefined();
  });

  test.each([
    "archive/archive-2026-Q4.json",
    `archive/archive-2026-Q4-1-${RAND}.json`,
    `archive/archive-1-${RAND}.jsonl`,
    `archive/archive-a-b-${RAND}.jsonl`,
    `archive/a-1-${RAND}.jsonl`,
    `snapshots/archive-a-1-${RAND}.jsonl`,
  ])("is no archive of ours: %s", (path) => {
    expect(paths.parseArchiveBase(path)).toBeUndefined();
  });

  test.each([`snapshots/snap-1.json`, `snapshots/snap-x-${RAND}.jsonl`, `snap-1-${RAND}.jsonl`])(
    "is no run: %s",
    (path) => {
      expect(paths.parseRunBase(path)).toBeUndefined();
    },
  );
});

describe("filters", () => {
  test("admit what they were made of, and say any above 32", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.string({ unit: "binary" }), { minLength: 1, maxLength: 40, size: "max" }),
        (ids) => {
          const text = paths.encodeFilter(ids);
          const filter = paths.decodeFilter(text);
          if (filter === undefined) throw new Error(`not a filter: ${text}`);
          for (const id of ids) expect(paths.filterAdmits(filter, paths.filterHash(id))).toBe(true);
          if (ids.length > 33) expect(text).toBe("0");
          if (ids.length <= 32) expect(paths.filterAdmits(filter, "zzzzzz")).toBe(false);
        },
      ),
      { seed: SEED, numRuns: propertyRuns(300) },
    );
  });

  test("an id has one hash, a lone surrogate one of its own", () => {
    const hashes = ["a", "b", "\ud800", "\udfff", "\ufffd", "__proto__"].map(paths.filterHash);
    expect(new Set(hashes).size).toBe(6);
    for (const hash of hashes) expect(hash).toMatch(/^[a-z2-7]{6}$/);
    // First 30 bits of SHA-256 of the three bytes "a" with its quotes, by an independent tool.
    expect(paths.filterHash("a")).toBe("vsgygq");
  });
});

test("impossible clocks are reported", () => {
  expect(paths.clocksPlausible({ lo: 1, hi: CLOCK_MAX })).toBe(true);
  for (const [lo, hi] of [
    [0, 1],
    [2, 1],
    [1, CLOCK_MAX + 1],
    [1.5, 2],
    [1, Number.NaN],
  ] as const) {
    expect(paths.clocksPlausible({ lo, hi })).toBe(false);
  }
});

describe("names of the original", () => {
  test.each([
    "ops/ops-1766400000000.jsonl",
    "ops/agent-a-1766400000000.jsonl",
    "ops/agent-a b/c\n-5-1766400000000.jsonl",
    "ops/wal-1766400000000/batch-1766400000001-0000.jsonl",
    "ops/agent-x-1766400000000/batch-1766400000001-12345.jsonl",
  ])("%j is a log", (path) => {
    expect(paths.isLegacyLog(path)).toBe(true);
    expect([paths.parseLogFilePath(path), paths.parseSegmentPath(path)]).toEqual([
      undefined,
      undefined,
    ]);
  });

  test.each([
    "ops/ops-1766400000000.jsonl.bak",
    "ops/ops-x.jsonl",
    "ops/agent-1766400000000.jsonl",
    "ops/wal-1/batch-1.jsonl",
    "other/ops-1.jsonl",
    `ops/ops-1766400000000-${"0".repeat(16)}.1.jsonl`,
    `ops/agent-a-1766400000000-${"1".repeat(16)}.2.jsonl`,
    `ops/0/agent-a-1-${"0".repeat(16)}/1-1-2-0.jsonl`,
  ])("%j is no log", (path) => {
    expect(paths.isLegacyLog(path)).toBe(false);
  });

  test("batches have an order; snapshots are distinguished from our runs", () => {
    const batch = "ops/wal-1/batch-1766400000001-0012.jsonl";
    expect(paths.legacyBatchOrder(batch)).toEqual([1_766_400_000_001, 12]);
    expect(paths.legacyBatchOrder("ops/wal-1/other.jsonl")).toBeUndefined();
    const { path, index } = paths.runPaths(0, "0".repeat(16));
    for (const ours of [path, index, paths.retiredListPath(0, "0".repeat(16))]) {
      expect([paths.parseRunBase(ours), paths.isLegacySnapshot(ours)]).toEqual([0, false]);
    }
    for (const ending of ["jsonl", "json", "jsonl.tmp"]) {
      const original = `snapshots/snap-1766400000000.${ending}`;
      expect([paths.isLegacySnapshot(original), paths.parseRunBase(original)]).toEqual([
        true,
        undefined,
      ]);
    }
  });
});
