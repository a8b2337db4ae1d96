/** Reads of resident and of other records. */
import { expect, test } from "vitest";
import { InvalidArgumentError, NotHydratedError } from "../../../src/core/errors.ts";
import type { Store } from "../../../src/store/store.ts";
import { type Fixture, type MakeMedium, setUp } from "../fixture.ts";

interface Task {
  readonly title: string;
  readonly done: boolean;
}

/** Three records: two in a run, one in the log, and one deleted in the log. */
async function fill({ open }: Fixture): Promise<void> {
  const store = await open<Task>({ agentId: "filler" });
  await store.set("a", { title: "A", done: false });
  await store.set("b", { title: "B", done: true });
  await store.set("x", { title: "X", done: true });
  await store.compact();
  await store.set("c", { title: "C", done: true });
  await store.delete("x");
  await store.close();
}

/** Closing compacts; these reads shall meet a log. */
const KEEP_LOG = { checkpointOnClose: false };

export function readCases(make: MakeMedium): void {
  test("the synchronous reads answer from memory", async () => {
    const fixture = await setUp(make);
    await fill(fixture);
    const store = await fixture.open<Task>(KEEP_LOG);
    expect(store.get("a")).toEqual({ title: "A", done: false });
    expect([store.get("x"), store.get("none")]).toEqual([undefined, undefined]);
    expect([store.has("a"), store.has("x"), store.has("none")]).toEqual([true, false, false]);
    expect(store.all().map(({ title }) => title)).toEqual(["A", "B", "C"]);
    expect(store.entries().map(([id]) => id)).toEqual(["a", "b", "c"]);
    expect(store.filter(({ done }, id) => done && id !== "b")).toEqual([
      { title: "C", done: true },
    ]);
    expect([store.count(), store.count(({ done }, id) => done && id > "b")]).toEqual([3, 1]);
  });

  test("all, entries and filter give fresh arrays", async () => {
    const fixture = await setUp(make);
    await fill(fixture);
    const store = await fixture.open<Task>(KEEP_LOG);
    store.all().pop();
    store.entries().pop();
    store.filter(() => true).pop();
    expect([store.all().length, store.entries().length, store.filter(() => true).length]).toEqual([
      3, 3, 3,
    ]);
    const [first] = store.entries();
    if (first !== undefined) first[0] = "changed";
    expect(store.entries()[0]?.[0]).toBe("a");
  });

  test.each([true, false])("read and readMany find every record, skipLoad %s", async (skipLoad) => {
    const fixture = await setUp(make);
    await fill(fixture);
    const store = await fixture.open<Task>({ skipLoad, readOnly: true });
    expect(await store.read("b")).toEqual({ title: "B", done: true });
    expect(await store.read("x")).toBeUndefined();
    const found = await store.readMany(["c", "none", "a", "x", "c"]);
    expect([...found.keys()]).toEqual(["c", "a"]);
    expect(found.get("c")).toEqual({ title: "C", done: true });
    expect(await store.readMany([])).toEqual(new Map());
    expect((await store.readMany(new Set(["a"]))).size).toBe(1);
    await expect(store.read("")).rejects.toThrow(InvalidArgumentError);
  });

  test("hydrate makes some or all records resident", async () => {
    const fixture = await setUp(make);
    await fill(fixture);
    const store = await fixture.open<Task>({ skipLoad: true, strictHydration: true });
    await store.hydrate(["a", "none"]);
    expect([store.get("a")?.title, store.has("none")]).toEqual(["A", false]);
    await store.set("d", { title: "D", done: false });
    await store.hydrate();
    expect(
      store
        .all()
        .map(({ title }) => title)
        .toSorted(),
    ).toEqual(["A", "B", "C", "D"]);
    expect([store.count(), store.has("x"), store.get("none")]).toEqual([4, false, undefined]);
  });

  test("strictHydration: a synchronous read that cannot know throws, naming the call", async () => {
    const fixture = await setUp(make);
    await fill(fixture);
    const store = await fixture.open<Task>({ skipLoad: true, strictHydration: true });
    const expectThrown = (call: () => unknown, advice: string): void => {
      expect(call).toThrow(NotHydratedError);
      expect(call).toThrow(advice);
    };
    for (const call of [() => store.get("a"), () => store.has("a")]) {
      expectThrown(call, "await store.read(id)");
    }
    for (const call of [
      () => store.all(),
      () => store.entries(),
      () => store.filter(() => true),
      () => store.count(),
    ]) {
      expectThrown(call, "await store.hydrate()");
    }
    await store.set("new", { title: "N", done: false });
    const deleted = store.delete("a");
    expect([store.get("new")?.title, store.has("a")]).toEqual(["N", false]);
    await deleted;
    expect(store.get("a")).toBeUndefined();
    await store.read("none");
    expect(store.get("none")).toBeUndefined();
  });

  test("strictHydration changes nothing in an eager store", async () => {
    const fixture = await setUp(make);
    await fill(fixture);
    const store = await fixture.open<Task>({ readOnly: true, strictHydration: true });
    expect([store.count(), store.get("none"), store.has("x")]).toEqual([3, undefined, false]);
  });

  test("records handed out are deeply frozen, the caller's own objects never", async () => {
    const { open } = await setUp(make);
    const store: Store<{ tags: string[] }> = await open();
    const mine = { tags: ["a"] };
    const written = store.set("r", mine);
    mine.tags.push("before the flush");
    await written;
    mine.tags.push("after it");
    expect([Object.isFrozen(mine), Object.isFrozen(mine.tags)]).toEqual([false, false]);
    const [found, filtered] = [store.get("r"), store.filter(() => true)[0]];
    expect([found, await store.read("r"), store.all()[0], filtered]).toEqual(
      Array.from({ length: 4 }, () => ({ tags: ["a"] })),
    );
    expect(found).not.toBe(mine);
    expect(() => found?.tags.push("b")).toThrow(TypeError);
    expect(() => filtered?.tags.push("b")).toThrow(TypeError);
  });

  test("records inside operations are frozen as well", async () => {
    const { open } = await setUp(make);
    const store = await open({ checkpointOnClose: false });
    await store.set("a", { nested: { n: 1 } });
    await store.delete("a");
    const [created, deleted] = store.getOps();
    for (const record of [created?.data, deleted?.prev]) {
      expect(() => Object.assign(record ?? {}, { more: 1 })).toThrow(TypeError);
    }
    const [first] = store.getHistory("a");
    expect(() => Object.assign(first?.data ?? {}, { more: 1 })).toThrow(TypeError);
  });

  test("freezeRecords: false hands out what can be changed, and the log does not see it", async () => {
    const { open, entries } = await setUp(make);
    const store: Store<{ tags: string[] }> = await open({ freezeRecords: false });
    await store.set("r", { tags: ["a"] });
    store.get("r")?.tags.push("b");
    await store.compact();
    expect(await entries()).toEqual([["r", { tags: ["a"] }]]);
  });
}
