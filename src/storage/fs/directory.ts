/**
 * The directory a store lies in: paths, parent directories, their durability. Directories inside
 * the store that are symbolic links are refused, so no path leads out of it.
 */
import { constants } from "node:fs";
import { dirname, join } from "node:path";
import { AccessDeniedError } from "../../core/errors.ts";
import type { Runtime } from "../../core/runtime.ts";
import type { FileSystem } from "./file-system.ts";
import { errno, isUnsupported, toStorageError, unlessAbsent } from "./errors.ts";

/** Directories remembered as checked; beyond it the memory is cleared. */
const CHECKED_MAX = 10_000;

export type DirectoryOptions = Pick<StoreDirectory, "durable" | "runtime" | "files">;

export class StoreDirectory {
  /** Absolute. */
  readonly root: string;
  /** Whether writes wait until the disk has them. */
  readonly durable: boolean;
  readonly runtime: Runtime;
  readonly files: FileSystem;
  /** Directories, relative, known to be real ones (reads) and durably linked (writes). */
  readonly #real = new Set<string>();
  readonly #made = new Set<string>();
  readonly #syncs = new Map<string, DirectorySync>();

  constructor(root: string, { durable, runtime, files }: DirectoryOptions) {
    this.root = root;
    this.durable = durable;
    this.runtime = runtime;
    this.files = files;
  }

  absolute(path: string): string {
    return join(this.root, path);
  }

  /**
   * Whether all directories above `path` exist.
   * @throws AccessDeniedError when one of them is a symbolic link
   */
  async hasParents(path: string): Promise<boolean> {
    return await this.#isReal(parentOf(path));
  }

  /** Makes the directories above `path`, durably. @throws AccessDeniedError for symbolic links */
  async makeParents(path: string): Promise<void> {
    try {
      await this.#make(parentOf(path));
    } catch (error) {
      throw toStorageError(error, `Cannot make the directory of '${path}'`, path);
    }
  }

  /** To be called when a directory turned out to be gone. */
  forget(): void {
    this.#real.clear();
    this.#made.clear();
  }

  /** Makes the entries of the directory that holds `path` durable. */
  async syncParent(path: string): Promise<void> {
    await this.#sync(parentOf(path));
  }

  async #isReal(directory: string): Promise<boolean> {
    if (directory === "" || this.#real.has(directory)) return true;
    if (!(await this.#isReal(parentOf(directory)))) return false;
    const stats = await unlessAbsent(this.files.lstat(this.absolute(directory)));
    if (stats?.isSymbolicLink() === true) {
      throw new AccessDeniedError(
        `'${directory}' is a symbolic link; links inside a store are not followed`,
        { path: directory },
      );
    }
    if (stats?.isDirectory() !== true) return false;
    remember(this.#real, directory);
    return true;
  }

  async #make(directory: string): Promise<void> {
    if (directory === "" || this.#made.has(directory)) return;
    await this.#make(parentOf(directory));
    try {
      await this.files.mkdir(this.absolute(directory));
    } catch (error) {
      if (errno(error) !== "EEXIST") throw error;
    }
    if (!(await this.#isReal(directory))) return; // what uses it will say ENOTDIR or ENOENT
    // Also when another process made it: that one may have crashed before its own sync.
    await this.#sync(parentOf(directory));
    remember(this.#made, directory);
  }

  /** A sync that began before an entry was made need not hold it: callers share only later ones. */
  async #sync(directory: string): Promise<void> {
    if (!this.durable) return;
    const running = this.#syncs.get(directory);
    if (running === undefined) return await this.#startSync(directory);
    running.next ??= running.done.then(
      () => this.#startSync(directory),
      () => this.#startSync(directory),
    );
    await running.next;
  }

  async #startSync(directory: string): Promise<void> {
    const sync: DirectorySync = {
      done: syncDirectory(this.files, this.absolute(directory)),
      next: undefined,
    };
    this.#syncs.set(directory, sync);
    try {
      await sync.done;
    } finally {
      if (sync.next === undefined) this.#syncs.delete(directory);
    }
  }
}

interface DirectorySync {
  readonly done: Promise<void>;
  next: Promise<void> | undefined;
}

export function parentOf(path: string): string {
  const parent = dirname(path);
  return parent === "." ? "" : parent;
}

/**
 * Makes the directory of a store, and durably all that are missing above it. Not with `recursive`:
 * that reports a read-only file system as ENOENT, and below `/proc` it does not come to an end.
 */
export async function makeRoot(files: FileSystem, root: string): Promise<void> {
  const missing = [root];
  for (let above = dirname(root); ; above = dirname(above)) {
    if ((await unlessAbsent(files.stat(above))) !== undefined || above === dirname(above)) break;
    missing.unshift(above);
  }
  for (const directory of missing) {
    try {
      await files.mkdir(directory);
    } catch (error) {
      if (errno(error) !== "EEXIST") throw error; // else another process was faster
    }
  }
  for (const directory of missing.toReversed()) await syncDirectory(files, dirname(directory));
}

/**
 * Makes the name of an empty directory durable: who made it may have crashed before its own sync.
 * Whoever puts something into it has done this, so it is for empty ones only.
 */
export async function settleRoot(files: FileSystem, root: string): Promise<void> {
  if ((await files.readdir(root)).length > 0) return;
  try {
    await syncDirectory(files, dirname(root));
  } catch (error) {
    // Who may not read the directory above has been given this one, and cannot have made it.
    if (errno(error) !== "EACCES") throw error;
  }
}

/** Windows has no O_DIRECTORY. */
const DIRECTORY_FLAGS = constants.O_RDONLY | (constants.O_DIRECTORY ?? 0);

/** Where the platform cannot do it, names are as durable as the system makes them. */
async function syncDirectory(files: FileSystem, absolute: string): Promise<void> {
  const handle = await files.open(absolute, DIRECTORY_FLAGS);
  try {
    await handle.sync();
  } catch (error) {
    if (!cannotSyncDirectories(error)) throw error;
  } finally {
    await handle.close();
  }
}

/** EPERM and EACCES on Windows, EINVAL on some network file systems; else POSIX has none of them here. */
function cannotSyncDirectories(error: unknown): boolean {
  const code = errno(error);
  return code === "EPERM" || code === "EACCES" || code === "EINVAL" || isUnsupported(error);
}

function remember(directories: Set<string>, directory: string): void {
  if (directories.size >= CHECKED_MAX) directories.clear();
  directories.add(directory);
}
