/** The examples of the original's README as they stand there, and what it says in passing. */
import { expect, test } from "vitest";
import { FsBackend } from "../../../src/storage/fs/fs-backend.ts";
import { Store } from "../../../src/store/store.ts";
import { type MakeMedium, setUp } from "../fixture.ts";
import { watchBackend } from "../watched-backend.ts";

interface Task {
  readonly name: string;
  readonly status: string;
}

export function readmeCases(make: MakeMedium): void {
  usageCases(make);
  detailCases(make);
}

function usageCases(make: MakeMedium): void {
  test("Usage: create, read, update, delete, undo, query, batch, close, reopen", async () => {
    const { medium } = await setUp(make);
    const options = { backend: medium.backend() };
    const store = new Store<{ name: string; status: string }>();
    await store.open(medium.location, options);
    await store.set("task-1", { name: "Build API", status: "active" });
    const task = store.get("task-1");
    expect(task).toEqual({ name: "Build API", status: "active" });
    await store.set("task-1", { ...(task as Task), status: "done" });
    await store.delete("task-1");
    expect(store.has("task-1")).toBe(false);
    await store.undo();
    expect(store.get("task-1")).toEqual({ name: "Build API", status: "done" });
    await store.batch(() => {
      void store.set("a", { name: "A", status: "active" });
      void store.set("b", { name: "B", status: "active" });
      void store.set("c", { name: "C", status: "active" });
    });
    const active = store.filter((r) => r.status === "active");
    expect(active.map(({ name }) => name)).toEqual(["A", "B", "C"]);
    expect(store.count((r) => r.status === "done")).toBe(1);
    await store.close();

    const again = new Store<Task>();
    await again.open(medium.location, options);
    expect(again.count()).toBe(4);
    expect(again.get("task-1")).toEqual({ name: "Build API", status: "done" });
    await again.close();
  });

  test("Multi-Writer Mode: B sees A's writes on open", async () => {
    const { open } = await setUp(make);
    const storeA = await open<object>({ agentId: "agent-A" });
    await storeA.set("task-1", { title: "Build API", status: "active" });
    await storeA.close();
    const storeB = await open<object>({ agentId: "agent-B" });
    expect(storeB.get("task-1")).toEqual({ title: "Build API", status: "active" });
    await storeB.set("task-2", { title: "Write tests", status: "active" });
    await storeB.close();
  });

  test("Conflict resolution: the higher clock wins, for all agents", async () => {
    const { open, entries } = await setUp(make);
    const storeA = await open<object>({ agentId: "agent-A", checkpointOnClose: false });
    await storeA.set("shared", { value: "from-A" });
    const storeB = await open<object>({ agentId: "agent-B", checkpointOnClose: false });
    await storeB.set("shared", { value: "from-B" });
    await storeA.refresh();
    for (const store of [storeA, storeB]) {
      expect(store.get("shared")).toEqual({ value: "from-B" });
      expect(store.getOps().map(({ agent }) => agent)).toEqual(["agent-A", "agent-B"]);
      const [first = 0, second = 0] = store.getOps().map(({ clock }) => clock);
      expect(second).toBeGreaterThan(first);
    }
    expect(await entries()).toEqual([["shared", { value: "from-B" }]]);
  });

  test("Conflict resolution: at equal clocks the lexicographically higher agent wins", async () => {
    const { openCounting, entries } = await setUp(make);
    const names = ["agent-B", "agent-A"];
    const stores = await Promise.all(names.map((agentId) => openCounting({ agentId })));
    for (const [at, store] of stores.entries()) await store.set("shared", names[at]);
    for (const store of stores) {
      await store.refresh();
      expect(store.get("shared")).toBe("agent-B");
      expect(store.getOps().map(({ clock }) => clock)).toEqual([1, 1]);
    }
    expect(await entries()).toEqual([["shared", "agent-B"]]);
  });
}

