/** Compaction as a store's user meets it: compact(), the threshold, stats and getManifest(). */
import { expect, test } from "vitest";
import { compact } from "../../../src/compaction/compact.ts";
import { type MakeMedium, setUp } from "../fixture.ts";

const ISO_DATE = /^\d{4}-\d\d-\d\dT[\d:]+\.\d{3}Z$/;

export function checkpointCases(make: MakeMedium): void {
  test("compact moves the log into a snapshot and changes no record", async () => {
    const { open, objects, flushes, entries } = await setUp(make);
    const store = await open();
    for (let n = 0; n < 10; n++) await store.set(`r${n}`, { n });
    await store.delete("r3");
    const before = store.entries();
    expect(store.stats()).toMatchObject({ activeRecords: 9, opsCount: 11, corruptSegments: 0 });
    expect(await store.compact()).toBeUndefined();
    expect(store.stats()).toMatchObject({ activeRecords: 9, opsCount: 0 });
    expect(store.entries()).toEqual(before);
    expect(await flushes()).toBe(0);
    const runs = [...(await objects("snapshots/")).keys()].filter((path) =>
      path.endsWith(".jsonl"),
    );
    expect(runs).toHaveLength(1);
    expect(await entries()).toEqual(before);
    await store.set("r3", "back");
    expect(store.stats()).toMatchObject({ activeRecords: 10, opsCount: 1 });
    expect((await entries()).length).toBe(10);
  });

  test("compact works on a lazy store, and on what others wrote", async () => {
    const { open, flushes, entries } = await setUp(make);
    const other = await open({ agentId: "other" });
    await other.set("theirs", 1);
    const lazy = await open({ skipLoad: true });
    await lazy.set("mine", 2);
    expect(await lazy.compact()).toBeUndefined();
    expect([await flushes(), lazy.stats().opsCount]).toEqual([0, 0]);
    expect(await lazy.readMany(["theirs", "mine"])).toEqual(
      new Map([
        ["theirs", 1],
        ["mine", 2],
      ]),
    );
    expect(new Map(await entries())).toEqual(
      new Map([
        ["theirs", 1],
        ["mine", 2],
      ]),
    );
    await other.set("theirs", 3);
    await lazy.compact();
    expect(new Map(await entries()).get("theirs")).toBe(3);
  });

  test("many compactions keep every record, and few runs", async () => {
    const { open, objects, entries, lookUp } = await setUp(make);
    const store = await open({ gcGraceMs: 0, segmentGraceMs: 0 });
    const expected = new Map<string, unknown>();
    for (let round = 0; round < 15; round++) {
      await store.batch(() => {
        for (let n = 0; n < 5; n++) {
          const id = `r${(round * 3 + n) % 20}`;
          expected.set(id, { round, n });
          void store.set(id, { round, n });
        }
      });
      const gone = `r${round % 20}`;
      if (expected.delete(gone)) await store.delete(gone);
      await store.compact();
    }
    expect(new Map(store.entries())).toEqual(expected);
    expect(new Map(await entries())).toEqual(expected);
    expect(await lookUp(Array.from({ length: 20 }, (_, n) => `r${n}`))).toEqual(expected);
    expect((await objects("snapshots/")).size).toBeLessThanOrEqual(2 * 10);
  });

  test("compact of nothing resolves and leaves no run", async () => {
    const { open, objects } = await setUp(make);
    const store = await open();
    await store.compact();
    expect((await objects("snapshots/")).size).toBe(0);
  });

  test("compact without a store reports what it did", async () => {
    const { medium, open, entries } = await setUp(make);
    const store = await open({ agentId: "w" });
    for (const id of ["a", "b"]) await store.set(id, 1);
    await store.delete("a");
    const run = (): ReturnType<typeof compact> =>
      compact(medium.location, { backend: medium.backend() });
    expect(await run()).toMatchObject({
      outcome: "published",
      generation: 2,
      segments: 3,
      operations: 3,
      records: 2,
      corrupt: 0,
      more: false,
    });
    expect(await run()).toMatchObject({ outcome: "idle", generation: 2, segments: 0 });
    expect(await entries()).toEqual([["b", 1]]);
    await store.set("c", 1);
    await store.refresh();
    expect(store.entries()).toEqual([
      ["b", 1],
      ["c", 1],
    ]);
  });

  test("the operation that reaches checkpointThreshold waits for the checkpoint", async () => {
    const { open, flushes } = await setUp(make);
    const store = await open({ checkpointThreshold: 5, checkpointOnClose: false });
    for (let n = 1; n <= 4; n++) {
      await store.set(`r${n}`, n);
      expect(store.stats().opsCount).toBe(n);
    }
    await store.set("r5", 5);
    expect([store.stats().opsCount, await flushes()]).toEqual([0, 0]);
    await store.batch(() => {
      for (let n = 0; n < 7; n++) void store.set(`b${n}`, n);
    });
    expect(store.stats().opsCount).toBe(0);
    await Promise.all(Array.from({ length: 12 }, (_, n) => store.set(`c${n}`, n)));
    expect([store.stats().opsCount, store.count()]).toEqual([0, 24]);
  });

  test("operations found at open count; only the next write triggers", async () => {
    const { open } = await setUp(make);
    const first = await open({ checkpointOnClose: false });
    for (let n = 1; n <= 6; n++) await first.set(`r${n}`, n);
    await first.close();
    const store = await open({ checkpointThreshold: 5 });
    expect(store.stats().opsCount).toBe(6);
    await store.set("r7", 7);
    expect([store.stats().opsCount, store.count()]).toEqual([0, 7]);
  });

  test("getManifest returns the state of the last look, under the original's names", async () => {
    const { open, objects } = await setUp(make);
    const store = await open();
    await store.set("a", 1);
    await store.set("b", 1);
    const before = store.getManifest();
    expect(before).toEqual({
      currentSnapshot: "manifest.json",
      activeOps: expect.stringMatching(/^ops\/.+\.jsonl$/),
      archiveSegments: [],
      stats: {
        activeRecords: 0,
        archivedRecords: 0,
        opsCount: 2,
        created: expect.stringMatching(ISO_DATE),
        lastCheckpoint: before?.stats.created,
      },
    });
    expect([...(await objects("ops/")).keys()]).toContain(before?.activeOps);
    await store.compact();
    const after = store.getManifest();
    expect(after).toMatchObject({ activeOps: "ops/", stats: { activeRecords: 2, opsCount: 0 } });
    expect([...(await objects("snapshots/")).keys()]).toContain(after?.currentSnapshot);
    expect(after?.stats.created).toBe(before?.stats.created);
    expect(after?.stats.lastCheckpoint).toMatch(ISO_DATE);
    await store.set("c", 1);
    await store.close();
    const atClose = { currentSnapshot: expect.stringMatching(/^snapshots\//), activeOps: "ops/" };
    expect(store.getManifest()).toMatchObject(atClose);
    expect(store.getManifest()?.stats).toMatchObject({ activeRecords: 3, opsCount: 0 });
  });

  test("a store has a manifest before anything is written, and readers open beside its writer", async () => {
    const { open, objects } = await setUp(make);
    const writer = await open();
    expect([...(await objects("")).keys()]).toContain("manifest.json");
    const reader = await open({ readOnly: true });
    expect([reader.entries(), reader.getManifest()?.currentSnapshot]).toEqual([
      [],
      "manifest.json",
    ]);
    await writer.set("a", 1);
    await reader.refresh();
    expect(reader.entries()).toEqual([["a", 1]]);
  });

  test("several that open a fresh store at once publish one first manifest", async () => {
    const { medium, open } = await setUp(make);
    const agents = ["a", "b", "c"];
    const stores = await Promise.all(agents.map((agentId) => open({ agentId })));
    await Promise.all(stores.map((store, n) => store.set(`r${n}`, n)));
    const report = await compact(medium.location, { backend: medium.backend() });
    expect(report).toMatchObject({ outcome: "published", generation: 2, records: 3 });
  });

  test("a lazy open publishes nothing", async () => {
    const { medium, open } = await setUp(make);
    const store = await open({ skipLoad: true, agentId: "lazy" });
    expect(await store.read("a")).toBeUndefined();
    // On a directory the check for hard links leaves the place where files are staged, empty.
    const left = [...(await medium.contents()).keys()].filter((path) => !path.endsWith("/.tmp"));
    expect(left).toEqual([]);
    expect(store.getManifest()).toMatchObject({ currentSnapshot: "manifest.json" });
  });

  test("a compaction leaves an application's own blobs alone", async () => {
    const { medium, open } = await setUp(make);
    const backend = medium.backend();
    await backend.initialize(medium.location, { readOnly: false });
    const paths = ["blobs/x.json", "data/1/y", "meta.json", "snapshots/mine.txt"];
    for (const path of paths) await backend.writeBlob(path, path);
    const store = await open({ gcGraceMs: 0 });
    for (let n = 0; n < 3; n++) {
      await store.set("a", n);
      await store.compact();
    }
    for (const path of paths) expect((await backend.readBlob(path)).toString()).toBe(path);
    await backend.shutdown();
  });
}
