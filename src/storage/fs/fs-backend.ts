import { constants } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { InvalidArgumentError, NotOpenError, StoreNotFoundError } from "../../core/errors.ts";
import { Limiter } from "../../core/limiter.ts";
import { systemRuntime } from "../../core/runtime.ts";
import type { Runtime } from "../../core/runtime.ts";
import type {
  AppendableStorage,
  GetOptions,
  GetResult,
  ListPage,
  LockHandle,
  Precondition,
  PutResult,
} from "../backend.ts";
import { BaseBackend } from "../base-backend.ts";
import { nodeFileSystem } from "./file-system.ts";
import type { FileSystem } from "./file-system.ts";
import { FsAppendable } from "./append.ts";
import { makeRoot, settleRoot, StoreDirectory } from "./directory.ts";
import { toStorageError, unlessAbsent } from "./errors.ts";
import { listNames, listTree } from "./list.ts";
import { LOCK_TTL_MS, takeLock } from "./lock.ts";
import { deletePaths, FILE_TAG, putFile, removeEmptyDirectories } from "./put.ts";
import type { Bound } from "./put.ts";
import { type FileFound, readFile } from "./read.ts";
import { Staging } from "./staging.ts";
import { checkLockPath, checkObjectPath, SwapName } from "./names.ts";
import { SwappedObjects } from "./versioned-objects.ts";
import { checkPrefix } from "../../core/relative-path.ts";

/** Options of `FsBackend`. */
export interface FsBackendOptions {
  /** Whether a write waits until the disk has it. Default true; false is for tests and scratch. */
  readonly fsync?: boolean | undefined;
  /**
   * How long the single writer's lock may be silent before another machine or container takes it,
   * which cannot check whether its process lives; 900,000 at most. Default 15,000.
   */
  readonly lockTtlMs?: number | undefined;
  /** Clock and source of randomness. Default: those of the system. */
  readonly runtime?: Runtime | undefined;
  /** For tests: what stands in for the system calls. */
  readonly files?: FileSystem | undefined;
}

const OPTIONS: ReadonlySet<string> = new Set(["fsync", "lockTtlMs", "runtime", "files"]);

/** Each holds a file open, and a process may have few: 1,024 on Lambda and most Linux hosts. */
const READS_PARALLEL = 64;

/**
 * A store in a directory (a path, or a `file://` URL). Any number of processes may use it at once;
 * the file system must have hard links. No path leads out of it, symbolic links included.
 *
 * An object is a file at its path, except those that are replaced by compare-and-swap:
 * `manifest.json` and `*.lease` at the top level. Their versions lie in `manifests/` and `<stem>s/`
 * as `<number, 16 digits>.json` (`.lease`), the highest is current, the last 16 are kept; the file
 * at the path itself is a copy for people and counts only where no version exists. `ifMatch` works
 * for these alone. The names of versions, `.tmp/` (files being written) and `.lock` are reserved:
 * no object can lie there and no listing shows them.
 * @example
 * const store = await Store.open("./data", { backend: new FsBackend() });
 */
export class FsBackend extends BaseBackend {
  /** Files that grow in place. */
  readonly appendable: AppendableStorage;
  /** How long the holder of the lock may be silent, in ms. */
  readonly lockTtlMs: number;
  readonly #durable: boolean;
  readonly #runtime: Runtime;
  readonly #files: FileSystem;
  readonly #appendable: FsAppendable;
  readonly #reads = new Limiter(READS_PARALLEL);
  #current: Bound | undefined;

  /** @throws InvalidArgumentError for an unknown option */
  constructor(options: FsBackendOptions = {}) {
    super();
    for (const name of Object.keys(options)) {
      if (OPTIONS.has(name)) continue;
      throw new InvalidArgumentError(`unknown option of FsBackend: ${name}`);
    }
    this.#durable = options.fsync ?? true;
    this.lockTtlMs = positive("lockTtlMs", options.lockTtlMs ?? LOCK_TTL_MS);
    this.#runtime = options.runtime ?? systemRuntime;
    this.#files = options.files ?? nodeFileSystem;
    this.#appendable = new FsAppendable(() => this.#bound().directory, checkObjectPath);
    this.appendable = this.#appendable;
  }

  /** The absolute path; relative ones are taken from the working directory of this moment. */
  resolveLocation(location: string): string {
    return toDirectory(location);
  }

