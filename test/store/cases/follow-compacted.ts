/** tail: what was compacted between two looks. */
import { expect, test } from "vitest";
import type { Operation } from "../../../src/core/operation.ts";
import { FollowerExpiredError } from "../../../src/core/errors.ts";
import { compact } from "../../../src/compaction/compact.ts";
import { type MakeMedium, setUp, SHORT_GRACES } from "../fixture.ts";

/** "set a 1", "delete a": what a follower would apply. */
function brief(operations: readonly Operation<unknown>[]): string[] {
  return operations.map(({ op, id, data }) => [op, id, ...(op === "set" ? [data] : [])].join(" "));
}

function byId(entries: Iterable<[string, unknown]>): [string, unknown][] {
  return [...entries].toSorted(([a], [b]) => (a < b ? -1 : 1));
}

export function compactedCases(make: MakeMedium): void {
  test("what was compacted between two looks is reported as the net change", async () => {
    const { open } = await setUp(make);
    const writer = await open();
    await writer.set("changed", 1);
    await writer.set("deleted", 1);
    await writer.set("same", 1);
    const reader = await open({ readOnly: true });
    await reader.tail();
    await writer.set("changed", 2);
    await writer.set("changed", 3);
    await writer.delete("deleted");
    await writer.set("created", 1);
    await writer.set("gone", 1);
    await writer.delete("gone");
    await writer.compact();
    await writer.set("later", 1);
    const told = await reader.tail();
    const ts = reader.getManifest()?.stats.lastCheckpoint;
    expect(told.slice(0, 3)).toEqual([
      { ts, op: "set", id: "changed", data: 3, prev: 1 },
      { ts, op: "delete", id: "deleted", prev: 1 },
      { ts, op: "set", id: "created", data: 1, prev: null },
    ]);
    expect(brief(told.slice(3))).toEqual(["set later 1"]);
    expect(byId(reader.entries())).toEqual(byId(writer.entries()));
    expect(await reader.tail()).toEqual([]);
  });

  test("a follower misses nothing of a writer that checkpoints by itself", async () => {
    const { open } = await setUp(make);
    const writer = await open({ checkpointThreshold: 3 });
    const agent = await open({ agentId: "a", checkpointThreshold: 4 });
    const readers = [await open({ readOnly: true }), await open({ readOnly: true })];
    const copies = readers.map(() => new Map<string, unknown>());
    for (const reader of readers) await reader.tail();
    for (let n = 0; n < 20; n++) {
      const store = n % 3 === 2 ? agent : writer;
      await store.set(`r${n % 7}`, n);
      if (n % 5 === 4) await store.delete(`r${n % 7}`);
      for (const [at, reader] of readers.entries()) {
        if (n % (at + 2) > 0) continue;
        for (const { op, id, data } of await reader.tail()) {
          if (op === "set") copies[at]?.set(id, data);
          else copies[at]?.delete(id);
        }
        const entries = byId(copies[at] ?? []);
        expect(entries, `after ${n}`).toEqual(byId(reader.entries()));
      }
    }
  });

  test("an agent's record keeps its agent and clock in the net change", async () => {
    const { medium, open } = await setUp(make);
    const reader = await open({ agentId: "r" });
    await reader.tail();
    const agent = await open({ agentId: "a" });
    await agent.set("x", 1);
    const clock = agent.getOps()[0]?.clock;
    expect(clock).toBeGreaterThan(0);
    await compact(medium.location, { backend: medium.backend() });
    expect(await reader.tail()).toMatchObject([{ op: "set", id: "x", agent: "a", clock }]);
  });

  test("a lazy store that holds nothing receives what was compacted, once, and what is gone", async () => {
    const { medium, open } = await setUp(make);
    const writer = await open({ agentId: "w" });
    for (const id of ["changed", "deleted", "same"]) await writer.set(id, 1);
    const compactAll = async (): Promise<unknown> =>
      compact(medium.location, { backend: medium.backend(), full: true });
    await compactAll();
    await writer.set("logged", 1);
    const lazy = await open({ readOnly: true, skipLoad: true });
    expect(await lazy.tail()).toEqual([]);
    for (let n = 2; n < 9; n++) await writer.set("changed", n);
    await writer.set("logged", 2);
    await writer.delete("deleted");
    await writer.set("created", 1);
    await writer.set("gone", 1);
    await writer.delete("gone");
    await compactAll();
    await writer.set("later", 1);
    const told = await lazy.tail();
    expect(brief(told).toSorted()).toEqual([
      "delete deleted",
      "set changed 8",
      "set created 1",
      "set later 1",
      "set logged 2",
    ]);
    const ts = lazy.getManifest()?.stats.lastCheckpoint;
    const created = told.find(({ id }) => id === "created");
    expect(created).toEqual({
      ts,
      op: "set",
      id: "created",
      data: 1,
      agent: "w",
      clock: expect.any(Number),
    });
    await compactAll();
    expect(await lazy.tail(), "a rewrite is no news").toEqual([]);
    await writer.archive((_, id) => id === "same");
    expect(brief(await lazy.tail())).toEqual(["delete same"]);
  });

  test("what was collected cannot be reported: FOLLOWER_EXPIRED, then following continues", async () => {
    const { medium, open } = await setUp(make);
    const writer = await open({ agentId: "w" });
    await writer.set("a", 1);
    const compactAll = async (gcGraceMs: number): Promise<unknown> =>
      compact(medium.location, { backend: medium.backend(), full: true, gcGraceMs });
    await compactAll(0);
    const [lazy, eager] = [
      await open({ readOnly: true, skipLoad: true }),
      await open({ readOnly: true }),
    ];
    expect([await lazy.tail(), await eager.tail()]).toEqual([[], []]);
    for (const n of [2, 3, 4]) {
      await writer.set("a", n);
      await compactAll(0);
    }
    const failure = await lazy.tail().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(FollowerExpiredError);
    expect(failure).toMatchObject({ code: "FOLLOWER_EXPIRED", action: "retry" });
    expect(String(failure)).toContain("Read what you follow again");
    expect(await lazy.read("a")).toBe(4);
    expect(brief(await eager.tail()), "memory tells").toEqual(["set a 4"]);
    await writer.set("a", 5);
    expect(brief(await lazy.tail())).toEqual(["set a 5"]);
  });

  const slow = { timeout: 60_000 };
  test("after a purge (RELOAD) the two states are compared", slow, async () => {
    const { medium, open, objects } = await setUp(make, SHORT_GRACES);
    const writer = await open({ agentId: "w", ...SHORT_GRACES });
    for (const id of ["a", "b", "kept"]) await writer.set(id, 1);
    const reader = await open({ readOnly: true, ...SHORT_GRACES });
    await reader.tail();
    await writer.delete("a");
    await writer.set("b", 2);
    const backend = medium.backend();
    const options = { ...SHORT_GRACES, backend, full: true, compression: "none" } as const;
    await compact(medium.location, options);
    await medium.pass(SHORT_GRACES.tombstoneGraceMs + 2_000);
    for (const n of [1, 2]) {
      await writer.set("c", n);
      await compact(medium.location, options);
    }
    const left = [...(await objects("snapshots/")).values()].join("");
    expect(left).toContain('"kept"');
    expect(left, "nothing tells of the deletion").not.toContain('"a"');
    const told = await reader.tail();
    expect(brief(told)).toEqual(["delete a", "set b 2", "set c 2"]);
    expect(told[0]).toEqual({ ts: expect.any(String), op: "delete", id: "a", prev: 1 });
  });
}
