/** Entries of a run in id order: all, a range in either direction, or those that no index covers. */
import { createHash } from "node:crypto";
import { CorruptionError } from "../core/errors.ts";
import type { RunEntry } from "../core/version.ts";
import { corrupt, type Place, shorten } from "../format/json-line.ts";
import { isPacked, type Lines } from "../format/run-block.ts";
import { decodeRunHeader, decodeRunLines } from "../format/run-codec.ts";
import { type Block, findBySeparator } from "../format/run-index.ts";
import { storedRunLines } from "../format/stored-line.ts";
import type { ByteRange } from "../storage/backend.ts";
import {
  blockSpans,
  readSpans,
  spansBetween,
  spanSizes,
  unpackedLines,
  wholeLines,
  type Piece,
} from "./read-spans.ts";
import type { RunObjects } from "./run-objects.ts";
import {
  type CopyOptions,
  isCopyable,
  mayCopy,
  partitionBounds,
  WholePartition,
} from "./whole-partition.ts";

export interface RunScanOptions {
  /** Lowest id to return; default: from the first. */
  readonly from?: string | undefined;
  /** Lowest id that is not returned any more; default: to the last. */
  readonly to?: string | undefined;
  /** From the highest id to the lowest, of the same range. Default false. */
  readonly reverse?: boolean | undefined;
  /** Verify each block before its entries are given, also where everything is scanned. */
  readonly byBlocks?: boolean;
  /** Of one read; up to three times as much is held at a time. Default 4 MiB. */
  readonly spanBytesMax?: number | undefined;
  /**
   * Of the first read, of at least a block; nothing is read ahead of it. Default: 256 KiB, with the
   * second read under way.
   */
  readonly firstBytes?: number | undefined;
  /**
   * Where a part of the index cannot be read, the SHA-256 of the whole run is verified first: what is
   * read is copied, and its checksums are made anew. Default false.
   */
  readonly isCopied?: boolean | undefined;
  /** Entries of ordinary lines are `StoredLine`s. Default false. */
  readonly asLines?: boolean | undefined;
}

/** What of a scan concerns each of its partitions. */
interface Range {
  readonly from: string;
  readonly to: string | undefined;
  readonly reverse: boolean;
}

const LINE_FEED = 10;
/** Of a block, decoded at a time. */
const DECODED_BYTES_MIN = 4 * 1024;
/** Of a whole run, decoded at a time. */
const SCANNED_BYTES_MIN = 64 * 1024;

/**
 * All entries. The last batch is given only when the SHA-256 of the whole run holds, so a scan that
 * ends without an error has given what was written.
 */
export async function* scanAll(
  objects: RunObjects,
  { spanBytesMax, asLines = false }: Pick<RunScanOptions, "spanBytesMax" | "asLines"> = {},
): AsyncGenerator<RunEntry[]> {
  const { path, bytes, sha256 } = objects.run;
  const hash = createHash("sha256");
  let last: string | undefined;
  const onStored = (stored: Buffer): void => void hash.update(stored);
  for await (const lines of linesBetween(objects, 0, bytes, { onStored, spanBytesMax })) {
    const decode = asLines ? storedRunLines : decodeRunLines;
    const few = [...fewLines(lines, SCANNED_BYTES_MIN)];
    for (const [at, some] of few.entries()) {
      const entries = decode(some.bytes, { path, ...some }, last);
      last = entries.at(-1)?.id ?? last;
      if (lines.end === bytes && at === few.length - 1) {
        const found = hash.digest("hex");
        if (found !== sha256) {
          const place = { path, offset: 0 };
          throw corrupt(`SHA-256 of the run: expected ${sha256}, found ${found}`, place);
        }
      }
      yield entries;
    }
  }
}

/** Entries with from <= id < to; only their blocks are read, each verified by its checksum. */
export async function* scanRange(
  objects: RunObjects,
  {
    from = "",
    to,
    reverse = false,
    spanBytesMax,
    firstBytes,
    isCopied = false,
    asLines = false,
  }: RunScanOptions,
): AsyncGenerator<RunEntry[]> {
  const { partitions, minId, maxId } = objects.run;
  if (from > maxId || (to !== undefined && to <= minId)) return;
  const range = { from, to, reverse };
  const sizes = spanSizes(spanBytesMax, firstBytes);
  let isHesitant = firstBytes !== undefined;
  for (const at of positionsWithin(partitions, range)) {
    yield* scanPartition(objects, at, range, { sizes, isHesitant, isCopied, asLines });
    isHesitant = false;
  }
}

