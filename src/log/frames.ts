/**
 * Frames: the segments inside an appended file, found by jumping from header to header. Pure.
 * What a crash leaves at the end of a file was never acknowledged and is dropped in silence; what
 * else cannot be read is CORRUPT and reported.
 */
import { CorruptionError } from "../core/errors.ts";
import { checkSealedLine, corrupt, type Place, SEAL_BYTES, sealOf } from "../format/json-line.ts";
import { clocksPlausible } from "../format/paths.ts";
import { decodeSegmentHeader } from "../format/segment-decoder.ts";
import type { LogRef } from "./log.ts";

export interface FrameScan {
  readonly frames: readonly LogRef[];
  readonly corrupt: readonly CorruptionError[];
  /** Bytes that need not be looked at again; what follows may still grow into a frame. */
  readonly consumedBytes: number;
}

const LINE_FEED = 10;
const HEADER_START = Buffer.from('{"format":');
/** What a disk writes whole or not at all. */
const SECTOR_BYTES = 512;

type Frame = LogRef | CorruptionError | "torn";

/** @param place the file and the offset of `bytes` in it, which lies on a frame border */
export function scanFrames(bytes: Buffer, { path, offset }: Place): FrameScan {
  const frames: LogRef[] = [];
  const errors: CorruptionError[] = [];
  let at = 0;
  while (at < bytes.length) {
    const place = { path, offset: offset + at };
    const frame = readFrame(bytes, at, place);
    if (isWhole(frame)) {
      frames.push(frame);
      at += frame.bytes;
      continue;
    }
    const next = findFrame(bytes, at + 1, { path, offset }, isWhole);
    // Nothing good follows: a torn end, or an acknowledged frame that was damaged afterwards.
    if (next === undefined && frame === "torn") break;
    errors.push(frame === "torn" ? corrupt("a frame cut short", place) : frame);
    // Behind damage, too, the last frame may be one that is just being appended.
    const isTorn = (found: Frame): boolean => found === "torn";
    at = next ?? findFrame(bytes, at + 1, { path, offset }, isTorn) ?? bytes.length;
    if (next === undefined) break;
  }
  return { frames, corrupt: errors, consumedBytes: at };
}

function isWhole(frame: Frame): frame is LogRef {
  return frame !== "torn" && !(frame instanceof CorruptionError);
}

/**
 * The first frame from there on. A header ends its line and begins one, unless the line feed before
 * it is damaged: so each line has one place to look at, and what lies in records costs nothing.
 */
function findFrame(
  bytes: Buffer,
  from: number,
  { path, offset }: Place,
  accepts: (frame: Frame) => boolean,
): number | undefined {
  for (let start = from; start < bytes.length;) {
    const found = bytes.indexOf(LINE_FEED, start);
    const end = found < 0 ? bytes.length : found;
    const at = found < 0 ? unfinishedHeader(bytes, start) : headerIn(bytes, start, end);
    if (at !== undefined && accepts(readFrame(bytes, at, { path, offset: offset + at }))) return at;
    start = end + 1;
  }
  return undefined;
}

/** Where a header begins in a line; a record's line ends otherwise, whatever it holds. */
function headerIn(bytes: Buffer, start: number, end: number): number | undefined {
  const ending = bytes.toString("latin1", Math.max(start, end - SEAL_BYTES), end);
  if (sealOf(ending) === undefined) return undefined;
  const at = bytes.lastIndexOf(HEADER_START, end);
  return at < start ? undefined : at;
}

/** The last line may lack its end: then its beginning decides. */
function unfinishedHeader(bytes: Buffer, start: number): number | undefined {
  const beginning = bytes.subarray(start, start + HEADER_START.length);
  return beginning.equals(HEADER_START) ? start : undefined;
}

function readFrame(bytes: Buffer, at: number, place: Place): Frame {
  const lineEnd = bytes.indexOf(LINE_FEED, at);
  if (lineEnd < 0) return "torn";
  let end = bytes.length;
  try {
    const line = bytes.toString("utf8", at, lineEnd);
    const header = decodeSegmentHeader(line, place, bytes.subarray(lineEnd + 1));
    end = lineEnd + 1 + header.bytes;
    const body = bytes.subarray(lineEnd + 1, end);
    if (body.length < header.bytes) {
      if (countLines(body) < header.count) return "torn";
      throw corrupt(`expected ${header.bytes} bytes of operations, found ${body.length}`, place);
    }
    checkSealedLine(line, place, body);
    if (!clocksPlausible(header)) throw corrupt("impossible clocks", place);
    const length = end - at;
    const { path, offset } = place;
    const { lo, hi, filter } = header;
    const range = { offset, length };
    return { key: `${path}@${offset}`, path, range, lo, hi, filter, bytes: length };
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error;
    return lacksSectors(bytes, { at, end }, place.offset - at) ? "torn" : error;
  }
}

/**
 * Whether a crash kept a part of a frame from the disk: zeros, which JSON text has none of, up to
 * the end of a sector or of the file. One alone is a damaged byte: no sector is that short.
 */
function lacksSectors(
  bytes: Buffer,
  { at, end }: { at: number; end: number },
  offset: number,
): boolean {
  for (let zero = bytes.indexOf(0, at); zero >= 0 && zero < end;) {
    let runEnd = zero + 1;
    while (bytes[runEnd] === 0) runEnd++;
    const lastSectorEnd = runEnd - ((offset + runEnd) % SECTOR_BYTES);
    const upTo = runEnd === bytes.length ? runEnd : lastSectorEnd;
    if (upTo - zero > 1) return true;
    zero = bytes.indexOf(0, runEnd);
  }
  return false;
}

function countLines(bytes: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(LINE_FEED); at >= 0; at = bytes.indexOf(LINE_FEED, at + 1)) count++;
  return count;
}
