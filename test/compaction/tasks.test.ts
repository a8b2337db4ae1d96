/** Compactors that divide the work: parts of the log by shards, units by spans of ids. */
import { expect, onTestFinished, test } from "vitest";
import {
  type CompactOptions,
  compactMetered,
  type PassWithin,
} from "../../src/compaction/compact.ts";
import type { CompactionTask, Found } from "../../src/compaction/report.ts";
import { LEVELS_MAX } from "../../src/compaction/tiers.ts";
import { CostMeter } from "../../src/core/cost-meter.ts";
import { systemRuntime } from "../../src/core/runtime.ts";
import { DEFAULT_SETTINGS } from "../../src/core/settings.ts";
import { levelsOf } from "../../src/format/levels.ts";
import { shardsOf } from "../../src/log/log-ranges.ts";
import { FsBackend } from "../../src/storage/fs/fs-backend.ts";
import { Store } from "../../src/store/store.ts";
import { tempDir } from "../support/temp-dir.ts";
import { GRACES, ids, LIMITS, Scene, scene, sorted } from "./tasks-support.ts";

test("each shard is in one part, whatever the number of parts", () => {
  for (let of = 1; of <= 20; of++) {
    const parts = Array.from({ length: of }, (_, index) => shardsOf({ index, of }));
    expect(parts.flat().toSorted()).toEqual("0123456789abcdef".split(""));
  }
});

test.each([2, 3, 16])("%i workers merge each segment of the log once", async (of) => {
  const held = await scene();
  const expected = new Map([["a", "first"]]);
  await held.write(ids(80).map((id) => [id, `of ${id}`]));
  for (const id of ids(80)) expected.set(id, `of ${id}`);
  const tasks = Array.from({ length: of }, (_, index) => ({ kind: "log", index, of }) as const);
  const reports = await Promise.all(tasks.map((task) => held.pass(task)));
  expect(reports.reduce((sum, { segments }) => sum + segments, 0)).toBe(80);
  for (const { outcome } of reports) expect(outcome).toMatch(/published|idle/);
  const manifest = await held.manifest();
  const busy = reports.filter(({ segments }) => segments > 0).length;
  expect(levelsOf(manifest)).toHaveLength(1 + busy);
  expect(manifest.purgeFloor).toBe(0);
  expect(await held.contents()).toEqual(sorted(expected));
  for (const task of tasks) expect((await held.pass(task)).outcome).toBe("idle");
  // What all of them have listed goes, whoever deletes it.
  await held.runtime.advance(GRACES.segmentGraceMs * 2);
  await held.pass();
  expect(await held.paths("ops/")).toEqual([]);
  expect(await held.contents()).toEqual(sorted(expected));
  expect(held.warnings).toEqual([]);
});

test("workers of one division share the units of a merge, and none loses what it has merged", async () => {
  const held = await scene();
  const expected = new Map<string, string>([["a", "first"]]);
  for (const round of ["old", "new"]) {
    await held.write(ids(60).map((id) => [id, `${round} `.padEnd(400, id)]));
    for (const id of ids(60)) expected.set(id, `${round} `.padEnd(400, id));
    await held.pass({ kind: "log", index: 0, of: 1 });
  }
  const before = await held.manifest();
  expect(levelsOf(before)).toHaveLength(3);
  const tasks = [0, 1, 2, 3].map((index) => ({ kind: "units", index, of: 4 }) as const);
  const reports = await Promise.all(tasks.map((task) => held.pass(task)));
  for (const { outcome, publications } of reports) {
    expect(outcome).toBe("published");
    expect(publications).toBeGreaterThan(1);
  }
  // As much as one pass would write: nothing was merged twice.
  const written = reports.reduce((sum, { records }) => sum + records, 0);
  expect(written).toBeLessThanOrEqual(61 * 2);
  expect(await held.contents()).toEqual(sorted(expected));
  while ((await held.pass()).outcome !== "idle");
  expect(levelsOf(await held.manifest())).toHaveLength(1);
  expect(await held.contents()).toEqual(sorted(expected));
  expect(held.warnings).toEqual([]);
});

