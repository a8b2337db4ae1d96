/**
 * Reads segments. A segment counts only whole: length, count, clocks and checksum must agree, and an
 * object counts only with all its segments (FORMAT, "Segment").
 */
import { isDelta } from "../core/delta.ts";
import type { LogOperation } from "../core/operation.ts";
import { CLOCK_MAX } from "../core/version.ts";
import {
  checkHeader,
  checkSealedLine,
  corrupt,
  Fields,
  isSealedAsOurs,
  parseObject,
  type Place,
} from "./json-line.ts";
import { decodeFilter, type IdFilter } from "./paths.ts";
import type { Segment } from "./segment.ts";
import { decodeVersionArray } from "./version-codec.ts";

/** What the header holds about the lines that follow it. */
export interface SegmentHeader {
  readonly agent: string;
  readonly writerNonce: string;
  readonly schemaVersion: number;
  readonly count: number;
  readonly lo: number;
  readonly hi: number;
  /** Length of the operation lines. */
  readonly bytes: number;
  readonly filter: IdFilter;
  /** How many segments were flushed together, this one included: an object of theirs holds all. */
  readonly together: number;
}

const LINE_FEED = 10;

/**
 * Reads a header line (without its line feed).
 * @param rest what follows the line
 * @throws CorruptionError, FormatVersionError
 */
export function decodeSegmentHeader(
  line: string,
  place: Place,
  rest: Uint8Array = new Uint8Array(),
): SegmentHeader {
  const object = parseObject(line, place);
  const fields = new Fields(object, place);
  checkHeader(object, "segment", place, () => {
    const { bytes } = object;
    return typeof bytes === "number" && isSealedAsOurs(line, rest.subarray(0, bytes));
  });
  const filter = decodeFilter(fields.string("filter"));
  if (filter === undefined) throw corrupt('field "filter": not a filter', place);
  return {
    agent: fields.string("agent"),
    writerNonce: fields.matching("w", /^[0-9a-f]{16}$/, "16 hex digits"),
    schemaVersion: fields.integer("v", 1),
    count: fields.integer("count", 1),
    lo: fields.integer("lo", 1, CLOCK_MAX),
    hi: fields.integer("hi", 1, CLOCK_MAX),
    bytes: fields.integer("bytes", 1),
    filter,
    together: fields.has("together") ? fields.integer("together", 2) : 1,
  };
}

/** A segment whose checksum holds; its operations are decoded when they are read. */
export interface OpenedSegment {
  readonly header: SegmentHeader;
  readonly operations: Generator<LogOperation, void>;
  /** Length of all of it, the header included. */
  readonly bytes: number;
}

/** Reads a whole segment; `bytes` holds exactly one. @throws CorruptionError, FormatVersionError */
export function decodeSegment(bytes: Uint8Array, place: Place): Segment {
  const opened = openSegment(asBuffer(bytes), place);
  const { header } = opened;
  if (opened.bytes === bytes.byteLength) return segmentOf(opened);
  const found = bytes.byteLength - opened.bytes + header.bytes;
  throw corrupt(`expected ${header.bytes} bytes of operations, found ${found}`, place);
}

/** Where segments lie, and the clocks that decided who reads them. */
export interface SegmentsPlace {
  readonly path: string;
  /** The part of the object that one segment takes; undefined for all that it holds. */
  readonly range: { readonly offset: number } | undefined;
  readonly lo: number;
  readonly hi: number;
}

/** Reads an object's segments, or one of them. @throws CorruptionError, FormatVersionError */
export function decodeSegments(bytes: Uint8Array, place: SegmentsPlace): Segment[] {
  return openSegments(bytes, place).map(segmentOf);
}

/**
 * Reads an object's segments, or one of them, piece by piece: the checksums are verified at once,
 * each operation when it is read.
 * @throws CorruptionError, FormatVersionError; also while the operations are taken
 */
export function openSegments(
  bytes: Uint8Array,
  { path, range, ...clocks }: SegmentsPlace,
): OpenedSegment[] {
  const buffer = asBuffer(bytes);
  const place = { path, offset: range?.offset ?? 0 };
  const opened: OpenedSegment[] = [];
  let at = 0;
  do {
    const next = openSegment(buffer.subarray(at), { path, offset: place.offset + at });
    opened.push(next);
    at += next.bytes;
  } while (at < buffer.length);
  const headers = opened.map(({ header }) => header);
  if (range === undefined) checkTogether(headers, place);
  checkClocks(headers, clocks, place);
  return opened;
}

