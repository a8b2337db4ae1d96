/** Reads a whole run with its index and returns what is wrong with them: for `verify`. */
import { append } from "../core/bulk.ts";
import { CorruptionError } from "../core/errors.ts";
import { corrupt } from "../format/json-line.ts";
import { parseRunBase } from "../format/paths.ts";
import { encodeRunHeader, encodeRunLine } from "../format/run-codec.ts";
import { decodeIndexHeader, findBySeparator, type PartitionContent } from "../format/run-index.ts";
import type { RunInfo } from "../format/run-info.ts";
import type { ByteRange, StorageBackend } from "../storage/backend.ts";
import { ByteCache } from "./byte-cache.ts";
import { type RunPart, RunObjects } from "./run-objects.ts";
import { readSpans, spansBetween } from "./read-spans.ts";
import { scanAll, scanRange } from "./run-scan.ts";

const LINE_FEED = 10;

/**
 * Compares a run's bytes, index and description with each other; empty when all is well.
 * @throws RunGoneError, FormatVersionError, and what the backend throws
 */
export async function checkRun(backend: StorageBackend, run: RunInfo): Promise<CorruptionError[]> {
  const cache = new ByteCache<RunPart>();
  const objects = new RunObjects(backend, cache, run, () => undefined);
  const problems: CorruptionError[] = [];
  const partitions: (PartitionContent | CorruptionError)[] = [];
  for (const at of run.partitions.keys()) partitions.push(await objects.partition(at));
  append(
    problems,
    partitions.filter((part) => part instanceof CorruptionError),
  );
  for (const check of [
    () => checkIndex(backend, run),
    () => checkData(objects, partitions).catch((error: unknown) => locate(objects, error)),
  ]) {
    try {
      await check();
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
      problems.push(error);
    }
  }
  return problems;
}

async function checkIndex(backend: StorageBackend, run: RunInfo): Promise<void> {
  await checkIndexHeader(backend, run);
  await checkIndexLines(backend, run);
}

async function checkIndexHeader(backend: StorageBackend, run: RunInfo): Promise<void> {
  const place = { path: run.index, offset: 0 };
  const length = run.partitions[0]?.offset ?? 0;
  const result = await backend.get(run.index, { range: { offset: 0, length } });
  if (result.status !== "found") throw corrupt("the index is not there", place);
  const line = Buffer.from(result.body).toString("utf8").replace(/\n$/, "");
  const path = decodeIndexHeader(line, place);
  if (path !== run.path) throw corrupt(`an index of ${path}, expected ${run.path}`, place);
}

/** Nothing but the header and the lines that the manifest names, each with its line feed. */
async function checkIndexLines(backend: StorageBackend, run: RunInfo): Promise<void> {
  const ends = run.partitions.map(({ offset, length }) => offset + length);
  const bytes = (ends.at(-1) ?? 0) + 1;
  const read = async (range: ByteRange): Promise<Buffer> => {
    const place = { path: run.index, offset: range.offset };
    const result = await backend.get(run.index, { range });
    if (result.status !== "found") throw corrupt("the index is not there", place);
    const { objectBytes, body } = result;
    if (objectBytes === bytes) return Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    throw corrupt(`found an object of ${objectBytes} bytes, expected ${bytes}`, place);
  };
  for await (const piece of readSpans(read, spansBetween(0, bytes))) {
    const after = piece.offset + piece.bytes.length;
    for (const offset of ends.filter((end) => end >= piece.offset && end < after)) {
      if (piece.bytes[offset - piece.offset] === LINE_FEED) continue;
      throw corrupt("expected a line feed", { path: run.index, offset });
    }
  }
}

/** What is wrong with the data, by block where a block's checksum shows it. */
async function locate(objects: RunObjects, error: unknown): Promise<never> {
  if (!(error instanceof CorruptionError) || error.path !== objects.run.path) throw error;
  for await (const _ of scanRange(objects, {}));
  throw error;
}

async function checkData(
  objects: RunObjects,
  partitions: readonly (PartitionContent | CorruptionError)[],
): Promise<void> {
  const { run } = objects;
  const { path, since: runSince = Infinity } = run;
  const isPacked = run.rawBytes !== undefined;
  let [records, tombstones, lineBytes] = [0, 0, 0];
  let [minId, maxId] = ["", ""];
  let minSchema = Infinity;
  const counts = partitions.map(() => ({ records: 0, tombstones: 0, minSchema: Infinity }));
  for await (const batch of scanAll(objects)) {
    for (const entry of batch) {
      const { id, text, since = 0 } = entry;
      const at = findBySeparator(run.partitions, id);
      const [partition, count] = [partitions[at], counts[at]];
      if (count !== undefined) {
        count.records++;
        if (text === undefined) count.tombstones++;
        count.minSchema = Math.min(count.minSchema, entry.schemaVersion);
      }
      if (!(partition instanceof CorruptionError) && partition?.bloom.mayContain(id) !== true) {
        throw corrupt(`the index denies record '${id}'`, { path: run.index, offset: 0 });
      }
      if (records === 0) minId = id;
      maxId = id;
      records++;
      if (text === undefined) tombstones++;
      if (isPacked) lineBytes += Buffer.byteLength(encodeRunLine(entry));
      minSchema = Math.min(minSchema, entry.schemaVersion);
      if (since <= runSince) continue;
      const found = `a tombstone of '${id}' that was in a run since generation ${since}`;
      throw corrupt(`${found}, but this run is of ${runSince}`, { path, offset: 0 });
    }
  }
  for (const [at, partition] of partitions.entries()) {
    if (!(partition instanceof CorruptionError)) checkCounts(run, partition, counts[at]);
  }
  const found = JSON.stringify({ records, tombstones, minId, maxId });
  const { records: r, tombstones: t, minId: min, maxId: max } = run;
  const expected = JSON.stringify({ records: r, tombstones: t, minId: min, maxId: max });
  if (found !== expected)
    throw corrupt(`expected ${expected}, found ${found}`, { path, offset: 0 });
  // A manifest of before it was counted says 1.
  if (minSchema < run.minSchema) {
    const text = `expected no schema version below ${run.minSchema}, found ${minSchema}`;
    throw corrupt(text, { path, offset: 0 });
  }
  const rawBytes = lineBytes + plainHeaderBytes(path);
  if (isPacked && rawBytes !== run.rawBytes) {
    throw corrupt(`expected ${run.rawBytes} bytes of lines, found ${rawBytes}`, {
      path,
      offset: 0,
    });
  }
}

type Counts = Pick<PartitionContent, "records" | "tombstones" | "minSchema">;

/** What an index does not count, as none did once, is not compared. */
function checkCounts(run: RunInfo, partition: Counts, found: Counts | undefined): void {
  const { records, tombstones = found?.tombstones, minSchema = found?.minSchema } = partition;
  const expected = JSON.stringify({ records, tombstones, minSchema });
  const { records: r, tombstones: t, minSchema: min } = found ?? { records: 0 };
  const counted = JSON.stringify({ records: r, tombstones: t, minSchema: min });
  if (counted === expected) return;
  const text = `a partition counts ${expected}, found ${counted}`;
  throw corrupt(text, { path: run.index, offset: 0 });
}

/** Of the header of a run without compression. */
function plainHeaderBytes(path: string): number {
  return encodeRunHeader({ base: parseRunBase(path) ?? 0, compression: "none" }).length + 1;
}
