/**
 * Frames: the segments inside an appended file, found by jumping from header to header. Pure.
 * What a crash leaves at the end of a file was never acknowledged and is dropped in silence; what
 * else cannot be read is CORRUPT and reported.
 */
import { CorruptionError } from "../core/errors.ts";
import { corrupt, type Place } from "../format/check.ts";
import { checkSealedLine } from "../format/sealed-line.ts";
import { clocksPlausible } from "../format/paths.ts";
import { decodeSegmentHeader } from "../format/segment-codec.ts";
import type { SegmentRef } from "./log.ts";

export interface FrameScan {
  readonly frames: readonly SegmentRef[];
  readonly corrupt: readonly CorruptionError[];
  /** Bytes that need not be looked at again; what follows may still grow into a frame. */
  readonly consumedBytes: number;
}

const LINE_FEED = 10;
const HEADER_START = Buffer.from('{"format":');
/** What a disk writes whole or not at all. */
const SECTOR_BYTES = 512;

type Frame = SegmentRef | CorruptionError | "torn";

/** @param place the file and the offset of `bytes` in it, which lies on a frame border */
export function scanFrames(bytes: Buffer, { path, offset }: Place): FrameScan {
  const frames: SegmentRef[] = [];
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

function isWhole(frame: Frame): frame is SegmentRef {
  return frame !== "torn" && !(frame instanceof CorruptionError);
}

/** Data that look like a header are none: their line ends with one more brace. */
function findFrame(
  bytes: Buffer,
  from: number,
  { path, offset }: Place,
  accepts: (frame: Frame) => boolean,
): number | undefined {
  let at = bytes.indexOf(HEADER_START, from);
  while (at >= 0 && !accepts(readFrame(bytes, at, { path, offset: offset + at }))) {
    at = bytes.indexOf(HEADER_START, at + 1);
  }
  return at < 0 ? undefined : at;
}

function readFrame(bytes: Buffer, at: number, place: Place): Frame {
  const lineEnd = bytes.indexOf(LINE_FEED, at);
  if (lineEnd < 0) return "torn";
  let end = bytes.length;
  try {
    const line = bytes.toString("utf8", at, lineEnd);
    const header = decodeSegmentHeader(line, place);
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
    return lacksSectors(bytes.subarray(at, end), place.offset) ? "torn" : error;
  }
}

/**
 * Whether a crash kept a part from the disk: zeros, which JSON text has none of, up to the end of
 * a sector or of what is there.
 */
function lacksSectors(frame: Buffer, offset: number): boolean {
  for (let zero = frame.indexOf(0); zero >= 0; zero = frame.indexOf(0, zero + 1)) {
    if (zero + 1 === frame.length || (offset + zero + 1) % SECTOR_BYTES === 0) return true;
  }
  return false;
}

function countLines(bytes: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(LINE_FEED); at >= 0; at = bytes.indexOf(LINE_FEED, at + 1)) count++;
  return count;
}
