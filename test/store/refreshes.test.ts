/** Reads, refreshes and writes of one store do not starve one another. */
import { expect, onTestFinished, test } from "vitest";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { compact } from "../../src/compaction/compact.ts";
import type { StoreOptions } from "../../src/session/options.ts";
import { Store } from "../../src/store/store.ts";

type Get = MemoryBackend["get"];

/** Counts looks, and lets something happen before a read is answered. */
class HookedBackend extends MemoryBackend {
  looks = 0;
  beforeList: () => Promise<void> = () => Promise.resolve();
  beforeGet: (path: string, bytes: number) => Promise<void> = () => Promise.resolve();

  override async *list(
    ...args: Parameters<MemoryBackend["list"]>
  ): ReturnType<MemoryBackend["list"]> {
    if (args[0] === "ops/") {
      this.looks++;
      await this.beforeList();
    }
    yield* super.list(...args);
  }

  override async get(...[path, options]: Parameters<Get>): ReturnType<Get> {
    await this.beforeGet(path, options?.range?.length ?? 0);
    return super.get(path, options);
  }
}

const RECORDS = 3_000;
const id = (n: number): string => `r${n}`;

async function scene() {
  const backend = new HookedBackend();
  const open = async (
    agentId: string,
    options: StoreOptions<unknown> = {},
  ): Promise<Store<unknown>> => {
    const store = await Store.open<unknown>("s", { backend, agentId, skipLoad: true, ...options });
    onTestFinished(() => store.close());
    return store;
  };
  const writer = await open("writer", { blindWrites: true });
  await writer.batch(() => {
    for (let n = 0; n < RECORDS; n++) void writer.set(id(n), { n, text: "x".repeat(60) });
  });
  const compactAll = async (): Promise<unknown> =>
    compact("s", { backend, full: true, gcGraceMs: 3_600_000, compression: "none" });
  await compactAll();
  const store = await open("store");
  return { backend, writer, store, compactAll };
}

test.each([10, 60])("%i strong reads at once share refreshes", async (count) => {
  const { backend, store } = await scene();
  backend.looks = 0;
  let release = (): void => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  backend.beforeList = () => held;
  const reads = Array.from({ length: count }, (_, n) => store.read(id(n), { freshness: "strong" }));
  // The one under way began before these: they wait for one that begins after them.
  await new Promise(setImmediate);
  const later = Array.from({ length: count }, (_, n) => store.read(id(n), { freshness: "strong" }));
  release();
  const found = await Promise.all([...reads, ...later]);
  expect(found.every((record) => record !== undefined)).toBe(true);
  expect(backend.looks).toBe(2);
});

test("a refresh that began before a call does not answer for it", async () => {
  const { backend, writer, store } = await scene();
  await store.read(id(1));
  let release = (): void => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  let begun = (): void => {};
  const listing = new Promise<void>((resolve) => (begun = resolve));
  backend.beforeList = async () => {
    backend.beforeList = () => Promise.resolve();
    begun();
    await held;
  };
  const first = store.refresh();
  await listing;
  await writer.set(id(1), "new");
  const read = store.read(id(1), { freshness: "strong" });
  release();
  await first;
  expect(await read).toBe("new");
});

test("reads of a bounded age wait for the look under way, and share it", async () => {
  const { backend, writer } = await scene();
  const store = await Store.open<unknown>("s", {
    backend,
    agentId: "b",
    skipLoad: true,
    freshness: { maxStaleMs: 3_600_000 },
  });
  onTestFinished(() => store.close());
  await writer.set(id(5), "new");
  backend.looks = 0;
  const refreshed = store.refresh();
  const reads = Array.from({ length: 20 }, () => store.read(id(5)));
  await refreshed;
  await Promise.all(reads);
  expect(backend.looks).toBe(1);
});

