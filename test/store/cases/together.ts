/** Stores of one process whose flushes share objects (on a directory each is appended by itself). */
import { describe, expect, test } from "vitest";
import { WriteOutcomeUnknownError } from "../../../src/core/errors.ts";
import { compact } from "../../../src/compaction/compact.ts";
import type { StoreOptions } from "../../../src/session/options.ts";
import type { Store } from "../../../src/store/store.ts";
import { verify } from "../../../src/store/verify.ts";
import { type Fixture, type MakeMedium, setUp } from "../fixture.ts";
import { watchBackend, type Watched } from "../watched-backend.ts";

/** Longer than anything takes here: what leaves together does so because it was asked for at once. */
const flushLingerMs = 1_000;

interface Together extends Fixture {
  readonly watched: Watched;
  /** Stores of the agents named, over one backend. */
  openAll(agents: readonly string[], options?: StoreOptions): Promise<Store<unknown>[]>;
}

async function together(make: MakeMedium): Promise<Together> {
  const fixture = await setUp(make);
  // Where there is no manifest yet, each store looks for a lost one before its first flush: then they
  // would not be ready at once.
  await (await fixture.open({ agentId: "founder", segmentGraceMs: 0 })).close();
  const watched = watchBackend(fixture.medium.backend());
  const openAll: Together["openAll"] = (agents, options = {}) =>
    Promise.all(
      agents.map((agentId) =>
        fixture.open({ backend: watched.backend, agentId, ...options }, { flushLingerMs }),
      ),
    );
  return { ...fixture, watched, openAll };
}

async function all<V>(values: AsyncIterable<V>): Promise<V[]> {
  const found: V[] = [];
  for await (const value of values) found.push(value);
  return found;
}

function sorted(entries: Iterable<[string, unknown]>): [string, unknown][] {
  return [...entries].toSorted(([a], [b]) => (a < b ? -1 : 1));
}

const AGENTS = ["a", "b", "c"];

/** Each writes a record of its own and one that all write, at once. */
async function writeAll(stores: readonly Store<unknown>[], value: unknown): Promise<void> {
  const writes = stores.map((store, at) =>
    store.batch(() => {
      void store.set(`own-${AGENTS[at]}`, value);
      void store.set("shared", `${AGENTS[at]} ${String(value)}`);
    }),
  );
  await Promise.all(writes);
}

export function togetherCases(make: MakeMedium): void {
  const isShared = async (fixture: Fixture): Promise<boolean> =>
    fixture.medium.name !== "directory" && (await fixture.objects("ops/")).size === 1;

  describe.each([true, false])("skipLoad %s", (skipLoad) => {
    test("every write lands under its own agent, and all agree", async () => {
      const fixture = await together(make);
      const { medium, openAll, entries, lookUp } = fixture;
      const stores = await openAll(AGENTS, { skipLoad });
      await writeAll(stores, 1);
      expect(await isShared(fixture)).toBe(medium.name !== "directory");
      const expected = [
        ["own-a", 1],
        ["own-b", 1],
        ["own-c", 1],
        ["shared", "c 1"],
      ];
      expect(sorted(await entries())).toEqual(expected);
      expect(sorted(await lookUp(expected.map(([id]) => String(id))))).toEqual(expected);
      for (const store of stores) {
        await store.refresh();
        expect(await store.read("shared")).toBe("c 1");
        expect(await store.read("own-b")).toBe(1);
        expect(await all(store.scan())).toEqual(expected);
        const told = await all(store.getWalOps());
        expect(told.map(({ agent, id }) => `${agent} ${id}`).toSorted()).toEqual(
          AGENTS.flatMap((agent) => [`${agent} own-${agent}`, `${agent} shared`]).toSorted(),
        );
      }
    });

    test("before it looks again, a store shows its own flush, not a part of the others'", async () => {
      const { openAll } = await together(make);
      const stores = await openAll(AGENTS, { skipLoad });
      const [first] = stores;
      await writeAll(stores, 1);
      await writeAll(stores, 2);
      expect(await first?.read("own-a")).toBe(2);
      expect(await first?.read("shared")).toBe("a 2");
      expect(await first?.read("own-b")).toBeUndefined();
      await first?.refresh();
      expect(await first?.read("own-b")).toBe(2);
      expect(await first?.read("shared")).toBe("c 2");
    });

    test("an operation is counted once, before and after a look", async () => {
      const { openAll } = await together(make);
      const stores = await openAll(AGENTS, { skipLoad });
      await writeAll(stores, 1);
      expect(stores.map((store) => store.stats().opsCount)).toEqual([2, 2, 2]);
      for (const store of stores) await store.refresh();
      for (const store of stores) await store.refresh();
      expect(stores.map((store) => store.stats().opsCount)).toEqual([6, 6, 6]);
      const own = stores.map((store, at) =>
        store.getOps().filter(({ agent }) => agent === AGENTS[at]),
      );
      expect(own.map((operations) => operations.length)).toEqual([2, 2, 2]);
    });

    test("each undoes its own last operation, before and after a look", async () => {
      const { openAll, entries } = await together(make);
      const stores = await openAll(AGENTS, { skipLoad });
      for (const n of [1, 2, 3]) {
        await Promise.all(stores.map((store, at) => store.set(`own-${AGENTS[at]}`, n)));
      }
      expect(await Promise.all(stores.map((store) => store.undo()))).toEqual([true, true, true]);
      for (const store of stores) await store.read("own-a", { freshness: "snapshot" });
      for (const store of stores) await store.refresh();
      expect(await Promise.all(stores.map((store) => store.undo()))).toEqual([true, true, true]);
      expect(sorted(await entries())).toEqual([
        ["own-a", 1],
        ["own-b", 1],
        ["own-c", 1],
      ]);
    });

    test("a follower receives the changes of the others in its object, never its own", async () => {
      const { openAll } = await together(make);
      const [a, b] = await openAll(["a", "b"], { skipLoad });
      expect([await a?.tail(), await b?.tail()]).toEqual([[], []]);
      await Promise.all([a?.set("x", 1), b?.set("y", 1)]);
      const told = await Promise.all([a?.tail(), b?.tail()]);
      expect(told.map((news) => news?.map(({ agent, id }) => `${agent} ${id}`))).toEqual([
        ["b y"],
        ["a x"],
      ]);
      expect([await a?.tail(), await b?.tail()]).toEqual([[], []]);
      await Promise.all([a?.set("x", 2), b?.set("y", 2)]);
      await a?.refresh();
      expect((await a?.tail())?.map(({ id, data }) => [id, data])).toEqual([["y", 2]]);
      await Promise.all([a?.set("x", 3), b?.set("y", 3)]);
      await b?.set("x", 4);
      expect((await a?.tail())?.map(({ id, data }) => [id, data])).toEqual([
        ["y", 3],
        ["x", 4],
      ]);
    });
  });

  test("compaction takes in the whole object and deletes it; verify finds nothing wrong", async () => {
    const { medium, openAll, entries, objects } = await together(make);
    const stores = await openAll(AGENTS, { skipLoad: true });
    await writeAll(stores, 1);
    await writeAll(stores, 2);
    const before = await entries();
    expect(await verify(medium.location, { backend: medium.backend() })).toMatchObject({
      problems: [],
      operations: 12,
      segments: 6,
    });
    const settings = { segmentGraceMs: 0, gcGraceMs: 0 };
    const report = await compact(medium.location, { backend: medium.backend(), ...settings });
    expect(report).toMatchObject({ outcome: "published", operations: 12 });
    if (medium.name !== "directory") expect((await objects("ops/")).size).toBe(0);
    expect(sorted(await entries())).toEqual(sorted(before));
    for (const store of stores) {
      await store.refresh();
      expect(await store.read("shared")).toBe("c 2");
    }
    await writeAll(stores, 3);
    expect(new Map(await entries()).get("shared")).toBe("c 3");
  });
}

