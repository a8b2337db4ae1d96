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
import { purgeFloorAt } from "../../src/compaction/purge.ts";
import { AssertionError } from "../../src/core/errors.ts";
import { resolveSettings } from "../../src/core/settings.ts";
import {
  decodeManifest,
  EMPTY_MANIFEST,
  encodeManifest,
  LINEAGE_MAX,
  type Manifest,
} from "../../src/format/manifest-codec.ts";
import type { Level } from "../../src/format/levels.ts";
import type { RunInfo } from "../../src/format/run-info.ts";
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

/** Each run as a level, the newest first. */
function levels(...runs: readonly RunInfo[]): Level[] {
  return runs.map((each) => ({ runs: [each], isDraining: false }));
}

/** A publication that merges all runs into a new one. */
function publish(
  before: LoadedManifest,
  dateMs: number,
  change: Partial<Change> = {},
  settings: Partial<typeof SETTINGS> = {},
): Publication {
  const full: Change = {
    nonce: "new",
    levels: levels(NEW_RUN),
    activeRecords: 10,
    clock: 0,
    schema: 0,
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
    const { manifest } = publish(current, dateMs, { clock: dateMs, levels: [] });
    current = loaded(manifest, dateMs);
  }
  // Not older than the grace period and the spacing of the history ask for.
  expect(floor).toBeGreaterThan(3 * GRACE - GRACE - 3 * (GRACE / 24));
});

describe("a purge", () => {
  const manifest = { ...EMPTY_MANIFEST, generation: 4, nonce: "n", clock: 9, lastPurge: 2 };
  const before = loaded(manifest, 100);

  test("raises the floor", () => {
    expect(publish(before, 200, { purgeFloor: 7 }).manifest).toMatchObject({ purgeFloor: 7 });
  });

  test.each([
    ["names the generation that has seen all it drops", 3, 3],
    ["of what no generation before has seen names its own", "new", 5],
    ["of what an earlier purge covers leaves that one", 1, 2],
    ["that drops nothing leaves the earlier one", undefined, 2],
  ] as const)("%s", (_, purgedSince, lastPurge) => {
    const { manifest: next } = publish(before, 200, { purgeFloor: 7, purgedSince });
    expect(next).toMatchObject({ generation: 5, lastPurge });
  });
});

describe("the runs of a publication", () => {
  const held = { ...run(1, 1), since: 2, level: 1 };
  const before = loaded({ ...EMPTY_MANIFEST, generation: 4, nonce: "n", runs: [held] }, 100);

  test("that are new name its generation; others keep theirs, or have none", () => {
    const { since: _, ...unknown } = { ...run(2, 1), since: 0 };
    const manifest = { ...before.manifest, runs: [unknown, held] };
    const next = publish(loaded(manifest, 100), 200, { levels: levels(NEW_RUN, held, unknown) });
    expect(next.manifest.runs.map(({ path, since }) => [path, since])).toEqual([
      [unknown.path, undefined],
      [held.path, 2],
      [NEW_RUN.path, 5],
    ]);
    expect(next.manifest.retired).toEqual([]);
  });

  test("are numbered by their levels, and levels that drain are named", () => {
    const [a, b, c] = [
      run(3, 1),
      { ...run(4, 1), minId: "b" },
      { ...run(5, 1), minId: "a", maxId: "a" },
    ];
    const change: Partial<Change> = {
      levels: [
        { runs: [a], isDraining: false },
        { runs: [], isDraining: true },
        { runs: [b, c], isDraining: true },
        { runs: [held], isDraining: false },
      ],
    };
    const { runs, draining } = publish(before, 200, change).manifest;
    expect(runs.map(({ path, level }) => [path, level])).toEqual([
      [held.path, 2],
      [c.path, 1],
      [b.path, 1],
      [a.path, 0],
    ]);
    expect(draining).toEqual([1]);
  });

  test("may lose spans, and stay the same objects", () => {
    const excised = [{ from: "b", to: "c" }];
    const change = { levels: levels(NEW_RUN, { ...held, excised }) };
    const { manifest } = publish(before, 200, change);
    expect(manifest.runs[0]).toEqual({ ...held, excised });
    expect(manifest.retired).toEqual([]);
    const again = { levels: levels(run(7, 1), { ...held, excised: [{ from: "b", to: "d" }] }) };
    expect(publish(loaded(manifest, 1), 2, again).manifest.runs[0]?.excised).toHaveLength(1);
    for (const back of [{}, { excised: [{ from: "b", to: "bb" }] }, { excised: [] }]) {
      const returning = { levels: levels({ ...held, ...back }) };
      expect(() => publish(loaded(manifest, 1), 2, returning)).toThrow(AssertionError);
    }
  });
});

test("a floor that falls, or a run that is listed twice, never reaches the store", () => {
  const floored = { ...EMPTY_MANIFEST, generation: 1, nonce: "n", purgeFloor: 7 };
  expect(() => publish(loaded(floored, 1), 2, { purgeFloor: 6 })).toThrow(AssertionError);
  for (const twice of [
    levels(NEW_RUN, NEW_RUN),
    [{ runs: [NEW_RUN, NEW_RUN], isDraining: false }],
  ]) {
    expect(() => publish(loaded(EMPTY_MANIFEST, 1), 2, { levels: twice })).toThrow(AssertionError);
  }
  const retired = { retired: [{ path: NEW_RUN.path }] };
  expect(() => publish(loaded(EMPTY_MANIFEST, 1), 2, retired)).toThrow(AssertionError);
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
    levels: levels(run(3, 1)),
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
  const graces = { gcGraceMs: 10, segmentGraceMs: 0, guardGraceMs: 60_000 };
  expect(dueRetired(fillIn(retired, 9), 15, graces)).toEqual([{ path: "b", at: 5 }]);
  const none = { gcGraceMs: 0, segmentGraceMs: 0, guardGraceMs: 60_000 };
  expect(dueRetired(retired, 1e12, none)).toEqual([{ path: "b", at: 5 }]);
});

