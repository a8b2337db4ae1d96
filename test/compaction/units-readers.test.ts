/** What readers see of a store that is merged in units, by memory of whatever age. */
import { expect, test } from "vitest";
import type { Store } from "../../src/store/store.ts";
import { verify } from "../../src/store/verify.ts";
import { readGolden, REPOSITORY, sortEntries } from "../original/golden/golden-store.ts";
import {
  GRACE_MS,
  KB,
  MANIFEST,
  Scene,
  UNITS,
  bytesOf,
  countLevels,
  ids,
  madeBy,
  text,
  twoLevels,
} from "./units-support.ts";

test("memory reloads after a purge if it is from before the deletions, and not otherwise", async () => {
  const scene = new Scene();
  const { backend, runtime } = scene;
  await backend.initialize("store", { readOnly: false });
  await scene.write(ids(300).map((id) => [id, text("old")]));
  await scene.pass(UNITS);
  const older = await scene.reader();
  expect(older.count()).toBe(300);
  await scene.write(ids(150, 2).map((id) => [id, undefined]));
  await scene.pass({ ...UNITS, portionBytesMin: 1 }, { steps: 1 });
  const newer = await scene.reader();
  expect(newer.count()).toBe(150);
  await runtime.advance(GRACE_MS);
  // Seals, the floor, and a unit.
  await scene.pass(UNITS, { steps: 3 });
  const manifest = await backend.manifest();
  const unitBytes = bytesOf(madeBy(manifest));
  expect(manifest.lastPurge).toBe(manifest.generation - 3);
  const read = async (store: Store<string>): Promise<number> => {
    backend.readBytes = 0;
    await store.refresh();
    return backend.readBytes;
  };
  expect(await read(newer), "one unit").toBeLessThan(1.3 * unitBytes);
  expect(await read(older), "everything").toBeGreaterThan(5 * unitBytes);
  for (const store of [older, newer]) expect(store.count()).toBe(150);
  while ((await scene.pass(UNITS, { steps: 1 })).outcome !== "idle");
  for (const store of [older, newer]) {
    expect(await read(store), "neither reloads again").toBeLessThan(230 * KB);
    expect(sortEntries(store.entries())).toEqual(await scene.contents());
  }
});

test("deletions that only the log held reload every memory from before their purge", async () => {
  const scene = new Scene();
  const { backend, runtime } = scene;
  await backend.initialize("store", { readOnly: false });
  await scene.write([["a", "old"]]);
  await scene.write([["gone", "old"]]);
  await scene.pass(UNITS);
  await scene.write([["gone", undefined]]);
  await scene.write([["z", "last"]]);
  // The newest first: the floor rises above a deletion that still waits.
  const newestFirst = { ...UNITS, logSegmentsMax: 1 };
  await scene.pass(newestFirst, { steps: 1, newestFirst: true });
  // As an earlier version would have left it: with no lane there is nothing to seal.
  await backend.withoutLanes();
  const before = await backend.manifest();
  expect(before.runs.reduce((sum, run) => sum + run.tombstones, 0)).toBe(0);
  const reader = await scene.reader();
  expect(reader.entries().map(([id]) => id)).toEqual(["a", "z"]);
  await runtime.advance(GRACE_MS);
  await scene.pass({ portionBytesMin: 1_000 * KB });
  const after = await backend.manifest();
  expect(after.purgeFloor).toBe(before.clock);
  expect(after.runs.reduce((sum, run) => sum + run.tombstones, 0)).toBe(0);
  expect(after.lastPurge).toBe(after.generation);
  expect(after.generation).toBe(before.generation + 1);
  await reader.refresh();
  expect(sortEntries(reader.entries())).toEqual(await scene.contents());
  expect(reader.count()).toBe(2);
});

