/** The first compaction of a store of the original. */
import { expect, test } from "vitest";
import { CorruptionError } from "../../../src/core/errors.ts";
import { Compactor } from "../../../src/compaction/compactor.ts";
import { DEFAULT_LIMITS } from "../../../src/compaction/plan.ts";
import { verify } from "../../../src/store/verify.ts";
import { watchBackend } from "../../store/watched-backend.ts";
import type { MakeMedium } from "../../store/fixture.ts";
import {
  compactAfterGrace,
  lines,
  LOG,
  manifestOf,
  originalObjects,
  runCompaction,
  set,
  setUpObjects,
  setUpOriginal,
  SNAPSHOT,
  snapshotText,
  TS,
  withBackend,
  withParts,
  writeAgents,
  writeObjects,
  writeTypical,
} from "../support.ts";

export function upgradingCases(make: MakeMedium): void {
  const slow = { timeout: 60_000 };

  test.each([
    ["a single writer", writeTypical],
    ["two agents", writeAgents],
  ])("%s: every record before and after, eager and lazy", slow, async (_, write) => {
    const fixture = await setUpOriginal(make, write);
    const { medium, expected } = fixture;
    const report = await runCompaction(medium);
    expect(report).toMatchObject({ outcome: "published", generation: 1, corrupt: 0, more: true });
    expect(new Map(await fixture.entries())).toEqual(expected);
    expect(await fixture.lookUp([...expected.keys(), "r2", "base"])).toEqual(expected);
    // Snapshot and log are levels of their own at first.
    expect(await runCompaction(medium)).toMatchObject({ outcome: "published", runsMerged: 2 });
    expect(await runCompaction(medium)).toMatchObject({ outcome: "idle", generation: 2 });
    const { problems } = await verify(medium.location, { backend: medium.backend() });
    expect(problems).toEqual([]);
  });

  test("the manifest says what it was: counts, archives, when it was created", slow, async () => {
    const fixture = await setUpOriginal(make);
    const before = await fixture.open({ readOnly: true });
    const archived = await before.loadArchive("2025-Q3");
    const created = before.getManifest()?.stats.created;
    await runCompaction(fixture.medium);
    const { stats, archive, schema, clock, generation } = await manifestOf(fixture);
    expect({ schema, clock, generation }).toEqual({ schema: 1, clock: 4, generation: 1 });
    const crc = expect.stringMatching(/^[0-9a-f]{8}$/);
    expect(archive).toEqual([
      { period: "2025-Q3", path: "archive/archive-2025-Q3.json", records: 1, crc },
    ]);
    expect(stats).toMatchObject({
      activeRecords: fixture.expected.size,
      archivedRecords: 1,
      created,
    });
    const after = await fixture.open({ readOnly: true });
    expect(await after.loadArchive("2025-Q3")).toEqual(archived);
    expect(after.listArchiveSegments()).toEqual(["archive/archive-2025-Q3.json"]);
  });

  test("the original's objects go a grace period later, its archives never", slow, async () => {
    const fixture = await setUpOriginal(make);
    const { medium, expected } = fixture;
    const before = await originalObjects(fixture);
    expect(before.length).toBeGreaterThan(1);
    await runCompaction(medium, { gcGraceMs: 0 });
    expect(await originalObjects(fixture)).toEqual(before);
    await medium.pass(2_500);
    const patient = { gcGraceMs: 3_600_000 };
    expect(await runCompaction(medium, patient)).toMatchObject({ runsMerged: 2, deleted: 0 });
    expect(await runCompaction(medium, patient)).toMatchObject({ outcome: "idle" });
    expect(await originalObjects(fixture)).toEqual(before);
    expect(await compactAfterGrace(fixture)).toMatchObject({ outcome: "published" });
    expect(await originalObjects(fixture)).toEqual([]);
    const left = [...(await fixture.objects("snapshots/")).keys()];
    expect(left.filter((path) => !/\/snap-1-.*\.(jsonl|index)$/.test(path))).toEqual([]);
    expect((await manifestOf(fixture)).retired).toEqual([]);
    expect([...(await fixture.objects("archive/")).keys()]).toEqual([
      "archive/archive-2025-Q3.json",
    ]);
    expect(new Map(await fixture.entries())).toEqual(expected);
    expect(await compactAfterGrace(fixture)).toMatchObject({ outcome: "idle" });
  });

  test("what cannot be read of its log stays, and nothing else does", slow, async () => {
    const fixture = await setUpObjects(make, {
      [SNAPSHOT]: snapshotText([["s", 1]]),
      [LOG]: `${lines([set("a", 1)])}nonsense\n`,
      "ops/ops-0.jsonl": lines([set("forgotten", 1)]),
    });
    expect(await runCompaction(fixture.medium)).toMatchObject({ outcome: "published", corrupt: 1 });
    await compactAfterGrace(fixture);
    expect(await originalObjects(fixture)).toEqual([LOG]);
    expect(await fixture.entries()).toEqual([
      ["a", 1],
      ["s", 1],
    ]);
  });

  test("deletions stay, and writes of ours on top wait for the next pass", slow, async () => {
    const fixture = await setUpOriginal(make);
    const store = await fixture.open({ agentId: "w", checkpointOnClose: false });
    await store.set("r1", { by: "us" });
    await store.delete("r4");
    const expected = new Map<string, unknown>([...fixture.expected, ["r1", { by: "us" }]]);
    expected.delete("r4");
    expect(new Map(await fixture.entries())).toEqual(expected);
    const report = await runCompaction(fixture.medium);
    expect(report).toMatchObject({
      outcome: "published",
      generation: 1,
      operations: 4,
      more: true,
    });
    expect(new Map(await fixture.entries())).toEqual(expected);
    expect(await runCompaction(fixture.medium)).toMatchObject({
      generation: 2,
      operations: 2,
      more: false,
    });
    await runCompaction(fixture.medium, { full: true });
    expect(new Map(await fixture.entries())).toEqual(expected);
    expect(await fixture.lookUp([...expected.keys(), "r2", "r4"])).toEqual(expected);
    expect((await manifestOf(fixture)).stats?.activeRecords).toBe(expected.size);
  });

  test.each([
    ["compact()", {}, 0],
    ["close()", { checkpointOnClose: true }, 0],
    ["the threshold", { checkpointThreshold: 6 }, 2],
  ])("is done by %s of a store, which keeps what it holds", slow, async (how, options, writes) => {
    const fixture = await setUpOriginal(make);
    const { backend, calls } = watchBackend(fixture.medium.backend());
    const store = await fixture.open({ backend, checkpointOnClose: false, ...options });
    const order = store.entries();
    for (let n = 1; n <= writes; n++) await store.set(`w${n}`, { n });
    if (how === "compact()") await store.compact();
    if (how !== "close()") {
      expect(store.getManifest()?.currentSnapshot).toMatch(
        /^snapshots\/snap-\d-[0-9a-f]{16}\.jsonl$/,
      );
      expect(store.entries().slice(0, order.length), "memory is not loaded again").toEqual(order);
      expect(store.stats().opsCount).toBe(0);
      const original = calls.filter((call) => /^get snapshots\/snap-\d+\.jsonl/.test(call));
      expect(original.length).toBeLessThanOrEqual(6);
    }
    await store.close();
    expect((await manifestOf(fixture)).generation).toBeGreaterThanOrEqual(1);
    const expected = new Map<string, unknown>(fixture.expected);
    for (let n = 1; n <= writes; n++) expected.set(`w${n}`, { n });
    expect(new Map(await fixture.entries())).toEqual(expected);
  });

  test("the last of two lines for one id counts, and nulls are records", slow, async () => {
    const snapshot = lines([
      { version: 1, timestamp: TS },
      { id: "twice", data: "z first" },
      { id: "null", data: null },
      { id: "twice", data: "a last" },
    ]);
    const log = lines([set("n", null), { ts: TS, op: "delete", id: "null", prev: null }]);
    const fixture = await setUpObjects(make, { [SNAPSHOT]: snapshot, [LOG]: log });
    const expected = new Map([
      ["twice", "a last"],
      ["n", null],
    ]);
    expect(new Map(await fixture.entries())).toEqual(expected);
    await runCompaction(fixture.medium);
    expect(new Map(await fixture.entries())).toEqual(expected);
    expect((await manifestOf(fixture)).stats?.activeRecords).toBe(2);
  });

  test("a snapshot that does not fit in memory becomes several runs", slow, async () => {
    const records = Array.from({ length: 40 }, (_, n): [string, string] => [
      `r${n % 35}`,
      `${"zyxw"[n % 4]}${n}`,
    ]);
    const fixture = await setUpObjects(make, {
      [SNAPSHOT]: snapshotText(records),
      [LOG]: lines([set("r1", "log")]),
    });
    const expected = new Map([...records, ["r1", "log"]]);
    await withParts(fixture, async (parts) => {
      const limits = { ...DEFAULT_LIMITS, logBytesMax: 60 };
      const { report } = await new Compactor({ ...parts, limits }).pass();
      expect(report).toMatchObject({ outcome: "published", generation: 1, more: true });
      expect((await manifestOf(fixture)).runs.length).toBeGreaterThan(3);
    });
    expect((await manifestOf(fixture)).stats?.activeRecords).toBe(35);
    expect(new Map(await fixture.entries())).toEqual(expected);
    expect(await fixture.lookUp(expected.keys())).toEqual(expected);
    await runCompaction(fixture.medium, { full: true });
    expect(new Map(await fixture.entries())).toEqual(expected);
  });

  test("an archive that cannot be read is reported, and stays listed", slow, async () => {
    const path = "archive/archive-2025-Q1.json";
    const objects = { [SNAPSHOT]: snapshotText([]), [LOG]: "", [path]: "nonsense" };
    const fixture = await setUpObjects(make, objects, { archiveSegments: [path, path] });
    const warnings: string[] = [];
    const onWarning = (message: string): void => void warnings.push(message);
    await runCompaction(fixture.medium, { onWarning });
    expect(warnings).toEqual([expect.stringContaining(path)]);
    expect((await manifestOf(fixture)).archive).toEqual([{ period: "2025-Q1", path, records: 0 }]);
    const store = await fixture.open({ readOnly: true });
    await expect(store.loadArchive("2025-Q1")).rejects.toThrow(CorruptionError);
  });

  test("a damaged snapshot stops it, and nothing is changed", slow, async () => {
    const fixture = await setUpObjects(make, {
      [SNAPSHOT]: `${snapshotText([["a", 1]])}x\n`,
      [LOG]: "",
    });
    const before = await originalObjects(fixture);
    await expect(runCompaction(fixture.medium)).rejects.toThrow(`${SNAPSHOT} at byte`);
    await withBackend(fixture.medium, (backend) => backend.deleteBlob(SNAPSHOT));
    await expect(runCompaction(fixture.medium)).rejects.toThrow("Snapshot file not found");
    await writeObjects(fixture.medium, { [SNAPSHOT]: snapshotText([["a", 1]]) });
    expect(await originalObjects(fixture)).toEqual(before);
    expect(await runCompaction(fixture.medium)).toMatchObject({ outcome: "published" });
    expect(await fixture.entries()).toEqual([["a", 1]]);
  });

  test(
    "a log of the original without its manifest is damage; an empty one is none",
    slow,
    async () => {
      const fixture = await setUpObjects(make, { [LOG]: "" });
      await withBackend(fixture.medium, (backend) => backend.deleteBlob("manifest.json"));
      const fresh = await fixture.open({ checkpointOnClose: false, skipLoad: true });
      await fresh.close();
      await writeObjects(fixture.medium, { [LOG]: lines([set("a", 1)]) });
      const message = `manifest.json is missing although ${LOG}`;
      await expect(fixture.open()).rejects.toThrow(message);
      await expect(fixture.open({ agentId: "a" })).rejects.toThrow(message);
      await expect(runCompaction(fixture.medium)).rejects.toThrow(message);
    },
  );
}
