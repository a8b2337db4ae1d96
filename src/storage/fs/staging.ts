/**
 * Files on their way into the store. A body is written whole to `.tmp/`, made durable there, and
 * only then given its name by link(2) (create-only) or rename(2) (replace).
 */
import {
  NotSupportedError,
  UnavailableError,
  WriteOutcomeUnknownError,
} from "../../core/errors.ts";
import { isBytes } from "../../core/realm.ts";
import type { OpenFile } from "./file-system.ts";
import type { StoreDirectory } from "./directory.ts";
import { errno, isFull, isUnsupported, mayHaveHappened } from "./errors.ts";
import { toStorageError, unlessAbsent } from "./errors.ts";
import { STAGING_DIRECTORY } from "./names.ts";
import { factsOf } from "./read.ts";

/** Older leftovers belong to crashed processes: no write stays in staging that long. */
const LEFTOVER_AGE_MS = 3_600_000;

/** Staged under this prefix: never removed for their age (see fs-lock.ts). */
export const CLAIM_PREFIX = "claim-";

/** Taking a name races only with the removal of empty directories. */
const NAME_ATTEMPTS_MAX = 5;

export interface StagedFile {
  /** Relative path below `.tmp/`. */
  readonly path: string;
  /** The etag `get` will give, with this tag: link and rename keep inode and mtime. */
  etag(tag: string): string;
}

export interface StageOptions {
  /** Starts the name, for those who look for staged files of one kind. */
  readonly prefix?: string | undefined;
  /** Permission bits before the umask. Default 0o666. */
  readonly mode?: number | undefined;
}

/** `gone`: the staged file is not there any more, so nothing took effect. */
export type LinkOutcome = "linked" | "taken" | "gone";

/** Makes names unique within the process, whatever numbers the runtime draws. */
let stagedCount = 0;

export class Staging {
  readonly #directory: StoreDirectory;
  #stampUs = 0;

  constructor(directory: StoreDirectory) {
    this.#directory = directory;
  }

  /**
   * Writes `body` to a staged file, lets `use` give it a name, and removes what is left of it.
   * @throws UnavailableError when it cannot be written (disk full); what the body's stream throws
   */
  async with<T>(
    body: Uint8Array | AsyncIterable<Uint8Array>,
    options: StageOptions,
    use: (staged: StagedFile) => Promise<T>,
  ): Promise<T> {
    const path = this.newPath(options.prefix ?? "");
    const etag = await this.#write(path, body, options.mode ?? 0o666);
    let result: T;
    try {
      result = await use({ path, etag });
    } catch (error) {
      // The first error is reported; a leftover is removed by a later initialize.
      await this.remove(path).catch(() => undefined);
      throw error;
    }
    try {
      await this.remove(path);
    } catch (error) {
      throw new WriteOutcomeUnknownError("Written, but its temporary file could not be removed", {
        path,
        cause: error,
      });
    }
    return result;
  }

  newPath(prefix: string): string {
    const unique = `${process.pid}-${++stagedCount}-${this.#directory.runtime.randomHex(16)}`;
    return `${STAGING_DIRECTORY}/${prefix}${unique}`;
  }

  /** Gives a staged file the name `to` as well, unless that is taken. */
  async link(from: string, to: string): Promise<LinkOutcome> {
    const directory = this.#directory;
    for (let attempt = 1; ; attempt++) {
      await directory.makeParents(to);
      try {
        await directory.files.link(directory.absolute(from), directory.absolute(to));
        return "linked";
      } catch (error) {
        const code = errno(error);
        if (cannotLink(error)) throw noHardLinks(directory.root, error);
        if (code !== "EEXIST" && code !== "ENOENT") throw namingError(error, to);
        const stats = await unlessAbsent(directory.files.lstat(directory.absolute(from)));
        if (stats === undefined) return "gone";
        // NFS may repeat a link that took effect and then answer that the name is taken.
        if (code === "EEXIST") return stats.nlink > 1n ? "linked" : "taken";
        if (attempt === NAME_ATTEMPTS_MAX) throw error;
        directory.forget(); // the directory was removed after it was made or checked
      }
    }
  }

  /** Moves a staged file to `to`, over what is there. */
  async rename(from: string, to: string): Promise<void> {
    const directory = this.#directory;
    for (let attempt = 1; ; attempt++) {
      await directory.makeParents(to);
      try {
        return await directory.files.rename(directory.absolute(from), directory.absolute(to));
      } catch (error) {
        if (errno(error) !== "ENOENT" || attempt === NAME_ATTEMPTS_MAX) {
          throw namingError(error, to);
        }
        directory.forget();
      }
    }
  }

