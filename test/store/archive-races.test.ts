/** Moments in which others come in between the steps of an archive, each brought about on purpose. */
import { expect, onTestFinished, test } from "vitest";
import { LockedError, WriteOutcomeUnknownError } from "../../src/core/errors.ts";
import { systemRuntime } from "../../src/core/runtime.ts";
import type { StorageBackend } from "../../src/storage/backend.ts";
import { Lease } from "../../src/storage/lease.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { compact } from "../../src/compaction/compact.ts";
import { Store } from "../../src/store/store.ts";

interface Task {
  readonly done: boolean;
}

const QUIET = { checkpointThreshold: 1_000_000, checkpointOnClose: false };
const LEASE = "compact.lease";
const isDone = ({ done }: Task): boolean => done;

/** A backend with something else done before some of its calls, or in their place. */
function hooked(
  inner: StorageBackend,
  hook: (name: string, path: string, call: () => Promise<unknown>) => Promise<unknown>,
): StorageBackend {
  return new Proxy(inner, {
    get: (_, name) => {
      const value: unknown = Reflect.get(inner, name, inner);
      if (typeof value !== "function") return value;
      return (path: string, ...rest: unknown[]): unknown => {
        const call = (): unknown => Reflect.apply(value, inner, [path, ...rest]);
        const isHooked = name === "get" || name === "put";
        return isHooked ? hook(name, path, async () => call()) : call();
      };
    },
  });
}

/** Three tasks in a run, two of them done, and an empty log. */
async function fill(): Promise<MemoryBackend> {
  const backend = new MemoryBackend();
  const store = await Store.open<Task>("x", { ...QUIET, backend, agentId: "filler" });
  await store.set("a", { done: true });
  await store.set("b", { done: true });
  await store.set("c", { done: false });
  await store.compact();
  await store.close();
  return backend;
}

async function openArchiver(
  backend: StorageBackend,
  options: { readonly leaseTtlMs?: number } = {},
): Promise<{ store: Store<Task>; warnings: string[]; sleptMs: () => number }> {
  let slept = 0;
  const sleep = async (ms: number): Promise<void> => {
    slept += ms;
    await new Promise((resolve) => setImmediate(resolve));
  };
  const warnings: string[] = [];
  const onWarning = (message: string): void => void warnings.push(message);
  const store = new Store<Task>({ runtime: { ...systemRuntime, sleep } });
  await store.open("x", { ...QUIET, backend, agentId: "archiver", onWarning, ...options });
  onTestFinished(() => store.close());
  return { store, warnings, sleptMs: () => slept };
}

/** What is left, and what is archived as "p". */
async function contents(backend: StorageBackend): Promise<[string[], string[]]> {
  await using reader = await Store.open<Task>("x", { backend, readOnly: true });
  const names = reader.listArchiveSegments();
  const archived = names.length === 0 ? [] : [...(await reader.loadArchive("p")).keys()];
  return [reader.entries().map(([id]) => id), archived];
}

test("the predicate is called again for a record that changes while it is fetched", async () => {
  const inner = await fill();
  let isArmed = false;
  // Who has no regard for the lease compacts twice, so that what was to be read is not there.
  const rude = hooked(inner, (_, path, call) =>
    path === LEASE ? Promise.resolve({ status: "written", etag: '"1"', dateMs: 0 }) : call(),
  );
  const interfere = async (): Promise<void> => {
    await using other = await Store.open<Task>("x", { ...QUIET, backend: inner, agentId: "o" });
    const settings = { backend: rude, gcGraceMs: 0, full: true };
    for (let pass = 1; pass <= 3; pass++) {
      await other.set("a", { done: false });
      await compact("x", settings);
    }
  };
  const backend = hooked(inner, async (name, path, call) => {
    if (name === "put" && path === LEASE) isArmed = true;
    if (isArmed && path.startsWith("snapshots/") && name === "get") {
      isArmed = false;
      await interfere();
    }
    return call();
  });
  const { store } = await openArchiver(backend);
  const asked: string[] = [];
  expect(await store.archive((task, id) => asked.push(id) > 0 && isDone(task), "p")).toBe(1);
  expect(asked).toEqual(["a", "b", "c", "a"]);
  expect(await contents(inner)).toEqual([["a", "c"], ["b"]]);
});

test("a publication that another preceded is made again", async () => {
  const inner = await fill();
  let isFirst = true;
  const backend = hooked(inner, async (name, path, call) => {
    if (name === "put" && path === "manifest.json" && isFirst) {
      isFirst = false;
      const manifest = await inner.readBlob("manifest.json");
      // The same manifest again has another etag.
      await inner.put("manifest.json", manifest, "none");
    }
    return call();
  });
  const { store } = await openArchiver(backend);
  expect(await store.archive(isDone, "p")).toBe(2);
  expect(await contents(inner)).toEqual([["c"], ["a", "b"]]);
  // What the first attempt wrote is litter, and goes with a compaction a grace period later.
  expect(await inner.listBlobs("archive")).toHaveLength(2);
  await store.set("d", { done: false });
  await store.compact();
  expect(await inner.listBlobs("archive")).toHaveLength(2);
  await compact("x", { backend: inner, gcGraceMs: 0 });
  expect(await inner.listBlobs("archive")).toHaveLength(1);
});

