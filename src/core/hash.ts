/** Hashes of ids. Synchronous, because nothing below the Store may wait for anything but I/O. */
import { hash } from "node:crypto";

/**
 * SHA-256 of the UTF-8 of `JSON.stringify(id)`: the JSON form, because a lone surrogate has no
 * UTF-8 of its own. Segment names and bloom filters take their bits from it.
 */
export function hashId(id: string): Buffer {
  return hash("sha256", JSON.stringify(id), "buffer");
}

/** The first three words of the same hash, big-endian: as one text it takes a third of the time. */
export function hashWords(id: string): readonly [number, number, number] {
  const text = hash("sha256", JSON.stringify(id), "binary");
  return [wordAt(text, 0), wordAt(text, 4), wordAt(text, 8)];
}

/** The first 128 bits of a text's SHA-256, as words, big-endian. @param text well-formed */
export function digestWords(text: string): readonly [number, number, number, number] {
  const bytes = hash("sha256", text, "binary");
  return [wordAt(bytes, 0), wordAt(bytes, 4), wordAt(bytes, 8), wordAt(bytes, 12)];
}

function wordAt(bytes: string, at: number): number {
  const low = (bytes.charCodeAt(at + 1) << 16) | (bytes.charCodeAt(at + 2) << 8);
  return bytes.charCodeAt(at) * 0x100_0000 + (low | bytes.charCodeAt(at + 3));
}
