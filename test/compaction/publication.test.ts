import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Change,
  dueRetired,
  fillIn,
  nextHistory,
  preparePublication,
  type Publication,
} from "../../src/compaction/publication.ts";
import { purgeFloorAt } from "../../src/compaction/plan.ts";
import { AssertionError } from "../../src/core/errors.ts";
import { resolveSettings } from "../../src/core/settings.ts";
import {
  decodeManifest,
  EMPTY_MANIFEST,
  encodeManifest,
  LINEAGE_MAX,
  type Manifest,
} from "../../src/format/manifest-codec.ts";
import type { LoadedManifest } from "../../src/view/manifest-store.ts";
import { propertyRuns } from "../support/effort.ts";
import { manifests, run, SEED } from "./arbitraries.ts";

const GRACE = 2_400;
const SETTINGS = resolveSettings({ gcGraceMs: 500, tombstoneGraceMs: GRACE, writerLagMs: 1_000 });
const NEW_RUN = run(999, 10);

function loaded(manifest: Manifest, lastModifiedMs: number): LoadedManifest {
  const exists = manifest.generation > 0;
  return {
    manifest,
    etag: exists ? "etag" : undefined,
    lastModifiedMs: exists ? lastModifiedMs : undefined,
    dateMs: lastModifiedMs,
  };
}

/** A publication that merges all runs into a new one. */
function publish(
  before: LoadedManifest,
  dateMs: number,
  change: Partial<Change> = {},
  settings: { readonly segmentGraceMs?: number; readonly tombstoneGraceMs?: number } = {},
): Publication {
  const full: Change = {
    nonce: "new",
    keptRuns: [],
    newRuns: [NEW_RUN],
    activeRecords: 10,
    replacedRuns: before.manifest.runs,
    clock: 0,
    schema: 0,
    purgeFloor: undefined,
    dateMs,
    ...change,
  };
  return preparePublication(before, full, { ...SETTINGS, ...settings });
}

describe("every publication", () => {
  const any = (check: (before: LoadedManifest, dateMs: number, next: Publication) => void): void =>
    fc.assert(
      fc.property(manifests, fc.nat({ max: 20_000 }), fc.nat({ max: 5_000 }), (m, at, later) => {
        const before = loaded(m, at);
        check(before, at + later, publish(before, at + later, { clock: at, schema: 2 }));
      }),
      { seed: SEED, numRuns: propertyRuns(1_000) },
    );

  test("is one generation further, and nothing goes back", () => {
    any(({ manifest: before }, _, { manifest: after }) => {
      expect(after.generation).toBe(before.generation + 1);
      expect(after.clock).toBeGreaterThanOrEqual(before.clock);
      expect(after.purgeFloor).toBe(before.purgeFloor);
      expect(after.lastPurge).toBe(before.lastPurge);
      expect(after.schema).toBe(Math.max(before.schema, 2));
      expect(after.nonce).toBe("new");
    });
  });

  test("can be read back", () => {
    any((_, _date, { manifest }) => {
      expect(decodeManifest(encodeManifest(manifest), "m")).toEqual(manifest);
    });
  });

  test("is found in the lineage of the next 16", () => {
    any(({ manifest: before }, _, { manifest: after }) => {
      expect(after.lineage.length).toBeLessThanOrEqual(LINEAGE_MAX);
      expect(after.lineage).not.toContain("");
      if (before.generation > 0) expect(after.lineage[0]).toBe(before.nonce);
      expect(after.lineage.slice(1)).toEqual(before.lineage.slice(0, after.lineage.length - 1));
    });
  });

  test("retires both objects of each replaced run, and collects only what is due", () => {
    any((before, dateMs, { manifest: after, due }) => {
      const retired = after.retired.map(({ path }) => path);
      for (const { path, index } of before.manifest.runs) {
        expect(retired).toContain(path);
        expect(retired).toContain(index);
      }
      for (const { at = Infinity } of due) expect(dateMs - at).toBeGreaterThanOrEqual(500);
      for (const { path, at } of after.retired) {
        if (at !== undefined) expect(dateMs - at).toBeLessThan(500);
        expect(after.runs.some((one) => one.path === path || one.index === path)).toBe(false);
      }
      const known = before.manifest.retired.map(({ path }) => path);
      const told = [...due.map(({ path }) => path), ...retired];
      expect(known.every((path) => told.includes(path))).toBe(true);
    });
  });

  test("keeps a short history that loses no purge", () => {
    any((before, dateMs, { manifest: after }) => {
      const full = nextHistory(before);
      const floor = purgeFloorAt(after, full, dateMs, GRACE);
      expect(purgeFloorAt(after, after.history, dateMs, GRACE)).toBe(floor);
      for (const entry of after.history) expect(full).toContainEqual(entry);
      const young = after.history.filter(({ at }) => dateMs - at < GRACE);
      expect(after.history.length - young.length).toBeLessThanOrEqual(1);
      young.slice(1).forEach((entry, n) => {
        expect(entry.at - (young[n]?.at ?? 0)).toBeGreaterThanOrEqual(GRACE / 24);
      });
      expect(after.history.length).toBeLessThanOrEqual(26);
    });
  });
});

test("a store that is compacted all the time can purge in the end", () => {
  let current = loaded({ ...EMPTY_MANIFEST, clock: 0 }, 0);
  let floor = 0;
  for (let dateMs = 10; dateMs < 3 * GRACE; dateMs += 10) {
    floor = purgeFloorAt(current.manifest, nextHistory(current), dateMs, GRACE);
    const { manifest } = publish(current, dateMs, { clock: dateMs, newRuns: [] });
    current = loaded(manifest, dateMs);
  }
  // Not older than the grace period and the spacing of the history ask for.
  expect(floor).toBeGreaterThan(3 * GRACE - GRACE - 3 * (GRACE / 24));
});

