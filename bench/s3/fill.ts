/** Makes the stores that are measured, straight on the server. */
import { PutObjectCommand } from "@aws-sdk/client-s3";
import { S3Backend } from "../../src/s3/index.ts";
import { compact } from "../../src/compaction/compact.ts";
import { liveS3Client } from "../../test/support/live-s3.ts";
import { locationOf, openOurStore, openStore } from "./engines.ts";
import { idOf, newId, recordOf } from "./records.ts";
import type { EngineName, Place } from "./tasks.ts";

/** Held in memory by one store, and merged by one pass. */
const CHUNK_RECORDS = 100_000;
const BATCH_RECORDS = 5_000;
/** The writers of uncompacted writes. */
export const LOG_WRITERS = 10;

/** A compacted store: of ours one run, of the original one snapshot, both with an empty log. */
export async function fill(
  engine: EngineName,
  place: Place,
  endpoint: string,
  records: number,
): Promise<void> {
  if (engine === "ours") await fillOurs(place, endpoint, records);
  else await fillOriginal(place, endpoint, records);
}

async function fillOurs(place: Place, endpoint: string, records: number): Promise<void> {
  const pass = (full: boolean): Promise<unknown> => {
    // Replaced runs would take up the server's memory for an hour.
    return compact(locationOf(place), { backend: new S3Backend({ endpoint }), gcGraceMs: 0, full });
  };
  for (let from = 0; from < records; from += CHUNK_RECORDS) {
    const to = Math.min(records, from + CHUNK_RECORDS);
    const options = { agentId: "loader", skipLoad: true, blindWrites: true };
    const store = await openOurStore(place, endpoint, options);
    for (let start = from; start < to; start += BATCH_RECORDS) {
      await store.batch(() => {
        for (let n = start; n < Math.min(to, start + BATCH_RECORDS); n++) {
          void store.set(idOf(n), recordOf(n));
        }
      });
    }
    await store.close();
    await pass(false);
  }
  await pass(true);
}

/** Its API would take a PUT a write or all records in memory; these are the objects it makes. */
async function fillOriginal(place: Place, endpoint: string, records: number): Promise<void> {
  const client = liveS3Client(endpoint);
  const put = (path: string, Body: Buffer | string): Promise<unknown> => {
    const Key = `${place.prefix}/${path}`;
    return client.send(new PutObjectCommand({ Bucket: place.bucket, Key, Body }));
  };
  const created = new Date().toISOString();
  const currentSnapshot = "snapshots/snap-1700000000000.jsonl";
  const pieces = [Buffer.from(`${JSON.stringify({ version: 1, timestamp: created })}\n`)];
  for (let from = 0; from < records; from += BATCH_RECORDS) {
    const lines = Array.from({ length: Math.min(BATCH_RECORDS, records - from) }, (_, at) => {
      return `${JSON.stringify({ id: idOf(from + at), data: recordOf(from + at) })}\n`;
    });
    pieces.push(Buffer.from(lines.join("")));
  }
  await put(currentSnapshot, Buffer.concat(pieces));
  const counts = { activeRecords: records, archivedRecords: 0, opsCount: 0 };
  const manifest = {
    version: 1,
    currentSnapshot,
    activeOps: "ops/wal-1700000000000",
    archiveSegments: [],
    stats: { ...counts, created, lastCheckpoint: created },
  };
  await put("manifest.json", JSON.stringify(manifest));
  client.destroy();
}

/** Single writes of new records by several writers, each an object in its log. */
export async function writeLog(
  engine: EngineName,
  place: Place,
  endpoint: string,
  writes: number,
): Promise<void> {
  const writers = Array.from({ length: LOG_WRITERS }, (_, writer) => writer);
  // One after the other: of two that open at once the original forgets one.
  const stores = [];
  for (const writer of writers) {
    stores.push(await openStore(engine, place, { endpoint, agentId: `writer-${writer}` }));
  }
  await Promise.all(
    stores.map(async (store, writer) => {
      for (let n = writer; n < writes; n += LOG_WRITERS) {
        await store.set(newId(writer, n), recordOf(n));
      }
      await store.close();
    }),
  );
}
