/** Cutting a stream into the parts of a multipart upload, which grow with it. */

const MIB = 1024 * 1024;
/** S3 takes no larger object, no more parts of one, and no larger part. */
export const OBJECT_BYTES_MAX = 5 * MIB * MIB;
export const PARTS_MAX = 10_000;
export const PART_BYTES_MAX = 5 * 1024 * MIB;

/** A part is no larger than this share of what went before it, so that parts grow late. */
const GROWTH = 1 / 1_300;

/**
 * The length of the next part. Parts of the least length that S3 takes come to more than the largest
 * object in 10,000 parts; up to 6 GiB they stay as they are, of 100 GiB the last has 79 MiB.
 * @param sentBytes of the parts before
 */
export function nextPartBytes(partBytes: number, sentBytes: number): number {
  const grown = Math.ceil((sentBytes * GROWTH) / MIB) * MIB;
  return Math.min(Math.max(partBytes, grown), PART_BYTES_MAX);
}

/** Parts of exactly `nextPartBytes`, but for the last; none for a stream without bytes. */
export async function* cutParts(
  stream: AsyncIterable<Uint8Array>,
  partBytes: number,
): AsyncGenerator<Uint8Array, void> {
  let pieces: Uint8Array[] = [];
  let [filled, sent] = [0, 0];
  let wanted = partBytes;
  for await (const chunk of stream) {
    for (let at = 0; at < chunk.byteLength;) {
      const piece = chunk.subarray(at, at + wanted - filled);
      pieces.push(piece);
      filled += piece.byteLength;
      at += piece.byteLength;
      if (filled === wanted) {
        yield Buffer.concat(pieces, filled);
        pieces = [];
        sent += filled;
        filled = 0;
        wanted = nextPartBytes(partBytes, sent);
      }
    }
  }
  if (filled > 0) yield Buffer.concat(pieces, filled);
}
