/** tail: what others changed, told once. */
import { expect, test } from "vitest";
import type { Operation } from "../../../src/core/operation.ts";
import { compact } from "../../../src/compaction/compact.ts";
import { type MakeMedium, setUp } from "../fixture.ts";
import { watchBackend } from "../watched-backend.ts";

/** "set a 1", "delete a": what a follower would apply. */
function brief(operations: readonly Operation<unknown>[]): string[] {
  return operations.map(({ op, id, data }) => [op, id, ...(op === "set" ? [data] : [])].join(" "));
}

export function followCases(make: MakeMedium): void {
  tailCases(make);
}

function tailCases(make: MakeMedium): void {
  test("tail returns new operations in order, each once, beside a single writer", async () => {
    const { open } = await setUp(make);
    const writer = await open();
    await writer.set("a", 1);
    const reader = await open({ readOnly: true });
    expect(await reader.tail()).toEqual([]);
    await writer.set("a", 2);
    await writer.delete("a");
    await writer.batch(() => {
      void writer.set("b", { n: 1 });
      void writer.set("c", 3);
    });
    const told = await reader.tail();
    expect(told).toEqual(writer.getOps().slice(1));
    expect(told[0]).toEqual({ ts: expect.any(String), op: "set", id: "a", prev: 1, data: 2 });
    expect(reader.entries()).toEqual([
      ["b", { n: 1 }],
      ["c", 3],
    ]);
    expect(await reader.tail()).toEqual([]);
    expect(() => Object.assign(told[2]?.data ?? {}, { n: 2 })).toThrow(TypeError);
  });

  test("an agent receives the changes of others, never its own", async () => {
    const { openCounting } = await setUp(make);
    const [a, b] = [await openCounting({ agentId: "a" }), await openCounting({ agentId: "b" })];
    await a.set("x", 1);
    await b.set("y", 1);
    await b.set("x", 2);
    expect(brief(await a.tail())).toEqual(["set y 1", "set x 2"]);
    expect(await b.tail(), "it had lost before it came into view").toEqual([]);
    await a.set("x", 3);
    const [told] = await b.tail();
    expect(told).toMatchObject({ op: "set", id: "x", data: 3, agent: "a", clock: 3 });
  });

  test("a single writer receives the changes of agents, by tail as by refresh", async () => {
    const { open } = await setUp(make);
    const writer = await open();
    const agent = await open({ agentId: "a" });
    await writer.set("w", 1);
    await agent.set("x", 1);
    expect(brief(await writer.tail())).toEqual(["set x 1"]);
    await agent.set("x", 2);
    await writer.refresh();
    expect(writer.get("x")).toBe(2);
    expect(brief(await writer.tail()), "what came into view by refresh").toEqual(["set x 2"]);
  });

  test("what came into view before a write is reported all the same", async () => {
    const { open } = await setUp(make);
    const [a, b] = [await open({ agentId: "a", refreshEveryMs: 0 }), await open({ agentId: "b" })];
    await a.tail();
    await b.set("x", "theirs");
    await b.set("y", "theirs");
    await a.set("x", "mine");
    await a.set("x", "mine again");
    expect(brief(await a.tail())).toEqual(["set y theirs"]);
    await b.refresh();
    await b.set("x", "theirs again");
    expect(brief(await a.tail())).toEqual(["set x theirs again"]);
  });

  test("an undo whose target was reported is an operation; a pair that comes at once is none", async () => {
    const { open } = await setUp(make);
    const writer = await open();
    const reader = await open({ readOnly: true });
    await reader.tail();
    await writer.set("a", 1);
    await writer.set("a", 2);
    expect(brief(await reader.tail())).toEqual(["set a 1", "set a 2"]);
    await writer.undo();
    expect(brief(await reader.tail())).toEqual(["set a 1"]);
    await writer.undo();
    expect(brief(await reader.tail())).toEqual(["delete a"]);
    await writer.set("b", 1);
    await writer.set("c", 1);
    await writer.undo();
    expect(brief(await reader.tail())).toEqual(["set b 1"]);
    expect(reader.entries()).toEqual(writer.entries());
  });

  test("a lazy store receives changes of records that are not resident, too", async () => {
    const { medium, open } = await setUp(make);
    const writer = await open({ agentId: "w" });
    await writer.set("a", 1);
    const reader = await open({ readOnly: true, skipLoad: true });
    await reader.hydrate(["a"]);
    expect(await reader.tail()).toEqual([]);
    await writer.set("a", 2);
    await writer.set("b", 1);
    expect(brief(await reader.tail())).toEqual(["set a 2", "set b 1"]);
    expect([reader.get("a"), reader.get("b")]).toEqual([2, undefined]);
    await writer.set("a", 3);
    await writer.set("c", 1);
    await compact(medium.location, { backend: medium.backend() });
    await writer.set("d", 1);
    expect(brief(await reader.tail())).toEqual(["set a 3", "set c 1", "set d 1"]);
    expect(await reader.tail()).toEqual([]);
  });

  test("a lazy store does not receive what had lost when it came into view", async () => {
    const { medium, openCounting, open } = await setUp(make);
    const [ahead, late] = [
      await openCounting({ agentId: "a" }),
      await openCounting({ agentId: "l" }),
    ];
    const lazy = await open({ readOnly: true, skipLoad: true });
    await lazy.tail();
    for (let n = 1; n <= 5; n++) await ahead.set("x", n);
    expect(brief(await lazy.tail()).at(-1)).toBe("set x 5");
    await late.set("x", "lost");
    await late.set("y", "won");
    expect(brief(await lazy.tail())).toEqual(["set y won"]);
    await late.set("x", "lost again");
    await compact(medium.location, { backend: medium.backend() });
    expect(await lazy.tail()).toEqual([]);
    expect(await lazy.read("x")).toBe(5);
  });

  test("what a lazy store read between two looks is reported all the same", async () => {
    const { open } = await setUp(make);
    const writer = await open({ agentId: "w" });
    await writer.set("a", 1);
    await writer.set("b", 1);
    const lazy = await open({ readOnly: true, skipLoad: true });
    expect(await lazy.tail()).toEqual([]);
    await writer.set("a", 2);
    await lazy.refresh();
    expect(await lazy.read("a")).toBe(2);
    expect(brief(await lazy.tail())).toEqual(["set a 2"]);
    await writer.set("b", 2);
    await writer.compact();
    await lazy.hydrate();
    await lazy.refresh();
    expect(lazy.get("b")).toBe(2);
    expect(brief(await lazy.tail())).toEqual(["set b 2"]);
    await writer.set("b", 3);
    await writer.compact();
    expect(brief(await lazy.tail()), "everything is in memory by now").toEqual(["set b 3"]);
  });

  test("what becomes resident has not changed, and blind writes are one's own", async () => {
    const { open } = await setUp(make);
    const other = await open({ agentId: "o" });
    await other.set("a", 1);
    const lazy = await open({ agentId: "l", skipLoad: true, blindWrites: true });
    expect(await lazy.tail()).toEqual([]);
    expect(await lazy.read("a")).toBe(1);
    await lazy.set("b", 1);
    await lazy.set("b", 2);
    await lazy.hydrate();
    expect(await lazy.tail()).toEqual([]);
    await other.set("c", 1);
    expect(brief(await lazy.tail())).toEqual(["set c 1"]);
  });

  test("records come as this version of the program works with them", async () => {
    const { open } = await setUp(make);
    const writer = await open({ agentId: "w" });
    const migrate = (record: unknown): unknown => ({ migrated: record });
    const reader = await open({ readOnly: true, version: 2, migrate });
    await reader.tail();
    const long = "x".repeat(100);
    await writer.set("a", { long, n: 1 });
    await writer.set("a", { long, n: 2 });
    const [created, changed] = await reader.tail();
    expect(created).toMatchObject({ prev: null, data: { migrated: { long, n: 1 } } });
    expect(changed).toMatchObject({
      prev: { migrated: { long, n: 1 } },
      data: { migrated: { long, n: 2 } },
    });
    expect(changed).not.toHaveProperty("encoding");
    expect(reader.get("a")).toEqual(changed?.data);
  });

  test("a look that fails has reported nothing", async () => {
    const { medium, open } = await setUp(make);
    const writer = await open({ agentId: "w" });
    const { backend } = watchBackend(medium.backend());
    const reader = await open({ backend, readOnly: true });
    await reader.tail();
    await writer.set("a", 1);
    const { get } = backend;
    backend.get = () => Promise.reject(new Error("down"));
    await expect(reader.tail()).rejects.toThrow("down");
    backend.get = get;
    expect(brief(await reader.tail())).toEqual(["set a 1"]);
  });
}
