/**
 * Snapshots of the original opslog: a header line and a line for each record, or one JSON object
 * with all records, on one line or on many, as old versions wrote it.
 */
import { isUtf8 } from "node:buffer";
import { CorruptionError, OpslogError } from "../core/errors.ts";
import { isErrorNamed } from "../core/realm.ts";
import { checkId } from "../core/record.ts";
import type { RunEntry } from "../core/version.ts";
import { corrupt, parseObject, type Place, shorten } from "../format/json-line.ts";
import { type Piece, readSpans, spansBetween, wholeLines } from "../runs/read-spans.ts";
import { RunGoneError } from "../runs/run-gone.ts";
import type { StorageBackend } from "../storage/backend.ts";
import { LEGACY_W } from "./order.ts";
import { type Snapshot, validateSnapshot } from "./validate.ts";

export interface SnapshotHead {
  readonly path: string;
  /** Schema version of its records. */
  readonly version: number;
  readonly form: "lines" | "object";
  /** Of the whole snapshot. */
  readonly bytes: number;
}

/** Holds the header line; old snapshots are larger. */
const HEAD_BYTES = 64 * 1024;
/** Longer text is none to Node; the original could not have read it either. */
const TEXT_BYTES_MAX = 512 * 1024 * 1024;
const ENTRIES_MAX = 1024;
/** Small enough that a stream of records takes little memory. */
const SPAN_BYTES_MAX = 1024 * 1024;
const BATCH_TEXT_MAX = 256 * 1024;
const LINE_FEED = 10;
const VERSION = { clock: 0, agent: "", writerNonce: LEGACY_W };

/** @throws RunGoneError when it is not there, CorruptionError */
export async function readSnapshotHead(
  backend: StorageBackend,
  path: string,
): Promise<SnapshotHead> {
  const found = await backend.get(path, { range: { offset: 0, length: HEAD_BYTES } });
  if (found.status !== "found") throw snapshotGone(path);
  const { objectBytes: bytes, body } = found;
  const end = Buffer.from(body).indexOf(LINE_FEED);
  const isComplete = end >= 0 || body.length === bytes;
  const line = Buffer.from(body).toString("utf8", 0, end < 0 ? body.length : end);
  const value = isComplete ? tryParse(line) : undefined;
  if (isFields(value) && !Object.hasOwn(value, "records")) {
    const header = { timestamp: "any", ...value, records: {} };
    return { path, version: checked(header, path).version, form: "lines", bytes };
  }
  const { version } = await readObject(backend, path);
  return { path, version, form: "object", bytes };
}

/** Records in its order, at clock 0. @throws RunGoneError, CorruptionError */
export function streamSnapshot(
  backend: StorageBackend,
  head: SnapshotHead,
): AsyncGenerator<RunEntry[]> {
  return head.form === "lines" ? streamLines(backend, head) : streamObject(backend, head);
}

/** With what it means in the words of the original opslog, which its programs match on. */
function snapshotGone(path: string): RunGoneError {
  const damage = `Snapshot file not found: ${path}. The data directory may be corrupted.`;
  return new RunGoneError(`${path} is not there`, { path }, damage);
}

async function* streamObject(
  backend: StorageBackend,
  { path }: SnapshotHead,
): AsyncGenerator<RunEntry[]> {
  const { version, records } = await readObject(backend, path);
  let batch: RunEntry[] = [];
  for (const [id, data] of Object.entries(records)) {
    batch.push(entryOf(id, data, version, { path, offset: 0 }));
    if (batch.length < ENTRIES_MAX) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

async function readObject(backend: StorageBackend, path: string): Promise<Snapshot<unknown>> {
  const found = await backend.get(path);
  if (found.status !== "found") throw snapshotGone(path);
  const { body } = found;
  const place = { path, offset: 0 };
  if (body.length > TEXT_BYTES_MAX) {
    throw corrupt(`neither a snapshot of lines nor one object: ${body.length} bytes`, place);
  }
  const buffer = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  if (!isUtf8(buffer)) throw corrupt("not UTF-8", place);
  const text = buffer.toString("utf8");
  const line = text.split("\n", 1)[0] ?? "";
  // What follows an object that is whole on its first line is nothing to the original.
  return checked(tryParse(line) ?? parseObject(text, place), path);
}

function checked(value: unknown, path: string): Snapshot<unknown> {
  try {
    return validateSnapshot<unknown>(value);
  } catch (cause) {
    if (!(cause instanceof OpslogError)) throw cause;
    throw new CorruptionError(`${path}: ${cause.message}`, { path, cause });
  }
}

async function* streamLines(
  backend: StorageBackend,
  { path, version, bytes }: SnapshotHead,
): AsyncGenerator<RunEntry[]> {
  const read = async (offset: number, length: number): Promise<Buffer> => {
    const found = await backend.get(path, { range: { offset, length } });
    if (found.status !== "found") throw snapshotGone(path);
    const { body } = found;
    if (body.length === length) return Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    throw corrupt(`expected ${length} bytes, found ${body.length}`, { path, offset });
  };
  const spans = spansBetween(0, bytes, SPAN_BYTES_MAX);
  const pieces = readSpans(({ offset, length }) => read(offset, length), spans);
  let number = 0;
  for await (const piece of wholeLines(endLastLine(pieces, bytes), path)) {
    let [batch, batchText]: [RunEntry[], number] = [[], 0];
    for (const { text, offset } of linesOf(piece, path)) {
      number++;
      if (number === 1 || text === "") continue;
      const entry = decodeRecord(text, version, { path, offset }, number);
      if (entry !== undefined) batch.push(entry);
      batchText += text.length;
      if (batchText < BATCH_TEXT_MAX) continue;
      yield batch;
      [batch, batchText] = [[], 0];
    }
    if (batch.length > 0) yield batch;
  }
}

/** The last line may lack its line feed. */
async function* endLastLine(pieces: AsyncIterable<Piece>, bytes: number): AsyncGenerator<Piece> {
  yield* pieces;
  yield { bytes: Buffer.from("\n"), offset: bytes };
}

function* linesOf(
  { bytes, offset }: Piece,
  path: string,
): Generator<{ text: string; offset: number }> {
  const isClean = isUtf8(bytes);
  for (let start = 0; start < bytes.length;) {
    const end = bytes.indexOf(LINE_FEED, start);
    const at = offset + start;
    if (!isClean && !isUtf8(bytes.subarray(start, end))) {
      throw corrupt("not UTF-8", { path, offset: at });
    }
    yield { text: bytes.toString("utf8", start, end).trim(), offset: at };
    start = end + 1;
  }
}

/** Undefined for a line without data: a record that JSON could not carry. */
function decodeRecord(
  text: string,
  version: number,
  place: Place,
  number: number,
): RunEntry | undefined {
  const value = tryParse(text);
  if (!isFields(value)) throw corrupt(`line ${number}: no record: ${shorten(text)}`, place);
  const { id, data } = value;
  return data === undefined ? undefined : entryOf(id, data, version, place, `line ${number}: `);
}

function entryOf(id: unknown, data: unknown, schema: number, place: Place, line = ""): RunEntry {
  try {
    return { id: checkId(id), version: VERSION, schemaVersion: schema, text: JSON.stringify(data) };
  } catch (cause) {
    // RangeError: JSON that is nested too deeply to be written again.
    if (!(cause instanceof OpslogError || isErrorNamed(cause, "RangeError"))) throw cause;
    throw corrupt(`${line}${cause.message}`, place, cause);
  }
}

function tryParse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (isErrorNamed(error, "SyntaxError")) return undefined;
    throw error;
  }
}

function isFields(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
