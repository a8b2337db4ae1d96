/** Archives: records moved out whole, and found again by name. */
import { expect, test } from "vitest";
import {
  NotHydratedError,
  RecordNotFoundError,
  StoreNotFoundError,
} from "../../../src/core/errors.ts";
import { compact } from "../../../src/compaction/compact.ts";
import { verify } from "../../../src/store/verify.ts";
import { type MakeMedium, setUp, SHORT_GRACES } from "../fixture.ts";
import { archived, EVEN, fill, isDone, KEEP, ODD, type Task } from "./archive-support.ts";

export function archiveCases(make: MakeMedium): void {
  test("records leave the store, and are found in the archive", async () => {
    const fixture = await setUp(make);
    const store = await fixture.open<Task>(KEEP);
    await fill(store);
    expect(await store.archive(isDone, "2026-Q1")).toBe(3);
    expect(store.entries()).toEqual(ODD);
    expect(store.has("t0")).toBe(false);
    expect([...(await store.loadArchive("2026-Q1"))]).toEqual(EVEN);
    expect(store.stats()).toMatchObject({ activeRecords: 3, opsCount: 0, archiveSegments: 1 });
    expect(store.listArchiveSegments()).toEqual(["archive/archive-2026-Q1.json"]);
    expect(store.getManifest()).toMatchObject({
      archiveSegments: ["archive/archive-2026-Q1.json"],
      stats: { activeRecords: 3, archivedRecords: 3, opsCount: 0 },
    });
    expect(await fixture.entries()).toEqual(ODD);
    expect(await fixture.lookUp(["t0", "t1"])).toEqual(
      new Map(ODD.slice(0, 1) as [string, Task][]),
    );
    expect(await archived(fixture, "2026-Q1")).toEqual(EVEN);
    expect(fixture.warnings).toEqual([]);
    // Loading restores nothing.
    expect(store.count()).toBe(3);
  });

  test(
    "archives stay when everything is compacted, and through a purge",
    { timeout: 60_000 },
    async () => {
      const fixture = await setUp(make, SHORT_GRACES);
      const { medium, open } = fixture;
      const store = await open<Task>({ ...KEEP, agentId: "a", ...SHORT_GRACES });
      await fill(store);
      await store.archive(isDone, "p");
      const pass = (): ReturnType<typeof compact> =>
        compact(medium.location, { ...SHORT_GRACES, backend: medium.backend(), full: true });
      await medium.pass(SHORT_GRACES.tombstoneGraceMs + 2_000);
      await store.set("t1", { n: 11, done: false });
      await pass();
      await store.set("t1", { n: 1, done: false });
      await pass();
      // Not even a tombstone is left of them, but the archive is.
      expect([...(await fixture.objects("snapshots/")).values()].join("")).not.toContain('"t0"');
      await store.refresh();
      expect(store.entries()).toEqual(ODD);
      expect(new Map(await fixture.entries())).toEqual(new Map(ODD as [string, Task][]));
      expect(await archived(fixture, "p")).toEqual(EVEN);
    },
  );

  test("archiving into a name again adds to it; what was archived last wins", async () => {
    const fixture = await setUp(make);
    const store = await fixture.open<Task>(KEEP);
    await fill(store);
    await store.archive((_, id) => id === "t0", "p");
    await store.set("t0", { n: 100, done: true });
    expect(await store.archive(isDone, "p")).toBe(3);
    await store.archive((_, id) => id === "t1", "q");
    expect(new Map(await archived(fixture, "p"))).toEqual(
      new Map<string, unknown>([...EVEN, ["t0", { n: 100, done: true }]] as [string, unknown][]),
    );
    expect(await archived(fixture, "q")).toEqual([ODD[0]]);
    expect(store.stats().archiveSegments).toBe(2);
    expect(store.listArchiveSegments()).toEqual([
      "archive/archive-p.json",
      "archive/archive-q.json",
    ]);
    expect(store.getManifest()?.stats.archivedRecords).toBe(5);
  });

  test("without a match nothing is written and nothing is listed", async () => {
    const { open, medium } = await setUp(make);
    const store = await open<Task>({ ...KEEP, agentId: "a" });
    await fill(store);
    const before = await medium.contents();
    expect(await store.archive(() => false, "p")).toBe(0);
    expect(await medium.contents()).toEqual(before);
    expect(store.listArchiveSegments()).toEqual([]);
    await expect(store.loadArchive("p")).rejects.toThrow(StoreNotFoundError);
  });

  test("a name that nobody archived to is not found; one by another is, and by both names", async () => {
    const fixture = await setUp(make);
    const a = await fixture.open<Task>({ ...KEEP, agentId: "a" });
    const b = await fixture.open<Task>({ ...KEEP, agentId: "b" });
    await expect(b.loadArchive("p")).rejects.toThrow("Archive segment 'p' not found");
    await fill(a);
    await a.archive(isDone, "p");
    expect([...(await b.loadArchive("p"))]).toEqual(EVEN);
    expect([...(await b.loadArchive("archive/archive-p.json"))]).toEqual(EVEN);
    await expect(b.loadArchive("archive/archive-p")).rejects.toThrow(StoreNotFoundError);
  });

  test("records of archives are frozen, unless that is switched off", async () => {
    const { open } = await setUp(make);
    const store = await open<Task>(KEEP);
    await fill(store);
    await store.archive(isDone, "p");
    expect(Object.isFrozen((await store.loadArchive("p")).get("t0"))).toBe(true);
    const loose = await open<Task>({ freezeRecords: false, readOnly: true });
    expect(Object.isFrozen((await loose.loadArchive("p")).get("t0"))).toBe(false);
  });

  test("ids and records of every kind go through an archive unchanged", async () => {
    const fixture = await setUp(make);
    const store = await fixture.open({ ...KEEP, freezeRecords: false });
    const odd = new Map<string, unknown>([
      ["__proto__", JSON.parse('{"__proto__": 1, "constructor": null}')],
      ["constructor", null],
      ["\ud800 lone", '",\n"data":'],
      ["\u2028 ü 𝄞", ["", 0, false, { deep: [{}] }]],
    ]);
    for (const [id, value] of odd) await store.set(id, value);
    expect(await store.archive(() => true, "p")).toBe(4);
    expect(await fixture.entries()).toEqual([]);
    expect(new Map(await archived(fixture, "p"))).toEqual(odd);
  });

  test("an archive of several megabytes is read back whole", async () => {
    const fixture = await setUp(make);
    const store = await fixture.open<string>(KEEP);
    await store.batch(() => {
      for (let n = 0; n < 30; n++) void store.set(`r${n}`, `${n} `.repeat(60_000));
    });
    expect(await store.archive(() => true, "big")).toBe(30);
    const found = new Map(await archived(fixture, "big"));
    expect(found.size).toBe(30);
    expect(found.get("r29")).toBe("29 ".repeat(60_000));
  });

  test("of an archived record nothing is left to delete, and it can be created again", async () => {
    const fixture = await setUp(make);
    const store = await fixture.open<Task>(KEEP);
    await fill(store);
    await store.archive(isDone, "p");
    await expect(store.delete("t0")).rejects.toThrow(RecordNotFoundError);
    await store.set("t0", { n: 7, done: false });
    expect(store.getOps()).toMatchObject([{ id: "t0", prev: null }]);
    expect(new Map(await fixture.entries()).get("t0")).toEqual({ n: 7, done: false });
    expect(await archived(fixture, "p")).toEqual(EVEN);
  });

  test("a lazy store archives what is resident; strictHydration requires everything", async () => {
    const fixture = await setUp(make);
    const agent = { ...KEEP, agentId: "a" };
    await fill(await fixture.open<Task>(agent));
    const lazy = await fixture.open<Task>({ ...agent, skipLoad: true });
    expect(await lazy.archive(() => true, "p")).toBe(0);
    await lazy.hydrate(["t0", "t1"]);
    expect(await lazy.archive(isDone, "p")).toBe(1);
    expect(await lazy.read("t0")).toBeUndefined();
    expect(await archived(fixture, "p")).toEqual(EVEN.slice(0, 1));
    const strict = await fixture.open<Task>({ ...agent, skipLoad: true, strictHydration: true });
    await strict.read("t2");
    await expect(strict.archive(isDone, "p")).rejects.toThrow(NotHydratedError);
    await strict.hydrate();
    expect(await strict.archive(isDone, "p")).toBe(2);
    expect(await fixture.entries()).toEqual(ODD);
  });

  test("verify reads archives too, and counts them nowhere", async () => {
    const { open, medium } = await setUp(make);
    const store = await open<Task>({ ...KEEP, agentId: "a" });
    await fill(store);
    await store.archive(isDone, "p");
    await compact(medium.location, { backend: medium.backend(), full: true });
    const report = await verify(medium.location, { backend: medium.backend() });
    // Three records, three tombstones.
    expect(report).toMatchObject({ problems: [], runs: 1, records: 6, operations: 0 });
  });
}
