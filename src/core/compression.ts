/** How the blocks of runs are compressed: what the option may say, and what this runtime can do. */
import { NotSupportedError } from "./errors.ts";
import { wrong } from "./options.ts";

/**
 * "deflate": raw DEFLATE, which every runtime and every browser can read. "zstd": a little smaller,
 * and faster; only Node 22.15 and later can write and read it. "none": blocks stay lines of JSON.
 */
export type Compression = "deflate" | "zstd" | "none";

/** What applies where no option says otherwise. */
export const DEFAULT_COMPRESSION: Compression = "deflate";

/** The two functions of `node:zlib` that Node 20 lacks. */
export interface Zstd {
  compress(bytes: Uint8Array, options: object): Buffer;
  decompress(bytes: Uint8Array, options: object): Buffer;
}

/** Undefined where the runtime has none. A static import would fail there. */
export function findZstd(): Zstd | undefined {
  const zlib: object = process.getBuiltinModule("node:zlib");
  const compress: unknown = Reflect.get(zlib, "zstdCompressSync");
  const decompress: unknown = Reflect.get(zlib, "zstdDecompressSync");
  if (typeof compress !== "function" || typeof decompress !== "function") return undefined;
  return { compress, decompress } as Zstd;
}

/** Why this runtime can do nothing with zstd, for a message. */
export function whyNoZstd(): string {
  return `Node ${process.version} has no zstd, which Node 22.15 and later have`;
}

/**
 * The option `compression`.
 * @throws InvalidArgumentError; NotSupportedError where this runtime cannot compress so
 */
export function checkCompression(value: unknown, name: string): Compression {
  const found = value ?? DEFAULT_COMPRESSION;
  if (found !== "deflate" && found !== "zstd" && found !== "none") {
    throw wrong(name, '"deflate", "zstd" or "none"', value);
  }
  if (found === "zstd" && findZstd() === undefined) {
    throw new NotSupportedError(`option ${name}: "zstd" cannot be used here: ${whyNoZstd()}`);
  }
  return found;
}
