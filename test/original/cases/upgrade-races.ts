/** What happens beside the first compaction of a store of the original. */
import { expect, test } from "vitest";
import { UpgradePass } from "../../../src/compaction/upgrade-pass.ts";
import { Lease } from "../../../src/storage/lease.ts";
import type { MakeMedium } from "../../store/fixture.ts";
import { beforeFirst } from "../intercepted-backend.ts";
import {
  compactAfterGrace,
  lines,
  LOG,
  manifestOf,
  manifestText,
  originalObjects,
  runCompaction,
  set,
  setUpObjects,
  setUpOriginal,
  SNAPSHOT,
  snapshotText,
  withBackend,
  withParts,
  writeObjects,
} from "../support.ts";

export function raceCases(make: MakeMedium): void {
  const slow = { timeout: 60_000 };

  test("writers and readers that are open meanwhile lose nothing", slow, async () => {
    const fixture = await setUpOriginal(make);
    const writer = await fixture.open({ agentId: "w", checkpointOnClose: false });
    const blind = await fixture.open({ agentId: "b", skipLoad: true, blindWrites: true });
    const eager = await fixture.open({ readOnly: true });
    const lazy = await fixture.open({ readOnly: true, skipLoad: true });
    await lazy.hydrate(["r1", "r2"]);
    const expected = new Map<string, unknown>(fixture.expected);
    const write = async (n: number): Promise<void> => {
      for (const [name, store] of Object.entries({ w: writer, b: blind })) {
        await store.refresh();
        await store.set(`${name}${n}`, { n });
        await store.set("r5", { [name]: n });
        expected.set(`${name}${n}`, { n }).set("r5", { [name]: n });
      }
    };
    await write(0);
    const compaction = runCompaction(fixture.medium, { gcGraceMs: 0 });
    await write(1);
    expect(await compaction).toMatchObject({ outcome: "published" });
    await write(2);
    const next = compactAfterGrace(fixture);
    await write(3);
    await next;
    await compactAfterGrace(fixture);
    for (const store of [writer, blind, eager, lazy]) {
      await store.refresh();
      expect(await store.readMany([...expected.keys(), "r2"])).toEqual(expected);
    }
    expect(new Map(eager.entries())).toEqual(expected);
    expect(new Map(await fixture.entries())).toEqual(expected);
  });

  test.each([
    ["an eager reader", false],
    ["a lazy reader", true],
  ])("%s whose snapshot is deleted under it goes over to the runs", slow, async (_, skipLoad) => {
    const fixture = await setUpOriginal(make);
    const { medium, expected } = fixture;
    let reads = 0;
    const isSecondRead = (call: string): boolean =>
      /^get snapshots\/snap-\d+\.jsonl$/.test(call) && ++reads === 2; // The first is of its head.
    const { backend, happened } = beforeFirst(medium.backend(), isSecondRead, async () => {
      await runCompaction(medium, { gcGraceMs: 0 });
      await compactAfterGrace(fixture);
      expect(await originalObjects(fixture)).toEqual([]);
    });
    const store = await fixture.open({ backend, readOnly: true, skipLoad });
    expect(await store.readMany([...expected.keys(), "r2"])).toEqual(expected);
    expect(happened()).toBe(true);
    expect([store.getOps(), store.stats().opsCount]).toEqual([[], 0]);
  });

  test("a snapshot that vanishes under a reader, with nothing in its place, is damage", async () => {
    const fixture = await setUpOriginal(make);
    let reads = 0;
    const isSecondRead = (call: string): boolean =>
      /^get snapshots\/snap-\d+\.jsonl$/.test(call) && ++reads === 2;
    const { backend } = beforeFirst(fixture.medium.backend(), isSecondRead, () =>
      withBackend(fixture.medium, async (inner) => {
        for (const path of await originalObjects(fixture)) {
          if (path.startsWith("snapshots/")) await inner.deleteBlob(path);
        }
      }),
    );
    await expect(fixture.open({ backend, readOnly: true })).rejects.toThrow(
      /^Snapshot file not found: snapshots\/snap-\d+\.jsonl\. The data directory may be corrupted\.$/,
    );
  });

  test("a lookup that meets another snapshot brings what is resident up to it", async () => {
    const fixture = await setUpObjects(make, {
      [SNAPSHOT]: snapshotText([
        ["a", 1],
        ["b", 1],
      ]),
      [LOG]: "",
    });
    const lazy = await fixture.open({ readOnly: true, skipLoad: true });
    await lazy.hydrate(["a"]);
    const next = { currentSnapshot: "snapshots/snap-2.jsonl", activeOps: "ops/ops-2.jsonl" };
    await writeObjects(fixture.medium, {
      [next.currentSnapshot]: snapshotText([
        ["a", 2],
        ["b", 2],
      ]),
      "manifest.json": manifestText(next),
    });
    await withBackend(fixture.medium, (backend) => backend.deleteBlob(SNAPSHOT));
    expect(await lazy.read("b")).toBe(2);
    expect(lazy.get("a")).toBe(2);
  });

  test.each([
    ["one lease", false],
    ["leases that do not keep them apart", true],
  ])("several compactors at once, with %s: one upgrades", slow, async (_, apart) => {
    const fixture = await setUpOriginal(make);
    const pass = async (n: number): Promise<string> => {
      if (!apart) return (await runCompaction(fixture.medium)).outcome;
      return withParts(fixture, async (parts) => {
        const { backend, runtime } = parts;
        const lease = await Lease.take(backend, runtime, { path: `test${n}.lease`, ttlMs: 60_000 });
        const result = await new UpgradePass(parts, lease ?? expect.unreachable()).run();
        await lease?.release();
        return result.outcome;
      });
    };
    const outcomes = await Promise.all([pass(1), pass(2), pass(3)]);
    expect(outcomes.filter((outcome) => outcome === "published")).toHaveLength(1);
    expect((await manifestOf(fixture)).generation).toBe(1);
    expect(new Map(await fixture.entries())).toEqual(fixture.expected);
    // Merges snapshot and log, which are levels of their own, and deletes them a grace later.
    await compactAfterGrace(fixture);
    await compactAfterGrace(fixture);
    const { runs } = await manifestOf(fixture);
    const mentioned = runs.flatMap(({ path, index }) => [path, index]);
    expect([...(await fixture.objects("snapshots/")).keys()].toSorted()).toEqual(
      mentioned.toSorted(),
    );
    expect(new Map(await fixture.entries())).toEqual(fixture.expected);
  });

  test(
    "what the original wrote until the publication is taken in by the next pass",
    slow,
    async () => {
      const fixture = await setUpObjects(make, {
        [SNAPSHOT]: snapshotText([["s", 1]]),
        [LOG]: lines([set("a", 1)]),
      });
      const late = lines([set("a", 1), set("late", 2)]);
      const isLast = (call: string): boolean => /^put .*\.retired$/.test(call);
      const { backend } = beforeFirst(fixture.medium.backend(), isLast, () =>
        writeObjects(fixture.medium, { [LOG]: late }),
      );
      expect(await runCompaction(fixture.medium, { backend })).toMatchObject({ outcome: "lost" });
      expect(await runCompaction(fixture.medium)).toMatchObject({
        outcome: "published",
        generation: 1,
      });
      expect(new Map(await fixture.entries())).toEqual(
        new Map([
          ["s", 1],
          ["a", 1],
          ["late", 2],
        ]),
      );
    },
  );
}
