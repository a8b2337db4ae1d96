/** Habits of programs written for the original, on every medium that needs no server. */
import { describe, expect, expectTypeOf, onTestFinished, test, vi } from "vitest";
import { InvalidArgumentError, NotOpenError, ReadOnlyError, Store } from "../../src/index.ts";
import type { StorageBackend, StoreOptions } from "../../src/index.ts";
import { type MakeMedium, setUp } from "../store/fixture.ts";
import { directoryMedium, memoryMedium } from "../store/media.ts";

const NOT_OPEN = "Store is not open. Call open() first.";
const READ_ONLY = "Store is read-only. Cannot perform mutations.";

/** Every option as agentdb passes what its caller left out. */
const LEFT_OUT = {
  checkpointThreshold: undefined,
  checkpointOnClose: undefined,
  version: undefined,
  migrate: undefined,
  readOnly: undefined,
  skipLoad: undefined,
  writeMode: undefined,
  groupCommitSize: undefined,
  groupCommitMs: undefined,
  agentId: undefined,
} satisfies StoreOptions;

/** In place of the console's error output for the rest of the test. */
function spyOnConsole(): unknown[][] {
  const spy = vi.spyOn(console, "error").mockImplementation(() => undefined);
  onTestFinished(() => spy.mockRestore());
  return spy.mock.calls;
}

function compatCases(make: MakeMedium): void {
  test("an option that is undefined is its default; so is 0 for the buffers", async () => {
    const { medium, open, entries } = await setUp(make);
    const empty = { ...LEFT_OUT, groupCommitSize: 0, groupCommitMs: 0 };
    const store = await open({ ...empty, writeMode: "group", checkpointThreshold: 2 });
    for (let n = 0; n < 49; n++) void store.set(`r${n}`, n);
    await store.flush();
    const [operation] = store.getOps();
    expect(operation).not.toHaveProperty("agent");
    await expect(open(LEFT_OUT)).rejects.toThrow("locked"); // as a single writer
    await store.close();
    expect(await entries()).toHaveLength(49);
    const again = new Store<unknown>({ runtime: medium.runtime });
    await again.open(medium.location, { ...LEFT_OUT, backend: medium.backend() });
    await again.set("after", 1);
    await again.close();
    expect(again.getManifest()).toMatchObject({ stats: { activeRecords: 50, opsCount: 0 } });
  });

  test("a set or delete that nobody awaits shows one microtask later", async () => {
    const { open, entries } = await setUp(make);
    const store = await open();
    await store.set("old", 1);
    const writes = [store.set("new", 2), store.delete("old")];
    await Promise.resolve();
    expect([store.get("new"), store.has("old"), store.count()]).toEqual([2, false, 1]);
    expect(await Promise.all(writes)).toEqual([undefined, undefined]);
    expect(await entries()).toEqual([["new", 2]]);
  });

  test("before open: what is synchronous throws, the rest rejects, some calls do nothing", async () => {
    const store = new Store<unknown>();
    for (const call of [
      () => store.get("a"),
      () => store.has("a"),
      () => store.all(),
      () => store.entries(),
      () => store.filter(() => true),
      () => store.count(),
      () => store.stats(),
      () => store.getHistory("a"),
      () => store.getOps(),
      () => store.listArchiveSegments(),
      () => store.set("a", { n: 1 }),
      () => store.delete("a"),
    ]) {
      expect(call).toThrow(new NotOpenError(NOT_OPEN));
    }
    for (const call of [
      () => store.batch(() => {}),
      () => store.undo(),
      () => store.compact(),
      () => store.archive(() => true),
      () => store.loadArchive("2026-Q1"),
      () => store.refresh(),
      () => store.tail(),
      () => store.streamSnapshot().next(),
      () => store.getWalOps().next(),
    ]) {
      await expect(call()).rejects.toThrow(new NotOpenError(NOT_OPEN));
    }
    expect(store.getManifest()).toBeNull();
    await store.flush();
    await store.sync();
    store.unwatch();
  });

  test("readOnly: set and delete throw at once, the others reject", async () => {
    const { open } = await setUp(make);
    const writer = await open();
    await writer.set("a", 1);
    await writer.close();
    const store = await open({ readOnly: true });
    for (const call of [() => store.set("a", 2), () => store.delete("a")]) {
      expect(call).toThrow(new ReadOnlyError(READ_ONLY));
    }
    for (const call of [
      () => store.batch(() => {}),
      () => store.undo(),
      () => store.compact(),
      () => store.archive(() => true),
    ]) {
      await expect(call()).rejects.toThrow(new ReadOnlyError(READ_ONLY));
    }
    expect(await store.tail()).toEqual([]);
  });

  test("inside a batch set returns undefined and reads see it; async methods count up to their first await", async () => {
    const { open, entries } = await setUp(make);
    const store = await open<{ readonly n: number }>();
    const setLater = async (id: string, n: number): Promise<void> => {
      const version = (store.get(id)?.n ?? 0) + n;
      await store.set(id, { n: version });
    };
    const returned: unknown[] = [];
    const done = await store.batch(() => {
      returned.push(store.set("a", { n: 1 }), store.delete("a"), store.set("a", { n: 10 }));
      void setLater("a", 1);
      void setLater("b", 5);
    });
    expect([done, ...returned]).toEqual([undefined, undefined, undefined, undefined]);
    expect(await entries()).toEqual([
      ["a", { n: 11 }],
      ["b", { n: 5 }],
    ]);
  });

  test("everything below ops/ may be deleted after close, and the next open writes on", async () => {
    const { medium, open, entries } = await setUp(make);
    const lazy = {
      skipLoad: true,
      checkpointOnClose: false,
      checkpointThreshold: Number.MAX_SAFE_INTEGER,
    };
    const store = await open(lazy);
    for (let n = 0; n < 20; n++) await store.set(`r${n}`, n);
    await store.close();
    const backend = medium.backend();
    await backend.initialize(medium.location, { readOnly: false });
    await backend.deleteBlobDir("ops");
    await backend.shutdown();
    const next = await open(lazy);
    await next.set("r5", "new");
    await next.close();
    expect(await entries()).toEqual([["r5", "new"]]);
  });

  test("manifest.json reports the records of the last checkpoint", async () => {
    const { open, objects } = await setUp(make);
    const store = await open();
    for (let n = 0; n < 7; n++) await store.set(`r${n}`, n);
    await store.delete("r0");
    await store.close();
    const manifest: unknown = JSON.parse((await objects("")).get("manifest.json") ?? "");
    expect(manifest).toMatchObject({ stats: { activeRecords: 6, archivedRecords: 0 } });
  });

  test("by default a warning is one line of console.error, whatever it holds", async () => {
    const { medium } = await setUp(make);
    const lines = spyOnConsole();
    const store = new Store<unknown>({ runtime: medium.runtime });
    const backend = medium.backend();
    await store.open(medium.location, { backend, agentId: "a\n\u001b[31m", writeMode: "async" });
    await store.close();
    expect(lines).toHaveLength(1);
    expect(String(lines[0])).toMatch(/^opslog-serverless: writeMode "async" .*immediate/);
    expect(lines[0]).toHaveLength(1);
  });
}

