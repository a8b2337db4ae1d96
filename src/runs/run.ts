/** A run as readers of a view see it, whichever program wrote it. */
import type { RunEntry } from "../core/version.ts";
import type { EntryBatches } from "./merge.ts";
import type { RunScanOptions } from "./run-scan.ts";

/**
 * Records that a store holds below its log. Reads throw RunGoneError when the run is not there any
 * more (load the manifest again), and CorruptionError when its bytes are not what was written.
 */
export interface Run {
  /** Nothing else ever has the same: memory that holds all of the run is known by it. */
  readonly name: string;
  readonly path: string;
  readonly bytes: number;
  /** How many entries there are, as the writer of the run counted them. */
  readonly records: number;
  /** Whether `entries` has an order and each id once. If not, of two for one id the later counts. */
  readonly isSorted: boolean;
  /** Those of the ids that it holds. */
  getMany(ids: ReadonlySet<string>): Promise<Map<string, RunEntry>>;
  /** Entries of a range in id order, each id once; what is not sorted is sorted in memory. */
  scan(options?: RunScanOptions): EntryBatches;
  /** All entries as they lie there, in bounded memory. */
  entries(): AsyncIterable<readonly RunEntry[]>;
}