/** Of the objects that they share: a directory has files instead. */
export function sharedObjectCases(make: MakeMedium): void {
  test.each([true, false])(
    "what was compacted is not live any more, skipLoad %s",
    async (skipLoad) => {
      const { medium, openAll } = await together(make);
      const [a, b] = await openAll(["a", "b"], { skipLoad, refreshEveryMs: 1 });
      await Promise.all([a?.set("x", 1), b?.set("y", 1)]);
      await compact(medium.location, { backend: medium.backend() });
      await medium.pass(5);
      expect(await a?.read("nothing", { freshness: "snapshot" })).toBeUndefined();
      expect([a?.stats().opsCount, a?.getOps().length]).toEqual([0, 0]);
      expect(a?.getManifest()?.activeOps).toBe("ops/");
      expect(await a?.read("x")).toBe(1);
    },
  );

  test("a record that is in none of the objects is looked for in none", async () => {
    const { medium, openAll, open } = await together(make);
    const agents = Array.from({ length: 16 }, (_, at) => `agent-${at}`);
    const stores = await openAll(agents, { skipLoad: true });
    for (const round of [1, 2, 3]) {
      await Promise.all(stores.map((store, at) => store.set(`id-${round}-${at}`, round)));
    }
    const { backend, calls } = watchBackend(medium.backend());
    const reader = await open({ backend, agentId: "reader", skipLoad: true }, { flushLingerMs });
    await reader.read("another");
    await reader.set("new", 1);
    const reads = calls.filter((call) => call.startsWith("get ops/"));
    expect(reads).toEqual([]);
  });

  test("one store's stale view makes the outcome unknown for all that the object holds", async () => {
    const { medium, watched, openAll } = await together(make);
    const settings = { writerLagMs: 5_000, tombstoneGraceMs: 10_000 };
    const [old] = await openAll(["old"], { ...settings, skipLoad: true });
    // It would look again at half of the lag.
    await medium.pass(1_300);
    const [young] = await openAll(["young"], { ...settings, skipLoad: true });
    watched.delay = () => medium.pass(4_800);
    const writes = [old?.set("x", 1), young?.set("y", 1)];
    for (const write of writes) await expect(write).rejects.toThrow(WriteOutcomeUnknownError);
    watched.delay = undefined;
    expect([await old?.read("y"), await young?.read("x")]).toEqual([1, 1]);
  });
}
