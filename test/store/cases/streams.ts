/** streamSnapshot and getWalOps: what they give, lazily and in order. */
import { expect, test } from "vitest";
import { NotOpenError, SchemaTooNewError } from "../../../src/core/errors.ts";
import { Store } from "../../../src/store/store.ts";
import { type MakeMedium, setUp } from "../fixture.ts";
import { fill, idsBelow, rebuilt, taken } from "../streamed.ts";
import { watchBackend } from "../watched-backend.ts";

export function streamCases(make: MakeMedium): void {
  contentCases(make);
  logCases(make);
}

function contentCases(make: MakeMedium): void {
  test("both reject at the first next() before open and after close", async () => {
    const closed = new Store<unknown>();
    for (const stream of [closed.streamSnapshot(), closed.getWalOps()]) {
      await expect(stream.next()).rejects.toThrow("Store is not open. Call open() first.");
    }
    const { open } = await setUp(make);
    const store = await open();
    await fill(store, 2_000);
    await store.compact();
    const [records, operations] = [store.streamSnapshot(), store.getWalOps()];
    await records.next();
    await store.close();
    await expect(taken(records)).rejects.toThrow(NotOpenError);
    await expect(operations.next()).rejects.toThrow(NotOpenError);
  });

  test("the snapshot is the winners of all runs in id order, without what is deleted", async () => {
    const { open, objects } = await setUp(make);
    const store = await open({ agentId: "a" });
    await fill(store, 200);
    await store.compact();
    await store.delete("r00007");
    await store.set("r00003", "newer");
    await store.set("a", "first");
    await store.compact();
    await store.set("r00004", "only in the log");
    expect(
      [...(await objects("snapshots/")).keys()].filter((path) => path.endsWith(".jsonl")).length,
    ).toBeGreaterThan(1);
    const expected = new Map<string, unknown>([
      ["a", "first"],
      ...idsBelow(200).map((id) => [id, "x"] as const),
    ]);
    expected.set("r00003", "newer").delete("r00007");
    for (const skipLoad of [false, true]) {
      const reader = await open({ readOnly: true, skipLoad });
      expect(await taken(reader.streamSnapshot())).toEqual([...expected]);
      if (skipLoad) expect(reader.stats().activeRecords).toBe(0);
    }
  });

  test("an empty store streams nothing", async () => {
    const { open } = await setUp(make);
    const store = await open();
    expect(await taken(store.streamSnapshot())).toEqual([]);
    expect(await taken(store.getWalOps())).toEqual([]);
  });

  test("what is streamed is migrated, and frozen unless freezeRecords is off", async () => {
    const { open } = await setUp(make);
    const old = await open({ version: 1, agentId: "old", checkpointOnClose: false });
    await old.set("in a run", { n: 1 });
    await old.compact();
    await old.set("in the log", { n: 2 });
    const migrate = (record: unknown, from: number): unknown => ({ record, from });
    const store = await open({ version: 2, migrate, agentId: "new", skipLoad: true });
    const [[id, record] = []] = await taken(store.streamSnapshot());
    expect([id, record]).toEqual(["in a run", { record: { n: 1 }, from: 1 }]);
    const [operation] = await taken(store.getWalOps());
    expect(operation).toMatchObject({ id: "in the log", data: { record: { n: 2 }, from: 1 } });
    expect([Object.isFrozen(record), Object.isFrozen(operation?.data)]).toEqual([true, true]);
    const free = await open({ version: 1, readOnly: true, freezeRecords: false, skipLoad: true });
    expect(Object.isFrozen((await taken(free.streamSnapshot()))[0]?.[1])).toBe(false);
    await store.set("of the new", 3);
    await expect(taken(old.getWalOps())).rejects.toThrow(SchemaTooNewError);
  });

  test("who stops early stops the reading", async () => {
    const { open, medium } = await setUp(make);
    const writer = await open({ agentId: "a", compression: "none" });
    await fill(writer, 8_000, 1_000);
    await writer.compact();
    const { backend, calls } = watchBackend(medium.backend());
    const reader = await open({ backend, readOnly: true, skipLoad: true });
    const readsOf = (): number => calls.filter((call) => /^get snap.*jsonl$/.test(call)).length;
    for await (const [id] of reader.streamSnapshot()) if (id > "r00010") break;
    const early = readsOf();
    expect(early).toBeLessThanOrEqual(3);
    await taken(reader.getWalOps());
    expect(readsOf()).toBe(early);
    expect((await taken(reader.streamSnapshot())).length).toBe(8_000);
    expect(readsOf()).toBeGreaterThan(early + 2);
  });
}

