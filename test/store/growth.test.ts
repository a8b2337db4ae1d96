/** What n operations cost grows with n, not with its square. */
import { expect, test } from "vitest";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { type StagedOperation, Memtable } from "../../src/session/memtable.ts";
import type { StoreOptions } from "../../src/session/options.ts";
import { Store } from "../../src/store/store.ts";
import { growthOf, LINEAR_MAX } from "../support/growth.ts";

function staged(count: number): StagedOperation[] {
  return Array.from({ length: count }, (_, n) => ({ op: "set", id: "x", text: `${n}`, value: n }));
}

const one = (operation: StagedOperation): StagedOperation[] => [operation];

test.each([
  ["together", (records: Memtable, all: StagedOperation[]) => records.unstage(all)],
  [
    "one by one",
    (records: Memtable, all: StagedOperation[]) =>
      all.forEach((each) => records.unstage(one(each))),
  ],
  [
    "one by one, the last first",
    (records: Memtable, all: StagedOperation[]) =>
      all.toReversed().forEach((each) => records.unstage(one(each))),
  ],
  [
    "one by one, from the middle",
    (records: Memtable, all: StagedOperation[]) =>
      [...all.slice(all.length / 2), ...all].forEach((each) => records.unstage(one(each))),
  ],
])("operations on one record are staged and taken off %s", async (_, unstage) => {
  const growth = await growthOf(5_000, (size) => {
    const records = new Memtable();
    const all = staged(size);
    for (const each of all) records.stage(each);
    expect(records.visible.get("x")).toBe(size - 1);
    unstage(records, all);
    expect([records.isStaged("x"), records.visible.size]).toEqual([false, 0]);
  });
  expect(growth).toBeLessThan(LINEAR_MAX);
});

test("what is staged shows in the order of the calls, whatever is taken off between", () => {
  const records = new Memtable();
  const all = staged(10);
  for (const each of all) records.stage(each);
  const seen: unknown[] = [];
  for (const at of [9, 3, 8, 3, 0, 7, 1, 2, 4, 6]) {
    records.unstage([all[at] ?? staged(1)[0]!].slice(0, 1));
    seen.push(records.visible.get("x"));
  }
  expect(seen).toEqual([8, 8, 7, 7, 7, 6, 6, 6, 6, 5]);
  records.unstage(all);
  expect(records.isStaged("x")).toBe(false);
});

const quiet = { checkpointThreshold: Infinity, checkpointOnClose: false };

async function opened(options: StoreOptions<unknown> = {}): Promise<Store<unknown>> {
  return Store.open<unknown>("memory", { backend: new MemoryBackend(), ...quiet, ...options });
}

test.each<[string, StoreOptions<unknown>]>([
  ["immediate", {}],
  ["an agent's", { agentId: "a" }],
  ["group", { writeMode: "group", groupCommitSize: 1_000_000, groupCommitMs: 1_000_000 }],
  ["async", { writeMode: "async", groupCommitSize: 1_000_000, groupCommitMs: 1_000_000 }],
])("writes of one record, %s", async (_, options) => {
  const growth = await growthOf(4_000, async (size) => {
    const store = await opened(options);
    const writes = Array.from({ length: size }, (__, n) => store.set("x", n));
    await store.flush();
    await Promise.all(writes);
    expect(store.get("x")).toBe(size - 1);
    await store.close();
  });
  expect(growth).toBeLessThan(LINEAR_MAX);
});

test("a batch of one record, and one that is taken back", async () => {
  const growth = await growthOf(4_000, async (size) => {
    const store = await opened();
    const write = (): void => {
      for (let n = 0; n < size; n++) void store.set("x", n);
    };
    await store.batch(write);
    const failing = store.batch(() => {
      write();
      throw new Error("taken back");
    });
    await expect(failing).rejects.toThrow("taken back");
    expect(store.get("x")).toBe(size - 1);
    await store.close();
  });
  expect(growth).toBeLessThan(LINEAR_MAX);
});