const EVERY_KIND = "readers of every kind see the same at each unit, whatever they hold in memory";
test.each([
  ["in the manifest", UNITS],
  ["in catalogues", { ...UNITS, inlineBytesMax: 0, catalogueBytesMax: 1_500 }],
])(`${EVERY_KIND}, of runs that are described %s`, async (_where, limits) => {
  const { scene, expected } = await twoLevels();
  await scene.write([["r00000", expected[0]?.[1]]]);
  await scene.pass(limits, { steps: 1 });

  const lazy = await scene.reader({ skipLoad: true });
  const eager = await scene.reader();
  const follower = await scene.reader();
  const lazyFollower = await scene.reader({ skipLoad: true });
  const [first] = expected;
  expect(await lazy.read("r00000")).toBe(first?.[1]);
  const contents = new Map(expected);
  const probes = ids(30, 10);
  for (let round = 0; round < 25; round++) {
    const id = `r${String((round * 53) % 300).padStart(5, "0")}`;
    const isGone = round % 3 === 2;
    await scene.write([[id, isGone ? undefined : `round ${round}`]]);
    if (isGone) contents.delete(id);
    else contents.set(id, `round ${round}`);
    await scene.pass(limits, { steps: 2 });
    const now = [...contents].toSorted(([a], [b]) => (a < b ? -1 : 1));
    expect(await scene.contents()).toEqual(now);
    await eager.refresh();
    expect(eager.entries().toSorted(([a], [b]) => (a < b ? -1 : 1))).toEqual(now);
    await lazy.refresh();
    const found = await lazy.readMany(probes.slice(round % 7));
    for (const probe of probes.slice(round % 7)) expect(found.get(probe)).toBe(contents.get(probe));
    const [from, to] = ["r00041", "r00257"];
    const within = now.filter(([each]) => each >= from && each < to);
    for (const reader of [lazy, eager]) {
      const up: unknown[] = [];
      for await (const entry of reader.scan({ from, to })) up.push(entry);
      expect(up).toEqual(within);
      const down: unknown[] = [];
      for await (const entry of reader.scan({ from, to, reverse: true })) down.push(entry);
      expect(down).toEqual(within.toReversed());
      const few: unknown[] = [];
      for await (const entry of reader.scan({ from, limit: 5 })) few.push(entry);
      expect(few).toEqual(now.filter(([each]) => each >= from).slice(0, 5));
    }
    const streamed = new Map<string, string>();
    for await (const [each, value] of eager.streamSnapshot()) streamed.set(each, value);
    for await (const { op, id: each, data } of eager.getWalOps()) {
      if (op === "set" && data !== undefined) streamed.set(each, data);
      else streamed.delete(each);
    }
    expect([...streamed].toSorted(([a], [b]) => (a < b ? -1 : 1))).toEqual(now);
    for (const each of [follower, lazyFollower]) {
      const operations = await each.tail();
      const told = operations.map((operation) => `${operation.op} ${operation.id}`);
      // Only what was written: units change nothing.
      expect(told, `round ${round}`).toEqual([`${isGone ? "delete" : "set"} ${id}`]);
    }
  }
  expect(scene.warnings).toEqual([]);
});

test("deletions of an archive are purged later, and memory from before it reloads then", async () => {
  const scene = new Scene();
  const { backend, runtime } = scene;
  await backend.initialize("store", { readOnly: false });
  await scene.write(ids(60).map((id) => [id, text("old")]));
  await scene.pass(UNITS);
  await runtime.advance(GRACE_MS);
  // The clocks of all records are at or below what a purge may raise the floor to.
  const before = await scene.reader();
  expect(before.count()).toBe(60);
  const archiver = await scene.open({ agentId: "archiver" });
  const odd = new Set(ids(30, 2));
  const archived = await archiver.archive((_, id) => odd.has(id), "p");
  expect(archived).toBe(30);
  await archiver.close();
  const after = await scene.reader();
  expect(after.count()).toBe(30);
  const named = (await backend.manifest()).generation;
  await runtime.advance(GRACE_MS);
  await scene.pass(UNITS);
  await scene.pass(UNITS, { full: true });
  const manifest = await backend.manifest();
  expect(manifest.runs.reduce((sum, run) => sum + run.tombstones, 0)).toBe(0);
  expect(manifest.lastPurge).toBeGreaterThan(0);
  expect(manifest.lastPurge).toBeLessThanOrEqual(named);
  for (const store of [before, after]) {
    await store.refresh();
    expect(sortEntries(store.entries())).toEqual(await scene.contents());
    expect(store.count()).toBe(30);
  }
  expect((await after.loadArchive("p")).size).toBe(30);
});

test("a store in format 1 is read as it is, and upgraded by one publication", async () => {
  const scene = new Scene();
  const { backend } = scene;
  const { golden, files } = await readGolden(REPOSITORY, "format-1-objects");
  await backend.initialize("store", { readOnly: false });
  for (const [path, bytes] of files) await backend.put(path, bytes, "none");
  const format = async (): Promise<unknown> => {
    const found = await backend.get(MANIFEST);
    return found.status === "found"
      ? JSON.parse(String(Buffer.from(found.body))).format
      : undefined;
  };
  const old = await backend.manifest();
  expect(await format()).toBe(1);
  expect(old.runs.every(({ since }) => since === undefined)).toBe(true);
  expect(countLevels(old)).toBe(old.runs.length);
  expect(old.runs.length).toBeGreaterThan(1);
  const reader = await scene.reader();
  expect(sortEntries(reader.entries())).toEqual(golden.records);
  const lazy = await scene.reader({ skipLoad: true });
  const [some] = golden.records;
  expect(await lazy.read(some?.[0] ?? "")).toEqual(some?.[1]);
  backend.published.length = 0;
  expect(await scene.pass({})).toMatchObject({ outcome: "published", publications: 1 });
  expect(await format()).toBe(4);
  const now = await backend.manifest();
  expect(countLevels(now)).toBe(1);
  await reader.refresh();
  for (const store of [reader, await scene.reader()]) {
    expect(sortEntries(store.entries())).toEqual(golden.records);
  }
  expect(await lazy.read(some?.[0] ?? "")).toEqual(some?.[1]);
  expect((await verify("store", { backend })).problems ?? []).toEqual([]);
});