test("a purge raises the floor and says when", () => {
  const before = loaded({ ...EMPTY_MANIFEST, generation: 4, nonce: "n", clock: 9 }, 100);
  const { manifest } = publish(before, 200, { purgeFloor: 7 });
  expect(manifest).toMatchObject({ generation: 5, purgeFloor: 7, lastPurge: 5 });
});

test("a floor that falls, or a run that is listed twice, never reaches the store", () => {
  const floored = { ...EMPTY_MANIFEST, generation: 1, nonce: "n", purgeFloor: 7 };
  expect(() => publish(loaded(floored, 1), 2, { purgeFloor: 6 })).toThrow(AssertionError);
  const twice = { keptRuns: [NEW_RUN] };
  expect(() => publish(loaded(EMPTY_MANIFEST, 1), 2, twice)).toThrow(AssertionError);
  const kept = { ...EMPTY_MANIFEST, generation: 1, nonce: "n", runs: [run(1, 1)] };
  const both = { keptRuns: kept.runs, replacedRuns: kept.runs };
  expect(() => publish(loaded(kept, 1), 2, both)).toThrow(AssertionError);
});

test("the first publication has no history, and reports when the store was created", () => {
  const first = publish(loaded(EMPTY_MANIFEST, 50), 1_000).manifest;
  expect(first).toMatchObject({ generation: 1, lineage: [], history: [], retired: [] });
  expect(first.stats).toEqual({
    activeRecords: 10,
    archivedRecords: 0,
    created: "1970-01-01T00:00:01.000Z",
    lastCheckpoint: "1970-01-01T00:00:01.000Z",
  });
  const second = publish(loaded(first, 1_000), 2_000, {
    newRuns: [run(3, 1)],
    activeRecords: 7,
  }).manifest;
  expect(second.history).toEqual([{ generation: 1, clock: 0, at: 1_000 }]);
  expect(second.stats).toEqual({
    activeRecords: 7,
    archivedRecords: 0,
    created: "1970-01-01T00:00:01.000Z",
    lastCheckpoint: "1970-01-01T00:00:02.000Z",
  });
});

test("what a manifest retired has been so since that manifest was written", () => {
  const retired = [{ path: "a" }, { path: "b", at: 5 }];
  expect(fillIn(retired, 9)).toEqual([
    { path: "a", at: 9 },
    { path: "b", at: 5 },
  ]);
  expect(fillIn(retired, undefined)).toEqual(retired);
  const graces = { gcGraceMs: 10, segmentGraceMs: 0 };
  expect(dueRetired(fillIn(retired, 9), 15, graces)).toEqual([{ path: "b", at: 5 }]);
  const none = { gcGraceMs: 0, segmentGraceMs: 0 };
  expect(dueRetired(retired, 1e12, none)).toEqual([{ path: "b", at: 5 }]);
});

test("a list of segments is due by the grace for segments", () => {
  const segments = { count: 1, hi: 7, digest: "0123456789abcdef" };
  const retired = [
    { path: "a", list: true as const, segments, at: 5 },
    { path: "b", at: 5 },
  ];
  const due = (dateMs: number): string[] =>
    dueRetired(retired, dateMs, { gcGraceMs: 10, segmentGraceMs: 20 }).map(({ path }) => path);
  expect([due(14), due(15), due(24), due(25)]).toEqual([[], ["b"], ["b"], ["a", "b"]]);
});

test("what was promised to readers of one manifest is never taken back by the next", () => {
  const first = publish(loaded(EMPTY_MANIFEST, 0), 1, {}, { segmentGraceMs: 60_000 });
  expect(first.manifest.segmentGraceMs).toBe(60_000);
  const second = publish(
    loaded(first.manifest, 1),
    2,
    { newRuns: [run(1, 1)] },
    { segmentGraceMs: 0 },
  );
  expect(second.manifest.segmentGraceMs).toBe(60_000);
  const third = publish(
    loaded(second.manifest, 2),
    3,
    { newRuns: [run(2, 1)] },
    { segmentGraceMs: 90_000.5 },
  );
  expect(third.manifest.segmentGraceMs).toBe(90_001);
});

test("what was promised to writers by one manifest is never taken back by the next", () => {
  const first = publish(loaded(EMPTY_MANIFEST, 0), 1, {}, { tombstoneGraceMs: 7_000 });
  expect(first.manifest.tombstoneGraceMs).toBe(7_000);
  const change = { newRuns: [run(1, 1)] };
  const second = publish(loaded(first.manifest, 1), 2, change, { tombstoneGraceMs: 0 });
  expect(second.manifest.tombstoneGraceMs).toBe(7_000);
  const more = { newRuns: [run(2, 1)] };
  const third = publish(loaded(second.manifest, 2), 3, more, { tombstoneGraceMs: 7_000.5 });
  expect(third.manifest.tombstoneGraceMs).toBe(7_001);
});

test("publishing without deleting leaves everything to a compaction", () => {
  const manifest = { ...EMPTY_MANIFEST, generation: 1, retired: [{ path: "a", at: 5 }] };
  const { due, manifest: next } = publish(loaded(manifest, 5), 1e12, { keepsDue: true });
  expect(due).toEqual([]);
  expect(next.retired).toEqual(manifest.retired);
});
