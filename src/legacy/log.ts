/** Reads the logs that a legacy manifest names: files of lines, or folders of batches. */
import { createHash } from "node:crypto";
import { CorruptionError } from "../core/errors.ts";
import { mapParallel } from "../core/parallel.ts";
import { messageOf } from "../core/realm.ts";
import { legacyBatchOrder } from "../format/paths.ts";
import type { StorageBackend } from "../storage/backend.ts";
import { legacyLogPaths, type LegacyManifest } from "./manifest.ts";
import { decodeLegacyOperation, type LegacyOperation } from "./operation.ts";

export interface LegacyLog {
  /** The operations of each log. */
  readonly logs: readonly (readonly LegacyOperation[])[];
  /** One for each object that holds malformed lines. */
  readonly corrupt: readonly CorruptionError[];
  /** SHA-256 of everything read, hex. */
  readonly digest: string;
}

interface ReadObject {
  readonly path: string;
  readonly body: Uint8Array;
}

const READS_PARALLEL = 16;
const LINE_FEED = 10;

/** A log that is not there is an empty one, as it is for the original. */
export async function readLegacyLog(
  backend: StorageBackend,
  manifest: LegacyManifest,
): Promise<LegacyLog> {
  const corrupt: CorruptionError[] = [];
  const digest = createHash("sha256");
  const logs: LegacyOperation[][] = [];
  for (const path of legacyLogPaths(manifest)) {
    const operations: LegacyOperation[] = [];
    const objects = path.endsWith(".jsonl") ? [path] : await listBatches(backend, path);
    for (const object of await readAll(backend, objects)) {
      const lines = decodeLines(object);
      for (const operation of lines.operations) operations.push(operation);
      if (lines.corrupt !== undefined) corrupt.push(lines.corrupt);
      digest.update(JSON.stringify([object.path, object.body.length])).update(object.body);
    }
    logs.push(operations);
  }
  return { logs, corrupt, digest: digest.digest("hex") };
}

/** In the order in which they were written; by number, which a name of more digits upsets. */
async function listBatches(backend: StorageBackend, log: string): Promise<string[]> {
  const batches: { readonly path: string; readonly order: readonly [number, number] }[] = [];
  for await (const { objects } of backend.list(`${log}/`)) {
    for (const { path } of objects) {
      const order = legacyBatchOrder(path);
      if (order !== undefined) batches.push({ path, order });
    }
  }
  return batches
    .toSorted((a, b) => a.order[0] - b.order[0] || a.order[1] - b.order[1])
    .map(({ path }) => path);
}

async function readAll(backend: StorageBackend, paths: readonly string[]): Promise<ReadObject[]> {
  const read = await mapParallel(paths, READS_PARALLEL, async (path) => {
    const found = await backend.get(path);
    return found.status === "found" ? [{ path, body: found.body }] : [];
  });
  return read.flat();
}

function decodeLines({ path, body }: ReadObject): {
  readonly operations: readonly LegacyOperation[];
  readonly corrupt: CorruptionError | undefined;
} {
  const buffer = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const operations: LegacyOperation[] = [];
  let [malformed, line, offset] = [0, 0, 0];
  let first:
    | { readonly line: number; readonly offset: number; readonly cause: unknown }
    | undefined;
  while (offset < buffer.length) {
    const found = buffer.indexOf(LINE_FEED, offset);
    const end = found < 0 ? buffer.length : found;
    const text = buffer.toString("utf8", offset, end).trim();
    line++;
    try {
      if (text !== "") operations.push(decodeLegacyOperation(text));
    } catch (cause) {
      malformed++;
      first ??= { line, offset, cause };
    }
    offset = end + 1;
  }
  if (first === undefined) return { operations, corrupt: undefined };
  const what = `${malformed} malformed ${malformed === 1 ? "line" : "lines"} in ${path}`;
  const reason = messageOf(first.cause);
  const where = `the first is line ${first.line} at byte ${first.offset}: ${reason}`;
  return {
    operations,
    corrupt: new CorruptionError(`skipped ${what}; ${where}`, {
      path,
      offset: first.offset,
      cause: first.cause,
    }),
  };
}
