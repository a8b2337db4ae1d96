/** undo, getHistory and getOps: what is taken back, at whose cost, and what history shows. */
import { expect, test } from "vitest";
import { RecordNotFoundError } from "../../../src/core/errors.ts";
import { type MakeMedium, setUp } from "../fixture.ts";
import { watchBackend } from "../watched-backend.ts";

const KEEP = { checkpointOnClose: false, checkpointThreshold: 1_000 };

export function historyCases(make: MakeMedium): void {
  test("undo takes back a create, an update and a deletion, walking back", async () => {
    const { open, entries } = await setUp(make);
    const store = await open(KEEP);
    const long = { title: "x".repeat(100), status: "active" };
    await store.set("a", long);
    await store.set("a", { ...long, status: "done" });
    await store.set("a", "replaced");
    await store.delete("a");
    expect(await store.undo()).toBe(true);
    expect(store.get("a")).toBe("replaced");
    expect(await store.undo()).toBe(true);
    expect(store.get("a")).toEqual({ ...long, status: "done" });
    expect(await store.undo()).toBe(true);
    expect(store.get("a")).toEqual(long);
    expect(await entries()).toEqual([["a", long]]);
    expect(await store.undo()).toBe(true);
    expect(store.has("a")).toBe(false);
    expect(await store.undo()).toBe(false);
    expect(await entries()).toEqual([]);
    expect(store.getOps()).toEqual([]);
  });

  test("undo restores a record that was null, and one with a key named __proto__", async () => {
    const { open } = await setUp(make);
    const store = await open(KEEP);
    const odd: unknown = JSON.parse(`{"__proto__":{"polluted":1},"long":"${"x".repeat(200)}"}`);
    await store.set("null", null);
    await store.set("null", 1);
    await store.undo();
    expect(store.has("null")).toBe(true);
    expect(store.get("null")).toBe(null);
    await store.set("odd", odd);
    await store.set("odd", { long: "x".repeat(200), more: 1 });
    await store.undo();
    const fields = (value: unknown): string[] =>
      Object.entries(Object(value)).map((field) => JSON.stringify(field));
    expect(new Set(fields(store.get("odd")))).toEqual(new Set(fields(odd)));
    expect(Object.hasOwn(Object.prototype, "polluted")).toBe(false);
  });

  test("of a batch, undo takes back the last operation", async () => {
    const { open } = await setUp(make);
    const store = await open<number>(KEEP);
    await store.batch(() => {
      void store.set("a", 1);
      void store.set("b", 2);
      void store.set("a", 3);
    });
    await store.undo();
    expect(new Map(store.entries())).toEqual(
      new Map([
        ["a", 1],
        ["b", 2],
      ]),
    );
    await store.undo();
    expect(store.entries()).toEqual([["a", 1]]);
  });

  test("history shows operations with what was before, and an undone one no more", async () => {
    const { open } = await setUp(make);
    const store = await open(KEEP);
    await store.set("a", 1);
    await store.set("a", 2);
    await store.set("b", 1);
    await store.delete("a");
    const ts = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect(store.getHistory("a")).toEqual([
      { ts, op: "set", id: "a", prev: null, data: 1 },
      { ts, op: "set", id: "a", prev: 1, data: 2 },
      { ts, op: "delete", id: "a", prev: 2 },
    ]);
    await store.undo();
    expect(store.getOps().map(({ op, id }) => `${op} ${id}`)).toEqual(["set a", "set a", "set b"]);
    expect(store.getHistory("a")).toHaveLength(2);
    const last = store.getOps().at(-1)?.ts ?? "";
    expect(store.getOps(last)).toEqual([]);
    expect(store.getOps("2000")).toHaveLength(3);
    await store.compact();
    expect(store.getOps()).toEqual([]);
    expect(await store.undo()).toBe(false);
  });

  test("a smaller reverse patch stands in for the previous record", async () => {
    const { open } = await setUp(make);
    const store = await open(KEEP);
    const record = { long: "x".repeat(100), status: "active" };
    await store.set("a", record);
    await store.set("a", { ...record, status: "done", extra: 1 });
    const [, update] = store.getHistory("a");
    const prev = { $set: { status: "active" }, $unset: ["extra"] };
    expect(update).toMatchObject({ encoding: "delta", prev });
  });

  test("a reopened single writer continues undoing what is still in the log", async () => {
    const { open } = await setUp(make);
    const first = await open<number>(KEEP);
    await first.set("a", 1);
    await first.set("a", 2);
    await first.set("a", 3);
    await first.undo();
    await first.close();
    const again = await open<number>(KEEP);
    expect(again.getOps().map(({ data }) => data)).toEqual([1, 2]);
    expect(await again.undo()).toBe(true);
    expect(again.get("a")).toBe(1);
    expect(await again.undo()).toBe(true);
    expect(await again.undo()).toBe(false);
    expect(again.count()).toBe(0);
  });

  test("a lazy single writer that hydrates continues with what was there before it", async () => {
    const { open } = await setUp(make);
    await (await open<number>(KEEP)).close();
    const first = await open<number>(KEEP);
    await first.set("a", 1);
    await first.close();
    const lazy = await open<number>({ ...KEEP, skipLoad: true });
    await lazy.set("a", 2);
    expect(lazy.getOps().map(({ data }) => data)).toEqual([2]);
    await lazy.hydrate();
    expect(lazy.getOps().map(({ data }) => data)).toEqual([1, 2]);
    expect([await lazy.undo(), await lazy.undo(), await lazy.undo()]).toEqual([true, true, false]);
    expect(lazy.count()).toBe(0);
  });

  test("an agent undoes its own last operation only, and never at another's cost", async () => {
    const { open, entries } = await setUp(make);
    const a = await open<string>({ ...KEEP, agentId: "a" });
    const b = await open<string>({ ...KEEP, agentId: "b" });
    expect(await b.undo()).toBe(false);
    await a.set("shared", "a1");
    await b.refresh();
    await b.set("other", "b1");
    await b.set("shared", "b2");
    // b has written it since: there is nothing of a's own left to take back.
    expect(await a.undo()).toBe(false);
    expect(a.get("shared")).toBe("b2");
    expect(await b.undo()).toBe(true);
    expect(b.get("shared")).toBe("a1");
    expect(await b.undo()).toBe(true);
    expect(await b.undo()).toBe(false);
    expect(await entries()).toEqual([["shared", "a1"]]);
    expect(a.getOps()[0]).toMatchObject({ agent: "a", clock: expect.any(Number) });
  });

  test("an agent can undo right after a compaction by somebody else", async () => {
    const { open, entries } = await setUp(make);
    const a = await open<number>({ ...KEEP, agentId: "a", skipLoad: true });
    const b = await open<number>({ ...KEEP, agentId: "b" });
    await a.set("x", 1);
    await a.set("x", 2);
    await b.compact();
    expect(await a.undo()).toBe(true);
    expect(await a.read("x")).toBe(1);
    expect(await a.undo()).toBe(true);
    expect(await entries()).toEqual([]);
  });

  test("an agent can undo after a compaction of its own, a single writer cannot", async () => {
    const { open } = await setUp(make);
    const agent = await open<number>({ ...KEEP, agentId: "a" });
    await agent.set("x", 1);
    await agent.set("x", 2);
    await agent.compact();
    expect([await agent.undo(), agent.get("x")]).toEqual([true, 1]);
    await agent.close();
    const single = await open<number>(KEEP);
    await single.set("x", 3);
    await single.compact();
    expect([await single.undo(), single.get("x")]).toEqual([false, 3]);
  });

  test("a blind write cannot be undone", async () => {
    const { open } = await setUp(make);
    await (await open({ agentId: "a" })).set("x", 1);
    const blind = await open({ agentId: "b", skipLoad: true, blindWrites: true });
    await blind.set("x", 2);
    expect(await blind.undo()).toBe(false);
    expect(blind.get("x")).toBe(2);
  });

  test("undo and writes that are not awaited keep the order of the calls", async () => {
    const { open } = await setUp(make);
    const store = await open(KEEP);
    await store.set("a", 1);
    const value = { n: 2 };
    const calls = [store.set("a", 0), store.undo(), store.set("a", value), store.delete("b")];
    value.n = 3;
    const outcomes = await Promise.allSettled(calls);
    expect(outcomes.slice(0, 3).every(({ status }) => status === "fulfilled")).toBe(true);
    expect(outcomes[3]).toMatchObject({ reason: expect.any(RecordNotFoundError) });
    expect(store.get("a")).toEqual({ n: 2 });
    expect(store.getOps().map(({ data }) => data)).toEqual([1, { n: 2 }]);
    await Promise.all([store.undo(), store.undo()]);
    expect(store.count()).toBe(0);
  });

  test.each(["group", "async"] as const)(
    "%s: a buffered operation is undone",
    async (writeMode) => {
      const { open, entries } = await setUp(make);
      const store = await open<number>({ ...KEEP, writeMode, groupCommitMs: 1_000_000 });
      await store.set("a", 1);
      await store.set("a", 2);
      expect(await store.undo()).toBe(true);
      expect(store.get("a")).toBe(1);
      expect(await entries()).toEqual([["a", 1]]);
    },
  );

  test.each(["group", "async"] as const)(
    "%s: undo takes back what is only buffered",
    async (writeMode) => {
      const { open, entries } = await setUp(make);
      const store = await open({ ...KEEP, writeMode, groupCommitMs: 1_000_000 });
      await store.set("a", 1);
      await store.flush();
      await store.set("a", 2);
      await store.set("b", 1);
      expect(await store.undo()).toBe(true);
      expect(await store.undo()).toBe(true);
      expect(store.entries()).toEqual([["a", 1]]);
      expect(store.getOps()).toMatchObject([{ id: "a", data: 1 }]);
      await store.flush();
      expect(await entries()).toEqual([["a", 1]]);
    },
  );

  test("undo costs the same whatever the store and its log hold", async () => {
    const costs: string[][] = [];
    for (const count of [10, 3_000]) {
      const { medium, open } = await setUp(make);
      const watched = watchBackend(medium.backend());
      const store = await open({ ...KEEP, checkpointThreshold: 1e6, backend: watched.backend });
      await store.batch(() => {
        for (let n = 0; n < count; n++) void store.set(`r${n}`, { n });
      });
      await store.set("last", 1);
      await store.refresh();
      watched.calls.length = 0;
      expect(await store.undo()).toBe(true);
      expect(store.count()).toBe(count);
      costs.push(watched.calls.map((call) => call.split(" ")[0] ?? ""));
      expect(
        watched.calls.filter((call) => call.startsWith("get ops/")),
        "no log is read",
      ).toEqual([]);
      await store.close();
    }
    expect(costs[0]?.toSorted()).toEqual(costs[1]?.toSorted());
  });
}
