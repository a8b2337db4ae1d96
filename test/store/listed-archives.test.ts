/** Archives that the manifest names by lists: what readers see of them, and what damage does. */
import { expect, onTestFinished, test } from "vitest";
import { compact } from "../../src/compaction/compact.ts";
import { UnavailableError, WriteOutcomeUnknownError } from "../../src/core/errors.ts";
import { decodeManifest, encodeManifest, type Manifest } from "../../src/format/manifest-codec.ts";
import type { StoreOptions } from "../../src/session/options.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { Store } from "../../src/store/store.ts";
import { verify } from "../../src/store/verify.ts";

const MANIFEST = "manifest.json";
const GRACES = { gcGraceMs: 0, segmentGraceMs: 0 };

/** Counts what is read of lists, and does something before calls. */
class Medium extends MemoryBackend {
  lists = 0;
  before: (call: string) => Promise<void> | void = () => undefined;

  override async get(...args: Parameters<MemoryBackend["get"]>): ReturnType<MemoryBackend["get"]> {
    if (args[0].endsWith(".archives")) this.lists++;
    await this.before(`get ${args[0]}`);
    return super.get(...args);
  }

  override async put(...args: Parameters<MemoryBackend["put"]>): ReturnType<MemoryBackend["put"]> {
    await this.before(`put ${args[0]}`);
    return super.put(...args);
  }

  async manifest(): Promise<Manifest> {
    return decodeManifest(await this.readBlob(MANIFEST), MANIFEST);
  }

  async paths(ending: string): Promise<string[]> {
    const found: string[] = [];
    for await (const { objects } of this.list("")) {
      found.push(...objects.map(({ path }) => path).filter((path) => path.endsWith(ending)));
    }
    return found;
  }

  /** What another process sees. */
  fork(): Medium {
    const other = new Medium();
    const calls = ["put", "list", "delete", "readBlob", "writeBlob"] as const;
    for (const name of calls) Object.assign(other, { [name]: this[name].bind(this) });
    other.get = async (...args) => {
      if (args[0].endsWith(".archives")) other.lists++;
      await other.before(`get ${args[0]}`);
      return MemoryBackend.prototype.get.apply(this, args);
    };
    return other;
  }
}

async function open(
  backend: Medium,
  options: StoreOptions<number> = {},
  archivesInlineMax = 2,
): Promise<Store<number>> {
  const store = new Store<number>({ archivesInlineMax });
  await store.open("x", { backend, agentId: "a", checkpointOnClose: false, ...GRACES, ...options });
  onTestFinished(() => store.close());
  return store;
}

const periodOf = (n: number): string => `p${n % 3}`;

/** Archives the records r1 to rn, each by a call of its own, in three periods. */
async function archive(store: Store<number>, from: number, to: number): Promise<void> {
  for (let n = from; n <= to; n++) {
    await store.set(`r${n}`, n);
    expect(await store.archive((value) => value === n, periodOf(n))).toBe(1);
  }
}

async function fill(count = 9): Promise<{ backend: Medium; store: Store<number> }> {
  const backend = new Medium();
  const store = await open(backend);
  await store.set("live", 0);
  await archive(store, 1, count);
  return { backend, store };
}

const numbers = (period: number, count: number): number[] =>
  Array.from({ length: count }, (_, at) => at + 1).filter((n) => n % 3 === period);

async function expectAll(store: Store<number>, count: number): Promise<void> {
  const names = ["p0", "p1", "p2"].map((period) => `archive/archive-${period}.json`);
  expect(store.listArchiveSegments()).toEqual(names);
  for (const [at, name] of names.entries()) {
    const found = [...(await store.loadArchive(name)).values()].toSorted((a, b) => a - b);
    expect(found).toEqual(numbers(at, count));
  }
}

test("readers see every archive, and read lists only where archives are read", async () => {
  const { backend, store } = await fill();
  const { archive: named, listedArchives, stats } = await backend.manifest();
  expect(named.length).toBeLessThanOrEqual(2);
  expect(listedArchives.lists.length).toBeGreaterThan(0);
  expect(stats?.archivedRecords).toBe(9);
  await expectAll(store, 9);
  for (const options of [{}, { skipLoad: true }]) {
    const other = backend.fork();
    const reader = await open(other, { readOnly: true, ...options });
    expect(await reader.read("live")).toBe(0);
    expect(reader.stats().archiveSegments).toBe(3);
    expect(reader.getManifest()?.archiveSegments).toHaveLength(3);
    await expect(reader.loadArchive("absent")).rejects.toThrow("not found");
    expect(other.lists).toBe(0);
    await expectAll(reader, 9);
    expect(other.lists, "each list once").toBe(listedArchives.lists.length);
  }
});

test("the manifest does not grow with the number of archives", async () => {
  const backend = new Medium();
  const store = await open(backend);
  const sizes: number[] = [];
  for (let n = 1; n <= 60; n++) {
    await archive(store, n, n);
    if (n % 20 === 0) {
      await store.compact();
      sizes.push((await backend.readBlob(MANIFEST)).length);
    }
  }
  const [first = 0, , last = 0] = sizes;
  expect(last).toBeLessThan(first + 600);
  await expectAll(store, 60);
});

