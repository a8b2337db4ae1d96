/**
 * A JSON line that carries a checksum of itself (and of bytes that follow it) as its last field:
 * CRC-32 (zlib's) over the line with eight zeros in the checksum's place.
 */
import { crc32 } from "node:zlib";
import { corrupt, FORMAT, type Place } from "./check.ts";

const ZEROS = '"crc":"00000000"}';
/** Of the end of a sealed line, with its checksum. */
export const SEAL_BYTES = ZEROS.length;

/** @param json text of a non-empty JSON object; the result has no line feed */
export function sealLine(json: string, following: Uint8Array = new Uint8Array()): string {
  const open = `${json.slice(0, -1)},`;
  return `${open}"crc":"${checksum(`${open}${ZEROS}`, following)}"}`;
}

/** @throws CorruptionError when the line's checksum is missing or does not hold */
export function checkSealedLine(
  line: string,
  place: Place,
  following: Uint8Array = new Uint8Array(),
): void {
  const found = sealOf(line);
  if (found === undefined) throw corrupt("no checksum at the end of the line", place);
  const expected = checksum(`${line.slice(0, -ZEROS.length)}${ZEROS}`, following);
  if (found !== expected) throw corrupt(`checksum: expected ${expected}, found ${found}`, place);
}

/**
 * Whether the checksum holds once the line's `format` is taken for ours: then no newer package
 * wrote the line, its number was damaged.
 */
export function isSealedAsOurs(line: string, following: Uint8Array = new Uint8Array()): boolean {
  const ours = line.replace(/^\{"format":[^,]{1,20},/, `{"format":${FORMAT},`);
  const expected = checksum(`${ours.slice(0, -ZEROS.length)}${ZEROS}`, following);
  return sealOf(line) === expected;
}

/** The checksum that a line carries, whether or not it holds; undefined without one. */
export function sealOf(line: string): string | undefined {
  return /"crc":"([0-9a-f]{8})"\}$/.exec(line)?.[1];
}

/** CRC-32 of some bytes, as lines carry it. */
export function checksumOf(bytes: Uint8Array): string {
  return hex(crc32(bytes));
}

function checksum(line: string, following: Uint8Array): string {
  return hex(crc32(following, crc32(`${line}\n`)));
}

function hex(crc: number): string {
  return crc.toString(16).padStart(8, "0");
}
