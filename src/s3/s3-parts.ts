/** Cutting a stream into the parts of a multipart upload. */

/** Parts of exactly `partBytes`, but for the last; none for a stream without bytes. */
export async function* cutParts(
  stream: AsyncIterable<Uint8Array>,
  partBytes: number,
): AsyncGenerator<Uint8Array, void> {
  let pieces: Uint8Array[] = [];
  let filled = 0;
  for await (const chunk of stream) {
    for (let at = 0; at < chunk.byteLength;) {
      const piece = chunk.subarray(at, at + partBytes - filled);
      pieces.push(piece);
      filled += piece.byteLength;
      at += piece.byteLength;
      if (filled === partBytes) {
        yield Buffer.concat(pieces, filled);
        pieces = [];
        filled = 0;
      }
    }
  }
  if (filled > 0) yield Buffer.concat(pieces, filled);
}