test("compactions keep what lists name, and collect lists that were replaced or lost a race", async () => {
  const { backend, store } = await fill();
  const litter = "snapshots/snap-1-00000000000000ff.archives";
  await backend.writeBlob(litter, "{}\n");
  await store.set("more", 1);
  await store.compact();
  await store.set("more", 2);
  await store.compact();
  const { listedArchives } = await backend.manifest();
  expect(await backend.paths(".archives")).toEqual(
    listedArchives.lists.map(({ path }) => path).toSorted(),
  );
  const archives = await backend.listBlobs("archive");
  expect(archives).toHaveLength(9);
  expect((await verify("x", { backend })).garbage).toEqual([]);
  // Another process has no lists in memory.
  await compact("x", { backend: backend.fork(), full: true, ...GRACES });
  expect(await backend.listBlobs("archive")).toEqual(archives);
  await expectAll(store, 9);
});

test("a reader whose list was replaced and deleted goes on with the newer manifest", async () => {
  const { backend, store } = await fill(3);
  const other = backend.fork();
  const reader = await open(other, { readOnly: true, skipLoad: true });
  const { lists } = (await backend.manifest()).listedArchives;
  await archive(store, 4, 12);
  await store.compact();
  expect(await backend.paths(".archives")).not.toContain(lists[0]?.path);
  // Its own look has it in the manifest.
  expect([...(await reader.loadArchive("p0")).values()]).toEqual([3]);
  expect((await reader.loadArchive("p1")).size).toBe(4);
  await expectAll(reader, 12);
});

test("a list that is damaged or gone is named; nothing else suffers, and no archive is collected", async () => {
  for (const damage of ["damaged", "gone"] as const) {
    const { backend } = await fill();
    const { listedArchives } = await backend.manifest();
    const [{ path } = { path: "" }] = listedArchives.lists;
    if (damage === "gone") await backend.deleteBlob(path);
    else await backend.writeBlob(path, "{}\n");
    const { problems } = await verify("x", { backend: backend.fork() });
    expect(problems.map((problem) => problem.path)).toEqual([path]);
    const warnings: string[] = [];
    const onWarning = (message: string): void => void warnings.push(message);
    const reader = await open(backend.fork(), { onWarning });
    expect(reader.get("live")).toBe(0);
    await expect(reader.loadArchive("p1")).rejects.toMatchObject({ code: "CORRUPTION", path });
    const archives = await backend.listBlobs("archive");
    await reader.set("more", 1);
    await reader.compact();
    await archive(reader, 10, 12);
    await reader.compact();
    expect(await backend.listBlobs("archive")).toEqual(expect.arrayContaining(archives));
    expect((await backend.manifest()).listedArchives.lists[0]?.path).toBe(path);
    expect(warnings.some((message) => message.includes(path))).toBe(damage === "damaged");
  }
});

test("a period that lists hold and the manifest does not name is found", async () => {
  const { backend } = await fill();
  const manifest = await backend.manifest();
  const { lists } = manifest.listedArchives;
  const wrong = { ...manifest, listedArchives: { lists, periods: ["p0", "p2"] } };
  await backend.writeBlob(MANIFEST, encodeManifest(wrong));
  const { problems } = await verify("x", { backend: backend.fork() });
  expect(problems.map(({ message }) => message)).toContainEqual(
    expect.stringContaining('names an archive of "p1", the manifest none'),
  );
});

test("an archive whose outcome is in doubt is found in a list, and counts once", async () => {
  const { backend, store } = await fill(2);
  await store.set("r3", 3);
  const other = await open(backend.fork(), { agentId: "other" });
  const archiver = backend.fork();
  let isLost = true;
  let isReadBackLost = false;
  const put = archiver.put.bind(archiver);
  archiver.put = async (...args) => {
    const result = await put(...args);
    if (args[0] !== MANIFEST || !isLost || !(await has("p9"))) return result;
    isLost = false;
    // It has landed, and others publish more than the manifest has room for.
    for (const n of [10, 11, 12]) {
      await other.set(`r${n}`, n);
      await takeLeaseFrom(backend);
      await other.archive((value) => value === n, periodOf(n));
    }
    isReadBackLost = true;
    throw new WriteOutcomeUnknownError("no answer in time", { path: MANIFEST });
  };
  archiver.before = (call) => {
    if (call !== `get ${MANIFEST}` || !isReadBackLost) return;
    isReadBackLost = false;
    throw new UnavailableError("busy");
  };
  const has = async (period: string): Promise<boolean> =>
    (await backend.manifest()).archive.some((info) => info.period === period);
  const doubtful = await open(archiver, { agentId: "b" });
  expect(await doubtful.archive((value) => value === 3, "p9")).toBe(1);
  expect([isLost, isReadBackLost]).toEqual([false, false]);
  expect(await has("p9"), "a list names it").toBe(false);
  expect([...(await doubtful.loadArchive("p9")).values()]).toEqual([3]);
  expect((await verify("x", { backend })).problems).toEqual([]);
});

/** As if the lease had ended by its age. */
async function takeLeaseFrom(backend: Medium): Promise<void> {
  await backend.put("compact.lease", Buffer.from('{"owner":null,"ttlMs":1}\n'), "none");
}

test("a list that could not be written archives nothing", async () => {
  const { backend, store } = await fill(2);
  backend.before = (call) => {
    if (/^put .*\.archives$/.test(call)) throw new UnavailableError("busy");
  };
  await store.set("r3", 3);
  await expect(store.archive((value) => value === 3, "p0")).rejects.toThrow("busy");
  expect(store.get("r3")).toBe(3);
  backend.before = () => undefined;
  expect(await store.archive((value) => value === 3, "p0")).toBe(1);
  await expectAll(store, 3);
});
