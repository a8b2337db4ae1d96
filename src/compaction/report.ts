/** What a compaction works with, and what it tells. */
import type { Runtime } from "../core/runtime.ts";
import type { ProtocolSettings } from "../core/settings.ts";
import type { Log } from "../log/log.ts";
import type { RunCache } from "../runs/run-objects.ts";
import type { StorageBackend } from "../storage/backend.ts";
import type { ManifestStore } from "../view/manifest-store.ts";
import type { CompactionLimits } from "./plan.ts";

export interface CompactionReport {
  /**
   * `published`: a new manifest is current. `idle`: there was nothing to do. `busy`: another
   * compactor holds the lease. `lost`: another published first, or the lease was lost; nothing of
   * this pass counts, nothing was deleted, the next pass starts anew. `stopped`: its time was up
   * before it had published; the same holds.
   */
  readonly outcome: "published" | "idle" | "busy" | "lost" | "stopped";
  /** Generation of the manifest that is current as far as this pass knows. */
  readonly generation: number;
  /** Log segments and operations merged. */
  readonly segments: number;
  readonly operations: number;
  /** Runs replaced by the new one. */
  readonly runsMerged: number;
  /** Lines and bytes of the new run. */
  readonly records: number;
  readonly bytes: number;
  /** Objects deleted: merged log, retired and orphaned runs. */
  readonly deleted: number;
  /** Of these, retired and orphaned ones. */
  readonly collected: number;
  /** Runs that the manifest names, and objects that wait to be deleted (`gcGraceMs`). */
  readonly runs: number;
  readonly retired: number;
  /** What the pass found when it began. */
  readonly backlog: FoundBacklog;
  /** Segments that could not be read; they were left where they are. */
  readonly corrupt: number;
  /** Whether log is left for another pass. */
  readonly more: boolean;
  readonly durationMs: number;
}

/** The log that waited for a compaction, by the medium's dates. */
export interface FoundBacklog {
  readonly segments: number;
  /** Since the oldest of them was written (in a directory: its file, last); 0 without any. */
  readonly ageMs: number;
  /** Since the last publication, or `ageMs` where there was none; 0 without any segment. */
  readonly lagMs: number;
}

/** What new runs stand for: runs by path, segments by key, an original's store by fingerprint. */
export interface Replaced {
  readonly runs: readonly string[];
  readonly sources: readonly string[];
}

/** A report, and for a store that holds memory: which runs now stand for what. */
export interface PassResult {
  readonly report: CompactionReport;
  readonly replaced?: Replaced | undefined;
}

export interface CompactorParts {
  readonly backend: StorageBackend;
  readonly runtime: Runtime;
  readonly settings: ProtocolSettings;
  readonly limits: CompactionLimits;
  readonly log: Log;
  readonly manifests: ManifestStore;
  readonly cache: RunCache;
  readonly onWarning: (message: string) => void;
}

export interface PassOptions {
  /** Merge every run into one, whatever the tiers say. Default false. */
  readonly full?: boolean | undefined;
  /** Ends the pass before its next step once it aborts; a publication that was begun is ended. */
  readonly signal?: AbortSignal | undefined;
  /** Writes records of older schema versions anew. Default: they are copied as they are. */
  readonly migration?: Migration | undefined;
}

/** What a program knows of its records that a compactor does not. */
export interface Migration {
  /** Schema version that `migrate` gives. */
  readonly version: number;
  /** The stored JSON of a record, from that of an older version. @throws InvalidArgumentError */
  migrate(id: string, text: string, fromVersion: number): string;
}

/** What a pass came to, without what is always reported. */
export type PartialResult = Pick<PassResult, "replaced"> &
  Pick<CompactionReport, "outcome" | "generation"> &
  Partial<CompactionReport>;
