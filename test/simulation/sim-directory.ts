/**
 * A directory as one process sees it: a `StorageBackend` with `appendable`, whose calls take effect
 * one after the other, fail for want of space, fail to sync, or are cut short by the process's end.
 */
import { UnavailableError, WriteOutcomeUnknownError } from "../../src/core/errors.ts";
import { MANIFEST_PATH } from "../../src/format/paths.ts";
import type {
  AppendableStorage,
  AppendFile,
  Dated,
  GetOptions,
  GetResult,
  ListPage,
  Precondition,
  PutResult,
} from "../../src/storage/backend.ts";
import { BaseBackend } from "../../src/storage/base-backend.ts";
import type { Disk, LogFile } from "./disk.ts";
import { drawLatency } from "./network.ts";
import { byName, isCompactorLease, type ObjectServer, shuffledBy } from "./object-server.ts";
import type { SimProcess } from "./sim-process.ts";
import { collect } from "./sim-store.ts";

/** Shares are probabilities per call. */
export interface DiskFaults {
  readonly latencyMsMax: number;
  /** The call fails and has done nothing. */
  readonly failed: number;
  /** No space left: at once, or in the middle of an append. */
  readonly noSpace: number;
  /** The bytes are there, but nobody knows whether the disk has them. */
  readonly syncFailed: number;
  /** An append takes several writes. */
  readonly shortWrite: number;
}

export const CALM_DISK: DiskFaults = {
  latencyMsMax: 5,
  failed: 0,
  noSpace: 0,
  syncFailed: 0,
  shortWrite: 0,
};

export type DiskFault = "callsFailed" | "noSpace" | "syncFailures" | "tornAppends";

export interface SimDirectoryOptions {
  readonly process: SimProcess;
  readonly server: ObjectServer;
  readonly disk: Disk;
  /** Asked for each call, because faults end with the storm. */
  readonly faults: () => DiskFaults;
  readonly onAttempt: (process: string, path: string, body: Uint8Array) => void;
  readonly count: (what: DiskFault) => void;
  readonly arePrivateLeases: boolean;
  readonly isListUnordered: boolean;
}

export class SimDirectory extends BaseBackend {
  readonly #options: SimDirectoryOptions;
  #listings = 0;
  manifestGets = 0;
  /** A directory has no clock but the process's. */
  readonly clock = undefined;
  readonly appendable: AppendableStorage;

  constructor(options: SimDirectoryOptions) {
    super();
    this.#options = options;
    this.appendable = {
      create: (path) => this.#create(path),
      exists: (path) => this.#step(`STAT ${path}`, () => options.server.objects.has(path)),
    };
  }

  override async initialize(): Promise<void> {
    await Promise.resolve();
  }

  override async shutdown(): Promise<void> {
    await Promise.resolve();
  }