test("the first worker of a division merges what the others leave, who do not go on", async () => {
  const held = await scene();
  for (const round of ["old", "new"]) {
    await held.write(ids(60).map((id) => [id, `${round} `.padEnd(400, id)]));
    await held.pass({ kind: "log", index: 0, of: 1 });
  }
  await held.pass({ kind: "units", index: 1, of: 2 });
  const levels = levelsOf(await held.manifest());
  expect(levels.length).toBeGreaterThan(1);
  expect(levels.some(({ isDraining }) => isDraining)).toBe(true);
  await held.pass({ kind: "units", index: 0, of: 2 });
  expect(levelsOf(await held.manifest())).toHaveLength(1);
  expect(await held.contents()).toHaveLength(61);
});

test("four workers of any tasks race over one store: nothing that is read changes", async () => {
  const held = await scene();
  const expected = new Map([["a", "first"]]);
  const tasks: (CompactionTask | undefined)[] = [
    undefined,
    { kind: "log", index: 0, of: 2 },
    { kind: "log", index: 1, of: 3 },
    { kind: "units", index: 0, of: 2 },
    { kind: "units", index: 1, of: 2 },
    { kind: "log", index: 0, of: 1 },
    { kind: "units", index: 2, of: 3 },
  ];
  for (let round = 0; round < 25; round++) {
    const changes = ids(40)
      .filter((_, n) => (n * 7 + round * 11) % 5 === 0)
      .map((id, n): [string, string | undefined] => [
        id,
        (n + round) % 4 === 0 && expected.has(id) ? undefined : `${round} `.padEnd(120, id),
      ]);
    const four = [0, 1, 2, 3].map((n) => tasks[(round * 3 + n * (1 + (round % 3))) % tasks.length]);
    const racing = four.map((task) => held.pass(task));
    await held.write(changes);
    for (const [id, value] of changes) {
      if (value === undefined) expected.delete(id);
      else expected.set(id, value);
    }
    await Promise.all(racing);
    expect(await held.contents(), `round ${round}`).toEqual(sorted(expected));
    await held.runtime.advance(9_000 + round * 400);
  }
  await held.runtime.advance(10 * 60_000);
  await held.write([["last", "to merge everything for"]]);
  expected.set("last", "to merge everything for");
  await held.compactor().pass({ full: true });
  for (let passes = 0; passes < 6; passes++) {
    await held.pass();
    await held.runtime.advance(DEFAULT_SETTINGS.gcGraceMs + 1_000);
  }
  expect(await held.contents()).toEqual(sorted(expected));
  expect(await held.paths("ops/")).toEqual([]);
  const { runs, purgeFloor } = await held.manifest();
  expect(purgeFloor).toBeGreaterThan(0);
  const named = runs.flatMap(({ path, index }) => [path, index]).toSorted();
  expect((await held.paths("snapshots/")).toSorted(), "no garbage is left").toEqual(named);
  expect(held.warnings).toEqual([]);
});

test("on a directory the first part of the log is all of it, and the others are empty", async () => {
  await using directory = await tempDir();
  const location = `${directory.path}/store`;
  const options: CompactOptions = { backend: new FsBackend(), onWarning: () => undefined };
  const pass = (within: PassWithin) => compactMetered(location, options, new CostMeter(), within);
  const store = new Store<string>({ runtime: systemRuntime });
  await store.open(location, { agentId: "w", backend: new FsBackend() });
  onTestFinished(() => store.close());
  await store.set("a", "first");
  await pass({});
  for (const id of ids(30)) await store.set(id, id);
  const log = (index: number): CompactionTask => ({ kind: "log", index, of: 4 });
  expect((await pass({ task: log(1) })).outcome).toBe("idle");
  const racing = [0, 1, 2, 3].map((index) => pass({ task: log(index) }));
  const units = [0, 1].map((index) => pass({ task: { kind: "units", index, of: 2 } }));
  const reports = await Promise.all([...racing, ...units, pass({})]);
  expect(reports.reduce((sum, { segments }) => sum + segments, 0)).toBeGreaterThanOrEqual(30);
  expect((await pass({})).backlog.segments).toBe(0);
  const reader = new Store<string>();
  await reader.open(location, { readOnly: true, backend: new FsBackend() });
  expect(sorted(reader.entries())).toEqual(
    sorted([["a", "first"], ...ids(30).map((id): [string, string] => [id, id])]),
  );
  await reader.close();
});

