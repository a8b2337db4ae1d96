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

/** Two functions of `node:zlib` that Node 20 lacks: an import of them would fail there. */
export interface Zstd {
  readonly zstdCompressSync?: (bytes: Uint8Array, options: object) => Buffer;
  readonly zstdDecompressSync?: (bytes: Uint8Array, options: object) => Buffer;
}

export function findZstd(): Zstd {
  const zlib: object = process.getBuiltinModule("node:zlib");
  return zlib;
}

/** What cannot be done without zstd, and why. */
export function withoutZstd(what: string, path?: string): NotSupportedError {
  const message = `${what}: Node ${process.version} has no zstd, which Node 22.15 and later have`;
  return new NotSupportedError(message, { path });
}

/**
 * The option `compression`.
 * @throws InvalidArgumentError; NotSupportedError where this runtime cannot compress so
 */
export function checkCompression(value: unknown, name: string): Compression {
  const found = value === undefined ? DEFAULT_COMPRESSION : value;
  if (found !== "deflate" && found !== "zstd" && found !== "none") {
    throw wrong(name, '"deflate", "zstd" or "none"', value);
  }
  if (found === "zstd" && findZstd().zstdCompressSync === undefined) {
    throw withoutZstd(`option ${name}: "zstd" cannot be used here`);
  }
  return found;
}