test("a list of segments is due by the grace for segments", () => {
  const segments = { count: 1, hi: 7, digest: "0123456789abcdef" };
  const retired = [
    { path: "a", list: true as const, segments, at: 5 },
    { path: "b", at: 5 },
  ];
  const due = (dateMs: number): string[] =>
    dueRetired(retired, dateMs, { gcGraceMs: 10, segmentGraceMs: 20, guardGraceMs: 60_000 }).map(
      ({ path }) => path,
    );
  expect([due(14), due(15), due(24), due(25)]).toEqual([[], ["b"], ["b"], ["a", "b"]]);
});

test("what was promised to readers of one manifest is never taken back by the next", () => {
  const first = publish(loaded(EMPTY_MANIFEST, 0), 1, {}, { segmentGraceMs: 60_000 });
  expect(first.manifest.segmentGraceMs).toBe(60_000);
  const second = publish(
    loaded(first.manifest, 1),
    2,
    { levels: levels(run(1, 1)) },
    { segmentGraceMs: 0 },
  );
  expect(second.manifest.segmentGraceMs).toBe(60_000);
  const third = publish(
    loaded(second.manifest, 2),
    3,
    { levels: levels(run(2, 1)) },
    { segmentGraceMs: 90_000.5 },
  );
  expect(third.manifest.segmentGraceMs).toBe(90_001);
});

test("what was promised to writers by one manifest is never taken back by the next", () => {
  const first = publish(loaded(EMPTY_MANIFEST, 0), 1, {}, { tombstoneGraceMs: 7_000 });
  expect(first.manifest.tombstoneGraceMs).toBe(7_000);
  const change = { levels: levels(run(1, 1)) };
  const second = publish(loaded(first.manifest, 1), 2, change, { tombstoneGraceMs: 0 });
  expect(second.manifest.tombstoneGraceMs).toBe(7_000);
  const more = { levels: levels(run(2, 1)) };
  const third = publish(loaded(second.manifest, 2), 3, more, { tombstoneGraceMs: 7_000.5 });
  expect(third.manifest.tombstoneGraceMs).toBe(7_001);
});

test("publishing without deleting leaves everything to a compaction", () => {
  const manifest = { ...EMPTY_MANIFEST, generation: 1, retired: [{ path: "a", at: 5 }] };
  const { due, manifest: next } = publish(loaded(manifest, 5), 1e12, { keepsDue: () => true });
  expect(due).toEqual([]);
  expect(next.retired).toEqual(manifest.retired);
});

describe("lanes", () => {
  const born = { ...EMPTY_MANIFEST, generation: 1, nonce: "b", lanes: [3, 0, 7], sealed: 1 };

  test("are passed on with their seal; a store without them is given some, and needs no seal", () => {
    const first = publish(loaded(born, 1), 2);
    expect(first.manifest).toMatchObject({ lanes: [3, 0, 7], sealed: 1 });
    const plain = { ...born, generation: 6, lanes: undefined, guardGraceMs: 0, sealed: 0 };
    const given = publish(loaded(plain, 1), 2).manifest;
    expect(given).toMatchObject({ generation: 7, lanes: [], guardGraceMs: 60_000, sealed: 7 });
  });

  test("of a change and its seal replace those of the manifest, and never go back", () => {
    const lanes = { after: [3, 5, 8], sealed: 1 };
    const next = publish(loaded({ ...born, generation: 4, sealed: 3 }, 1), 2, { lanes });
    expect(next.manifest).toMatchObject({ lanes: [3, 5, 8], sealed: 3 });
    const back = { lanes: { after: [2, 5, 8] } };
    expect(() => publish(loaded(born, 1), 2, back)).toThrow(/no lane goes back/);
  });

  test("of passed claims wait for their own grace on every medium", () => {
    const retired = [{ path: "c", list: true as const, claims: true as const, at: 5 }];
    const due = (dateMs: number): number =>
      dueRetired(retired, dateMs, { gcGraceMs: 1, segmentGraceMs: 0, guardGraceMs: 20 }).length;
    expect([due(24), due(25)]).toEqual([0, 1]);
  });

  test("have a grace that is never shortened, nor shorter than that of segments", () => {
    const first = publish(loaded(born, 1), 2, {}, { guardGraceMs: 70_000.5 });
    expect(first.manifest.guardGraceMs).toBe(70_001);
    const next = { ...first.manifest, runs: [] };
    const change = { levels: levels(run(998, 10)) };
    const shorter = publish(loaded(next, 2), 3, change, { guardGraceMs: 0 });
    expect(shorter.manifest.guardGraceMs).toBe(70_001);
    const longer = publish(loaded(next, 2), 3, change, { segmentGraceMs: 90_000 });
    expect(longer.manifest.guardGraceMs).toBe(90_000);
  });
});