  override async initialize(
    location: string,
    options: { readonly readOnly: boolean },
  ): Promise<void> {
    const root = toDirectory(location);
    const files = this.#files;
    await prepareRoot(files, root, options.readOnly);
    const place = { durable: this.#durable, runtime: this.#runtime, files };
    const directory = new StoreDirectory(root, place);
    const staging = new Staging(directory);
    if (!options.readOnly) {
      await prepareStaging(files, staging, root).catch((error: unknown) => {
        throw toStorageError(error, `Cannot open the directory '${root}'`, root);
      });
    }
    this.#current = { directory, staging, swapped: new SwappedObjects(directory, staging) };
  }

  /** Closes files that are still open for appending; everything else continues to work. */
  override async shutdown(): Promise<void> {
    await this.#appendable.closeAll();
  }

  override async get(path: string, options: GetOptions = {}): Promise<GetResult> {
    const { directory, swapped } = this.#bound();
    const name = SwapName.of(checkObjectPath(path));
    const read = (): Promise<FileFound | undefined> =>
      name === undefined
        ? readFile(directory, path, FILE_TAG, options)
        : swapped.get(name, options);
    const found = await this.#reads.run(read).catch((error: unknown) => {
      throw toStorageError(error, `Cannot read '${directory.absolute(path)}'`, path);
    });
    const dateMs = this.#runtime.nowMs();
    if (found === undefined) return { status: "absent", dateMs };
    const { body, etag, objectBytes, lastModifiedMs } = found;
    if (body === undefined) return { status: "unchanged", dateMs };
    return { status: "found", body, etag, objectBytes, lastModifiedMs, dateMs };
  }

  /**
   * @throws besides what the contract names: InvalidArgumentError when a directory is in the way;
   * what the stream throws; NotSupportedError where the file system has no hard links
   */
  override async put(
    path: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    precondition: Precondition,
  ): Promise<PutResult> {
    const bound = this.#bound();
    const name = SwapName.of(checkObjectPath(path));
    let etag: string | undefined;
    try {
      etag =
        name === undefined
          ? await putFile(bound, path, body, precondition)
          : await bound.swapped.put(name, body, precondition);
    } catch (error) {
      throw toStorageError(error, `Cannot write '${bound.directory.absolute(path)}'`, path);
    }
    const dateMs = this.#runtime.nowMs();
    if (etag === undefined) return { status: "conflict", dateMs };
    return { status: "written", etag, dateMs };
  }

  /** @throws AccessDeniedError when a symbolic link lies below `prefix` */
  override async *list(prefix: string): AsyncGenerator<ListPage> {
    const { directory, swapped } = this.#bound();
    yield* listTree(directory, swapped, checkPrefix(prefix));
  }

  /** Resolves when the removal is as durable as writes are. */
  override async delete(paths: readonly string[]): Promise<void> {
    const bound = this.#bound();
    paths.forEach(checkObjectPath);
    await deletePaths(bound, paths);
  }

  /** Directories too, as programs of the original opslog expect. */
  override async listBlobs(prefix: string): Promise<string[]> {
    const { directory } = this.#bound();
    return listNames(directory, checkPrefix(prefix));
  }

  /** Also removes the directories that are empty afterwards. */
  override async deleteBlobDir(prefix: string): Promise<void> {
    const { directory } = this.#bound();
    await super.deleteBlobDir(prefix);
    await removeEmptyDirectories(directory, checkPrefix(prefix));
  }

  /**
   * Takes the lock file `.lock`; no other path can be locked. A lock is stale when its process or
   * thread is known to be gone, or was silent for `lockTtlMs` where that cannot be known (another
   * machine or container, before the last boot); then this takes up to a third of that longer.
   * @throws LockedError also when this process itself holds it
   */
  async lock(path: string): Promise<LockHandle> {
    const { directory, staging } = this.#bound();
    checkLockPath(path);
    try {
      return await takeLock(directory, staging, path, this.lockTtlMs);
    } catch (error) {
      throw toStorageError(error, `Cannot lock '${directory.absolute(path)}'`, path);
    }
  }

  #bound(): Bound {
    if (this.#current !== undefined) return this.#current;
    throw new NotOpenError("FsBackend is not initialized. Call initialize() first.");
  }
}

function positive(name: string, value: number): number {
  if (Number.isSafeInteger(value) && value >= 1 && value < 2 ** 31) return value;
  throw new InvalidArgumentError(`${name} must be a positive integer of ms, found ${value}`);
}

function toDirectory(location: string): string {
  if (location === "") throw new InvalidArgumentError("The location is empty: give a directory");
  if (location.startsWith("file:")) {
    try {
      return resolve(fileURLToPath(location));
    } catch (error) {
      throw new InvalidArgumentError(`Not the URL of a local directory: ${location}`, {
        cause: error,
      });
    }
  }
  if (!/^[a-z][a-z\d+.-]+:\/\//i.test(location)) return resolve(location);
  throw new InvalidArgumentError(
    `FsBackend takes a directory or a file:// URL, found ${location}: another backend is needed`,
  );
}

/** Roots whose file system is known to have hard links: tested once per process. */
const linkable = new WeakMap<FileSystem, Set<string>>();

async function prepareStaging(files: FileSystem, staging: Staging, root: string): Promise<void> {
  await staging.removeLeftovers();
  const { dev, ino } = await files.stat(root);
  const known = linkable.get(files) ?? new Set();
  linkable.set(files, known);
  const place = `${dev}-${ino}`;
  if (known.has(place)) return;
  await staging.checkLinks();
  known.add(place);
}

async function prepareRoot(files: FileSystem, root: string, readOnly: boolean): Promise<void> {
  const { R_OK, W_OK, X_OK } = constants;
  try {
    const stats = await unlessAbsent(files.stat(root));
    if (stats === undefined && readOnly) {
      throw new StoreNotFoundError("Cannot open in readOnly mode: no existing store found", {
        path: root,
      });
    }
    if (stats === undefined) await makeRoot(files, root);
    else if (!stats.isDirectory()) {
      throw new InvalidArgumentError(`The location is not a directory: ${root}`, { path: root });
    }
    await files.access(root, readOnly ? R_OK | X_OK : R_OK | W_OK | X_OK);
    if (stats !== undefined && !readOnly) await settleRoot(files, root);
  } catch (error) {
    throw toStorageError(error, `Cannot open the directory '${root}'`, root);
  }
}