/** The first manifest sent does not arrive; later, `deliver` makes it. */
function withLostPublication(inner: StorageBackend, isLost: () => boolean) {
  const held: (() => Promise<unknown>)[] = [];
  const backend = hooked(inner, async (name, path, call) => {
    if (name !== "put" || path !== "manifest.json" || !isLost()) return call();
    held.push(call);
    throw new WriteOutcomeUnknownError("no answer in time", { path });
  });
  return { backend, held };
}

test("a publication that arrives late counts, once", async () => {
  const inner = await fill();
  let lost = 1;
  const { backend: lossy, held } = withLostPublication(inner, () => lost-- > 0);
  // It arrives when the archiver looks again.
  const backend = hooked(lossy, async (name, path, call) => {
    if (name === "put" && path === LEASE && held.length > 0) await held.pop()?.();
    return call();
  });
  const { store, warnings } = await openArchiver(backend);
  expect(await store.archive(isDone, "p")).toBe(2);
  expect(await contents(inner)).toEqual([["c"], ["a", "b"]]);
  expect(await inner.listBlobs("archive")).toHaveLength(1);
  expect(store.entries()).toEqual([["c", { done: false }]]);
  expect(warnings).toEqual([]);
});

test("a publication that may still arrive is reported as such, and harms nothing when it does", async () => {
  const inner = await fill();
  const { backend, held } = withLostPublication(inner, () => true);
  const { store } = await openArchiver(backend);
  await expect(store.archive(isDone, "p")).rejects.toThrow(WriteOutcomeUnknownError);
  expect(store.count()).toBe(3);
  expect(await contents(inner)).toEqual([["a", "b", "c"], []]);
  await using other = await Store.open<Task>("x", { ...QUIET, backend: inner, agentId: "o" });
  await other.set("a", { done: false });
  // Only the first of them can take effect.
  for (const deliver of held) await deliver();
  expect(await contents(inner)).toEqual([
    ["c", "a"],
    ["a", "b"],
  ]);
  await store.refresh();
  // In memory an update keeps its place.
  expect(store.entries().map(([id]) => id)).toEqual(["a", "c"]);
});

test("an archive waits for the lease, and gives up when it is not released", async () => {
  const backend = await fill();
  const options = { path: LEASE, ttlMs: 5_000 };
  const patient = await openArchiver(backend, { leaseTtlMs: 5_000 });
  const held = await Lease.take(backend, systemRuntime, options);
  const refused = patient.store.archive(isDone, "p");
  await expect(refused).rejects.toThrow(LockedError);
  await expect(refused).rejects.toMatchObject({ action: "retry", path: LEASE });
  expect(patient.sleptMs()).toBeGreaterThan(5_000);
  expect(patient.sleptMs()).toBeLessThan(10_000);
  expect(patient.store.count()).toBe(3);
  const waiting = patient.store.archive(isDone, "p");
  await new Promise((resolve) => setImmediate(resolve));
  await held?.release();
  expect(await waiting).toBe(2);
  expect(await contents(backend)).toEqual([["c"], ["a", "b"]]);
});

test("when only the compaction afterwards fails, the records are archived, with a warning", async () => {
  const inner = await fill();
  let isPublished = false;
  const backend = hooked(inner, async (name, path, call) => {
    if (isPublished && name === "put" && path.startsWith("snapshots/")) throw new Error("no room");
    const result = await call();
    if (name !== "put" || path !== "manifest.json") return result;
    isPublished = true;
    await using other = await Store.open<Task>("x", { ...QUIET, backend: inner, agentId: "o" });
    await other.set("d", { done: true });
    return result;
  });
  const { store, warnings } = await openArchiver(backend);
  expect(await store.archive(isDone, "p")).toBe(2);
  expect(store.entries().map(([id]) => id)).toEqual(["c", "d"]);
  expect(warnings).toEqual([expect.stringContaining("checkpoint failed")]);
});

test("a single writer whose lock another took over archives nothing", async () => {
  const inner = await fill();
  let isLost = false;
  const backend = hooked(inner, async (name, path, call) => {
    if (path !== "writer.lease" || name !== "put" || !isLost) return call();
    const conflict: { status: string; dateMs: number } = { status: "conflict", dateMs: 0 };
    return conflict;
  });
  const store = await Store.open<Task>("x", { ...QUIET, backend, leaseTtlMs: 30 });
  isLost = true;
  await expect
    .poll(() => store.set("z", { done: false }).catch((error: unknown) => error))
    .toBeInstanceOf(LockedError);
  await expect(store.archive(isDone, "p")).rejects.toThrow(LockedError);
  expect((await contents(inner))[1]).toEqual([]);
  await store.close();
});
