/** What users see of the manifest, in the words of the original README. */
import type { View } from "../view/view.ts";

export interface ManifestInfo {
  /** Path of the newest run; "" before the first compaction. */
  readonly currentSnapshot: string;
  /** Path of the newest live log segment; "" when everything is compacted. */
  readonly activeOps: string;
  readonly archiveSegments: readonly string[];
  readonly stats: {
    /** Records in the runs; a record that several runs hold counts in each. */
    readonly activeRecords: number;
    readonly archivedRecords: number;
    /** Operations in the log, as far as this store has read or written them. */
    readonly opsCount: number;
    /** ISO 8601; "" before the first compaction. */
    readonly created: string;
    readonly lastCheckpoint: string;
  };
}

export function describeManifest({ manifest, segments }: View, opsCount: number): ManifestInfo {
  const { runs, stats } = manifest;
  const newest = segments.reduce((hi, ref) => Math.max(hi, ref.hi), 0);
  return {
    currentSnapshot: runs.at(-1)?.path ?? "",
    activeOps: segments.find(({ hi }) => hi === newest)?.path ?? "",
    archiveSegments: [],
    stats: {
      activeRecords: runs.reduce((sum, run) => sum + run.records - run.tombstones, 0),
      archivedRecords: 0,
      opsCount,
      created: stats?.created ?? "",
      lastCheckpoint: stats?.lastCheckpoint ?? "",
    },
  };
}
