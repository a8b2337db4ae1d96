/** Parts of an upload: enough of them for the largest object, and no larger than they must be. */
import { expect, test } from "vitest";
import {
  cutParts,
  nextPartBytes,
  OBJECT_BYTES_MAX,
  PART_BYTES_MAX,
  PARTS_MAX,
} from "../../src/s3/objects/multipart.ts";

const MIB = 1024 * 1024;

/** Lengths of the parts of an object. */
function lengths(partBytes: number, objectBytes: number): number[] {
  const parts: number[] = [];
  for (let sent = 0; sent < objectBytes;) {
    const bytes = Math.min(nextPartBytes(partBytes, sent), objectBytes - sent);
    parts.push(bytes);
    sent += bytes;
  }
  return parts;
}

test.each([5 * MIB, 8 * MIB, 64 * MIB, 4096 * MIB])(
  "from %d bytes on, the largest object fits into 10,000 parts",
  (partBytes) => {
    const parts = lengths(partBytes, OBJECT_BYTES_MAX);
    expect(parts.length).toBeLessThanOrEqual(PARTS_MAX);
    expect(Math.max(...parts)).toBeLessThanOrEqual(PART_BYTES_MAX);
  },
);

test("parts grow late, with the object", () => {
  expect(new Set(lengths(8 * MIB, 8 * 1024 * MIB))).toEqual(new Set([8 * MIB]));
  expect(Math.max(...lengths(8 * MIB, 100 * 1024 * MIB))).toBeLessThanOrEqual(80 * MIB);
  const parts = lengths(8 * MIB, 1024 * 1024 * MIB).slice(0, -1);
  expect(parts).toEqual(parts.toSorted((a, b) => a - b));
});

test("a stream is cut into them whole, whatever the pieces it comes in", async () => {
  const partBytes = 1_000;
  // eslint-disable-next-line @typescript-eslint/require-await -- the type of a stream is async
  async function* stream(): AsyncGenerator<Uint8Array> {
    for (const bytes of [1, 2_500, 0, 999, 4_000]) yield new Uint8Array(bytes);
  }
  const found: number[] = [];
  for await (const part of cutParts(stream(), partBytes)) found.push(part.byteLength);
  expect(found.reduce((sum, bytes) => sum + bytes, 0)).toBe(7_500);
  expect(found[0]).toBe(partBytes);
});