/**
 * As `scanRange` of what is copied, as lines; partitions that may be copied whole are given as such.
 */
export async function* scanParts(
  objects: RunObjects,
  { from, to, spanBytesMax, ...copy }: CopyOptions & Bounds,
): AsyncGenerator<RunEntry[] | WholePartition> {
  const range = { from, to, reverse: false };
  const pace = {
    sizes: spanSizes(spanBytesMax),
    isHesitant: false,
    isCopied: true,
    asLines: true,
  };
  for (const at of positionsWithin(objects.run.partitions, range)) {
    const entries = (): AsyncGenerator<RunEntry[]> => scanPartition(objects, at, range, pace);
    const content = mayCopy(objects, at, range, copy) ? await objects.partition(at) : undefined;
    if (content === undefined || content instanceof CorruptionError || !isCopyable(content, copy)) {
      yield* entries();
      continue;
    }
    const source = { objects, content, entries, spanBytesMax };
    const whole = new WholePartition(partitionBounds(objects, at), source);
    if (copy.hasTime(whole.bytes)) yield whole;
    else yield* entries();
  }
}

interface Bounds {
  readonly from: string;
  readonly to: string | undefined;
  readonly spanBytesMax: number | undefined;
}

async function* scanPartition(
  objects: RunObjects,
  at: number,
  range: Range,
  pace: Pace,
): AsyncGenerator<RunEntry[]> {
  const { from, to } = range;
  const partition = await objects.partition(at);
  if (pace.isCopied && partition instanceof CorruptionError) await verifyWhole(objects);
  const batches =
    partition instanceof CorruptionError
      ? searchRange(objects, at, partition, range)
      : scanBlocks(objects, partition.blocks, range, pace);
  for await (const batch of batches) {
    const kept = isWithin(batch, range)
      ? batch
      : batch.filter(({ id }) => id >= from && (to === undefined || id < to));
    if (kept.length > 0) yield kept;
  }
}

function isWithin(batch: readonly RunEntry[], { from, to, reverse }: Range): boolean {
  const [lowest = "", highest = ""] = [batch[0]?.id, batch.at(-1)?.id];
  return !reverse && lowest >= from && (to === undefined || highest < to);
}

/** @throws CorruptionError unless the SHA-256 of the run holds */
async function verifyWhole(objects: RunObjects): Promise<void> {
  const batches = scanAll(objects);
  while ((await batches.next()).done !== true);
}

/** Backwards the whole partition is held: without its index nothing shows where a line begins. */
async function* searchRange(
  objects: RunObjects,
  at: number,
  reason: CorruptionError,
  { to, reverse }: Range,
): AsyncGenerator<RunEntry[]> {
  const held: RunEntry[][] = [];
  for await (const batch of scanUnindexed(objects, at, reason)) {
    if (reverse) held.push(batch.toReversed());
    else yield batch;
    if (to !== undefined && (batch.at(-1)?.id ?? "") >= to) break;
  }
  yield* held.toReversed();
}

/** All entries of a partition whose index cannot be read: such an index admits everything. */
export async function* scanUnindexed(
  objects: RunObjects,
  at: number,
  reason: CorruptionError,
): AsyncGenerator<RunEntry[]> {
  const { offset, end } = objects.partitionRange(at);
  let last: string | undefined;
  for await (const lines of linesBetween(objects, offset, end)) {
    const entries = decodeRunLines(lines.bytes, { path: objects.run.path, ...lines }, last);
    last = entries.at(-1)?.id;
    // Not before the run itself has answered: when both objects are gone, nothing is damaged.
    objects.warnUnreadable(at, reason);
    yield entries;
  }
}

interface Pace {
  /** Lengths of the spans to read, growing across the partitions of a scan. */
  readonly sizes: Generator<number, never>;
  /** As `readSpans` documents. */
  readonly isHesitant: boolean;
  readonly isCopied: boolean;
  readonly asLines: boolean;
}

