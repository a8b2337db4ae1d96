/** Files that grow: the log of a store in a directory. */
import { constants } from "node:fs";
import { UnavailableError, WriteOutcomeUnknownError } from "../../core/errors.ts";
import type { AppendableStorage, AppendFile, Dated } from "../backend.ts";
import type { FileStats, OpenFile } from "./file-system.ts";
import type { StoreDirectory } from "./directory.ts";
import { errno, mayHaveHappened, toStorageError, unlessAbsent } from "./errors.ts";

const { O_WRONLY, O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
const CREATE_FLAGS = O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW;

export class FsAppendable implements AppendableStorage {
  readonly #directory: () => StoreDirectory;
  /** Gives a path back when ordinary objects may lie there. */
  readonly #check: (path: string) => string;
  readonly #open = new Set<FsAppendFile>();

  constructor(directory: () => StoreDirectory, check: (path: string) => string) {
    this.#directory = directory;
    this.#check = check;
  }

  async create(path: string): Promise<AppendFile | undefined> {
    const directory = this.#directory();
    this.#check(path);
    const created = await createFile(directory, path);
    if (created === undefined) return undefined;
    try {
      await directory.syncParent(path);
    } catch (error) {
      await created.handle.close();
      throw new WriteOutcomeUnknownError(`The new file '${path}' may not survive a crash`, {
        path,
        cause: error,
      });
    }
    const file = new FsAppendFile(directory, created, path, () => this.#open.delete(file));
    this.#open.add(file);
    return file;
  }

  async exists(path: string): Promise<boolean> {
    const directory = this.#directory();
    this.#check(path);
    try {
      if (!(await directory.hasParents(path))) return false;
      const stats = await unlessAbsent(directory.files.lstat(directory.absolute(path)));
      return stats !== undefined && !stats.isDirectory();
    } catch (error) {
      throw toStorageError(error, `Cannot look for '${directory.absolute(path)}'`, path);
    }
  }

  async closeAll(): Promise<void> {
    await Promise.all([...this.#open].map((file) => file.close()));
  }
}

type FileIdentity = Pick<FileStats, "dev" | "ino">;

interface CreatedFile {
  readonly handle: OpenFile;
  readonly identity: FileIdentity;
}

async function createFile(
  directory: StoreDirectory,
  path: string,
): Promise<CreatedFile | undefined> {
  try {
    const handle = await openNew(directory, path);
    try {
      // Read by the call that the fence makes: an open file may report another device (Windows).
      const found = await unlessAbsent(directory.files.lstat(directory.absolute(path)));
      return { handle, identity: found ?? (await handle.stat({ bigint: true })) };
    } catch (error) {
      await handle.close();
      throw error;
    }
  } catch (error) {
    if (errno(error) === "EEXIST") return undefined;
    throw toStorageError(error, `Cannot create '${directory.absolute(path)}'`, path);
  }
}

async function openNew(directory: StoreDirectory, path: string): Promise<OpenFile> {
  await directory.makeParents(path);
  const absolute = directory.absolute(path);
  const handle = await unlessAbsent(directory.files.open(absolute, CREATE_FLAGS));
  if (handle !== undefined) return handle;
  directory.forget(); // its directory was removed after it was made or checked
  await directory.makeParents(path);
  return await directory.files.open(absolute, CREATE_FLAGS);
}

class FsAppendFile implements AppendFile {
  readonly #directory: StoreDirectory;
  readonly #handle: OpenFile;
  readonly #identity: FileIdentity;
  readonly #path: string;
  readonly #onClose: () => void;
  /** Appends run one after the other, in the order of the calls. */
  #last: Promise<unknown> = Promise.resolve();
  #state: "open" | "failed" | "closed" = "open";
  #bytes = 0;

  constructor(
    directory: StoreDirectory,
    { handle, identity }: CreatedFile,
    path: string,
    onClose: () => void,
  ) {
    this.#directory = directory;
    this.#handle = handle;
    this.#identity = identity;
    this.#path = path;
    this.#onClose = onClose;
  }

  /**
   * @throws UnavailableError when no byte was written; WriteOutcomeUnknownError when some were, or
   * when the disk may not have them
   */
  append(bytes: Uint8Array): Promise<Dated> {
    const run = async (): Promise<Dated> => await this.#append(bytes);
    const result = this.#last.then(run, run);
    this.#last = result;
    return result;
  }

  async isInPlace(): Promise<boolean> {
    const directory = this.#directory;
    const { dev, ino } = this.#identity;
    try {
      const found = await unlessAbsent(directory.files.lstat(directory.absolute(this.#path)));
      if (found?.dev === dev && found.ino === ino && found.size === BigInt(this.#bytes))
        return true;
    } catch (error) {
      throw toStorageError(error, `Cannot look for '${this.#path}'`, this.#path);
    }
    directory.forget(); // its directories may be others, too
    return false;
  }

  async close(): Promise<void> {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#onClose();
    // Its outcome belongs to the caller of that append.
    await Promise.allSettled([this.#last]);
    try {
      await this.#handle.close();
    } catch (error) {
      throw toStorageError(error, `Cannot close '${this.#path}'`, this.#path);
    }
  }

  async #append(bytes: Uint8Array): Promise<Dated> {
    const path = this.#path;
    if (this.#state !== "open") {
      const why = this.#state === "failed" ? "an append to it failed" : "it is closed";
      throw new UnavailableError(`Cannot append to '${path}': ${why}`, { path });
    }
    const what = `Cannot append to '${this.#directory.absolute(path)}'`;
    let written = 0;
    try {
      while (written < bytes.byteLength) {
        const { bytesWritten } = await this.#handle.write(bytes, written);
        if (bytesWritten === 0) throw new UnavailableError(`${what}: no byte was taken`, { path });
        written += bytesWritten;
        this.#bytes += bytesWritten;
      }
      if (this.#directory.durable) await this.#handle.datasync();
      return { dateMs: this.#directory.runtime.nowMs() };
    } catch (error) {
      this.#state = "failed";
      const nothing = written === 0 && bytes.byteLength > 0 && !mayHaveHappened(error);
      if (nothing) throw toStorageError(error, what, path);
      const why = errno(error) ?? String(error);
      throw new WriteOutcomeUnknownError(
        `${what}: failed after ${written} of ${bytes.byteLength} bytes (${why})`,
        { path, cause: error },
      );
    }
  }
}
