/**
 * Lines of a run that a merge moves from one run to another: of a line only what decides where it
 * goes is read, and its bytes are copied as they are. Each is checked as strictly as one that is decoded.
 */
import { isUtf8 } from "node:buffer";
import { CLOCK_MAX, type RunEntry, type Version } from "../core/version.ts";
import { corrupt, shorten } from "./json-line.ts";
import {
  decodeRunLine,
  type LinesPlace,
  placeWithin,
  plainVersion,
  type PlainVersion,
} from "./run-codec.ts";

const LINE_FEED = 10;
/** Of a line, its head should lie in: a longer one is decoded. */
const HEAD_BYTES = 256;
/** As heads are spelled whose strings need no escapes and are ASCII. */
const HEAD =
  /^\{"id":"([^"\\\0-\x1f\x80-\xff]+)","clock":(0|[1-9]\d{0,15}),"agent":(?:"[^"\\\0-\x1f\x80-\xff]*","w":"[0-9a-f]{16}"(?:,"rev":[1-9]\d{0,14})?|"","w":"","rev":[1-9]\d{0,14}),"v":([1-9]\d{0,14}),"(?:data":|deleted":true\}$)/;
const [QUOTE, BRACKET, BRACKET_END, BRACE, BRACE_END] = [0x22, 0x5b, 0x5d, 0x7b, 0x7d];

/** An entry whose record is read only if it is asked for. */
export class StoredLine implements RunEntry {
  readonly id: string;
  readonly schemaVersion: number;
  readonly isDeleted: boolean;
  readonly since = undefined;
  /** Whole lines; this one, with its line feed, lies from `start` to `end`. */
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
  readonly #headEnd: number;
  #version: Version | undefined;

  constructor(bytes: Buffer, start: number, end: number, { id, v, headEnd }: Head) {
    this.id = id;
    this.schemaVersion = v;
    this.isDeleted = headEnd === undefined;
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    this.#headEnd = headEnd ?? end - 1;
  }

  get version(): Version {
    if (this.#version !== undefined) return this.#version;
    const head = this.bytes.toString("utf8", this.start, this.#headEnd);
    this.#version = plainVersion(JSON.parse(this.isDeleted ? head : `${head}0}`) as PlainVersion);
    return this.#version;
  }

  get text(): string | undefined {
    return this.isDeleted ? undefined : this.bytes.toString("utf8", this.#headEnd, this.end - 2);
  }
}

interface Head {
  readonly id: string;
  readonly v: number;
  /** Where the record begins; undefined: it is a tombstone. */
  readonly headEnd?: number | undefined;
}

/** Whether an entry is a tombstone, without reading its record. */
export function isTombstone(entry: RunEntry): boolean {
  return entry instanceof StoredLine ? entry.isDeleted : entry.text === undefined;
}

/**
 * As `decodeRunLines`; lines that are spelled in the ordinary way are left as they are stored.
 * @throws CorruptionError with the offset of the line
 */
export function storedRunLines(bytes: Buffer, place: LinesPlace, after?: string): RunEntry[] {
  const entries: RunEntry[] = [];
  const isClean = isUtf8(bytes);
  let last = after;
  for (let start = 0; start < bytes.length;) {
    const end = bytes.indexOf(LINE_FEED, start);
    if (end < 0) throw corrupt("the last line is not complete", placeWithin(place, start));
    // Decoding replaces malformed UTF-8 in silence, and the record would no longer be VERBATIM.
    if (!isClean && !isUtf8(bytes.subarray(start, end))) {
      throw corrupt("not UTF-8", placeWithin(place, start));
    }
    const head = plainHead(bytes, start, end);
    const entry =
      head === undefined
        ? decodeRunLine(bytes.toString("utf8", start, end), placeWithin(place, start))
        : new StoredLine(bytes, start, end + 1, head);
    if (last !== undefined && entry.id <= last) {
      const order = `ids must ascend: ${shorten(entry.id)} after ${shorten(last)}`;
      throw corrupt(order, placeWithin(place, start));
    }
    entries.push(entry);
    last = entry.id;
    start = end + 1;
  }
  return entries;
}

/** Undefined: the line has to be decoded. @param end where its line feed lies */
function plainHead(bytes: Buffer, start: number, end: number): Head | undefined {
  const found = HEAD.exec(bytes.toString("latin1", start, Math.min(end, start + HEAD_BYTES)));
  if (found === null) return undefined;
  const [text, id = "", clock, v] = found;
  if (Number(clock) > CLOCK_MAX) return undefined;
  const headEnd = start + text.length;
  if (text.endsWith(":")) {
    return isWhole(bytes, headEnd, end) ? { id, v: Number(v), headEnd } : undefined;
  }
  return headEnd === end ? { id, v: Number(v), headEnd: undefined } : undefined;
}

/** Whether a record is an object, an array or a text that ends as it begins, and the line with it. */
function isWhole(bytes: Buffer, start: number, end: number): boolean {
  const [first, last] = [bytes[start], bytes[end - 2]];
  if (start >= end - 2 || bytes[end - 1] !== BRACE_END) return false;
  if (first === BRACE) return last === BRACE_END;
  return first === BRACKET ? last === BRACKET_END : first === QUOTE && last === QUOTE;
}
