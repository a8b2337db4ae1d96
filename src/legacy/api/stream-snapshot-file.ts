/** Reads a snapshot file record by record: the original's forms, and the runs of this package. */
import { crc32 } from "node:zlib";
import { StoreNotFoundError } from "../../core/errors.ts";
import { parseRecord } from "../../core/record.ts";
import type { RunEntry } from "../../core/version.ts";
import { corrupt, Fields, parseObject, type Place } from "../../format/json-line.ts";
import { unpackBlock } from "../../format/run-block.ts";
import { decodeRunHeader, decodeRunLine, decodeRunLines } from "../../format/run-codec.ts";
import { decodeIndexHeader, decodePartition } from "../../format/run-index.ts";
import { type Piece, readSpans, spansBetween, unpackedLines } from "../../runs/read-spans.ts";
import type { StorageBackend } from "../../storage/backend.ts";
import { FsBackend } from "../../storage/fs/fs-backend.ts";
import { validateSnapshot } from "../validate.ts";

const LINE_FEED = 10;
const NO_BYTES = { range: { offset: 0, length: 0 } };

interface Line extends Place {
  readonly text: string;
}

type Records<T> = AsyncGenerator<[string, T], { version: number }>;

/**
 * Records of `relativePath` below `dir`, in the order of the file; tombstones of a run are left
 * out. Files of lines are read with bounded memory; the original's older form, one JSON object, is
 * loaded whole.
 * @returns the schema version: the file's, or the highest among a run's records (1 when it has none)
 * @throws StoreNotFoundError when there is no such file; CorruptionError, FormatVersionError,
 *   InvalidArgumentError; NotSupportedError for a compression that this runtime lacks
 */
export async function* streamSnapshotFile<T = Record<string, unknown>>(
  dir: string,
  relativePath: string,
): Records<T> {
  const backend = new FsBackend();
  await backend.initialize(dir, { readOnly: true });
  const lines = readLines(backend, relativePath);
  const first = await lines.next();
  const place = { path: relativePath, offset: 0 };
  if (first.done === true) throw corrupt("an empty snapshot file", place);
  const header = parseIfObject(first.value.text);
  if (header === undefined) {
    // Pretty-printed: no single line of it is JSON.
    const whole = await backend.readBlob(relativePath);
    return yield* streamObject<T>(parseObject(whole.toString(), place));
  }
  if ("records" in header) return yield* streamObject<T>(header);
  if ("kind" in header) return yield* streamRun<T>(backend, lines, first.value);
  const version = new Fields(header, place).integer("version", 1);
  for await (const line of lines) {
    if (line.text.trim() === "") continue;
    const { id, data } = parseObject(line.text, line);
    if (typeof id !== "string" || data === undefined) {
      throw corrupt('expected {"id","data"}, found neither or only one', line);
    }
    yield [id, data as T];
  }
  return { version };
}

async function* streamObject<T>(object: Record<string, unknown>): Records<T> {
  const { records, version } = validateSnapshot<T>(object);
  yield* Object.entries(records);
  return { version };
}

/** Verified by its index; a run that was copied without its index is trusted. */
async function* streamRun<T>(
  backend: StorageBackend,
  lines: AsyncGenerator<Line>,
  header: Line,
): Records<T> {
  const { compression } = decodeRunHeader(header.text, header);
  const { path } = header;
  const index = path.replace(/\.jsonl$/, ".index");
  const isIndexed = (await backend.get(index, NO_BYTES)).status === "found";
  const unindexed = (): AsyncIterable<RunEntry> =>
    compression === "none"
      ? entriesOf(lines)
      : entriesOfPacked(backend, path, Buffer.byteLength(header.text) + 1);
  let version = 1;
  for await (const entry of isIndexed ? entriesOfBlocks(backend, path, index) : unindexed()) {
    if (entry.text === undefined) continue;
    version = Math.max(version, entry.schemaVersion);
    yield [entry.id, parseRecord(entry.id, entry.text, header.path) as T];
  }
  return { version };
}

async function* entriesOf(lines: AsyncIterable<Line>): AsyncGenerator<RunEntry> {
  for await (const line of lines) yield decodeRunLine(line.text, line);
}

async function* entriesOfPacked(
  backend: StorageBackend,
  path: string,
  start: number,
): AsyncGenerator<RunEntry> {
  const pieces = readPieces(backend, path, start, await sizeOf(backend, path));
  for await (const lines of unpackedLines(pieces, path)) {
    yield* decodeRunLines(lines.bytes, { path, ...lines });
  }
}

async function* entriesOfBlocks(
  backend: StorageBackend,
  path: string,
  index: string,
): AsyncGenerator<RunEntry> {
  let end = 0;
  for await (const { text, offset: at } of readLines(backend, index)) {
    const place = { path: index, offset: at };
    if (at === 0) {
      decodeIndexHeader(text, place);
      continue;
    }
    for (const { offset, length, crc32: expected } of decodePartition(Buffer.from(text), place)
      .blocks) {
      const bytes = await backend.readBlobRange(path, offset, length);
      const found = crc32(bytes);
      if (found !== expected) {
        throw corrupt(`checksum of the block: expected ${expected}, found ${found}`, {
          path,
          offset,
        });
      }
      const lines = unpackBlock(bytes, { path, offset });
      yield* decodeRunLines(lines.bytes, { path, ...lines });
      end = offset + length;
    }
  }
  const bytes = await sizeOf(backend, path);
  if (end !== bytes)
    throw corrupt(`expected a run of ${end} bytes, found ${bytes}`, { path, offset: end });
}

function parseIfObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

/** Lines without their line feed; the last one may lack it, as in files that a person made. */
async function* readLines(backend: StorageBackend, path: string): AsyncGenerator<Line> {
  const pieces = readPieces(backend, path, 0, await sizeOf(backend, path));
  let begun: Buffer[] = [];
  let offset = 0;
  for await (const { bytes } of pieces) {
    let start = 0;
    for (let at = bytes.indexOf(LINE_FEED); at >= 0; at = bytes.indexOf(LINE_FEED, start)) {
      const line = Buffer.concat([...begun, bytes.subarray(start, at)]);
      yield { path, offset, text: line.toString() };
      offset += line.length + 1;
      begun = [];
      start = at + 1;
    }
    if (start < bytes.length) begun.push(bytes.subarray(start));
  }
  if (begun.length > 0) yield { path, offset, text: Buffer.concat(begun).toString() };
}

function readPieces(
  backend: StorageBackend,
  path: string,
  start: number,
  end: number,
): AsyncGenerator<Piece> {
  return readSpans(
    ({ offset, length }) => backend.readBlobRange(path, offset, length),
    spansBetween(start, end),
  );
}

/** @throws StoreNotFoundError, with the original's text */
async function sizeOf(backend: StorageBackend, path: string): Promise<number> {
  const found = await backend.get(path, { range: { offset: 0, length: 1 } });
  if (found.status === "found") return found.objectBytes;
  throw new StoreNotFoundError(
    `Snapshot file not found: ${path}. The data directory may be corrupted.`,
    { path },
  );
}