test("a refresh ends although records become resident all the time", async () => {
  const { backend, writer, store, compactAll } = await scene();
  await store.readMany(Array.from({ length: 700 }, (_, n) => id(n)));
  await writer.set(id(0), "new");
  await writer.set(id(2_000), "new");
  await compactAll();
  let next = 1_000;
  let scans = 0;
  backend.beforeGet = async (path, bytes) => {
    // So large a read is of a scan: whenever one is made, a lookup ends meanwhile.
    if (!path.startsWith("snapshots/") || bytes < 100_000) return;
    scans++;
    await store.read(id(next++));
  };
  await store.refresh();
  expect(scans).toBeGreaterThan(0);
  expect(scans, "nothing is read twice").toBeLessThan(8);
  expect([store.get(id(0)), store.get(id(1_000))]).toEqual([
    "new",
    { n: 1_000, text: "x".repeat(60) },
  ]);
  expect(await store.read(id(2_000))).toBe("new");
  await store.set("mine", 1);
});

test("what becomes resident while a refresh ends stands for its view, too", async () => {
  const { backend, writer, store, compactAll } = await scene();
  await store.readMany(Array.from({ length: 700 }, (_, n) => id(n)));
  await writer.set(id(0), "new");
  await writer.set(id(2_000), "new");
  await compactAll();
  let read: Promise<unknown> | undefined;
  backend.beforeGet = async (path, bytes) => {
    if (!path.startsWith("snapshots/") || bytes < 100_000 || read !== undefined) return;
    read = store.read(id(2_000));
    await read;
    expect(store.get(id(2_000)), "as of the view there is").toMatchObject({ n: 2_000 });
  };
  await store.refresh();
  expect(read).toBeDefined();
  expect([store.get(id(0)), store.get(id(2_000))]).toEqual(["new", "new"]);
});

test("a lookup ends although each of its reads meets another refresh", async () => {
  const { backend, writer, store, compactAll } = await scene();
  let refreshes = 0;
  let isBusy = false;
  backend.beforeGet = async (path) => {
    if (!path.startsWith("snapshots/") || isBusy) return;
    isBusy = true;
    refreshes++;
    await writer.set("other", refreshes);
    await compactAll();
    await store.refresh();
    isBusy = false;
  };
  expect(await store.read(id(42))).toMatchObject({ n: 42 });
  expect(refreshes).toBeGreaterThan(0);
  expect(refreshes).toBeLessThan(4);
});

test("a lookup that began while a refresh ended is looked up as of its view", async () => {
  const { backend, writer, store, compactAll } = await scene();
  await store.readMany(Array.from({ length: 700 }, (_, n) => id(n)));
  const old = store.getManifest()?.currentSnapshot;
  await writer.batch(() => {
    for (const n of [0, 2_000, 2_500]) void writer.set(id(n), "new");
  });
  await compactAll();
  let [hasArrived, isArriving] = [false, false];
  let late: Promise<unknown> | undefined;
  let release = (): void => {};
  const refreshed = new Promise<void>((resolve) => (release = resolve));
  backend.beforeGet = async (path, bytes) => {
    if (!path.startsWith("snapshots/")) return;
    // What is read by points of the new run belongs to what arrived: the refresh is about to end.
    if (path !== old && bytes < 40_000 && hasArrived) late ??= store.read(id(2_500));
    if (path === old && late !== undefined) await refreshed;
    if (bytes < 100_000 || isArriving) return;
    isArriving = true;
    await store.read(id(2_000));
    hasArrived = true;
  };
  await store.refresh();
  expect([typeof old, late === undefined]).toEqual(["string", false]);
  release();
  expect(await late).toBe("new");
});

test("a lookup that meets a compaction takes its neighbours to the newer view", async () => {
  const { backend, writer, store, compactAll } = await scene();
  await store.read(id(0));
  await writer.batch(() => {
    for (const n of [0, 2_900]) void writer.set(id(n), "new");
  });
  await compactAll();
  // What the store's view names is gone: the lookup goes over to the newer manifest.
  const old = store.getManifest()?.currentSnapshot ?? "";
  await backend.delete([old]);
  expect(await store.read(id(2_900))).toBe("new");
  expect(store.get(id(0)), "a batch is seen whole").toBe("new");
});
