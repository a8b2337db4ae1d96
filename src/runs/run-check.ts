/** Reads a whole run with its index and tells what is wrong with them: for `verify`. */
import { CorruptionError } from "../core/errors.ts";
import { corrupt } from "../format/check.ts";
import { decodeIndexHeader, findBySeparator, type PartitionContent } from "../format/run-index.ts";
import type { RunInfo } from "../format/run-info.ts";
import type { StorageBackend } from "../storage/backend.ts";
import { ByteCache } from "./byte-cache.ts";
import { type RunPart, RunObjects } from "./run-objects.ts";
import { scanAll } from "./run-scan.ts";

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
  problems.push(...partitions.filter((part) => part instanceof CorruptionError));
  for (const check of [
    () => checkIndexHeader(backend, run),
    () => checkData(objects, partitions),
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

async function checkIndexHeader(backend: StorageBackend, run: RunInfo): Promise<void> {
  const place = { path: run.index, offset: 0 };
  const length = run.partitions[0]?.offset ?? 0;
  const result = await backend.get(run.index, { range: { offset: 0, length } });
  if (result.status !== "found") throw corrupt("the index is not there", place);
  const line = Buffer.from(result.body).toString("utf8").replace(/\n$/, "");
  const path = decodeIndexHeader(line, place);
  if (path !== run.path) throw corrupt(`an index of ${path}, expected ${run.path}`, place);
}

async function checkData(
  objects: RunObjects,
  partitions: readonly (PartitionContent | CorruptionError)[],
): Promise<void> {
  const { run } = objects;
  let [records, tombstones] = [0, 0];
  let [minId, maxId] = ["", ""];
  for await (const batch of scanAll(objects)) {
    for (const { id, text } of batch) {
      const partition = partitions[findBySeparator(run.partitions, id)];
      if (!(partition instanceof CorruptionError) && partition?.bloom.mayContain(id) !== true) {
        throw corrupt(`the index denies record '${id}'`, { path: run.index, offset: 0 });
      }
      if (records === 0) minId = id;
      maxId = id;
      records++;
      if (text === undefined) tombstones++;
    }
  }
  const found = JSON.stringify({ records, tombstones, minId, maxId });
  const { records: r, tombstones: t, minId: min, maxId: max } = run;
  const expected = JSON.stringify({ records: r, tombstones: t, minId: min, maxId: max });
  if (found !== expected) {
    throw corrupt(`expected ${expected}, found ${found}`, { path: run.path, offset: 0 });
  }
}