  override get(path: string, options: GetOptions = {}): Promise<GetResult> {
    const name = this.#name(path);
    if (path === MANIFEST_PATH) this.manifestGets++;
    const { server } = this.#options;
    return this.#step(`READ ${name}`, () => ({
      ...server.get(name, options),
      dateMs: server.exactMs(),
    }));
  }

  override async put(
    path: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    precondition: Precondition,
  ): Promise<PutResult> {
    const { server, process, faults, onAttempt } = this.#options;
    const bytes = body instanceof Uint8Array ? new Uint8Array(body) : await collect(body);
    const name = this.#name(path);
    this.#mayLackSpace(name);
    onAttempt(process.name, name, bytes);
    const put = await this.#step(`PUT ${name}`, () => server.put(name, bytes, precondition));
    if (put.status === "written" && process.prng.chance(faults().syncFailed)) {
      throw this.#unsynced(name);
    }
    return { ...put, dateMs: server.exactMs() };
  }

  override async *list(prefix: string): AsyncGenerator<ListPage> {
    const { server, isListUnordered, process } = this.#options;
    const salt = `${process.name} ${++this.#listings} `;
    const rank = isListUnordered ? shuffledBy(salt) : byName;
    const dateMs = server.exactMs();
    const objects: ListPage["objects"][number][] = [];
    // The directory is read in pieces; what changes meanwhile is in it or not.
    for (let after = ""; ;) {
      const page = await this.#step(`LIST ${prefix}`, () => {
        const { paths, truncated } = server.page(prefix, rank, after);
        for (const path of paths) {
          const { body, lastModifiedMs = 0 } = server.objects.get(path) ?? {};
          objects.push({ path, bytes: body?.length ?? 0, lastModifiedMs });
        }
        return { truncated, last: paths.at(-1) };
      });
      if (!page.truncated || page.last === undefined) break;
      after = rank(page.last);
    }
    yield { objects, truncated: false, dateMs };
  }

  override async delete(paths: readonly string[]): Promise<void> {
    for (const path of paths) {
      await this.#step(`UNLINK ${path}`, () => this.#options.server.delete(path));
    }
  }

  async #create(path: string): Promise<AppendFile | undefined> {
    const { disk, process, faults } = this.#options;
    this.#mayLackSpace(path);
    const file = await this.#step(`CREATE ${path}`, () => disk.create(path));
    if (file === undefined) return undefined;
    if (process.prng.chance(faults().syncFailed)) throw this.#unsynced(path);
    const name = (): void => {
      file.isNamed = true;
    };
    await this.#step(`SYNC ${path}`, name, false);
    return {
      append: (bytes) => this.#append(file, bytes),
      isInPlace: () => this.#step(`FSTAT ${path}`, () => disk.isInPlace(file)),
      close: () => Promise.resolve(),
    };
  }

  async #append(file: LogFile, given: Uint8Array): Promise<Dated> {
    const { disk, process, server, faults, onAttempt, count } = this.#options;
    const { path } = file;
    const { prng } = process;
    const bytes = new Uint8Array(given);
    onAttempt(process.name, path, bytes);
    const { noSpace, shortWrite, syncFailed } = faults();
    const lacksSpace = prng.chance(noSpace);
    let written = 0;
    if (lacksSpace || prng.chance(shortWrite)) {
      written = prng.between(1, bytes.length - 1);
      await this.#step(`APPEND ${path} (${written} bytes)`, () => {
        disk.append(file, bytes.subarray(0, written));
        count("tornAppends");
      });
    }
    if (lacksSpace) {
      count("noSpace");
      throw new WriteOutcomeUnknownError(`${path}: no space after ${written} bytes`, { path });
    }
    const rest = bytes.subarray(written);
    await this.#step(`APPEND ${path}`, () => disk.append(file, rest, bytes), written === 0);
    if (prng.chance(syncFailed)) throw this.#unsynced(path);
    await this.#step(`SYNC ${path}`, () => disk.sync(file), false);
    return { dateMs: server.exactMs() };
  }

  #mayLackSpace(path: string): void {
    const { process, faults, count } = this.#options;
    if (!process.prng.chance(faults().noSpace)) return;
    count("noSpace");
    throw new UnavailableError(`${path}: no space`, { path });
  }

  #unsynced(path: string): WriteOutcomeUnknownError {
    this.#options.count("syncFailures");
    return new WriteOutcomeUnknownError(`${path}: could not be synced`, { path });
  }

  #name(path: string): string {
    const { arePrivateLeases, process } = this.#options;
    return arePrivateLeases && isCompactorLease(path) ? `${path}.${process.name}` : path;
  }

  /** One call: takes effect at one moment, while the process lives, and ends at a later one. */
  #step<T>(label: string, act: () => T, mayFail = true): Promise<T> {
    const { process, faults, count } = this.#options;
    const { prng, kernel } = process;
    const { latencyMsMax } = faults();
    const failed = mayFail ? faults().failed : 0;
    return new Promise((resolve, reject) => {
      process.deliver(drawLatency(prng, latencyMsMax), () => {
        if (prng.chance(failed)) {
          count("callsFailed");
          return reject(new UnavailableError(`${label}: input/output error`));
        }
        const value = act();
        kernel.trace(`${process.name} ${label}`);
        process.deliver(drawLatency(prng, latencyMsMax), () => resolve(value));
      });
    });
  }
}
