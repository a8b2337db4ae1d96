/** Reading a file of the store, whole or in part, as one moment of it. */
import { constants } from "node:fs";
import { CorruptionError } from "../../core/errors.ts";
import type { ByteRange, GetOptions } from "../backend.ts";
import type { FileStats, OpenFile } from "./file-system.ts";
import type { StoreDirectory } from "./directory.ts";
import { toStorageError, unlessAbsent } from "./errors.ts";

/** What the file system reports of an object. */
export interface FileFacts {
  /** `<tag>-<inode>-<size>-<mtime>`; every replacement is a new inode with an mtime of its own. */
  readonly etag: string;
  readonly objectBytes: number;
  readonly lastModifiedMs: number;
}

export interface FileFound extends FileFacts {
  /** Undefined when `ifNoneMatch` was the etag. */
  readonly body: Uint8Array | undefined;
}

/** One read call takes at most this much (Node's own limit is 2 GiB). */
const READ_BYTES_MAX = 1 << 30;

// A last component that is a symbolic link is refused; a FIFO must not block the open.
const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * Reads `path`; undefined when no file is there. `tag` starts the etag.
 * @throws AccessDeniedError, UnavailableError; CorruptionError when it is no ordinary file
 */
export async function readFile(
  directory: StoreDirectory,
  path: string,
  tag: string,
  options: GetOptions = {},
): Promise<FileFound | undefined> {
  try {
    if (!(await directory.hasParents(path))) return undefined;
    const handle = await unlessAbsent(directory.files.open(directory.absolute(path), READ_FLAGS));
    if (handle === undefined) return undefined;
    try {
      return await readHandle(handle, path, tag, options);
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw toStorageError(error, `Cannot read '${directory.absolute(path)}'`, path);
  }
}

export function factsOf(stats: FileStats, tag: string): FileFacts {
  const parts = [stats.ino, stats.size, stats.mtimeNs].map((part) => part.toString(36));
  return {
    etag: `${tag}-${parts.join("-")}`,
    objectBytes: Number(stats.size),
    lastModifiedMs: Number(stats.mtimeNs / 1_000_000n),
  };
}

/** Reads an open file. */
export async function readHandle(
  handle: OpenFile,
  path: string,
  tag: string,
  options: GetOptions = {},
): Promise<FileFound | undefined> {
  const stats = await handle.stat({ bigint: true });
  if (stats.isDirectory()) return undefined;
  if (!stats.isFile()) throw new CorruptionError(`'${path}' is no ordinary file`, { path });
  const facts = factsOf(stats, tag);
  if (facts.etag === options.ifNoneMatch) return { ...facts, body: undefined };
  const range = options.range ?? { offset: 0, length: facts.objectBytes };
  return { ...facts, body: await readRange(handle, range, facts.objectBytes) };
}

async function readRange(
  handle: OpenFile,
  { offset, length }: ByteRange,
  objectBytes: number,
): Promise<Uint8Array> {
  const wanted = Math.max(0, Math.min(length, objectBytes - offset));
  // Not from Node's shared pool: the body is the caller's own.
  const body = Buffer.allocUnsafeSlow(wanted);
  let filled = 0;
  while (filled < wanted) {
    const size = Math.min(wanted - filled, READ_BYTES_MAX);
    const { bytesRead } = await handle.read(body, filled, size, offset + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return body.subarray(0, filled);
}
