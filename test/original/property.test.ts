/**
 * Whatever the original did to a directory, we see exactly what it sees when it opens it again:
 * before and after the upgrade, eager and lazy. Left out is what it gets wrong itself: agents that
 * write without looking first (`drop-in.md`), and values that its own reader refuses.
 */
import { cp } from "node:fs/promises";
import type { Store as OriginalStore } from "@backloghq/opslog";
import fc from "fast-check";
import { expect, test } from "vitest";
import { directoryMedium } from "../store/media.ts";
import { type Fixture, setUp } from "../store/fixture.ts";
import { repeat } from "../support/effort.ts";
import {
  directory,
  type Fields,
  openOriginal,
  originalEntries,
  originalObjects,
  runCompaction,
} from "./support.ts";

const IDS = ["a", "b", "c", "d", "é", "10", "2", "__proto__", "constructor"];

type Step =
  | { readonly do: "set"; readonly id: string; readonly value: Fields }
  | { readonly do: "delete"; readonly id: string }
  | { readonly do: "batch"; readonly steps: readonly (readonly [string, Fields | undefined])[] }
  | { readonly do: "undo" }
  | { readonly do: "compact" }
  | { readonly do: "archive"; readonly n: number; readonly period: string }
  | { readonly do: "reopen"; readonly checkpoint: boolean; readonly threshold: number };

const id = fc.constantFrom(...IDS);
const value: fc.Arbitrary<Fields> = fc.record(
  { n: fc.nat(5), text: fc.string({ maxLength: 30 }), more: fc.jsonValue({ maxDepth: 1 }) },
  { requiredKeys: ["n"] },
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant("set" as const), id, value }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("delete" as const), id }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("batch" as const),
      steps: fc.array(fc.tuple(id, fc.option(value, { nil: undefined })), { maxLength: 5 }),
    }),
  },
  { weight: 2, arbitrary: fc.constant<Step>({ do: "undo" }) },
  { weight: 1, arbitrary: fc.constant<Step>({ do: "compact" }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("archive" as const),
      n: fc.nat(5),
      period: fc.constantFrom("2025-Q1", "old"),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("reopen" as const),
      checkpoint: fc.boolean(),
      threshold: fc.constantFrom(3, 100),
    }),
  },
);

async function apply(store: OriginalStore, one: Step): Promise<void> {
  switch (one.do) {
    case "set":
      return store.set(one.id, one.value) ?? undefined;
    case "delete":
      if (store.has(one.id)) await store.delete(one.id);
      return;
    case "batch":
      return store.batch(() => {
        for (const [target, record] of one.steps) {
          if (record !== undefined) void store.set(target, record);
          else if (store.has(target)) void store.delete(target);
        }
      });
    case "undo":
      await store.undo();
      return;
    case "compact":
      return store.compact();
    case "archive":
      await store.archive((record) => record["n"] === one.n, one.period);
      return;
    case "reopen":
      return;
  }
}

async function archivesOf(store: {
  listArchiveSegments(): string[];
  loadArchive(period: string): Promise<Map<string, unknown>>;
}): Promise<Map<string, [string, unknown][]>> {
  const archives = new Map<string, [string, unknown][]>();
  for (const name of store.listArchiveSegments()) {
    const period = name.replace(/^archive\/archive-|\.json$/g, "");
    const records = [...(await store.loadArchive(period))];
    archives.set(
      name,
      records.toSorted(([a], [b]) => (a < b ? -1 : 1)),
    );
  }
  return archives;
}

/** Compares, upgrades, compares. */
async function expectSame(path: string, agentId?: string): Promise<void> {
  const fixture: Fixture = await setUp(directoryMedium);
  const { medium } = fixture;
  const expected = await originalEntries(path, agentId);
  await cp(path, medium.location, { recursive: true });
  const before = await medium.contents();
  expect(await fixture.entries()).toEqual(expected);
  expect(await fixture.lookUp(IDS)).toEqual(new Map(expected));
  const original = await openOriginal(path, { readOnly: true });
  const archives = await archivesOf(original);
  await original.close();
  const reader = await fixture.open<Fields>({ readOnly: true });
  expect(await archivesOf(reader)).toEqual(archives);
  await reader.close();
  expect(await medium.contents()).toEqual(before);

  const report = await runCompaction(medium, { gcGraceMs: 0 });
  expect(report).toMatchObject({ outcome: "published", generation: 1 });
  await medium.pass(2_000);
  await runCompaction(medium, { gcGraceMs: 1_000 });
  // An undo of the original cuts its log at the wrong byte when text is not ASCII: such logs stay.
  expect(await originalObjects(fixture)).toHaveLength(report.corrupt);
  expect(new Map(await fixture.entries())).toEqual(new Map(expected));
  expect(await fixture.lookUp(IDS)).toEqual(new Map(expected));
  const upgraded = await fixture.open<Fields>({ readOnly: true });
  expect(await archivesOf(upgraded)).toEqual(archives);
  expect(upgraded.getManifest()?.stats.activeRecords).toBe(expected.length);
  await upgraded.close();
}

const RUNS = { numRuns: repeat({ quick: 8, full: 40 }), endOnFailure: true };

test("a single writer", { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 25 }), async (steps) => {
      const path = await directory();
      let store = await openOriginal(path);
      for (const one of steps) {
        if (one.do !== "reopen") await apply(store, one);
        if (one.do !== "reopen") continue;
        await store.close();
        const { checkpoint: checkpointOnClose, threshold: checkpointThreshold } = one;
        store = await openOriginal(path, { checkpointOnClose, checkpointThreshold });
      }
      await store.close();
      await expectSame(path);
    }),
    RUNS,
  );
});

test("two agents that look before they write", { timeout: 120_000 }, async () => {
  const agents = ["B", "a"] as const;
  const turns = fc.array(fc.tuple(fc.nat(1), step), { minLength: 3, maxLength: 25 });
  await fc.assert(
    fc.asyncProperty(turns, async (taken) => {
      const path = await directory();
      const open = (agentId: string): Promise<OriginalStore> =>
        openOriginal(path, { agentId, checkpointOnClose: false });
      const stores = [await open(agents[0]), await open(agents[1])];
      for (const [at, one] of taken) {
        const store = stores[at];
        if (store === undefined) continue;
        await store.refresh();
        if (one.do !== "reopen") await apply(store, one);
        if (one.do !== "reopen") continue;
        await store.close();
        stores[at] = await open(agents[at] ?? "");
      }
      for (const store of stores) await store.close();
      await expectSame(path, agents[0]);
    }),
    RUNS,
  );
});
