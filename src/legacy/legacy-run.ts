/** The snapshot of a legacy store as a run: without an index, and in the order of its writer. */
import type { Entry, RunEntry } from "../core/version.ts";
import { type EntryBatches, fromMap } from "../runs/merge.ts";
import type { Run } from "../runs/run.ts";
import type { RunScanOptions } from "../runs/run-scan.ts";
import type { StorageBackend } from "../storage/backend.ts";
import { type SnapshotHead, streamSnapshot } from "./snapshot.ts";

/** Its entries have clock 0, below every operation. It is the only run of its view. */
export class LegacyRun implements Run {
  readonly name: string;
  readonly head: SnapshotHead;
  readonly records: number;
  readonly isSorted = false;
  readonly #backend: StorageBackend;

  /**
   * @param name changes whenever the manifest or the log of the store does (RELOAD)
   * @param records as the manifest counts them
   */
  constructor(backend: StorageBackend, head: SnapshotHead, name: string, records: number) {
    this.#backend = backend;
    this.head = head;
    this.name = name;
    this.records = records;
  }

  get path(): string {
    return this.head.path;
  }

  get bytes(): number {
    return this.head.bytes;
  }

  entries(): AsyncGenerator<readonly RunEntry[]> {
    return streamSnapshot(this.#backend, this.head);
  }

  /** Reads the whole snapshot, whatever the number of ids. */
  getMany(ids: ReadonlySet<string>): Promise<Map<string, RunEntry>> {
    return this.#latest((id) => ids.has(id));
  }

  /** Holds all of the range in memory. */
  async *scan({ from = "", to, reverse }: RunScanOptions = {}): EntryBatches {
    const found: ReadonlyMap<string, Entry> = await this.#latest(
      (id) => id >= from && (to === undefined || id < to),
    );
    yield* fromMap(found, { reverse });
  }

  /** Of two lines for one id the later counts, as it did for the program that wrote them. */
  async #latest(isWanted: (id: string) => boolean): Promise<Map<string, RunEntry>> {
    const found = new Map<string, RunEntry>();
    for await (const batch of this.entries()) {
      for (const entry of batch) if (isWanted(entry.id)) found.set(entry.id, entry);
    }
    return found;
  }
}