function logCases(make: MakeMedium): void {
  test("operations of all writers in version order, as getOps shows them", async () => {
    const { open } = await setUp(make);
    const [a, b] = [await open({ agentId: "a" }), await open({ agentId: "b" })];
    for (let n = 0; n < 5; n++) {
      await a.set(`a${n}`, n);
      await b.refresh();
      await b.batch(() => {
        void b.set(`b${n}`, n);
        if (n > 0) void b.delete(`a${n - 1}`);
      });
      await a.refresh();
    }
    const reader = await open({ readOnly: true });
    const operations = await taken(reader.getWalOps());
    expect(operations).toHaveLength(14);
    expect(operations).toEqual(reader.getOps());
    const lazy = await open({ readOnly: true, skipLoad: true });
    expect(await taken(lazy.getWalOps())).toEqual(operations);
  });

  test("since: strictly later by ts, compared as text", async () => {
    const { open, medium } = await setUp(make);
    const store = await open();
    await store.set("early", 1);
    await medium.pass(20);
    await store.set("late", 2);
    const [early, late] = store.getOps();
    const ids = async (since?: string): Promise<string[]> =>
      (await taken(store.getWalOps(since))).map(({ id }) => id);
    expect(await ids(early?.ts)).toEqual(["late"]);
    expect(await ids(late?.ts)).toEqual([]);
    expect(await ids("")).toEqual(["early", "late"]);
    expect(await ids(undefined)).toEqual(["early", "late"]);
  });

  test("what is buffered is flushed first", async () => {
    const { open, flushes } = await setUp(make);
    const options = { writeMode: "group", groupCommitMs: 60_000 } as const;
    const store = await open({ ...options, checkpointOnClose: false });
    await store.set("buffered", 1);
    expect(await flushes()).toBe(0);
    expect((await taken(store.getWalOps())).map(({ id }) => id)).toEqual(["buffered"]);
    expect(await flushes()).toBe(1);
  });

  test("an undone operation and its undo are left out", async () => {
    const { open } = await setUp(make);
    const store = await open();
    await store.set("a", 1);
    await store.set("a", 2);
    await store.set("b", 1);
    await store.undo();
    await store.undo();
    await store.set("c", 1);
    const shown = await taken(store.getWalOps());
    expect(shown.map(({ id, data }) => [id, data])).toEqual([
      ["a", 1],
      ["c", 1],
    ]);
    expect(shown).toEqual(store.getOps());
  });

  test("the undo of what the snapshot holds is shown", async () => {
    const { open } = await setUp(make);
    const store = await open({ agentId: "a" });
    await store.set("a", 1);
    await store.set("a", 2);
    await store.compact();
    expect(await store.undo()).toBe(true);
    expect(await rebuilt(store)).toEqual(new Map([["a", 1]]));
  });

  test("an operation below the one in the snapshot is left out", async () => {
    const { open, openCounting } = await setUp(make);
    const ahead = await open({ agentId: "ahead" });
    const behind = await openCounting({ agentId: "behind", skipLoad: true, blindWrites: true });
    for (let n = 0; n < 5; n++) await ahead.set("a", `ahead ${n}`);
    await ahead.compact();
    await behind.set("a", "behind");
    await behind.set("b", "behind");
    const reader = await open({ readOnly: true, skipLoad: true });
    expect(await rebuilt(reader)).toEqual(
      new Map([
        ["a", "ahead 4"],
        ["b", "behind"],
      ]),
    );
  });
}
