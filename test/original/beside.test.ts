/** The original and this package on one directory: each knows when to keep away. */
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { ManifestStore } from "../../src/view/manifest-store.ts";
import { directoryMedium, memoryMedium } from "../store/media.ts";
import {
  lines,
  LOG,
  manifestText,
  openOriginal,
  originalEntries,
  runCompaction,
  set,
  setUpObjects,
  setUpOriginal,
  SNAPSHOT,
  snapshotText,
  withBackend,
  writeObjects,
} from "./support.ts";

test("the original refuses a directory that our single writer has open, and not after", async () => {
  const { medium, open, expected } = await setUpOriginal(directoryMedium);
  const store = await open({ checkpointOnClose: false });
  await expect(openOriginal(medium.location)).rejects.toThrow(
    `Store is locked by process ${process.pid}. If this is stale, delete ${medium.location}/.lock`,
  );
  await store.close();
  expect(new Map(await originalEntries(medium.location))).toEqual(expected);
  const again = await openOriginal(medium.location, { checkpointOnClose: false });
  await expect(open()).rejects.toThrow("Store is locked by another store of this process");
  await again.close();
});

test("a lock that the original left behind when it crashed is taken over, and ours by it", async () => {
  const { medium, open } = await setUpOriginal(directoryMedium);
  const lock = join(medium.location, ".lock");
  await writeFile(lock, `${2 ** 30}`);
  await (await open({ checkpointOnClose: false })).close();
  await writeFile(lock, `${2 ** 30} {"pid":${2 ** 30},"host":"x","token":"y"}\n`);
  await (await openOriginal(medium.location, { checkpointOnClose: false })).close();
  expect(await readdir(medium.location)).not.toContain(".lock");
});

test.each([
  ["a single writer", {}],
  ["an agent", { agentId: "a" }],
  ["a reader", { readOnly: true }],
  ["a lazy writer", { skipLoad: true }],
])("%s of the original refuses an upgraded directory", async (_, options) => {
  const { medium, entries, expected } = await setUpOriginal(directoryMedium);
  await runCompaction(medium);
  const refusal = "Invalid manifest: version must be a positive finite integer";
  await expect(openOriginal(medium.location, options)).rejects.toThrow(refusal);
  expect(new Map(await entries())).toEqual(expected);
});

test("what the original still does to an upgraded directory changes nothing", async () => {
  const { medium, entries, expected } = await setUpOriginal(directoryMedium);
  const late = await openOriginal(medium.location, { agentId: "late" });
  await runCompaction(medium);
  await late.set("late", { n: 1 });
  await late.compact();
  await late.close();
  expect(new Map(await entries())).toEqual(expected);
});

test("on an object store a manifest that the original put over ours is refused", async () => {
  const fixture = await setUpOriginal(memoryMedium);
  await runCompaction(fixture.medium);
  const open = await fixture.open({ agentId: "a", checkpointOnClose: false });
  await writeObjects(fixture.medium, { [SNAPSHOT]: snapshotText([]), [LOG]: "" });
  await writeObjects(fixture.medium, { "manifest.json": manifestText() });
  const message = "manifest.json was replaced by the original opslog after the store was upgraded";
  await expect(open.refresh()).rejects.toThrow(message);
  // Once there are runs of a later generation, nobody takes it for a store of the original.
  await writeObjects(fixture.medium, { [`snapshots/snap-1-${"0".repeat(16)}.jsonl`]: "x" });
  await expect(fixture.entries()).rejects.toThrow(message);
  await expect(runCompaction(fixture.medium)).rejects.toThrow(message);
});

test("a reader beside the original's writer follows it", async () => {
  const { medium, open, expected } = await setUpOriginal(directoryMedium);
  const writer = await openOriginal(medium.location);
  const reader = await open({ readOnly: true });
  const lazy = await open({ readOnly: true, skipLoad: true });
  expect(await reader.tail()).toEqual([]);
  expect(await lazy.tail()).toEqual([]);
  await writer.set("a", { n: 1 });
  await writer.set("b", { n: 2 });
  expect((await reader.tail()).map(({ id }) => id)).toEqual(["a", "b"]);
  expect((await lazy.tail()).map(({ id }) => id)).toEqual(["a", "b"]);
  await writer.undo();
  await writer.set("c", { n: 3 });
  await reader.refresh();
  const now = new Map([...expected, ["a", { n: 1 }], ["c", { n: 3 }]]);
  expect(new Map(reader.entries())).toEqual(now);
  await writer.compact();
  await writer.set("d", { n: 4 });
  await reader.refresh();
  expect(new Map(reader.entries())).toEqual(now.set("d", { n: 4 }));
  await lazy.refresh();
  expect(await lazy.readMany(now.keys())).toEqual(now);
  await writer.close();
});

test("a manifest that changes while its log is read is looked at again", async () => {
  const fixture = await setUpObjects(memoryMedium, {
    [SNAPSHOT]: snapshotText([["old", 1]]),
    [LOG]: "",
  });
  const inner = fixture.medium.backend();
  const second = { currentSnapshot: "snapshots/snap-2.jsonl", activeOps: "ops/ops-2.jsonl" };
  let reads = 0;
  const get = inner.get.bind(inner);
  inner.get = async (path, options) => {
    if (path === LOG && ++reads === 1) {
      await writeObjects(fixture.medium, {
        "snapshots/snap-2.jsonl": snapshotText([["new", 2]]),
        "ops/ops-2.jsonl": lines([set("newer", 3)]),
        "manifest.json": manifestText(second),
      });
      await withBackend(fixture.medium, (backend) => backend.delete([SNAPSHOT, LOG]));
    }
    return get(path, options);
  };
  expect(await fixture.entries()).toEqual([
    ["new", 2],
    ["newer", 3],
  ]);
});

test("a manifest of the original is distinguished from one of ours", async () => {
  const backend = new MemoryBackend();
  await backend.initialize("x", { readOnly: false });
  await backend.writeBlob(
    "manifest.json",
    manifestText({ activeAgentOps: { a: "ops/agent-a-2.jsonl" } }),
  );
  const loaded = await new ManifestStore(backend).load();
  expect(loaded).toMatchObject({
    manifest: { generation: 0, runs: [], clock: 0 },
    legacyManifest: { currentSnapshot: SNAPSHOT, activeAgentOps: { a: "ops/agent-a-2.jsonl" } },
  });
  expect(await new ManifestStore(backend).load(loaded)).toEqual({
    ...loaded,
    dateMs: expect.any(Number),
  });
});
