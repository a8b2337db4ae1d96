/** Entries of a run in id order: all of them, a range, or what a partition without index holds. */
import { createHash } from "node:crypto";
import { CorruptionError } from "../core/errors.ts";
import type { RunEntry } from "../core/version.ts";
import { corrupt } from "../format/check.ts";
import { decodeRunHeader, decodeRunLines } from "../format/run-codec.ts";
import { type Block, findBySeparator } from "../format/run-index.ts";
import { readSpans, spansBetween, spanSizes, wholeLines, type Piece } from "./read-spans.ts";
import type { RunObjects } from "./run-objects.ts";

export interface ScanOptions {
  /** Lowest id to give; default: from the first. */
  readonly from?: string | undefined;
  /** Lowest id not to give any more; default: to the last. */
  readonly to?: string | undefined;
  /** Verify each block before its entries are given, also where everything is scanned. */
  readonly byBlocks?: boolean;
  /** Of one read; up to three times as much is held at a time. Default 4 MiB. */
  readonly spanBytesMax?: number;
}

const LINE_FEED = 10;
/** Of a block, decoded at a time. */
const DECODED_BYTES_MIN = 4 * 1024;

/**
 * All entries. The last batch is given only when the SHA-256 of the whole run holds, so a scan that
 * ends without an error has given what was written.
 */
export async function* scanAll(objects: RunObjects): AsyncGenerator<RunEntry[]> {
  const { path, bytes, sha256 } = objects.run;
  const hash = createHash("sha256");
  let last: string | undefined;
  for await (const piece of linesBetween(objects, 0, bytes)) {
    hash.update(piece.bytes);
    const { bytes: lines, offset } = piece.offset === 0 ? withoutHeader(piece, path) : piece;
    const entries = decodeRunLines(lines, { path, offset }, last);
    last = entries.at(-1)?.id ?? last;
    if (piece.offset + piece.bytes.length === bytes) {
      const found = hash.digest("hex");
      if (found !== sha256) {
        throw corrupt(`SHA-256 of the run: expected ${sha256}, found ${found}`, {
          path,
          offset: 0,
        });
      }
    }
    if (entries.length > 0) yield entries;
  }
}

/** Entries with from <= id < to; only their blocks are read, each verified by its checksum. */
export async function* scanRange(
  objects: RunObjects,
  { from = "", to, spanBytesMax }: ScanOptions,
): AsyncGenerator<RunEntry[]> {
  const { partitions, minId, maxId } = objects.run;
  if (from > maxId || (to !== undefined && to <= minId)) return;
  const isBelowEnd = (id: string): boolean => to === undefined || id < to;
  const sizes = spanSizes(spanBytesMax);
  for (let at = Math.max(0, findBySeparator(partitions, from)); at < partitions.length; at++) {
    if (!isBelowEnd(partitions[at]?.separator ?? "")) return;
    const partition = await objects.partition(at);
    const batches =
      partition instanceof CorruptionError
        ? scanUnindexed(objects, at, partition)
        : scanBlocks(objects, blocksWithin(partition.blocks, from, isBelowEnd), sizes);
    for await (const batch of batches) {
      const kept = batch.filter(({ id }) => id >= from && isBelowEnd(id));
      if (kept.length > 0) yield kept;
      if (!isBelowEnd(batch.at(-1)?.id ?? "")) return;
    }
  }
}

/** All entries of a partition whose index cannot be read: such an index admits everything. */
export async function* scanUnindexed(
  objects: RunObjects,
  at: number,
  reason: CorruptionError,
): AsyncGenerator<RunEntry[]> {
  const { offset, end } = objects.partitionRange(at);
  let last: string | undefined;
  for await (const piece of linesBetween(objects, offset, end)) {
    const place = { path: objects.run.path, offset: piece.offset };
    const entries = decodeRunLines(piece.bytes, place, last);
    last = entries.at(-1)?.id;
    // Not before the run itself has answered: when both objects are gone, nothing is damaged.
    objects.warnUnreadable(at, reason);
    yield entries;
  }
}

/** @param sizes lengths of the spans to read, growing across the partitions of a scan */
async function* scanBlocks(
  objects: RunObjects,
  blocks: readonly Block[],
  sizes: Generator<number, never>,
): AsyncGenerator<RunEntry[]> {
  const groups = groupBlocks(blocks, sizes);
  const spans = groups.map((group) => ({
    offset: group[0]?.offset ?? 0,
    length: group.reduce((sum, block) => sum + block.length, 0),
  }));
  let last: string | undefined;
  for await (const piece of readSpans((range) => objects.read(range), spans)) {
    for (const block of groups.shift() ?? []) {
      const start = block.offset - piece.offset;
      const whole = piece.bytes.subarray(start, start + block.length);
      for (const { bytes, offset } of fewLines(await objects.verified(whole, block))) {
        const place = { path: objects.run.path, offset: block.offset + offset };
        const entries = decodeRunLines(bytes, place, last);
        last = entries.at(-1)?.id ?? last;
        yield entries;
      }
    }
  }
}

/**
 * A block in pieces of whole lines: decoded, a span takes several times its bytes, and what is held
 * for long costs a process more than what it gives back at once.
 */
function* fewLines(block: Buffer): Generator<Piece> {
  for (let start = 0; start < block.length;) {
    const lineEnd = block.indexOf(LINE_FEED, start + DECODED_BYTES_MIN);
    const end = lineEnd < 0 ? block.length : lineEnd + 1;
    yield { bytes: block.subarray(start, end), offset: start };
    start = end;
  }
}

/** Consecutive blocks in groups of up to the given sizes; a larger block is a group of its own. */
function groupBlocks(blocks: readonly Block[], sizes: Generator<number, never>): Block[][] {
  const groups: Block[][] = [];
  let room = 0;
  for (const block of blocks) {
    const group = groups.at(-1);
    if (group === undefined || block.length > room) {
      groups.push([block]);
      room = sizes.next().value - block.length;
    } else {
      group.push(block);
      room -= block.length;
    }
  }
  return groups;
}

function blocksWithin(
  blocks: readonly Block[],
  from: string,
  isBelowEnd: (id: string) => boolean,
): readonly Block[] {
  const first = Math.max(0, findBySeparator(blocks, from));
  const end = blocks.findIndex(({ separator }, at) => at > first && !isBelowEnd(separator));
  return blocks.slice(first, end < 0 ? blocks.length : end);
}

function linesBetween(objects: RunObjects, offset: number, end: number): AsyncGenerator<Piece> {
  const spans = spansBetween(offset, end);
  return wholeLines(
    readSpans((range) => objects.read(range), spans),
    objects.run.path,
  );
}

function withoutHeader({ bytes, offset }: Piece, path: string): Piece {
  const length = bytes.indexOf(LINE_FEED) + 1;
  decodeRunHeader(bytes.toString("utf8", 0, length - 1), { path, offset });
  return { bytes: bytes.subarray(length), offset: offset + length };
}
