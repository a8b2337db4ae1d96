/** set, delete and update. */
import { expect, test } from "vitest";
import { InvalidArgumentError, RecordNotFoundError } from "../../../src/core/errors.ts";
import type { Store } from "../../../src/store/store.ts";
import { type MakeMedium, setUp } from "../fixture.ts";
import { watchBackend } from "../watched-backend.ts";

/** Operation lines of all log objects. */
function operationsIn(objects: ReadonlyMap<string, string>): Record<string, unknown>[] {
  return [...objects.values()]
    .flatMap((text) => text.split("\n"))
    .filter((line) => line.startsWith('{"ts":'))
    .map((line): Record<string, unknown> => JSON.parse(line));
}

/** JSON cannot carry these. */
function refusedValues(): unknown[] {
  const cycle: Record<string, unknown> = {};
  cycle["self"] = cycle;
  return [undefined, () => 1, Symbol("s"), 1n, { big: 1n }, { f: () => 1 }, [Symbol("s")], cycle];
}

export function writeCases(make: MakeMedium): void {
  test("set and delete resolve undefined, and outlive the store", async () => {
    const { open, entries } = await setUp(make);
    const store = await open();
    expect(await store.set("a", { n: 1 })).toBeUndefined();
    expect(await store.set("b", { n: 2 })).toBeUndefined();
    expect(await store.delete("a")).toBeUndefined();
    expect(await entries()).toEqual([["b", { n: 2 }]]);
  });

  test("a write is visible one microtask later, before any I/O", async () => {
    const { medium, open } = await setUp(make);
    const watched = watchBackend(medium.backend());
    const store = await open<number>({ backend: watched.backend });
    await store.set("old", 1);
    watched.calls.length = 0;
    const writes = [store.set("new", 2), store.set("old", 3)];
    await Promise.resolve();
    expect([store.get("new"), store.get("old"), store.count()]).toEqual([2, 3, 2]);
    const deletion = store.delete("old");
    await Promise.resolve();
    expect([store.has("old"), store.count()]).toEqual([false, 1]);
    expect(watched.calls.filter((call) => !call.startsWith("get"))).toEqual([]);
    await Promise.all([...writes, deletion]);
    expect(store.entries()).toEqual([["new", 2]]);
  });

  test("mutations that nobody awaits take effect in the order of the calls", async () => {
    const { open, entries } = await setUp(make);
    const store = await open();
    const writes = [
      store.set("a", 1),
      store.set("a", 2),
      store.delete("a"),
      store.set("a", 3),
      store.set("b", 1),
      store.delete("b"),
    ];
    await Promise.all(writes);
    expect(store.entries()).toEqual([["a", 3]]);
    expect(await entries()).toEqual([["a", 3]]);
  });

  test.each([true, false])(
    "delete of an absent id rejects and writes nothing, skipLoad %s",
    async (skipLoad) => {
      const { open, flushes } = await setUp(make);
      const store = await open({ skipLoad });
      const error = await store.delete("none").catch((thrown: unknown) => thrown);
      expect(error).toEqual(new RecordNotFoundError("none"));
      expect(error).toMatchObject({ message: "Record 'none' not found", id: "none" });
      expect(await flushes()).toBe(0);
      await store.set("a", 1);
      await store.delete("a");
      await expect(store.delete("a")).rejects.toThrow(RecordNotFoundError);
    },
  );

  test("20 concurrent sets share one or two flushes", async () => {
    const { open, flushes, entries } = await setUp(make);
    const store = await open();
    await Promise.all(Array.from({ length: 20 }, (_, n) => store.set(`r${n}`, n)));
    expect(await flushes()).toBeLessThanOrEqual(2);
    expect((await entries()).length).toBe(20);
  });

  test("flush and sync resolve when everything accepted is durable", async () => {
    const { open, lookUp } = await setUp(make);
    const store = await open();
    void store.set("a", 1);
    await store.flush();
    void store.set("b", 2);
    await store.sync();
    expect(await lookUp(["a", "b"])).toEqual(
      new Map([
        ["a", 1],
        ["b", 2],
      ]),
    );
    await store.flush();
  });

  test.each([true, false])("update reads, changes and writes, skipLoad %s", async (skipLoad) => {
    const { open, entries } = await setUp(make);
    const other = await open<number>({ agentId: "other" });
    await other.set("n", 1);
    const store = await open<number>({ skipLoad, agentId: "updater" });
    const seen: (number | undefined)[] = [];
    const plus = (by: number) => (current: number | undefined) => {
      seen.push(current);
      return (current ?? 0) + by;
    };
    expect(await store.update("n", plus(1))).toBe(2);
    expect(await store.update("new", plus(5))).toBe(5);
    expect(await store.update("new", () => undefined)).toBeUndefined();
    expect(await store.update("none", () => undefined)).toBeUndefined();
    expect(seen).toEqual([1, undefined]);
    expect(await entries()).toEqual([["n", 2]]);
    await Promise.all(Array.from({ length: 25 }, () => store.update("n", plus(1))));
    expect(await entries()).toEqual([["n", 27]]);
  });

  test("update resolves to the store's own, frozen copy of what it wrote", async () => {
    const { open } = await setUp(make);
    const store: Store<{ n: number; at?: Date | string }> = await open();
    const next = { n: 1, at: new Date(0) };
    const written = await store.update("a", () => next);
    expect(written).toEqual({ n: 1, at: "1970-01-01T00:00:00.000Z" });
    expect(written).not.toBe(next);
    expect(Object.isFrozen(written)).toBe(true);
    expect(Object.isFrozen(next)).toBe(false);
    expect(await store.read("a")).toEqual(written);
  });

  test("update gets a frozen record, passes errors on and refuses async functions", async () => {
    const { open, flushes } = await setUp(make);
    const store: Store<{ n: number }> = await open();
    await store.set("a", { n: 1 });
    const changing = store.update("a", (current) => Object.assign(current ?? {}, { n: 2 }));
    await expect(changing).rejects.toThrow(TypeError);
    const failing = store.update("a", () => {
      throw new RangeError("mine");
    });
    await expect(failing).rejects.toThrow(new RangeError("mine"));
    const asynchronous: unknown = async () => Promise.reject(new Error("nobody awaits this"));
    const refused = store.update("a", asynchronous as () => { n: number });
    await expect(refused).rejects.toThrow(InvalidArgumentError);
    expect([store.get("a"), await flushes()]).toEqual([{ n: 1 }, 1]);
  });

  test("a value that JSON cannot carry is refused before anything changes", async () => {
    const { open, flushes } = await setUp(make);
    const store = await open();
    await store.set("a", { n: 1 });
    for (const value of refusedValues()) {
      const writing = store.set("a", value);
      await expect(writing, typeof value).rejects.toThrow(InvalidArgumentError);
      await expect(writing).rejects.toThrow("Record 'a' cannot be stored as JSON");
      if (value === undefined) continue; // means a deletion there
      await expect(store.update("a", () => value)).rejects.toThrow(InvalidArgumentError);
    }
    expect([store.get("a"), await flushes()]).toEqual([{ n: 1 }, 1]);
  });

  test("ids that cannot be used are refused", async () => {
    const { open, flushes } = await setUp(make);
    const store = await open();
    const ids: unknown[] = ["", undefined, null, 7, {}, [], "x".repeat(65_537)];
    for (const id of ids) {
      const bad = id as string;
      await expect(store.set(bad, 1)).rejects.toThrow(InvalidArgumentError);
      await expect(store.delete(bad)).rejects.toThrow(InvalidArgumentError);
      await expect(store.update(bad, () => 1)).rejects.toThrow(InvalidArgumentError);
      await expect(store.readMany([bad])).rejects.toThrow(InvalidArgumentError);
      await expect(store.hydrate([bad])).rejects.toThrow(InvalidArgumentError);
    }
    expect([store.count(), await flushes()]).toEqual([0, 0]);
  });

  test("every operation records what was there before; blind writes neither know nor look", async () => {
    const { medium, open, objects } = await setUp(make);
    const long = { text: "x".repeat(100), n: 1 };
    const writer = await open({ agentId: "w", segmentGraceMs: 0 });
    await writer.set("a", long);
    await writer.compact();
    const watched = watchBackend(medium.backend());
    const blind = await open({
      agentId: "b",
      skipLoad: true,
      blindWrites: true,
      backend: watched.backend,
    });
    watched.calls.length = 0;
    await blind.set("a", { ...long, n: 2 });
    expect(watched.calls.filter((call) => /^get (snapshots|ops)/.test(call))).toEqual([]);
    const [first] = operationsIn(await objects("ops/"));
    expect(first).toMatchObject({ op: "set", id: "a", data: { n: 2 } });
    expect(first).not.toHaveProperty("prev");
    await blind.close();

    const lazy = await open({ agentId: "l", skipLoad: true });
    await lazy.set("a", { ...long, n: 3 });
    await lazy.set("new", 1);
    await lazy.delete("a");
    expect(operationsIn(await objects("ops/")).filter((operation) => "prev" in operation)).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ id: "a", prev: { $set: { n: 2 } }, encoding: "delta" }),
        expect.objectContaining({ id: "new", prev: null }),
        expect.objectContaining({ id: "a", op: "delete", prev: { ...long, n: 3 } }),
      ]),
    );
  });

  test("a blind delete of what is not there is written, and harmless", async () => {
    const { open, entries } = await setUp(make);
    const store = await open({ skipLoad: true, blindWrites: true });
    await store.delete("none");
    await store.set("a", 1);
    expect(await entries()).toEqual([["a", 1]]);
  });
}