test("log whose levels others have merged meanwhile is published alone, and not read again", async () => {
  const held = await scene();
  for (let n = 0; n < LEVELS_MAX - 1; n++) {
    await held.write([[`level ${n}`, "x".repeat(100 * (LEVELS_MAX - n))]]);
    await held.pass({ kind: "log", index: 0, of: 1 });
  }
  expect(levelsOf(await held.manifest())).toHaveLength(LEVELS_MAX);
  await held.write([["last", "of the log"]]);
  const { backend } = held;
  const put = backend.put.bind(backend);
  let others: Promise<unknown> | undefined;
  backend.put = async (...args) => {
    // Between the merge of the log with some levels, and its publication.
    if (args[0].endsWith(".index") && others === undefined) {
      others = held.pass({ kind: "units", index: 0, of: 1 });
      await others;
    }
    return put(...args);
  };
  const reads: string[] = [];
  const get = backend.get.bind(backend);
  backend.get = async (...args) => {
    if (args[0].startsWith("ops/")) reads.push(args[0]);
    return get(...args);
  };
  const joining = { ...LIMITS, joinBytesMax: 1_000_000 };
  const report = await held.pass({ kind: "log", index: 0, of: 1 }, joining);
  expect(others).toBeDefined();
  expect(report).toMatchObject({ outcome: "published", publications: 1, segments: 1 });
  expect(reads).toHaveLength(1);
  const newest = levelsOf(await held.manifest())[0]?.runs ?? [];
  expect(newest.map(({ minId, maxId }) => [minId, maxId])).toEqual([["last", "last"]]);
  expect(await held.contents()).toHaveLength(LEVELS_MAX + 1);
});

test("a list of merged log that others published meanwhile is left to who has read it", async () => {
  const held = await scene();
  await held.write([["one", "1"]]);
  const [path = ""] = await held.paths("ops/").then((paths) => paths.slice(-1));
  const index = Number.parseInt(path.slice("ops/".length)[0] ?? "", 16);
  const { backend, runtime } = held;
  const put = backend.put.bind(backend);
  let isFirst = true;
  backend.put = async (...args) => {
    // Of a pass that has begun: another merges the same segment, and its grace passes.
    if (args[0].endsWith(".index") && isFirst) {
      isFirst = false;
      await held.pass({ kind: "log", index, of: 16 });
      await runtime.advance(GRACES.segmentGraceMs * 2);
    }
    return put(...args);
  };
  const report = await held.pass({ kind: "log", index: 0, of: 1 });
  expect(report).toMatchObject({ outcome: "published", segments: 1 });
  const lists = (await held.manifest()).retired.filter(({ segments }) => segments !== undefined);
  expect(lists, "both name it").toHaveLength(2);
  expect(await held.paths("ops/")).toContain(path);
  expect(await held.contents()).toEqual([
    ["a", "first"],
    ["one", "1"],
  ]);
  await held.pass();
  await runtime.advance(GRACES.segmentGraceMs * 2);
  await held.pass();
  expect(await held.paths("ops/")).toEqual([]);
  expect(await held.contents()).toEqual([
    ["a", "first"],
    ["one", "1"],
  ]);
});

test("a look divides the work: it tells what was found, and the pass takes its part", async () => {
  const held = await scene();
  await held.write(ids(20).map((id) => [id, id]));
  const found: Found[] = [];
  const task = { kind: "log", index: 1, of: 2 } as const;
  const divide = async (seen: Found): Promise<CompactionTask> => {
    found.push(seen);
    return task;
  };
  const { report } = await held.compactor().pass({ divide });
  expect(found.map(({ backlog }) => backlog.segments)).toEqual([20]);
  expect(report.segments).toBeGreaterThan(0);
  expect(report.segments).toBeLessThan(20);
  expect((await held.backend.get("compact-log-1-of-2.lease")).status).toBe("found");
  await held.pass();
  const idle = await held.compactor().pass({ divide });
  expect(idle.report.outcome).toBe("idle");
  expect(found, "only where there is work").toHaveLength(1);
});

test("a store without a manifest has no parts", async () => {
  const held = new Scene();
  await held.backend.initialize("store", { readOnly: false });
  await held.write([["a", "first"]]);
  for (const kind of ["log", "units"] as const) {
    expect((await held.pass({ kind, index: 0, of: 2 })).outcome).toBe("idle");
  }
  expect(await held.pass()).toMatchObject({ outcome: "published", segments: 1 });
});
