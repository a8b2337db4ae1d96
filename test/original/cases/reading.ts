/** A store of the original, read and written to as it is: not upgraded yet. */
import { expect, test } from "vitest";
import { CorruptionError } from "../../../src/core/errors.ts";
import type { StoreOptions } from "../../../src/session/options.ts";
import { verify } from "../../../src/store/verify.ts";
import type { MakeMedium } from "../../store/fixture.ts";
import {
  lines,
  LOG,
  set,
  setUpObjects,
  setUpOriginal,
  SNAPSHOT,
  snapshotText,
  withBackend,
  writeAgents,
  writeObjects,
  writeTypical,
} from "../support.ts";

export function readingCases(make: MakeMedium): void {
  test.each([
    ["a single writer", writeTypical],
    ["two agents", writeAgents],
  ])("every record of %s is there, eager and lazy, and nothing changes", async (_, write) => {
    const fixture = await setUpOriginal(make, write);
    const { medium, expected } = fixture;
    const before = await medium.contents();
    expect(await fixture.entries()).toEqual([...expected]);
    expect(await fixture.lookUp([...expected.keys(), "r2", "base", "no"])).toEqual(expected);
    const lazy = await fixture.open({ readOnly: true, skipLoad: true });
    await lazy.hydrate();
    await lazy.refresh();
    expect(new Map(lazy.entries())).toEqual(expected);
    const report = await verify(medium.location, { backend: medium.backend() });
    expect(report).toMatchObject({ problems: [], generation: 0, runs: 0 });
    expect(await medium.contents()).toEqual(before);
    expect(fixture.warnings).toEqual([]);
  });

  test("verify counts records and operations, and names what cannot be read", async () => {
    const log = `${lines([set("a", 1), set("b", 2)])}{"torn`;
    const fixture = await setUpObjects(make, {
      [SNAPSHOT]: snapshotText([
        ["x", 1],
        ["y", 2],
        ["z", 3],
      ]),
      [LOG]: log,
    });
    const { location, backend } = fixture.medium;
    const report = await verify(location, { backend: backend() });
    expect(report).toMatchObject({
      generation: 0,
      runs: 0,
      records: 3,
      segments: 2,
      operations: 2,
    });
    expect(report.problems.map(({ path }) => path)).toEqual([LOG]);
    await writeObjects(fixture.medium, { [SNAPSHOT]: `${snapshotText([["x", 1]])}nonsense\n` });
    const { problems } = await verify(location, { backend: backend() });
    expect(problems.map(({ path }) => path)).toEqual([LOG, SNAPSHOT]);
    await withBackend(fixture.medium, (one) => one.deleteBlob(SNAPSHOT));
    await expect(verify(location, { backend: backend() })).rejects.toThrow(
      "Snapshot file not found",
    );
  });

  test("records of snapshot and log have versions, which the upgrade leaves as they are", async () => {
    const fixture = await setUpObjects(make, {
      [SNAPSHOT]: snapshotText([
        ["a", 1],
        ["b", 2],
      ]),
      [LOG]: lines([set("b", 3), set("c", 4)]),
    });
    const ids = ["a", "b", "c", "none"];
    const versionsOf = async (options: StoreOptions<unknown>): Promise<unknown[]> => {
      const store = await fixture.open({ checkpointOnClose: false, ...options });
      return Promise.all(ids.map((id) => store.versionOf(id)));
    };
    const before = await versionsOf({ readOnly: true });
    expect(new Set(before).size).toBe(4);
    expect(before.map((version) => version === undefined)).toEqual([false, false, false, true]);
    expect(await versionsOf({ readOnly: true, skipLoad: true })).toEqual(before);
    const agent = await fixture.open({ agentId: "agent", checkpointOnClose: false });
    await agent.compact();
    expect(await versionsOf({ readOnly: true, skipLoad: true })).toEqual(before);
    await agent.set("a", 1);
    expect(await agent.versionOf("a")).not.toBe(before[0]);
  });

  test("batches count in the order of their numbers, whatever their names sort like", async () => {
    const batch = (ms: number, seq: string): string => `ops/wal-5/batch-${ms}-${seq}.jsonl`;
    const fixture = await setUpObjects(
      make,
      {
        [SNAPSHOT]: snapshotText([["k", "snapshot"]]),
        [batch(999, "20000")]: lines([set("k", "first"), set("old", 1)]),
        [batch(1000, "10000")]: lines([set("k", "last")]),
        [batch(1000, "9999")]: lines([set("k", "second"), set("other", 1)]),
        "ops/wal-4/batch-2000-0000.jsonl": lines([set("k", "of another log")]),
      },
      { activeOps: "ops/wal-5" },
    );
    expect(new Map(await fixture.entries())).toEqual(
      new Map<string, unknown>([
        ["k", "last"],
        ["old", 1],
        ["other", 1],
      ]),
    );
  });

  test("a log that is not there is an empty one", async () => {
    const fixture = await setUpObjects(make, { [SNAPSHOT]: snapshotText([["k", 1]]) });
    expect(await fixture.entries()).toEqual([["k", 1]]);
    const store = await fixture.open({ checkpointOnClose: false });
    await store.set("l", 2);
    await store.close();
    expect(await fixture.entries()).toEqual([
      ["k", 1],
      ["l", 2],
    ]);
  });

  test("both logs of a store that was used in both ways count", async () => {
    const agentLog = "ops/agent-a-2.jsonl";
    const fixture = await setUpObjects(
      make,
      {
        [SNAPSHOT]: snapshotText([]),
        [LOG]: lines([set("single", 1), set("both", "single")]),
        [agentLog]: lines([
          set("agent", 1, { agent: "a", clock: 1 }),
          set("both", "agent", { agent: "a", clock: 2 }),
        ]),
      },
      { activeAgentOps: { a: agentLog, "same log": LOG } },
    );
    expect(await fixture.entries()).toEqual([
      ["single", 1],
      ["both", "agent"],
      ["agent", 1],
    ]);
    expect((await fixture.open({ readOnly: true })).getOps()).toHaveLength(4);
  });

  test("malformed lines are skipped and reported once for each log, or refused", async () => {
    const fixture = await setUpObjects(make, {
      [SNAPSHOT]: snapshotText([]),
      [LOG]: `${lines([set("a", 1)])}nonsense\n${lines([{ op: "set" }, set("b", null)])}{"torn`,
    });
    const store = await fixture.open({ readOnly: true });
    await store.refresh();
    expect(store.entries()).toEqual([
      ["a", 1],
      ["b", null],
    ]);
    expect(fixture.warnings).toEqual([
      expect.stringContaining(`skipped 3 malformed lines in ${LOG}; the first is line 2`),
    ]);
    expect(store.stats().corruptSegments).toBe(1);
    const strict = fixture.open({ readOnly: true, onCorrupt: "throw" });
    await expect(strict).rejects.toThrow(`3 malformed lines in ${LOG}`);
  });

  test("a damaged snapshot is never skipped", async () => {
    const fixture = await setUpObjects(make, {
      [SNAPSHOT]: `${snapshotText([["a", 1]])}{"id":"b","da\n`,
      [LOG]: "",
    });
    await expect(fixture.entries()).rejects.toThrow(CorruptionError);
    await expect(fixture.lookUp(["a"])).rejects.toThrow(`${SNAPSHOT} at byte`);
    await writeObjects(fixture.medium, {
      [SNAPSHOT]: '{"version":1,"timestamp":"x","records":[]}',
    });
    await expect(fixture.entries()).rejects.toThrow(
      `${SNAPSHOT}: Invalid snapshot: records must be an object`,
    );
    await withBackend(fixture.medium, (backend) => backend.deleteBlob(SNAPSHOT));
    const missing = `Snapshot file not found: ${SNAPSHOT}. The data directory may be corrupted.`;
    await expect(fixture.entries()).rejects.toThrow(missing);
    await expect(fixture.lookUp(["a"])).rejects.toThrow(missing);
  });

  test.each([
    ["missing currentSnapshot", { version: 1 }],
    ["version must be a positive finite integer", { hello: "world" }],
    ["not an object", []],
  ])("a bad manifest is refused: %s", async (message, manifest) => {
    const fixture = await setUpObjects(make, {});
    await writeObjects(fixture.medium, { "manifest.json": JSON.stringify(manifest) });
    const entrances = [() => fixture.entries(), () => fixture.lookUp(["a"]), () => fixture.open()];
    for (const enter of entrances) {
      await expect(enter()).rejects.toThrow(`manifest.json: Invalid manifest: ${message}`);
    }
  });

  test("a manifest that names something outside the store is refused", async () => {
    const fixture = await setUpObjects(make, {}, { currentSnapshot: "../other/snap.jsonl" });
    await expect(fixture.entries()).rejects.toThrow(CorruptionError);
  });

  test("records, operations and history of before are shown as the original shows them", async () => {
    const { open, expected } = await setUpOriginal(make);
    const store = await open({ checkpointOnClose: false });
    expect(store.getOps().map(({ op, id, agent, clock }) => [op, id, agent, clock])).toEqual([
      ["set", "r1", undefined, undefined],
      ["delete", "r2", undefined, undefined],
      ["set", "new", undefined, undefined],
      ["set", "r3", undefined, undefined],
    ]);
    expect(store.getHistory("r2")).toMatchObject([{ op: "delete", prev: { n: 2 } }]);
    expect(store.stats()).toMatchObject({
      activeRecords: expected.size,
      opsCount: 4,
      archiveSegments: 1,
    });
    expect(store.getManifest()?.currentSnapshot).toMatch(/^snapshots\/snap-\d+\.jsonl$/);
  });

  test("undo takes back what the original wrote since its checkpoint, and no more", async () => {
    const { open, entries } = await setUpOriginal(make);
    const store = await open({ checkpointOnClose: false });
    const undone: boolean[] = [];
    for (let n = 1; n <= 5; n++) undone.push(await store.undo());
    expect(undone).toEqual([true, true, true, true, false]);
    expect([store.get("r1"), store.has("r2"), store.has("new")]).toEqual([
      { n: 1, text: "record 1 of the original" },
      true,
      false,
    ]);
    expect([store.getOps(), store.get("r3")]).toEqual([
      [],
      { n: 3, text: "record 3 of the original" },
    ]);
    await store.close();
    expect(new Map(await entries()).size).toBe(19);
  });

  test("what is written here orders above all of the original, agents among each other too", async () => {
    const fixture = await setUpOriginal(make, writeAgents);
    const one = await fixture.open({ agentId: "A", checkpointOnClose: false });
    await one.set("shared", { by: "us" });
    await one.set("base", { by: "us" });
    expect(one.getOps().at(-1)?.clock).toBeGreaterThan(4);
    const other = await fixture.open({ agentId: "a", checkpointOnClose: false, skipLoad: true });
    await other.set("own", { by: "other" });
    await one.refresh();
    const expected = { base: { by: "us" }, own: { by: "other" }, shared: { by: "us" } };
    expect(Object.fromEntries(one.entries())).toEqual(expected);
    expect(Object.fromEntries(await fixture.entries())).toEqual(expected);
    expect(Object.fromEntries(await fixture.lookUp(Object.keys(expected)))).toEqual(expected);
  });

  test("a reader follows the original, also when that takes back what it wrote", async () => {
    const log = (...ids: string[]): string => lines(ids.map((id, n) => set(id, n)));
    const fixture = await setUpObjects(make, {
      [SNAPSHOT]: snapshotText([["s", 1]]),
      [LOG]: log("a", "b"),
    });
    const eager = await fixture.open({ readOnly: true });
    const lazy = await fixture.open({ readOnly: true, skipLoad: true });
    const seen = async (): Promise<unknown> => {
      await eager.refresh();
      await lazy.refresh();
      const found = await lazy.readMany(["s", "a", "b", "c", "d"]);
      expect(found).toEqual(new Map(eager.entries()));
      return eager.entries();
    };
    expect(await seen()).toEqual([
      ["s", 1],
      ["a", 0],
      ["b", 1],
    ]);
    await writeObjects(fixture.medium, { [LOG]: log("a", "c") });
    expect(await seen()).toEqual([
      ["s", 1],
      ["a", 0],
      ["c", 1],
    ]);
    await writeObjects(fixture.medium, { [LOG]: log("a", "c", "d") });
    expect(await seen()).toEqual([
      ["s", 1],
      ["a", 0],
      ["c", 1],
      ["d", 2],
    ]);
  });

  test("records are migrated from the version of the snapshot", async () => {
    const fixture = await setUpObjects(make, {
      [SNAPSHOT]: snapshotText([["s", 1]], 3),
      [LOG]: lines([set("l", 2)]),
    });
    const migrate = (record: unknown, from: number): unknown => `${String(record)} from ${from}`;
    const store = await fixture.open({ version: 4, migrate, readOnly: true });
    expect(store.entries()).toEqual([
      ["s", "1 from 3"],
      ["l", "2 from 3"],
    ]);
  });
}
