/** `manifest.json` as the original opslog writes it. */

export interface OriginalManifest {
  /** Schema version of the snapshot's records, and of the log's. */
  readonly version: number;
  readonly currentSnapshot: string;
  readonly activeOps: string;
  readonly activeAgentOps: Readonly<Record<string, string>>;
  readonly archiveSegments: readonly string[];
  readonly stats: {
    readonly activeRecords: number;
    readonly archivedRecords: number;
    readonly opsCount: number;
    readonly created: string;
    readonly lastCheckpoint: string;
  };
}
