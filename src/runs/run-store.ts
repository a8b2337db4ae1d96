/** The runs of a store, opened for reading: the only place that makes their readers. */
import type { RunInfo } from "../format/run-info.ts";
import type { StorageBackend } from "../storage/backend.ts";
import { ByteCache } from "./byte-cache.ts";
import type { RunCache } from "./run-objects.ts";
import { RunReader } from "./run-reader.ts";

/** Of parts of indexes that runs read once hold together. */
const ONCE_BYTES_MAX = 1024 * 1024;

export class RunStore {
  readonly #backend: StorageBackend;
  readonly #cache: RunCache;
  readonly #onWarning: (message: string) => void;

  /**
   * @param cache shared by all runs that it opens
   * @param onWarning as `RunReader` documents
   */
  constructor(backend: StorageBackend, cache: RunCache, onWarning: (message: string) => void) {
    this.#backend = backend;
    this.#cache = cache;
    this.#onWarning = onWarning;
  }

  /** No I/O. */
  open(run: RunInfo): RunReader {
    return new RunReader(this.#backend, this.#cache, run, this.#onWarning);
  }

  /**
   * With a small cache of its own: what is read once, by a stream of everything, would displace
   * what others come back to.
   */
  once(): RunStore {
    return new RunStore(this.#backend, new ByteCache(ONCE_BYTES_MAX), this.#onWarning);
  }
}
