/**
 * Blocks of a compressed run (FORMAT, "Compressed blocks"): a sealed line that says what follows, so
 * many bytes, and a line feed. Where a block ends is known without the index, and how many bytes come
 * out of it before it is decompressed.
 */
import { deflateRawSync, inflateRawSync } from "node:zlib";
import { assert } from "../core/assert.ts";
import { type Compression, findZstd, withoutZstd } from "../core/compression.ts";
import {
  checkSealedLine,
  checksumOf,
  corrupt,
  Fields,
  parseObject,
  type Place,
  sealLine,
} from "./json-line.ts";

/** How a compression is called in a run: for deflate, what browsers call it (`DecompressionStream`). */
export type Method = "deflate-raw" | "zstd" | "none";

const LINE_FEED = 10;
const METHOD = /^(?:none|deflate-raw|zstd)$/;
/** Lines of records begin otherwise. */
const BEGIN = Buffer.from('{"block":"');
/** A line that announces a block is shorter: it holds two numbers and two checksums. */
const HEAD_BYTES_MAX = 160;
const CRC = /^[0-9a-f]{8}$/;
/** No block expands to more, whatever it says: longer lines are stored as they are. */
export const UNPACKED_BYTES_MAX = 8 * 1024 * 1024;
/** The smallest size of buffer that zlib accepts. */
const CHUNK_BYTES_MIN = 64;

/** The fastest level is nearly as small as any (DECISIONS), and faster with the most memory. */
const DEFLATE = { level: 1, memLevel: 9 };
/** 100: ZSTD_c_compressionLevel, which the types of Node 20 lack. */
const ZSTD = { params: { 100: 1 } };

export function methodOf(compression: Compression): Method {
  return compression === "deflate" ? "deflate-raw" : compression;
}

/** Whole lines of a run, as they come out of what is stored. */
export interface Lines {
  readonly bytes: Buffer;
  /** Of the first line, or of the block: inside a packed block, no line has an offset of its own. */
  readonly offset: number;
  /** Where the stored bytes end. */
  readonly end: number;
  readonly isPacked: boolean;
}

/** Whether a block is stored with a line that announces it, and not as lines alone. */
export function isPacked(bytes: Buffer): boolean {
  return bytes.subarray(0, BEGIN.length).equals(BEGIN);
}

/** @param lines whole lines; what does not become shorter is stored as it is */
export function packBlock(lines: Buffer, compression: Compression): Buffer {
  assert(lines.at(-1) === LINE_FEED, "a block ends with a line");
  const small = lines.length > UNPACKED_BYTES_MAX ? lines : compress(lines, compression);
  const [method, bytes] =
    small.length < lines.length ? [methodOf(compression), small] : ["none", lines];
  const head = { block: method, raw: lines.length, bytes: bytes.length, data: checksumOf(bytes) };
  return Buffer.concat([Buffer.from(`${sealLine(JSON.stringify(head))}\n`), bytes, END]);
}

const END = Buffer.from("\n");

function compress(lines: Buffer, compression: Compression): Buffer {
  if (compression === "deflate") return deflateRawSync(lines, DEFLATE);
  if (compression === "none") return lines;
  const { zstdCompressSync } = findZstd();
  assert(zstdCompressSync !== undefined, "the option was checked");
  return zstdCompressSync(lines, ZSTD);
}

/** What a block's first line says. */
interface Head {
  readonly method: string;
  /** Bytes of its lines. */
  readonly raw: number;
  /** Where they are stored in the block, and how long that is. */
  readonly start: number;
  readonly end: number;
  readonly length: number;
  readonly data: string;
}

/**
 * How long the packed block is that begins here; undefined if its first line is not there yet.
 * @throws CorruptionError
 */
export function packedLength(bytes: Buffer, place: Place): number | undefined {
  return decodeHead(bytes, place)?.length;
}

function decodeHead(bytes: Buffer, place: Place): Head | undefined {
  const end = bytes.subarray(0, HEAD_BYTES_MAX).indexOf(LINE_FEED);
  if (end < 0) {
    if (bytes.length < HEAD_BYTES_MAX) return undefined;
    throw corrupt("expected a line that announces a block", place);
  }
  const line = bytes.toString("latin1", 0, end);
  checkSealedLine(line, place);
  const fields = new Fields(parseObject(line, place), place);
  const method = fields.matching("block", METHOD, "a compression");
  const isPlain = method === "none";
  const raw = fields.integer("raw", 1, isPlain ? undefined : UNPACKED_BYTES_MAX);
  const stored = fields.integer("bytes", isPlain ? raw : 1, isPlain ? raw : raw - 1);
  const [start, dataEnd] = [end + 1, end + 1 + stored];
  const data = fields.matching("data", CRC, "8 hex digits");
  return { method, raw, start, end: dataEnd, length: dataEnd + END.length, data };
}

/**
 * The lines of one block, however it is stored.
 * @param bytes the block, no more and no less
 * @throws CorruptionError; NotSupportedError if this runtime cannot decompress it
 */
export function unpackBlock(bytes: Buffer, place: Place): Lines {
  const at = { offset: place.offset, end: place.offset + bytes.length };
  if (!isPacked(bytes)) return { ...at, bytes, isPacked: false };
  const head = decodeHead(bytes, place);
  if (head?.length !== bytes.length || bytes.at(-1) !== LINE_FEED) {
    throw corrupt(`found a block of ${bytes.length} bytes, expected ${head?.length}`, place);
  }
  const data = bytes.subarray(head.start, head.end);
  const found = checksumOf(data);
  if (found !== head.data) {
    throw corrupt(`checksum of the block's data: expected ${head.data}, found ${found}`, place);
  }
  const lines = decompress(data, head, place);
  if (lines.length !== head.raw || lines.at(-1) !== LINE_FEED) {
    throw corrupt(`a block of ${head.raw} bytes decompressed to ${lines.length}`, place);
  }
  return { ...at, bytes: lines, isPacked: true };
}

function decompress(data: Buffer, { method, raw }: Head, place: Place): Buffer {
  if (method === "none") return data;
  const { path } = place;
  const decompressSync = method === "zstd" ? findZstd().zstdDecompressSync : inflateRawSync;
  // The run is whole, and others can read it.
  if (decompressSync === undefined) {
    throw withoutZstd(`${path} is compressed with zstd and cannot be read here`, path);
  }
  const chunkSize = Math.max(CHUNK_BYTES_MIN, raw + 1);
  try {
    return decompressSync(data, { maxOutputLength: raw, chunkSize });
  } catch (cause) {
    throw corrupt(`a block that does not decompress (${method})`, place, cause);
  }
}

/** The same block as a run of another compression holds it, and how long its lines are. */
export function repackBlock(
  bytes: Buffer,
  compression: Compression,
  place: Place,
): { readonly bytes: Buffer; readonly raw: number } {
  if (isPacked(bytes) && compression !== "none") {
    const head = decodeHead(bytes, place);
    const isSame = head?.method === methodOf(compression) || head?.method === "none";
    if (isSame && head.length === bytes.length) return { bytes, raw: head.raw };
  }
  const lines = unpackBlock(bytes, place).bytes;
  const packed = compression === "none" ? lines : packBlock(lines, compression);
  return { bytes: packed, raw: lines.length };
}