async function* scanBlocks(
  objects: RunObjects,
  blocks: readonly Block[],
  range: Range,
  { sizes, isHesitant, asLines }: Pace,
): AsyncGenerator<RunEntry[]> {
  const wanted = positionsWithin(blocks, range).flatMap((at) => blocks[at] ?? []);
  const { groups, spans } = blockSpans(wanted, sizes);
  let last: string | undefined;
  for await (const piece of readSpans((span) => objects.read(span), spans, isHesitant)) {
    for (const block of groups.shift() ?? []) {
      const start = block.offset - piece.offset;
      const whole = piece.bytes.subarray(start, start + block.length);
      const all = objects.unpacked(await objects.verified(whole, block), block);
      const few = [...fewLines(all, DECODED_BYTES_MIN)];
      for (const { bytes, ...at } of range.reverse ? few.toReversed() : few) {
        const place = { path: objects.run.path, ...at };
        const decode = asLines ? storedRunLines : decodeRunLines;
        const entries = decode(bytes, place, range.reverse ? undefined : last);
        if (range.reverse) {
          checkBelow(entries, last, place);
          entries.reverse();
        }
        last = entries.at(-1)?.id ?? last;
        yield entries;
      }
    }
  }
}

function checkBelow(entries: readonly RunEntry[], next: string | undefined, place: Place): void {
  const last = entries.at(-1)?.id;
  if (next === undefined || last === undefined || last < next) return;
  throw corrupt(`ids must ascend: ${shorten(next)} after ${shorten(last)}`, place);
}

/**
 * A block in pieces of whole lines: decoded, a span takes several times its bytes, and what is held
 * for long costs a process more than what it releases at once.
 */
function* fewLines({ bytes, offset, ...lines }: Lines, bytesMin: number): Generator<Lines> {
  for (let start = 0; start < bytes.length;) {
    const lineEnd = bytes.indexOf(LINE_FEED, start + bytesMin);
    const end = lineEnd < 0 ? bytes.length : lineEnd + 1;
    const at = lines.isPacked ? offset : offset + start;
    yield { ...lines, bytes: bytes.subarray(start, end), offset: at };
    start = end;
  }
}

/** Positions of the blocks, or partitions, that may hold ids of the range, in its direction. */
function positionsWithin(
  items: readonly { readonly separator: string }[],
  { from, to, reverse }: Range,
): number[] {
  const first = Math.max(0, findBySeparator(items, from));
  const after = items.findIndex(
    ({ separator }, at) => at > first && to !== undefined && separator >= to,
  );
  const count = (after < 0 ? items.length : after) - first;
  const positions = Array.from({ length: count }, (_, at) => first + at);
  return reverse ? positions.reverse() : positions;
}

interface LinesOptions {
  /** Called with what is read, in its order, before any line of it is given. */
  readonly onStored?: (bytes: Buffer) => void;
  readonly spanBytesMax?: number | undefined;
}

/** The lines of a part of the run that begins with the run or a block, without its index. */
async function* linesBetween(
  objects: RunObjects,
  offset: number,
  end: number,
  { onStored, spanBytesMax }: LinesOptions = {},
): AsyncGenerator<Lines> {
  const { path } = objects.run;
  const read = async (range: ByteRange): Promise<Buffer> => {
    const bytes = await objects.read(range);
    onStored?.(bytes);
    return bytes;
  };
  const pieces = readSpans(read, spansBetween(offset, end, spanBytesMax));
  try {
    const first = await pieces.next();
    if (first.done === true) return;
    const piece = offset === 0 ? withoutHeader(first.value, path) : first.value;
    const all = startingWith(piece, pieces);
    if (isPacked(piece.bytes)) return yield* unpackedLines(all, path);
    for await (const lines of wholeLines(all, path)) {
      yield { ...lines, end: lines.offset + lines.bytes.length, isPacked: false };
    }
  } finally {
    await pieces.return(undefined);
  }
}

async function* startingWith(first: Piece, rest: AsyncIterable<Piece>): AsyncGenerator<Piece> {
  yield first;
  yield* rest;
}

function withoutHeader({ bytes, offset }: Piece, path: string): Piece {
  const length = bytes.indexOf(LINE_FEED) + 1;
  const line = bytes.toString("utf8", 0, length - 1);
  const { compression } = decodeRunHeader(line, { path, offset });
  const piece = { bytes: bytes.subarray(length), offset: offset + length };
  if (isPacked(piece.bytes) === (compression !== "none")) return piece;
  throw corrupt(`blocks are not as the header says (${compression})`, { path, ...piece });
}