describe.each([
  ["memory", memoryMedium],
  ["a directory", directoryMedium],
] as const)("on %s", (_name, make) => compatCases(make));

test("control characters of a warning are replaced", async () => {
  const { warnOnStderr } = await import("../../src/core/options.ts");
  const lines = spyOnConsole();
  warnOnStderr("a\r\nb\u001b[31m\u0085c");
  expect(lines).toEqual([["opslog-serverless: a\\u000d\\u000ab\\u001b[31m\\u0085c"]]);
});

test("a backend made for the original is refused, with what one is made of here", async () => {
  const { FsBackend } = await import("@backloghq/opslog");
  const backend: unknown = new FsBackend();
  const opening = Store.open<unknown>("./never", { backend: backend as StorageBackend });
  await expect(opening).rejects.toThrow(InvalidArgumentError);
  await expect(opening).rejects.toThrow(
    /^option backend: expected one of this package, found one made for the original opslog\b.*BaseBackend.*initialize, shutdown, get, put, list, delete.*opslog-serverless\/testing/,
  );
});

test("types: a store whose records nobody described holds objects of any fields", () => {
  const store = new Store();
  expectTypeOf(store.get).returns.toEqualTypeOf<Record<string, unknown> | undefined>();
  expectTypeOf<StoreOptions["migrate"]>().toEqualTypeOf<
    ((record: unknown, fromVersion: number) => Record<string, unknown>) | undefined
  >();
});

test("types: what the original returns at once is no promise here either", () => {
  const store = new Store<{ readonly name: string }>();
  expectTypeOf(store.get).returns.toEqualTypeOf<{ readonly name: string } | undefined>();
  const set = (value: { readonly name: string }) => store.set("a", value);
  expectTypeOf(set).returns.resolves.toEqualTypeOf<void>();
  expectTypeOf(store.entries).returns.toEqualTypeOf<[string, { readonly name: string }][]>();
  expectTypeOf(store.listArchiveSegments).returns.toEqualTypeOf<string[]>();
  expectTypeOf(store.loadArchive).returns.resolves.toExtend<ReadonlyMap<string, unknown>>();
});
