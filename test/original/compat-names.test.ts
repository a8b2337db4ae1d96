/** What else programs of the original import: the clock, the lock, deltas, snapshot files. */
import { mkdir, readFile, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, expectTypeOf, onTestFinished, test } from "vitest";
import {
  acquireLock,
  applyDelta,
  type ArchiveSegment,
  CorruptionError,
  createDelta,
  type DeltaPatch,
  isDeltaSmaller,
  LamportClock,
  LockedError,
  type LockHandle,
  type Manifest,
  type ManifestInfo,
  type ManifestStats,
  type Operation,
  releaseLock,
  type Snapshot,
  type StorageBackend,
  Store,
  type StoreOptions,
  StoreNotFoundError,
  type StoreStats,
  streamSnapshotFile,
} from "../../src/index.ts";
import { tempDir } from "../support/temp-dir.ts";

async function directory(): Promise<string> {
  const made = await tempDir();
  onTestFinished(() => made[Symbol.asyncDispose]());
  return made.path;
}

test("LamportClock counts events and stays ahead of what it received", () => {
  const clock = new LamportClock();
  expect([clock.current, clock.tick(), clock.tick(), clock.current]).toEqual([0, 1, 2, 2]);
  expect([clock.merge(10), clock.merge(3), clock.current]).toEqual([11, 12, 12]);
  expect(new LamportClock(7).tick()).toBe(8);
});

test("deltas take the null of a create", () => {
  expect(createDelta(null, { a: 1 })).toBeNull();
  expect([isDeltaSmaller(null, { a: 1 }), isDeltaSmaller({ $set: {} }, null)]).toEqual([
    false,
    false,
  ]);
  const before = { a: 1, gone: true };
  const patch = createDelta(before, { a: 2, added: 1 });
  expect(applyDelta({ a: 2, added: 1 }, patch ?? {})).toEqual(before);
});

describe("acquireLock", () => {
  test("excludes a single-writer store, and is excluded by one", async () => {
    const path = await directory();
    const handle = await acquireLock(path);
    expect(await readFile(join(path, ".lock"), "utf8")).toMatch(new RegExp(`^${process.pid}\\b`));
    const text = `Store is locked by another store of this process (${path}/.lock): close that one`;
    await expect(Store.open<unknown>(path)).rejects.toThrow(text);
    await expect(acquireLock(path)).rejects.toThrow(LockedError);
    await releaseLock(path, handle);
    const store = await Store.open<unknown>(path);
    await expect(acquireLock(path)).rejects.toThrow("Store is locked by another store");
    await store.close();
    await releaseLock(path, await acquireLock(path));
  });

  test("takes over from a dead process, makes the directory, and tolerates a missing file", async () => {
    const path = join(await directory(), "new", "store");
    const handle = await acquireLock(path);
    await unlink(join(path, ".lock"));
    await releaseLock(path, handle);
    for (const stale of ["99999999", "no pid", ""]) {
      await writeFile(join(path, ".lock"), stale);
      await releaseLock(path, await acquireLock(path));
    }
  });
});

