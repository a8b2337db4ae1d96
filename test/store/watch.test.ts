/** When a watch looks, and what it survives. */
import { expect, onTestFinished, test, vi } from "vitest";
import { UnavailableError } from "../../src/core/errors.ts";
import type { Operation } from "../../src/core/operation.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { compact } from "../../src/compaction/compact.ts";
import { Store } from "../../src/store/store.ts";
import { manualRuntime } from "../support/manual-runtime.ts";

/** Listing can be made to fail, or to wait. */
class LookedAtBackend extends MemoryBackend {
  looks = 0;
  before: () => Promise<void> = () => Promise.resolve();

  override async *list(prefix: string): ReturnType<MemoryBackend["list"]> {
    if (prefix === "ops/") {
      this.looks++;
      await this.before();
    }
    yield* super.list(prefix);
  }
}

async function scene() {
  const runtime = manualRuntime();
  const warnings: string[] = [];
  const open = async (backend: MemoryBackend, agentId: string): Promise<Store<unknown>> => {
    const store = new Store<unknown>({ runtime });
    const onWarning = (message: string): void => void warnings.push(message);
    await store.open("x", { backend, agentId, onWarning });
    onTestFinished(() => store.close());
    return store;
  };
  const backend = new LookedAtBackend({ runtime });
  const store = await open(backend, "follower");
  // Over the same instance: its own looks are at opening only.
  const writer = await open(backend, "writer");
  backend.looks = 0;
  const told: string[] = [];
  const callback = (operations: Operation<unknown>[]): void =>
    void told.push(operations.map(({ id }) => id).join());
  return { runtime, backend, store, writer, warnings, told, callback };
}

test("looks every second by default, and calls back only with news", async () => {
  const { runtime, backend, store, writer, told, callback } = await scene();
  store.watch(callback);
  await runtime.advance(0);
  expect(runtime.waitsMs).toEqual([1_000]);
  await writer.set("a", 1);
  await runtime.advance(999);
  expect([backend.looks, told]).toEqual([0, []]);
  await runtime.advance(1);
  expect([backend.looks, told]).toEqual([1, ["a"]]);
  await runtime.advance(1_000);
  expect([backend.looks, told]).toEqual([2, ["a"]]);
  await writer.batch(() => {
    void writer.set("b", 1);
    void writer.set("c", 1);
  });
  await runtime.advance(1_000);
  expect(told).toEqual(["a", "b,c"]);
  store.watch(callback, 5);
  await runtime.advance(0);
  expect(runtime.waitsMs, "the first watch ended").toEqual([5]);
  store.unwatch();
  await runtime.advance(0);
  expect(runtime.waitsMs).toEqual([]);
});

test("looks never overlap; close and a second watch wait for the one under way", async () => {
  const { runtime, backend, store, writer, told, callback } = await scene();
  let release = (): void => {};
  backend.before = () => new Promise((resolve) => (release = resolve));
  store.watch(callback, 10);
  await runtime.advance(10);
  await runtime.advance(100);
  expect(backend.looks).toBe(1);
  backend.before = () => Promise.resolve();
  await writer.set("a", 1);
  const second: string[] = [];
  store.watch((operations) => second.push(operations.map(({ id }) => id).join()), 10);
  await runtime.advance(100);
  expect(backend.looks).toBe(1);
  release();
  await runtime.advance(0);
  await runtime.advance(10);
  expect([told, second], "the first look took nothing").toEqual([[], ["a"]]);

  backend.before = () => new Promise((resolve) => (release = resolve));
  await writer.set("b", 1);
  await runtime.advance(10);
  let closed = false;
  const closing = store.close().then(() => (closed = true));
  await runtime.advance(0);
  expect(closed).toBe(false);
  backend.before = () => Promise.resolve();
  release();
  await closing;
  expect(second).toEqual(["a"]);
});

test("a look that fails is reported once while it continues, and what it missed comes later", async () => {
  const { runtime, backend, store, writer, warnings, told, callback } = await scene();
  store.watch(callback, 10);
  backend.before = () => Promise.reject(new UnavailableError("down"));
  await writer.set("a", 1);
  for (let n = 0; n < 3; n++) await runtime.advance(10);
  expect(warnings).toEqual(["watch failed: down"]);
  backend.before = () => Promise.reject(new UnavailableError("still down"));
  for (let n = 0; n < 2; n++) await runtime.advance(10);
  expect(warnings).toEqual(["watch failed: down", "watch failed: still down"]);
  backend.before = () => Promise.resolve();
  await runtime.advance(10);
  expect(told).toEqual(["a"]);
  backend.before = () => Promise.reject(new UnavailableError("still down"));
  await runtime.advance(10);
  expect(warnings).toHaveLength(3);
  backend.before = () => Promise.resolve();
});

