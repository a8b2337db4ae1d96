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

/** @param place the file and the offset of `bytes` in it, which lies on a frame border */
export function scanFrames(bytes: Buffer, { path, offset }: Place): FrameScan {
  const frames: SegmentRef[] = [];
  const errors: CorruptionError[] = [];
  let at = 0;
  while (at < bytes.length) {
    const frame = readFrame(bytes, at, { path, offset: offset + at });
    if (!(frame instanceof CorruptionError) && frame !== "torn") {
      frames.push(frame);
      at += frame.bytes;
      continue;
    }
    const next = findFrame(bytes, at + 1, { path, offset });
    if (next === undefined) {
      // Nothing good follows: a torn end, or an acknowledged frame that was damaged afterwards.
      if (frame === "torn") break;
      errors.push(frame);
      at = bytes.length;
    } else {
      errors.push(
        frame === "torn" ? corrupt("a frame cut short", { path, offset: offset + at }) : frame,
      );
      at = next;
    }
  }
  return { frames, corrupt: errors, consumedBytes: at };
}

function findFrame(bytes: Buffer, from: number, { path, offset }: Place): number | undefined {
  for (
    let at = bytes.indexOf(HEADER_START, from);
    at >= 0;
    at = bytes.indexOf(HEADER_START, at + 1)
  ) {
    if (bytes[at - 1] !== LINE_FEED) continue;
    const frame = readFrame(bytes, at, { path, offset: offset + at });
    if (frame !== "torn" && !(frame instanceof CorruptionError)) return at;
  }
  return undefined;
}

function readFrame(bytes: Buffer, at: number, place: Place): SegmentRef | CorruptionError | "torn" {
  const lineEnd = bytes.indexOf(LINE_FEED, at);
  // JSON text holds no NUL: a page the crash kept from the disk.
  if (lineEnd < 0 || bytes.subarray(at).includes(0)) return "torn";
  try {
    const line = bytes.toString("utf8", at, lineEnd);
    const header = decodeSegmentHeader(line, place);
    const body = bytes.subarray(lineEnd + 1, lineEnd + 1 + header.bytes);
    if (body.length < header.bytes) {
      if (countLines(body) < header.count) return "torn";
      throw corrupt(`expected ${header.bytes} bytes of operations, found ${body.length}`, place);
    }
    checkSealedLine(line, place, body);
    if (!clocksPlausible(header)) throw corrupt("impossible clocks", place);
    const length = lineEnd + 1 - at + header.bytes;
    const { path, offset } = place;
    const { lo, hi, filter } = header;
    return {
      key: `${path}@${offset}`,
      path,
      range: { offset, length },
      lo,
      hi,
      filter,
      bytes: length,
    };
  } catch (error) {
    if (error instanceof CorruptionError) return error;
    throw error;
  }
}

function countLines(bytes: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(LINE_FEED); at >= 0; at = bytes.indexOf(LINE_FEED, at + 1)) count++;
  return count;
}
