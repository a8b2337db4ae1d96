/** Archives beside other calls: of the same store, of other agents, of other versions. */
import { expect, test } from "vitest";
import { SchemaTooNewError } from "../../../src/core/errors.ts";
import type { Store } from "../../../src/store/store.ts";
import { type MakeMedium, setUp } from "../fixture.ts";
import { archived, EVEN, fill, isDone, KEEP, ODD, type Task } from "./archive-support.ts";

export function archiveOrderCases(make: MakeMedium): void {
  test("calls that are not awaited take effect in their order", async () => {
    const fixture = await setUp(make);
    const store = await fixture.open<Task>(KEEP);
    await store.set("old", { n: 0, done: false });
    const calls = [
      store.set("before", { n: 1, done: true }),
      store.update("old", () => ({ n: 2, done: true })),
      store.archive(isDone, "p"),
      store.set("after", { n: 3, done: true }),
      store.update("before", (current) => ({ n: 4, done: current === undefined })),
      store.batch(() => void store.set("batched", { n: 5, done: true })),
      store.archive((_, id) => id === "after", "q"),
      store.delete("batched"),
    ];
    expect((await Promise.all(calls)).filter((result) => typeof result === "number")).toEqual([
      2, 1,
    ]);
    expect(new Map(await archived(fixture, "p"))).toEqual(
      new Map([
        ["before", { n: 1, done: true }],
        ["old", { n: 2, done: true }],
      ]),
    );
    expect(await archived(fixture, "q")).toEqual([["after", { n: 3, done: true }]]);
    expect(await fixture.entries()).toEqual([["before", { n: 4, done: true }]]);
  });

  test.each(["group", "async"] as const)(
    "%s: what is buffered is archived too",
    async (writeMode) => {
      const fixture = await setUp(make);
      const store = await fixture.open<Task>({ ...KEEP, writeMode, groupCommitMs: 1_000_000 });
      await store.set("a", { n: 1, done: true });
      expect(await store.archive(isDone, "p")).toBe(1);
      expect(store.stats().opsCount).toBe(0);
      expect(await archived(fixture, "p")).toEqual([["a", { n: 1, done: true }]]);
    },
  );

  test("the predicate is called once for each version of a record", async () => {
    const { open } = await setUp(make);
    const store = await open<Task>(KEEP);
    await fill(store);
    const asked: string[] = [];
    await store.archive(({ done }, id) => asked.push(id) > 0 && done, "p");
    expect(asked).toEqual(["t0", "t1", "t2", "t3", "t4", "t5"]);
  });
}

export function archiveUndoCases(make: MakeMedium): void {
  test("an archive cannot be undone, nor what was done before it", async () => {
    const { open } = await setUp(make);
    const store = await open<Task>(KEEP);
    await fill(store);
    await store.archive(isDone, "p");
    expect(await store.undo()).toBe(false);
    expect(store.count()).toBe(3);
    await store.set("t1", { n: 9, done: true });
    expect(await store.undo()).toBe(true);
    expect(store.get("t1")).toEqual({ n: 1, done: false });
    expect(await store.undo()).toBe(false);
  });

  test("an agent's last operation on an archived record stays", async () => {
    const { open, entries } = await setUp(make);
    const a = await open<number>({ ...KEEP, agentId: "a" });
    const b = await open<number>({ ...KEEP, agentId: "b" });
    await a.set("x", 1);
    await a.set("x", 2);
    expect(await b.archive(() => true, "p")).toBe(1);
    expect(await a.undo()).toBe(false);
    // What an undo restored is archived under the version of the undo.
    await a.set("y", 1);
    await a.set("y", 2);
    await a.undo();
    expect(await b.archive(() => true, "p")).toBe(1);
    expect(await a.undo()).toBe(false);
    expect(await entries()).toEqual([]);
    // A deletion that an undo restored is still undone.
    await a.set("z", 1);
    await a.delete("z");
    expect(await a.undo()).toBe(true);
    expect(a.get("z")).toBe(1);
  });
}