test("a lazy watch reports that what was collected is unknown, and continues", async () => {
  const { runtime, backend, writer, warnings } = await scene();
  const store = new Store<unknown>({ runtime });
  const onWarning = (message: string): void => void warnings.push(message);
  await store.open("x", { backend, readOnly: true, skipLoad: true, onWarning });
  onTestFinished(() => store.close());
  const told: string[] = [];
  await writer.set("a", 1);
  await compact("x", { backend, gcGraceMs: 0, full: true });
  await store.refresh();
  store.watch(
    (operations) => told.push(operations.map(({ id, data }) => `${id}=${String(data)}`).join()),
    10,
  );
  for (const n of [2, 3, 4]) {
    await writer.set("a", n);
    await compact("x", { backend, gcGraceMs: 0, full: true });
  }
  for (let n = 0; n < 3; n++) await runtime.advance(10);
  expect(warnings).toEqual([
    expect.stringContaining("watch failed: what changed since the last look"),
  ]);
  await writer.set("a", 5);
  await runtime.advance(10);
  expect(told).toEqual(["a=5"]);
});

test("a callback that throws or rejects is reported, and the watch continues", async () => {
  const { runtime, store, writer, warnings } = await scene();
  const told: string[] = [];
  let failing: "throws" | "rejects" | undefined = "throws";
  const callback = ([first]: Operation<unknown>[]): unknown => {
    told.push(first?.id ?? "");
    if (failing === "throws") throw new Error("thrown");
    return failing === "rejects" ? Promise.reject(new Error("rejected")) : undefined;
  };
  store.watch(callback, 10);
  for (const id of ["a", "b"]) {
    await writer.set(id, 1);
    await runtime.advance(10);
  }
  expect(warnings).toEqual(["the callback of watch failed: thrown"]);
  failing = "rejects";
  await writer.set("c", 1);
  await runtime.advance(10);
  expect(warnings.slice(1)).toEqual(["the callback of watch failed: rejected"]);
  failing = undefined;
  await writer.set("d", 1);
  await runtime.advance(10);
  expect(told).toEqual(["a", "b", "c", "d"]);
  expect(warnings).toHaveLength(2);
});

test("a callback may use the store, write to it, end the watch and close it", async () => {
  const { runtime, store, writer, warnings } = await scene();
  let done: Promise<void> | undefined;
  store.watch((operations) => {
    expect(store.get("a")).toBe(operations[0]?.data);
    done = store.set("seen", true).then(() => store.close());
  }, 10);
  await writer.set("a", 1);
  await runtime.advance(10);
  await done;
  expect(warnings).toEqual([]);
  await writer.refresh();
  expect(writer.get("seen")).toBe(true);
  expect(runtime.waitsMs).toEqual([]);
});

test("an onWarning that throws, or rejects, ends no process: close rejects with what was thrown", async () => {
  const runtime = manualRuntime();
  const backend = new LookedAtBackend({ runtime });
  const open = async (onWarning: () => unknown): Promise<Store<unknown>> => {
    const store = new Store<unknown>({ runtime });
    const onBacklog = (): Promise<void> => Promise.reject(new Error("no compactor"));
    await store.open("x", { backend, agentId: "a", onWarning, onBacklog, backlogSegments: 1 });
    return store;
  };
  const throwing = await open(() => {
    throw new Error("thrown");
  });
  const rejecting = await open(() => Promise.reject(new Error("rejected")));
  const errors: unknown[] = [];
  const stderr = vi.spyOn(console, "error").mockImplementation((line) => void errors.push(line));
  onTestFinished(() => stderr.mockRestore());
  for (const store of [throwing, rejecting]) {
    await store.set("a", 1);
    await store.set("b", 1);
    store.watch(() => undefined);
  }
  // Both what watches and what asks for a compaction have something to warn of.
  backend.before = () => Promise.reject(new UnavailableError("no look"));
  await runtime.advance(1_000);
  backend.before = () => Promise.resolve();
  await rejecting.refresh();
  await throwing.refresh();
  await runtime.advance(0);
  await expect(throwing.close()).rejects.toThrow("thrown");
  await rejecting.close();
  expect(String(errors)).toContain("onWarning failed: Error: rejected");
});
