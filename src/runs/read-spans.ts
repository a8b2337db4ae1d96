/** Sequential reading of a large object: spans that grow, one of them read ahead. */
import { minOf } from "../core/bulk.ts";
import { corrupt } from "../format/json-line.ts";
import { type Lines, packedLength, unpackBlock } from "../format/run-block.ts";
import type { Block } from "../format/run-index.ts";
import type { ByteRange } from "../storage/backend.ts";

/** Small at first, because many scans stop after a few records. */
const SPAN_BYTES_FIRST = 256 * 1024;
const SPAN_BYTES_GROWTH = 4;
/** Enough that the rate of requests does not limit a scan. */
export const SPAN_BYTES_MAX = 4 * 1024 * 1024;
const LINE_FEED = 10;

/** Bytes of an object with where they lie. */
export interface Piece {
  readonly bytes: Buffer;
  readonly offset: number;
}

/**
 * How long the first, second, .. span of a scan is.
 * @param bytesFirst may be above `bytesMax`: of a scan that is known to need so much
 */
export function* spanSizes(
  bytesMax: number = SPAN_BYTES_MAX,
  bytesFirst: number = Math.min(SPAN_BYTES_FIRST, bytesMax),
): Generator<number, never> {
  for (let bytes = bytesFirst; ; bytes = Math.min(bytes * SPAN_BYTES_GROWTH, bytesMax)) {
    yield bytes;
  }
}

/** Consecutive blocks in groups that are read together, and where these lie. */
export function blockSpans(
  blocks: readonly Block[],
  sizes: Generator<number, never>,
): { readonly groups: Block[][]; readonly spans: readonly ByteRange[] } {
  const groups = groupBlocks(blocks, sizes);
  const spans = groups.map((group) => ({
    offset: minOf(group.map(({ offset }) => offset)),
    length: group.reduce((sum, block) => sum + block.length, 0),
  }));
  return { groups, spans };
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

/** Cuts offset..end into spans. */
export function* spansBetween(
  offset: number,
  end: number,
  bytesMax?: number,
): Generator<ByteRange, void> {
  const sizes = spanSizes(bytesMax);
  for (let at = offset; at < end;) {
    const length = Math.min(sizes.next().value, end - at);
    yield { offset: at, length };
    at += length;
  }
}

/**
 * Reads the spans in order; the next one is under way while one is worked on.
 * @param isHesitant the second is not read before it is needed: the first may be enough
 */
export async function* readSpans(
  read: (range: ByteRange) => Promise<Buffer>,
  spans: Iterable<ByteRange>,
  isHesitant = false,
): AsyncGenerator<Piece> {
  const iterator = spans[Symbol.iterator]();
  // A read ahead may fail before it is awaited: its outcome is kept as a value.
  const start = (): Promise<PromiseSettledResult<Piece>[]> | undefined => {
    const next = iterator.next();
    if (next.done === true) return undefined;
    const { offset } = next.value;
    return Promise.allSettled([read(next.value).then((bytes) => ({ bytes, offset }))]);
  };
  let hesitates = isHesitant;
  let ahead = start();
  try {
    while (ahead !== undefined) {
      const [outcome] = await ahead;
      if (outcome?.status === "rejected") throw outcome.reason;
      ahead = hesitates ? undefined : start();
      if (outcome !== undefined) yield outcome.value;
      if (hesitates) ahead = start();
      hesitates = false;
    }
  } finally {
    await ahead;
  }
}

/**
 * Cuts pieces so that each ends with a line.
 * @throws CorruptionError when the last line is not complete
 */
export async function* wholeLines(
  pieces: AsyncIterable<Piece>,
  path: string,
): AsyncGenerator<Piece> {
  let begun: Buffer[] = [];
  let begunOffset = 0;
  for await (const { bytes, offset } of pieces) {
    const first = bytes.indexOf(LINE_FEED) + 1;
    const last = bytes.lastIndexOf(LINE_FEED) + 1;
    let start = 0;
    if (begun.length > 0 && first > 0) {
      yield { bytes: Buffer.concat([...begun, bytes.subarray(0, first)]), offset: begunOffset };
      begun = [];
      start = first;
    }
    if (last > start) yield { bytes: bytes.subarray(start, last), offset: offset + start };
    const rest = Math.max(start, last);
    if (rest < bytes.length) {
      if (begun.length === 0) begunOffset = offset + rest;
      begun.push(bytes.subarray(rest));
    }
  }
  if (begun.length > 0)
    throw corrupt("the last line is not complete", { path, offset: begunOffset });
}

/**
 * The lines of packed blocks, block by block.
 * @throws CorruptionError also when the last block is not complete
 */
export async function* unpackedLines(
  pieces: AsyncIterable<Piece>,
  path: string,
): AsyncGenerator<Lines> {
  const begun: Buffer[] = [];
  let [begunBytes, wantedBytes, at] = [0, 1, { path, offset: 0 }];
  for await (const { bytes, offset } of pieces) {
    if (begunBytes === 0) at = { path, offset };
    begun.push(bytes);
    begunBytes += bytes.length;
    // Not before all of a large block is there: what has begun is put together once.
    if (begunBytes < wantedBytes) continue;
    let rest = Buffer.concat(begun.splice(0));
    for (;;) {
      const length = packedLength(rest, at);
      wantedBytes = length ?? rest.length + 1;
      if (wantedBytes > rest.length) break;
      const block = unpackBlock(rest.subarray(0, wantedBytes), at);
      yield block;
      rest = rest.subarray(wantedBytes);
      at = { path, offset: block.end };
    }
    begun.push(rest);
    begunBytes = rest.length;
  }
  if (begunBytes > 0) throw corrupt("the last block is not complete", at);
}
