/**
 * Streams hold a small part of what they give: a process whose heap is too small for the store
 * streams all of it. OPSLOG_TEST_STREAM_BYTES makes the store larger than the default.
 */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";
import { expect, test } from "vitest";
import { FsBackend } from "../../src/storage/fs-backend.ts";
import { Store } from "../../src/store/store.ts";
import { tempDir } from "../support/temp-dir.ts";

const STORE_BYTES = Number(process.env["OPSLOG_TEST_STREAM_BYTES"] || 144 * 1024 * 1024);
const RECORD_BYTES = 1_024;
/** Records of one session: what a store wrote stays resident in it. */
const CHUNK = 16_384;
/** Of the heap: parsed, the store takes several times as much. */
const HEAP_FLAGS = ["--max-old-space-size=24", "--max-semi-space-size=4"];
/** Heap, what is read ahead, and what the process takes for code and as allocator's reserve. */
const GROWN_BYTES_MAX = 72 * 1024 * 1024;

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
  await write(0, logged, false);
  return logged;
}

test("a store is streamed in a small part of its size", { timeout: 120_000 }, async () => {
  await using directory = await tempDir();
  const location = join(directory.path, "store");
  const records = Math.floor(STORE_BYTES / RECORD_BYTES);
  const logged = await makeStore(location, records);
  const worker = join(directory.path, "worker.mjs");
  await build({
    entryPoints: [fileURLToPath(new URL("stream-worker.ts", import.meta.url))],
    outfile: worker,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    logLevel: "silent",
  });
  const args = [...HEAP_FLAGS, worker, location];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  const { grownBytes, ...found }: Record<string, number> = JSON.parse(stdout);
  expect(found).toEqual({ records, operations: logged, descents: 0 });
  expect(grownBytes).toBeLessThan(Math.min(GROWN_BYTES_MAX, STORE_BYTES / 2));
});