  async remove(path: string): Promise<void> {
    await unlessAbsent(this.#directory.files.unlink(this.#directory.absolute(path)));
  }

  /** Names in `.tmp/`. */
  async names(): Promise<string[]> {
    const { files } = this.#directory;
    const found = await unlessAbsent(files.readdir(this.#directory.absolute(STAGING_DIRECTORY)));
    return (found ?? []).map(({ name }) => name);
  }

  /**
   * Finds out before anything is acknowledged: appends need no links, but what compacts them does.
   * A full disk is not detected here, but by the first write.
   * @throws NotSupportedError where the file system has no hard links
   */
  async checkLinks(): Promise<void> {
    const [path, second] = [this.newPath("probe-"), this.newPath("probe-")];
    try {
      await (await this.#open(path, 0o600)).close();
      await this.link(path, second);
    } catch (error) {
      const what = `Cannot write in '${this.#directory.absolute(STAGING_DIRECTORY)}'`;
      if (!isFull(error)) throw toStorageError(error, what, STAGING_DIRECTORY);
    } finally {
      await this.remove(path);
      await this.remove(second);
    }
  }

  /** Removes what crashed processes left an hour ago or earlier. */
  async removeLeftovers(): Promise<void> {
    const { files, runtime } = this.#directory;
    const oldestMs = runtime.nowMs() - LEFTOVER_AGE_MS;
    for (const name of await this.names()) {
      if (name.startsWith(CLAIM_PREFIX)) continue;
      const path = `${STAGING_DIRECTORY}/${name}`;
      const stats = await unlessAbsent(files.lstat(this.#directory.absolute(path)));
      if (stats?.isFile() !== true || factsOf(stats, "").lastModifiedMs >= oldestMs) continue;
      await this.remove(path);
    }
  }

  async #write(
    path: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    mode: number,
  ): Promise<(tag: string) => string> {
    const handle = await this.#open(path, mode);
    try {
      try {
        await writeBody(handle, body);
        await this.#stamp(handle);
        if (this.#directory.durable) await handle.sync();
        const stats = await handle.stat({ bigint: true });
        return (tag) => factsOf(stats, tag).etag;
      } finally {
        await handle.close();
      }
    } catch (error) {
      await this.remove(path).catch(() => undefined); // as in `with`
      throw error;
    }
  }

  async #open(path: string, mode: number): Promise<OpenFile> {
    await this.#directory.makeParents(path);
    const absolute = this.#directory.absolute(path);
    try {
      return await this.#directory.files.open(absolute, "wx", mode);
    } catch (error) {
      if (errno(error) !== "ENOENT") throw error;
      this.#directory.forget();
      await this.#directory.makeParents(path);
      return await this.#directory.files.open(absolute, "wx", mode);
    }
  }

  /** Where files cannot be dated (some mounts and other users' disks), the system's date stands. */
  async #stamp(handle: OpenFile): Promise<void> {
    const seconds = this.#nextStampUs() / 1_000_000;
    try {
      await handle.utimes(seconds, seconds);
    } catch (error) {
      if (errno(error) !== "EPERM" && !isUnsupported(error)) throw error;
    }
  }

  /**
   * The mtime to give a file, in µs: of the runtime's clock, as all dates of a backend, and not
   * the same for two files of this process, which the kernel's own (4 ms a tick) may be.
   */
  #nextStampUs(): number {
    const { runtime } = this.#directory;
    // Away from the borders of the ms, because the way through a double may lose a µs.
    const stampUs = Math.floor(runtime.nowMs()) * 1_000 + 2 + Math.floor(runtime.random() * 990);
    this.#stampUs = Math.max(stampUs, this.#stampUs + 2);
    return this.#stampUs;
  }
}

/** Linux answers EPERM on FAT and exFAT, others say that they do not have the call. */
function cannotLink(error: unknown): boolean {
  const code = errno(error);
  return code === "EPERM" || code === "EMLINK" || code === "EXDEV" || isUnsupported(error);
}

function noHardLinks(root: string, cause: unknown): NotSupportedError {
  return new NotSupportedError(
    `The file system of '${root}' has no hard links (${errno(cause)}), so that no store can be written ` +
      "there: FAT, exFAT and some network and container mounts have none; use a directory on another one",
    { path: root, cause },
  );
}

function namingError(error: unknown, path: string): unknown {
  if (!mayHaveHappened(error)) return error;
  const why = errno(error);
  return new WriteOutcomeUnknownError(`'${path}' may or may not have been written (${why})`, {
    path,
    cause: error,
  });
}

async function writeBody(
  handle: OpenFile,
  body: Uint8Array | AsyncIterable<Uint8Array>,
): Promise<void> {
  if (isBytes(body)) return await writeAll(handle, body);
  for await (const chunk of body) await writeAll(handle, chunk);
}

/** Writes every byte. @throws UnavailableError when the system takes none */
export async function writeAll(handle: OpenFile, bytes: Uint8Array): Promise<void> {
  let written = 0;
  while (written < bytes.byteLength) {
    const { bytesWritten } = await handle.write(bytes, written);
    if (bytesWritten === 0) throw new UnavailableError("The file system took no bytes");
    written += bytesWritten;
  }
}
