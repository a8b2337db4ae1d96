/**
 * Streams, scans and compactions hold a small part of what they go through: a process whose heap is
 * too small for the store gets through all of it. OPSLOG_TEST_STREAM_BYTES makes the store larger.
 */
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { FsBackend } from "../../src/storage/fs/fs-backend.ts";
import { Store } from "../../src/store/store.ts";
import { type BoundedResult, boundedProcess } from "../support/bounded-process.ts";
import { repeat } from "../support/effort.ts";
import { tempDir } from "../support/temp-dir.ts";

const MIB = repeat({ quick: 64, full: 144 });
const STORE_BYTES = Number(process.env["OPSLOG_TEST_STREAM_BYTES"] || MIB * 1024 * 1024);
const RECORD_BYTES = 1_024;
/** Records of one session: what a store wrote stays resident in it. */
const CHUNK = 16_384;
/** Of the heap: parsed, the store takes several times as much. */
const STREAM_HEAP_MIB = 24;
/** Of what holds the log, 8 MiB here, as scans and compactions do. */
const LOG_HEAP_MIB = 48;
/** What is read ahead, and what the process takes for code and as allocator's reserve. */
const OUTSIDE_HEAP_BYTES_MAX = 48 * 1024 * 1024;
const idOf = (n: number): string => `r${String(n).padStart(9, "0")}`;

/** Half as many operations in the log as one session writes, the rest in runs of several sizes. */
async function makeStore(location: string, records: number): Promise<number> {
  const text = "x".repeat(RECORD_BYTES - 80);
  const write = async (from: number, to: number, compacts: boolean): Promise<void> => {
    const backend = new FsBackend({ fsync: false });
    const options = { backend, skipLoad: true, blindWrites: true, checkpointOnClose: false };
    await using store = await Store.open<object>(location, { ...options, gcGraceMs: 0 });
    for (let start = from; start < to; start += 1_000) {
      await store.batch(() => {
        for (let n = start; n < Math.min(to, start + 1_000); n++) void store.set(idOf(n), { text });
      });
    }
    if (compacts) await store.compact();
  };
  for (let from = 0; from < records; from += CHUNK) {
    await write(from, Math.min(records, from + CHUNK), true);
  }
  const logged = Math.min(records, CHUNK / 2);
  await write(0, logged - 1, false);
  await write(records - 1, records, false);
  return logged;
}

describe("a store is gone through in a small part of its size", () => {
  const records = Math.floor(STORE_BYTES / RECORD_BYTES);
  let logged = 0;
  let run: (task: string, heapMiB: number) => Promise<BoundedResult>;
  beforeAll(async () => {
    const directory = await tempDir();
    const location = join(directory.path, "store");
    const start = await boundedProcess();
    run = (task, heapMiB) =>
      start([`--max-old-space-size=${heapMiB}`, "--max-semi-space-size=4"], task, location);
    logged = await makeStore(location, records);
    return () => directory[Symbol.asyncDispose]();
  }, 120_000);

  const expectBounded = async (task: string, heapMiB: number, expected: object): Promise<void> => {
    const { found, grownBytes } = await run(task, heapMiB);
    expect(found).toEqual(expected);
    const most = heapMiB * 1024 * 1024 + OUTSIDE_HEAP_BYTES_MAX;
    expect(grownBytes).toBeLessThan(most);
  };

  test("by streams", { timeout: 60_000 }, () =>
    expectBounded("stream", STREAM_HEAP_MIB, { records, operations: logged, descents: 0 }),
  );
  test("by a scan", { timeout: 60_000 }, () =>
    expectBounded("scan", LOG_HEAP_MIB, { records, descents: 0 }),
  );
  test("by a compaction of everything", { timeout: 60_000 }, () =>
    // The log first, by itself, then all of it; levels that are alike may be merged in between.
    expectBounded("compact", LOG_HEAP_MIB, {
      outcome: "published",
      records: expect.toSatisfy((written: number) => written >= logged + records),
      levels: 1,
    }),
  );
});
