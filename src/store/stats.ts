import type { Cost } from "../core/cost.ts";
import { countLevels, countRuns, described } from "../format/levels.ts";
import { archiveNames } from "../read/manifest-info.ts";
import type { Session } from "../session/session.ts";

/** What `Store.stats` returns. */
export interface StoreStats {
  /** Records in memory: all of an eager store. */
  readonly activeRecords: number;
  /** Operations in the log that no snapshot holds yet, as far as this store has seen them. */
  readonly opsCount: number;
  /** Periods in the archive. */
  readonly archiveSegments: number;
  /** Runs of the snapshot, as of the last look. */
  readonly runs: number;
  /** Levels that they form: a point read looks into one run of each at most. */
  readonly levels: number;
  /** Bytes of the runs, as they are stored. */
  readonly runBytes: number;
  /** Parts of the log that could not be read and were skipped. */
  readonly corruptSegments: number;
  /**
   * The requests of this store to its medium since it was opened, also in the background, and what
   * that is worth at the option `prices`. S3: HTTP attempts, as they are billed; other media: calls.
   * Blob calls of the program are not in it.
   */
  readonly cost: Cost;
}

export function describeStats({ records, replica, engine, operationCount }: Session): StoreStats {
  const { manifest } = replica.view.loaded;
  return {
    activeRecords: records.visible.size,
    opsCount: operationCount,
    archiveSegments: archiveNames(replica.view).length,
    runs: countRuns(manifest),
    levels: countLevels(manifest),
    runBytes: described(manifest).reduce((sum, { bytes }) => sum + bytes, 0),
    corruptSegments: replica.corruptCount,
    cost: engine.meter.cost,
  };
}