function detailCases(make: MakeMedium): void {
  test("checkpointThreshold is 100; stats reports records, operations and archives", async () => {
    const { open } = await setUp(make);
    const store = await open();
    await store.batch(() => {
      for (let n = 0; n < 99; n++) void store.set(`r${n}`, n);
    });
    expect(store.stats()).toMatchObject({ activeRecords: 99, opsCount: 99, archiveSegments: 0 });
    await store.set("r99", 99);
    expect(store.stats()).toMatchObject({ activeRecords: 100, opsCount: 0, archiveSegments: 0 });
  });

  test("a store lies in manifest.json, snapshots/ and ops/, and nowhere else", async () => {
    const { open, objects } = await setUp(make);
    const store = await open({ checkpointOnClose: false });
    await store.set("a", 1);
    await store.compact();
    await store.set("b", 1);
    await store.close();
    const own = /^(manifest\.json|compact\.lease|writer\.lease|(snapshots|ops)\/.+)$/;
    const names = [...(await objects("")).keys()];
    expect(names.filter((name) => !own.test(name))).toEqual([]);
    for (const part of ["manifest.json", "snapshots/", "ops/"]) {
      expect(
        names.some((name) => name.startsWith(part)),
        part,
      ).toBe(true);
    }
  });

  test("a snapshot never changes; the next one is another", async () => {
    const { open, objects } = await setUp(make);
    const store = await open({ gcGraceMs: 1e9 });
    const seen = new Map<string, string>();
    for (let n = 0; n < 4; n++) {
      await store.set(`r${n}`, n);
      await store.compact();
      const now = await objects("snapshots/");
      for (const [name, text] of seen) expect(now.get(name), name).toBe(text);
      expect(now.size).toBeGreaterThan(seen.size);
      for (const [name, text] of now) seen.set(name, text);
    }
  });

  test("compact takes turns: while another compactor holds the lease it resolves and does nothing", async () => {
    const { medium, open, objects } = await setUp(make);
    const store = await open({ agentId: "a", checkpointOnClose: false });
    await store.set("x", 1);
    const other = medium.backend();
    await other.initialize(medium.location, { readOnly: false });
    const lease = Buffer.from('{"owner":"another","ttlMs":60000}\n');
    await other.put("compact.lease", lease, { ifAbsent: true });
    expect(await store.compact()).toBeUndefined();
    expect((await objects("snapshots/")).size).toBe(0);
    expect(store.stats().opsCount).toBe(1);
    await store.close();
    if (medium.name !== "memory") await other.shutdown();
  });

  test("writes and compactions that nobody awaits do not interleave", async () => {
    const { open, entries } = await setUp(make);
    const store = await open({ checkpointThreshold: 7 });
    const calls: Promise<unknown>[] = [];
    for (let n = 0; n < 20; n++) {
      calls.push(store.set(`r${n % 5}`, n));
      if (n % 6 === 3) calls.push(store.compact());
      if (n % 9 === 5) calls.push(store.delete(`r${n % 5}`), store.undo());
      if (n % 8 === 7) calls.push(store.batch(() => void store.set("batch", n)));
    }
    await Promise.all(calls);
    const byId = (found: [string, unknown][]): unknown =>
      found.toSorted(([a], [b]) => (a < b ? -1 : 1));
    expect(new Map(store.entries()).get("batch")).toBe(15);
    expect(byId(await entries())).toEqual(byId(store.entries()));
  });

  test("reads are answered while a write and a look are under way", async () => {
    const { medium, open } = await setUp(make);
    const watched = watchBackend(medium.backend());
    const store = await open({ backend: watched.backend });
    await store.set("a", 1);
    let release = (): void => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    watched.delay = () => held;
    const [write, look] = [store.set("a", 2), store.refresh()];
    await Promise.resolve();
    expect([store.get("a"), store.has("a"), store.all(), store.count()]).toEqual([2, true, [2], 1]);
    expect([store.entries(), store.filter((n) => n === 2)]).toEqual([[["a", 2]], [2]]);
    release();
    await Promise.all([write, look]);
  });

  test("a backend is an option; without one it is a directory", async () => {
    const { medium } = await setUp(make);
    if (medium.name !== "directory") return;
    const store = new Store<unknown>();
    await store.open(medium.location);
    await store.set("a", 1);
    await store.close();
    await store.open(medium.location, { backend: new FsBackend() });
    expect(store.get("a")).toBe(1);
    await store.close();
  });
}
