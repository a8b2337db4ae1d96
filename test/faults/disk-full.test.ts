/** A store on a disk that runs full, and is given room again: on a tmpfs, and on one in memory. */
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { OpslogError } from "../../src/core/errors.ts";
import { FsBackend } from "../../src/storage/fs/fs-backend.ts";
import type { StoreOptions } from "../../src/session/options.ts";
import { Store } from "../../src/store/store.ts";
import { smallDisk } from "../support/small-disk.ts";
import { MemoryDisk } from "./memory-disk.ts";
import { QUIET } from "./operations.ts";
import { settle } from "./settled.ts";

interface FullDisk {
  readonly location: string;
  backend(): FsBackend;
  /** Makes room again. */
  free(): Promise<unknown>;
}

const MODES: readonly (readonly [string, StoreOptions<string>])[] = [
  ["single writer", {}],
  ["lazy agent", { agentId: "agent", skipLoad: true }],
];
const CAPACITY_BYTES = 400_000;
/** Of a tmpfs of 1 MiB: a compaction needs the store's size once more when this is gone. */
const FILLER_BYTES = 620_000;
const RECORD = "x".repeat(20_000);
/** Far more than fit. */
const RECORDS_MAX = 200;

async function runsFull(disk: FullDisk, options: StoreOptions<string>): Promise<void> {
  const { leaseTtlMs, gcGraceMs, onWarning } = QUIET;
  const quiet = { leaseTtlMs, gcGraceMs, onWarning, checkpointThreshold: 1_000_000 };
  const open = (more: StoreOptions<string>): Promise<Store<string>> =>
    Store.open<string>(disk.location, { ...quiet, ...more, backend: disk.backend() });
  const store = await open({ ...options, checkpointOnClose: false });
  const kept = new Map<string, string>();
  const refused: { id: string; error: unknown }[] = [];
  for (let n = 0; refused.length < 3 && n < RECORDS_MAX; n++) {
    const id = `record ${n}`;
    const written = await settle(() => store.set(id, RECORD + n));
    if (written.status === "resolved") kept.set(id, RECORD + n);
    else refused.push({ id, error: written.error });
  }
  expect(kept.size).toBeGreaterThan(5);
  expect(refused).toHaveLength(3);
  for (const { id, error } of refused) {
    expect(error).toBeInstanceOf(OpslogError);
    // Either nothing fitted, or a part did: then the message tells how much.
    expect(String(error)).toMatch(/disk full \(ENOSPC\)|failed after \d+ of \d+ bytes \(ENOSPC\)/);
    expect(await store.read(id)).toBeUndefined();
  }
  const ids = [...kept.keys()];
  expect(await store.readMany(ids)).toEqual(kept);
  const compaction = await settle(() => store.compact());
  expect(compaction.text).toMatch(/disk full|ENOSPC/);
  const reader = await open({ readOnly: true });
  expect(new Map(reader.entries())).toEqual(kept);
  await reader.close();

  await disk.free();
  await store.set("after", "fits again");
  kept.set("after", "fits again");
  await store.compact();
  await store.close();
  const last = await open({ readOnly: true });
  expect(new Map(last.entries())).toEqual(kept);
  expect(last.stats().opsCount).toBe(0);
  await last.close();
}

test.each(MODES)("a disk in memory runs full under a %s", async (_, options) => {
  const files = new MemoryDisk({ nowMs: Date.now });
  files.capacityBytes = CAPACITY_BYTES;
  const free = async (): Promise<void> => {
    await Promise.resolve();
    files.capacityBytes = Infinity;
  };
  await runsFull({ location: "/store", backend: () => new FsBackend({ files }), free }, options);
});

test.runIf(process.getuid?.() === 0).each(MODES)(
  "a tmpfs runs full under a %s",
  async (_, options) => {
    const path = await smallDisk();
    if (path === undefined) return;
    const filler = join(path, "filler");
    await writeFile(filler, Buffer.alloc(FILLER_BYTES));
    const free = (): Promise<void> => rm(filler);
    const location = join(path, "store");
    await runsFull({ location, backend: () => new FsBackend(), free }, options);
  },
);