function checkTogether(headers: readonly SegmentHeader[], place: Place): void {
  const other = headers.find(({ together }) => together !== headers.length);
  if (other === undefined) return;
  throw corrupt(`expected ${other.together} segments, found ${headers.length}`, place);
}

function checkClocks(
  headers: readonly SegmentHeader[],
  { lo, hi }: Pick<SegmentsPlace, "lo" | "hi">,
  place: Place,
): void {
  const first = headers.reduce((least, header) => Math.min(least, header.lo), Infinity);
  const last = headers.reduce((most, header) => Math.max(most, header.hi), 0);
  if (first === lo && last === hi) return;
  throw corrupt(`expected clocks ${lo}..${hi}, found ${first}..${last}`, place);
}

/** The first segment of the bytes. */
function openSegment(buffer: Buffer, place: Place): OpenedSegment {
  const headEnd = buffer.indexOf(LINE_FEED);
  if (headEnd < 0) throw corrupt("no complete header line", place);
  const line = buffer.toString("utf8", 0, headEnd);
  const header = decodeSegmentHeader(line, place, buffer.subarray(headEnd + 1));
  const bytes = headEnd + 1 + header.bytes;
  const body = buffer.subarray(headEnd + 1, bytes);
  if (body.length !== header.bytes) {
    throw corrupt(`expected ${header.bytes} bytes of operations, found ${body.length}`, place);
  }
  checkSealedLine(line, place, body);
  if (body.at(-1) !== LINE_FEED) throw corrupt("the last line is not complete", place);
  const bodyPlace = { path: place.path, offset: place.offset + headEnd + 1 };
  return { header, operations: decodeOperations(header, body, bodyPlace), bytes };
}

function segmentOf({ header, operations }: OpenedSegment): Segment {
  return {
    agent: header.agent,
    writerNonce: header.writerNonce,
    schemaVersion: header.schemaVersion,
    operations: [...operations],
  };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Line by line: one text of all lines would take twice the segment's bytes. */
function* decodeOperations(
  header: SegmentHeader,
  body: Buffer,
  place: Place,
): Generator<LogOperation, void> {
  const expected = `expected ${header.count}, clocks ${header.lo}..${header.hi}`;
  let [count, last] = [0, 0];
  for (let start = 0; start < body.length;) {
    const end = body.indexOf(LINE_FEED, start);
    const at = { path: place.path, offset: place.offset + start };
    const operation = decodeOperation(body.toString("utf8", start, end), at);
    const { clock } = operation;
    if (clock <= last || (count === 0 && clock !== header.lo)) {
      throw corrupt(`${expected}, found ${clock} after ${last}`, at);
    }
    [count, last] = [count + 1, clock];
    yield operation;
    start = end + 1;
  }
  if (count !== header.count || last !== header.hi) {
    throw corrupt(`${expected}, found ${count} operations, the last at clock ${last}`, place);
  }
}

function decodeOperation(line: string, place: Place): LogOperation {
  const fields = new Fields(parseObject(line, place), place);
  return operationOf(fields, { clock: fields.integer("clock", 1, CLOCK_MAX) }, place);
}

/** @param order what the line holds of the operation's version */
export function operationOf<Order extends Pick<LogOperation, "clock">>(
  fields: Fields,
  order: Order,
  place: Place,
): LogOperation & Order {
  const op = fields.string("op");
  const encoding = fields.get("encoding");
  if (op !== "set" && op !== "delete") throw corrupt(`unknown op ${JSON.stringify(op)}`, place);
  if (fields.has("data") !== (op === "set")) throw corrupt(`a ${op} with or without data`, place);
  if (encoding !== undefined && encoding !== "delta" && encoding !== "value") {
    throw corrupt("unknown encoding", place);
  }
  if (encoding === "delta" && !isDelta(fields.get("prev")))
    throw corrupt("prev is no delta", place);
  const id = fields.string("id");
  if (id === "") throw corrupt("an empty id", place);
  return {
    ts: fields.string("ts"),
    op,
    id,
    ...order,
    ...(fields.has("data") ? { data: fields.get("data") } : {}),
    ...(fields.has("prev") ? { prev: fields.get("prev") } : {}),
    ...(encoding === undefined ? {} : { encoding }),
    ...(fields.has("undoes") ? { undoes: decodeVersionArray(fields.array("undoes"), place) } : {}),
  };
}
