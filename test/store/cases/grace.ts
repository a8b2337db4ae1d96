/** Merged segments that still lie in the log: nobody takes them for anything but what they are. */
import { expect, test } from "vitest";
import { compact } from "../../../src/compaction/compact.ts";
import { verify } from "../../../src/store/verify.ts";
import { type Fixture, type MakeMedium, setUp } from "../fixture.ts";
import { taken } from "../streamed.ts";
import { watchBackend } from "../watched-backend.ts";

/** Long enough for a test to run in, short enough to wait for. */
const GRACE = { segmentGraceMs: 4_000, gcGraceMs: 0 };
/** Dates may be whole seconds. */
const GRAIN_MS = 2_000;

function pass({ medium }: Fixture): ReturnType<typeof compact> {
  return compact(medium.location, { ...GRACE, backend: medium.backend() });
}

async function logged({ objects }: Fixture): Promise<number> {
  return (await objects("ops/")).size;
}

export function graceCases(make: MakeMedium): void {
  test("they count for nobody, and a later pass deletes them and their list", async () => {
    const fixture = await setUp(make);
    const { medium, open, entries, objects } = fixture;
    const store = await open({ agentId: "w", ...GRACE });
    for (let n = 0; n < 3; n++) await store.set(`r${n}`, n);
    await store.compact();
    expect(store.stats().opsCount).toBe(0);
    expect([store.getOps(), store.getManifest()?.activeOps]).toEqual([[], "ops/"]);
    expect(await logged(fixture)).toBe(medium.name === "directory" ? 0 : 3);

    const again = await open({ readOnly: true });
    expect([again.stats().opsCount, again.getOps()]).toEqual([0, []]);
    expect(await taken(again.getWalOps())).toEqual([]);
    const backend = medium.backend();
    expect(await verify(medium.location, { backend })).toMatchObject({ segments: 0, problems: [] });
    expect(await pass(fixture)).toMatchObject({ outcome: "idle" });

    await medium.pass(GRACE.segmentGraceMs + GRAIN_MS);
    await pass(fixture);
    expect(await logged(fixture)).toBe(0);
    expect([...(await objects("snapshots/")).keys()].join()).not.toContain(".retired");
    expect(await pass(fixture)).toMatchObject({ outcome: "idle" });
    expect(new Map(await entries())).toEqual(new Map([0, 1, 2].map((n) => [`r${n}`, n])));
  }, 30_000);

  test("beside newer writes, and one from before with a lower clock", async () => {
    const fixture = await setUp(make);
    const { open, entries, lookUp } = fixture;
    const late = await open({ agentId: "late", skipLoad: true, blindWrites: true, ...GRACE });
    const store = await open({ agentId: "w", ...GRACE });
    for (let n = 0; n < 4; n++) await store.set(`r${n}`, n);
    await store.compact();
    await late.set("late", "low clock");
    await store.set("new", "high clock");
    await store.refresh();
    expect(store.stats().opsCount).toBe(2);
    const again = await open({ readOnly: true });
    expect(again.stats().opsCount).toBe(2);
    expect(
      again
        .getOps()
        .map(({ id }) => id)
        .toSorted(),
    ).toEqual(["late", "new"]);
    const told = await taken(again.getWalOps());
    expect(told.map(({ id }) => id).toSorted()).toEqual(["late", "new"]);
    const { backend, calls } = watchBackend(fixture.medium.backend());
    const asked: unknown[] = [];
    const onBacklog = (backlog: unknown): void => void asked.push(backlog);
    const bounded = { backlogSegments: 2, onBacklog };
    const lazy = await open({ readOnly: true, skipLoad: true, backend, ...bounded });
    calls.length = 0;
    const scanned = (await taken(lazy.scan())).map(([id]) => id);
    expect(scanned).toEqual(["late", "new", "r0", "r1", "r2", "r3"]);
    expect(calls.filter((call) => call.startsWith("get ops/")).length).toBeLessThanOrEqual(2);
    expect(asked, "what is merged is no backlog").toEqual([]);
    expect(await lookUp(["late", "new", "r0"])).toEqual(
      new Map<string, unknown>([
        ["late", "low clock"],
        ["new", "high clock"],
        ["r0", 0],
      ]),
    );

    expect(await pass(fixture)).toMatchObject({ outcome: "published", segments: 2 });
    // The runs that this replaced go at once; of the log nothing is merged again.
    expect(await pass(fixture)).toMatchObject({ segments: 0, runsMerged: 0 });
    expect(await pass(fixture)).toMatchObject({ outcome: "idle" });
    expect((await entries()).length).toBe(6);
  });

  test("a follower receives nothing twice, whatever becomes of the segments", async () => {
    const fixture = await setUp(make);
    const { medium, open } = fixture;
    const writer = await open({ agentId: "w", ...GRACE });
    const eager = await open({ agentId: "e", ...GRACE });
    const lazy = await open({ agentId: "l", skipLoad: true, ...GRACE });
    for (const follower of [eager, lazy]) expect(await follower.tail()).toEqual([]);
    const late = await open({ agentId: "late", skipLoad: true, blindWrites: true, ...GRACE });
    await writer.set("a", 1);
    await writer.set("b", 1);
    for (const follower of [eager, lazy]) {
      expect((await follower.tail()).map(({ id }) => id)).toEqual(["a", "b"]);
    }
    await pass(fixture);
    for (const follower of [eager, lazy]) expect(await follower.tail()).toEqual([]);
    // Now the listing alone does not tell what is merged.
    await late.set("late", 1);
    for (const follower of [eager, lazy]) {
      expect((await follower.tail()).map(({ id }) => id)).toEqual(["late"]);
    }
    await medium.pass(GRACE.segmentGraceMs + GRAIN_MS);
    await pass(fixture);
    for (const follower of [eager, lazy]) expect(await follower.tail()).toEqual([]);
  }, 30_000);

  test("a list that is damaged or lost costs a second merge, no record", async () => {
    const fixture = await setUp(make);
    const { medium, open, objects, entries } = fixture;
    if (medium.name === "directory") return; // There are no such lists.
    const store = await open({ agentId: "w", ...GRACE });
    const expected = new Map<string, unknown>();
    for (const damage of ["damaged", undefined]) {
      await store.set(`r${expected.size}`, 1);
      expected.set(`r${expected.size}`, 1);
      await pass(fixture);
      const backend = medium.backend();
      await backend.initialize(medium.location, { readOnly: false });
      const lists = [...(await objects("snapshots/")).keys()].filter((p) => p.endsWith(".retired"));
      for (const path of lists) {
        if (damage === undefined) await backend.delete([path]);
        else await backend.writeBlob(path, damage);
      }
      // Another instance, as another process: lists are immutable, and kept by whoever read them.
      const other = { ...medium, backend: () => watchBackend(backend).backend };
      const { problems } = await verify(medium.location, { backend: other.backend() });
      expect(problems.length).toBeGreaterThan(0);
      await store.set("more", expected.size);
      expected.set("more", expected.size);
      const report = await compact(medium.location, {
        ...GRACE,
        backend: other.backend(),
        onWarning: () => undefined,
      });
      expect(report).toMatchObject({ outcome: "published" });
      expect(new Map(await entries())).toEqual(expected);
    }
  });
}
