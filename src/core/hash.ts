/** Hashes of ids. Synchronous, because nothing below the Store may wait for anything but I/O. */
import { hash } from "node:crypto";

/**
 * SHA-256 of the UTF-8 of `JSON.stringify(id)`: the JSON form, because a lone surrogate has no
 * UTF-8 of its own. Segment names and bloom filters take their bits from it.
 */
export function hashId(id: string): Buffer {
  return hash("sha256", JSON.stringify(id), "buffer");
}