describe("streamSnapshotFile", () => {
  const collect = async (
    path: string,
    name: string,
  ): Promise<{ readonly records: [string, unknown][]; readonly version: number }> => {
    const stream = streamSnapshotFile<unknown>(path, name);
    const records: [string, unknown][] = [];
    for (;;) {
      const next = await stream.next();
      if (next.done === true) return { records, version: next.value.version };
      records.push(next.value);
    }
  };
  const write = async (text: string): Promise<[string, string]> => {
    const path = await directory();
    await mkdir(join(path, "snapshots"));
    await writeFile(join(path, "snapshots/s"), text);
    return [path, "snapshots/s"];
  };
  const records: [string, unknown][] = [
    ["b", { n: 1, text: "größe" }],
    ["__proto__", null],
    ["a", [1]],
  ];
  const lines = records.map(([id, data]) => JSON.stringify({ id, data }));
  const header = '{"version":3,"timestamp":"t"}';

  test.each([
    ["of lines", [header, ...lines, ""].join("\n")],
    ["of lines, blank ones among them, none at the end", [header, "", ...lines].join("\r\n")],
    [
      "in one line",
      `{"version":3,"timestamp":"t","records":${JSON.stringify(Object.fromEntries(records))}}\n`,
    ],
    [
      "pretty-printed",
      JSON.stringify({ version: 3, timestamp: "t", records: Object.fromEntries(records) }, null, 2),
    ],
  ])("reads the original's file %s", async (_form, text) => {
    expect(await collect(...(await write(text)))).toEqual({ records, version: 3 });
  });

  test("reads a run, without its tombstones", async () => {
    const path = await directory();
    const store = await Store.open<unknown>(path, { version: 2 });
    for (let n = 0; n < 500; n++) await store.set(`r${1000 + n}`, { n, text: "x".repeat(2_000) });
    await store.compact();
    await store.delete("r1007");
    await store.set("__proto__", 1);
    await store.close();
    const run = store.getManifest()?.currentSnapshot ?? "";
    const found = await collect(path, run);
    expect(found.version).toBe(2);
    expect(found.records.map(([id]) => id)).not.toContain("r1007");
    expect(found.records.find(([id]) => id === "__proto__")).toEqual(["__proto__", 1]);
  });

  test("lines are read as they are consumed, and longer than a read they are whole", async () => {
    const long = Array.from({ length: 40 }, (_, n) => [`r${n}`, "ü".repeat(100_000)] as const);
    const text = [header, ...long.map(([id, data]) => JSON.stringify({ id, data })), "torn"].join(
      "\n",
    );
    const [path, name] = await write(text);
    const stream = streamSnapshotFile<string>(path, name);
    const read: unknown[] = [];
    for (let n = 0; n < long.length; n++) read.push((await stream.next()).value);
    expect(read).toEqual(long);
    // A reader of the whole would have failed before the first record.
    await expect(stream.next()).rejects.toThrow(CorruptionError);
  });

  test("reports what is missing or damaged, and where", async () => {
    const path = await directory();
    const missing = collect(path, "snapshots/none.jsonl");
    await expect(missing).rejects.toThrow(StoreNotFoundError);
    await expect(missing).rejects.toThrow(
      "Snapshot file not found: snapshots/none.jsonl. The data directory may be corrupted.",
    );
    await expect(collect(path, "../x")).rejects.toThrow("path must not hold parts");
    for (const text of [
      "",
      "{",
      header.replace("3", "0"),
      '{"version":1,"timestamp":"","records":{}}',
    ]) {
      await expect(collect(...(await write(text)))).rejects.toThrow(/snapshot|JSON|version/i);
    }
    const [place, name] = await write(`${header}\n${lines[0]}\n{"id":7,"data":1}\n`);
    const damaged = collect(place, name);
    const offset = Buffer.byteLength(`${header}\n${lines[0]}\n`);
    await expect(damaged).rejects.toMatchObject({ code: "CORRUPTION", path: name, offset });
  });
});

test("the types that programs of the original import are there, in its shapes", () => {
  expectTypeOf<keyof ManifestInfo>().toEqualTypeOf<
    "currentSnapshot" | "activeOps" | "archiveSegments" | "stats"
  >();
  expectTypeOf<ManifestInfo["stats"]>().toEqualTypeOf<Readonly<ManifestStats>>();
  expectTypeOf<Manifest["activeAgentOps"]>().toEqualTypeOf<Record<string, string> | undefined>();
  expectTypeOf<Snapshot<number>["records"]>().toEqualTypeOf<Record<string, number>>();
  expectTypeOf<ArchiveSegment["period"]>().toEqualTypeOf<string>();
  expectTypeOf<StoreStats["archiveSegments"]>().toEqualTypeOf<number>();
  expectTypeOf<Operation<{ a: 1 }>["op"]>().toEqualTypeOf<"set" | "delete">();
  expectTypeOf<DeltaPatch>().toExtend<{ $set?: object; $unset?: string[] }>();
  expectTypeOf<StorageBackend["listBlobs"]>().returns.resolves.toEqualTypeOf<string[]>();
  expectTypeOf<LockHandle>().toBeObject();
  const options: StoreOptions<{ name: string }> = { agentId: undefined, backend: undefined };
  const store = new Store<{ name: string }>();
  expectTypeOf(store.open).toBeCallableWith("./data", options);
});
