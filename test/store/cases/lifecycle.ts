/** Opening and closing: what works before, between and after. */
import { expect, test } from "vitest";
import {
  InvalidArgumentError,
  NotOpenError,
  StoreNotFoundError,
} from "../../../src/core/errors.ts";
import { Store } from "../../../src/store/store.ts";
import { type MakeMedium, setUp } from "../fixture.ts";

const NOT_OPEN = "Store is not open. Call open() first.";

async function expectNotOpen(store: Store<unknown>): Promise<void> {
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
    () => store.watch(() => {}),
    () => store.set("a", 1),
    () => store.delete("a"),
  ]) {
    expect(call).toThrow(new NotOpenError(NOT_OPEN));
  }
  for (const call of [
    () => store.read("a"),
    () => store.readMany(["a"]),
    () => store.hydrate(),
    () => store.update("a", () => 1),
    () => store.batch(() => {}),
    () => store.undo(),
    () => store.compact(),
    () => store.refresh(),
    () => store.tail(),
  ]) {
    await expect(call()).rejects.toThrow(new NotOpenError(NOT_OPEN));
  }
  await store.flush();
  await store.sync();
  store.unwatch();
}

export function lifecycleCases(make: MakeMedium): void {
  test("before open and after close every call rejects because the store is not open", async () => {
    const { medium } = await setUp(make);
    const store = new Store<unknown>();
    await store.close();
    await expectNotOpen(store);
    expect(store.getManifest()).toBeNull();
    await store.open(medium.location, { backend: medium.backend() });
    expect(store.count()).toBe(0);
    await store.close();
    await expectNotOpen(store);
  });

  test("a store is open once, and can be opened again after close", async () => {
    const { medium, open } = await setUp(make);
    const store = await open();
    const again = store.open(medium.location, { backend: medium.backend() });
    await expect(again).rejects.toThrow(new InvalidArgumentError("Store is already open."));
    await store.set("a", 1);
    await store.close();
    await store.open(medium.location, { backend: medium.backend() });
    expect(store.entries()).toEqual([["a", 1]]);
    await store.set("b", 2);
    expect(store.all()).toEqual([1, 2]);
  });

  test("close is idempotent, waits for what was accepted, and ends the scope", async () => {
    const { medium, open, entries } = await setUp(make);
    const store = await open({ checkpointOnClose: false });
    const written = [store.set("a", 1), store.set("b", 2)];
    await Promise.all([store.close(), store.close()]);
    await store.close();
    await Promise.all(written);
    expect(new Map(await entries())).toEqual(
      new Map([
        ["a", 1],
        ["b", 2],
      ]),
    );
    {
      await using scoped = await Store.open<unknown>(medium.location, {
        backend: medium.backend(),
      });
      void scoped.set("c", 3);
    }
    expect(new Map(await entries()).get("c")).toBe(3);
  });

  test("eagerly every record is resident, lazily none until it is read", async () => {
    const { open } = await setUp(make);
    const writer = await open({ agentId: "w" });
    await writer.batch(() => {
      for (const id of ["a", "b", "c"]) void writer.set(id, { id });
    });
    await writer.compact();
    await writer.set("d", { id: "d" });
    const eager = await open({ readOnly: true });
    expect(eager.count()).toBe(4);
    const lazy = await open({ readOnly: true, skipLoad: true });
    expect([lazy.count(), lazy.get("a"), lazy.has("d"), lazy.entries()]).toEqual([
      0,
      undefined,
      false,
      [],
    ]);
    expect(await lazy.read("a")).toEqual({ id: "a" });
    expect(await lazy.read("d")).toEqual({ id: "d" });
    expect(await lazy.read("none")).toBeUndefined();
    expect(lazy.entries()).toEqual([
      ["a", { id: "a" }],
      ["d", { id: "d" }],
    ]);
  });

  test("an option that is undefined means its default", async () => {
    const { open, entries } = await setUp(make);
    const undefinedOptions = {
      checkpointThreshold: undefined,
      checkpointOnClose: undefined,
      version: undefined,
      migrate: undefined,
      readOnly: undefined,
      skipLoad: undefined,
      writeMode: undefined,
      agentId: undefined,
      freezeRecords: undefined,
      strictHydration: undefined,
      blindWrites: undefined,
      onCorrupt: undefined,
      leaseTtlMs: undefined,
      tombstoneGraceMs: undefined,
    };
    const store = await open(undefinedOptions);
    await store.set("a", 1);
    await store.close();
    expect(await entries()).toEqual([["a", 1]]);
  });

  test("checkpointOnClose is on, off under skipLoad, and does nothing without operations", async () => {
    const { open, flushes } = await setUp(make);
    const first = await open();
    await first.set("a", 1);
    await first.close();
    expect(await flushes()).toBe(0);
    const idle = await open();
    const before = idle.getManifest();
    await idle.close();
    const lazy = await open({ skipLoad: true });
    expect(lazy.getManifest()).toEqual(before);
    await lazy.set("b", 2);
    await lazy.close();
    expect(await flushes()).toBe(1);
    const asked = await open({ skipLoad: true, checkpointOnClose: true });
    await asked.set("c", 3);
    await asked.close();
    expect(await flushes()).toBe(0);
    const kept = await open({ checkpointOnClose: false });
    await kept.set("d", 4);
    await kept.close();
    expect(await flushes()).toBe(1);
  });

  test("readOnly on nothing is refused and creates nothing", async () => {
    const { medium, open } = await setUp(make);
    for (const skipLoad of [false, true]) {
      const opening = open({ readOnly: true, skipLoad });
      await expect(opening).rejects.toThrow(StoreNotFoundError);
      await expect(open({ readOnly: true, skipLoad })).rejects.toThrow(
        "Cannot open in readOnly mode: no existing store found",
      );
    }
    expect(await medium.contents()).toEqual(new Map());
  });
}
