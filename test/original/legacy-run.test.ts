/** The snapshot of a legacy store as a run: no index, no order of ids, an id perhaps twice. */
import { expect, test } from "vitest";
import { LegacyRun } from "../../src/legacy/legacy-run.ts";
import { readSnapshotHead } from "../../src/legacy/snapshot.ts";
import type { RunEntry } from "../../src/core/version.ts";
import { RunGoneError } from "../../src/runs/run-gone.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { memoryMedium } from "../store/media.ts";
import { runCompaction, setUpObjects, SNAPSHOT, snapshotText } from "./support.ts";

/** Of the two lines for "z" the later has the lesser text. */
const RECORDS: [string, unknown][] = [
  ["z", 9],
  ["a", 1],
  ["m", 2],
  ["z", 3],
];

async function open(): Promise<{ run: LegacyRun; backend: MemoryBackend }> {
  const backend = new MemoryBackend();
  await backend.initialize("x", { readOnly: false });
  await backend.writeBlob(SNAPSHOT, snapshotText(RECORDS));
  const head = await readSnapshotHead(backend, SNAPSHOT);
  return { run: new LegacyRun(backend, head, "fingerprint", 3), backend };
}

async function taken(batches: AsyncIterable<readonly RunEntry[]>): Promise<string[]> {
  const all: string[] = [];
  for await (const batch of batches) all.push(...batch.map(({ id, text }) => `${id}=${text}`));
  return all;
}

test("its entries come as they lie, all lines of them", async () => {
  const { run } = await open();
  expect(run).toMatchObject({ name: "fingerprint", path: SNAPSHOT, records: 3, isSorted: false });
  expect(await taken(run.entries())).toEqual(["z=9", "a=1", "m=2", "z=3"]);
});

test("scans have an order, a range, and each id once: the later line counts", async () => {
  const { run } = await open();
  expect(await taken(run.scan())).toEqual(["a=1", "m=2", "z=3"]);
  expect(await taken(run.scan({ reverse: true }))).toEqual(["z=3", "m=2", "a=1"]);
  expect(await taken(run.scan({ from: "m" }))).toEqual(["m=2", "z=3"]);
  expect(await taken(run.scan({ from: "b", to: "z" }))).toEqual(["m=2"]);
});

test("points are looked up, also of an id with two lines", async () => {
  const { run } = await open();
  const found = await run.getMany(new Set(["z", "a", "none"]));
  expect([...found.values()].map(({ id, text }) => [id, text])).toEqual([
    ["z", "3"],
    ["a", "1"],
  ]);
});

test("deleted, it is gone; damage in the words of the original opslog if it is still named", async () => {
  const { run, backend } = await open();
  await backend.deleteBlob(SNAPSHOT);
  const gone: unknown = await run.getMany(new Set(["a"])).catch((error: unknown) => error);
  expect(gone).toMatchObject({ code: "RUN_GONE", path: SNAPSHOT });
  expect(gone instanceof RunGoneError && gone.asDamage()).toMatchObject({
    code: "CORRUPTION",
    path: SNAPSHOT,
    message: `Snapshot file not found: ${SNAPSHOT}. The data directory may be corrupted.`,
  });
});

test("however a store reads it, the later of two lines counts, before and after the upgrade", async () => {
  const fixture = await setUpObjects(memoryMedium, { [SNAPSHOT]: snapshotText(RECORDS) });
  const check = async (): Promise<void> => {
    const eager = await fixture.open<number>({ readOnly: true });
    expect(eager.get("z")).toBe(3);
    const lazy = await fixture.open<number>({ readOnly: true, skipLoad: true });
    const scanned: [string, number][] = [];
    for await (const each of lazy.scan()) scanned.push(each);
    expect(scanned).toEqual([
      ["a", 1],
      ["m", 2],
      ["z", 3],
    ]);
    expect(await lazy.read("z")).toBe(3);
  };
  await check();
  expect(await runCompaction(fixture.medium)).toMatchObject({ outcome: "published" });
  await check();
});

test("records of a snapshot that the upgrade cuts in parts can be archived at once", async () => {
  const text = "x".repeat(1_000_000);
  const records = Array.from({ length: 70 }, (_, n): [string, unknown] => [`r${n}`, { n, text }]);
  const fixture = await setUpObjects(memoryMedium, { [SNAPSHOT]: snapshotText(records) });
  const store = await fixture.open<{ n: number }>({ agentId: "a" });
  expect(await store.archive(({ n }) => n === 1 || n === 69, "old")).toBe(2);
  expect([store.has("r1"), store.has("r2"), store.has("r69")]).toEqual([false, true, false]);
});