export function archiveConcurrencyCases(make: MakeMedium): void {
  test("the predicate is called with a changed record as it is now", async () => {
    const fixture = await setUp(make);
    const a = await fixture.open<Task>({ ...KEEP, agentId: "a" });
    const b = await fixture.open<Task>({ ...KEEP, agentId: "b" });
    await fill(a);
    await b.refresh();
    await b.set("t0", { n: 0, done: false });
    await b.set("t1", { n: 1, done: true });
    await b.delete("t2");
    expect(await a.archive(isDone, "p")).toBe(2);
    expect((await archived(fixture, "p")).map(([id]) => id)).toEqual(["t1", "t4"]);
    await b.refresh();
    expect(
      b
        .entries()
        .map(([id]) => id)
        .toSorted(),
    ).toEqual(["t0", "t3", "t5"]);
  });

  test("an update that lands while it is archived survives", async () => {
    const fixture = await setUp(make);
    const a = await fixture.open<Task>({ ...KEEP, agentId: "a" });
    const b = await fixture.open<Task>({ ...KEEP, agentId: "b" });
    await fill(a);
    await b.refresh();
    // Both go on at once: whichever comes first, the update is not lost.
    const [count] = await Promise.all([
      a.archive(isDone, "p"),
      b.set("t0", { n: 50, done: false }),
      b.set("t2", { n: 52, done: true }),
    ]);
    const left = new Map(await fixture.entries());
    const moved = new Map(await archived(fixture, "p"));
    expect(count).toBe(moved.size);
    expect(left.get("t0")).toEqual({ n: 50, done: false });
    const holders = [left.get("t2"), moved.get("t2")];
    expect(holders).toContainEqual({ n: 52, done: true });
  });

  test("agents that archive the same records archive each once", async () => {
    const fixture = await setUp(make);
    const options = { ...KEEP, leaseTtlMs: 30_000 };
    const stores: Store<Task>[] = [];
    for (const agentId of ["a", "b", "c"])
      stores.push(await fixture.open<Task>({ ...options, agentId }));
    await fill(stores[0]!);
    const counts = await Promise.all(stores.map((store) => store.archive(isDone, "p")));
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(3);
    expect(await fixture.entries()).toEqual(ODD);
    expect(await archived(fixture, "p")).toEqual(EVEN);
    for (const store of stores) expect(store.count()).toBe(3);
  });

  test("a reader beside it sees each record there or in the archive, never in neither", async () => {
    const fixture = await setUp(make);
    const writer = await fixture.open<Task>({ ...KEEP, agentId: "w" });
    const readers: Store<Task>[] = [];
    for (const skipLoad of [false, true])
      readers.push(await fixture.open<Task>({ readOnly: true, skipLoad }));
    await fill(writer);
    let isDoneArchiving = false;
    const ids = ["t0", "t1", "t2", "t3", "t4", "t5"];
    const look = async (reader: Store<Task>): Promise<void> => {
      for (let last = false; !last;) {
        last = isDoneArchiving;
        await reader.refresh();
        const there = await reader.readMany(ids);
        const names = reader.listArchiveSegments();
        const moved = names.length === 0 ? new Map() : await reader.loadArchive("p");
        for (const id of ids) expect(there.has(id) || moved.has(id), id).toBe(true);
      }
    };
    const work = async (): Promise<void> => {
      for (const id of ids) await writer.archive((_, other) => other === id, "p");
      isDoneArchiving = true;
    };
    await Promise.all([work(), ...readers.map(look)]);
    for (const reader of readers) expect(await reader.readMany(ids)).toEqual(new Map());
  });
}

export function archiveSchemaCases(make: MakeMedium): void {
  test("records of an archive are migrated from their own version; newer ones are refused", async () => {
    const fixture = await setUp(make);
    const migrate = (record: unknown, from: number): unknown => ({ record, from });
    const one = await fixture.open({ ...KEEP, agentId: "one", version: 1 });
    await one.set("a", 1);
    await one.set("b", 2);
    await one.archive((_, id) => id === "a", "p");
    const two = await fixture.open({ ...KEEP, agentId: "two", version: 2, migrate });
    await two.set("c", 3);
    // A checkpoint comes first, which persists what was migrated; archives stay as they are.
    expect(await two.archive(() => true, "p")).toBe(2);
    expect([...(await two.loadArchive("p"))]).toEqual([
      ["a", { record: 1, from: 1 }],
      ["b", { record: 2, from: 1 }],
      ["c", 3],
    ]);
    await one.refresh();
    await expect(one.loadArchive("p")).rejects.toThrow(SchemaTooNewError);
    const three = await fixture.open({ readOnly: true, version: 3 });
    expect([...(await three.loadArchive("p")).values()]).toEqual([1, { record: 2, from: 1 }, 3]);
  });
}
