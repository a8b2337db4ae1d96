/** What a compaction works with, and what it reports. */
import type { Compression } from "../core/compression.ts";
import type { Migration } from "../core/schema.ts";
import type { Runtime } from "../core/runtime.ts";
import type { ProtocolSettings } from "../core/settings.ts";
import type { Log } from "../log/log.ts";
import type { RunStore } from "../runs/run-reader.ts";
import type { StorageBackend } from "../storage/backend.ts";
import type { ManifestStore } from "../view/manifest-store.ts";
import type { Pace } from "../engine/pace.ts";
import type { CompactionLimits } from "./plan.ts";

/** What a compaction did. */
export interface CompactionReport {
  /**
   * `published`: at least one new manifest, also where the pass then lost a race or its time was up
   * (`more`). `idle`: there was nothing to do. `busy`: another compactor holds the lease. `lost`:
   * what another published does not go with what was merged, or the lease was lost; nothing of this pass counts, nothing was
   * deleted, the next pass starts again. `stopped`: its time was up before it had published; the
   * same holds, and the next pass of this process takes less at a time.
   */
  readonly outcome: "published" | "idle" | "busy" | "lost" | "stopped";
  /** Generation of the newest manifest that this pass has seen. */
  readonly generation: number;
  /** Manifests published: log is merged in portions, larger merges of runs follow by themselves. */
  readonly publications: number;
  /** Log segments and operations merged. */
  readonly segments: number;
  /** Claims of guarded writes, and seals, that the lanes have passed. */
  readonly claims: number;
  /** Operations in the merged segments and claims. */
  readonly operations: number;
  /** Runs replaced by the new ones. */
  readonly runsMerged: number;
  /** Lines and bytes of the new runs. */
  readonly records: number;
  /** Bytes of the new runs. */
  readonly bytes: number;
  /** Bytes of their lines, before compression. */
  readonly lineBytes: number;
  /** Bytes of the segments merged. */
  readonly logBytes: number;
  /** `lineBytes` / `logBytes`: how much was written for what was merged; 0 without log. */
  readonly amplification: number;
  /**
   * What `amplification` comes to on average, by the rule that chooses levels: how often a record is
   * written on its way into the oldest level, for a store as large as this one and portions of log
   * as large as those of this pass; 0 without log.
   */
  readonly expectedAmplification: number;
  /** Objects deleted: merged log, retired and orphaned runs. */
  readonly deleted: number;
  /** Of these, retired and orphaned ones. */
  readonly collected: number;
  /** Runs that the manifest names. */
  readonly runs: number;
  /** Levels that they form: a point read looks into one run of each at most. */
  readonly levels: number;
  /** Each of them, the newest first. */
  readonly perLevel: readonly LevelReport[];
  /** Objects that wait for `gcGraceMs` before they are deleted. */
  readonly retired: number;
  /** What the pass found when it began. */
  readonly backlog: FoundBacklog;
  /** When the pass began: ms since the last publication, by the medium's dates; 0 before the first. */
  readonly quietMs: number;
  /** Segments that could not be read; they were left where they are. */
  readonly corrupt: number;
  /** Whether work is left that another pass could do at once. */
  readonly more: boolean;
  /** Runs whose merge goes on in later passes; 0 where there are none. */
  readonly waiting: WaitingRuns;
  /** How fast this pass was. */
  readonly pace: PassPace;
  /** When the log that waits will be merged, if all goes on as it does. */
  readonly forecast: Forecast;
  /** How long the pass took, in ms. */
  readonly durationMs: number;
  /** Of these, how long merges of levels took, which are not part of a merge of log. */
  readonly unitsMs: number;
}

/** One level of a store, as the pass left it. */
export interface LevelReport {
  /** Number of runs. */
  readonly runs: number;
  /** Bytes of the lines that count, before compression; estimated where a run counts in part. */
  readonly bytes: number;
  /** Bytes of the runs as they are stored, without their indexes. */
  readonly storedBytes: number;
  /** Lines that stand for deletions. */
  readonly tombstones: number;
  /** Since the oldest of its data was merged from the log; not noted of the oldest level. */
  readonly ageMs?: number;
  /** Its runs are being merged into an older level. */
  readonly isDraining: boolean;
}

/** What was done in a second. */
export interface PassPace {
  /** Segments merged, without the time of merges of levels. */
  readonly segments: number;
  /** Bytes of lines written, of all the time. */
  readonly bytes: number;
}

/** What becomes of the log that waits. */
export interface Forecast {
  /** Segments that waited when the pass ended. */
  readonly waiting: number;
  /**
   * Segments written in a second: since the pass before of this process, otherwise since the oldest
   * that waited was written. Where `backlog.isCut`, at least so many. Segments that other processes
   * merge meanwhile are left out.
   */
  readonly arriving: number;
  /**
   * `done`: nothing waits. `catchingUp`: more is merged than is written. `fallingBehind`: at this pace
   * what waits becomes more and more, or a pass ends before it has merged anything. `unknown`: this
   * pass has merged no log.
   */
  readonly outlook: "done" | "catchingUp" | "fallingBehind" | "unknown";
  /** When nothing waits any more, in ms from the end of the pass; absent where that is not known. */
  readonly doneInMs?: number;
}

/** Runs of levels that are being merged into an older one, as the pass left them. */
export interface WaitingRuns {
  /** Number of runs. */
  readonly runs: number;
  /** Bytes of their lines. */
  readonly bytes: number;
}

/** The log that waited for a compaction, by the medium's dates. */
export interface FoundBacklog {
  /** At least so many, where `isCut`: there were more than could be listed in good time. */
  readonly segments: number;
  /** Claims of guarded writes. */
  readonly claims: number;
  /** Whether the listing ended before the log did. */
  readonly isCut: boolean;
  /** Since the oldest of them was written (in a directory: its file, last); 0 without any. */
  readonly ageMs: number;
  /** Since the last publication, or `ageMs` where there was none; 0 without any segment. */
  readonly lagMs: number;
}

/** What new runs stand for: runs by path, segments by key, a legacy store by fingerprint. */
export interface Replaced {
  readonly runs: readonly string[];
  readonly sources: readonly string[];
}

/** A report, and for a store that holds memory: which runs now stand for what. */
export interface PassResult {
  readonly report: CompactionReport;
  /** One for each publication, in their order; none without `keepsReplaced`. */
  readonly replaced: readonly Replaced[];
}

export interface CompactorParts {
  readonly backend: StorageBackend;
  readonly runtime: Runtime;
  readonly settings: ProtocolSettings;
  /** Of the runs that are written. */
  readonly compression: Compression;
  /** Ids lie in the lanes below this number, which seals close. */
  readonly lanes: number;
  readonly limits: CompactionLimits;
  readonly log: Log;
  readonly manifests: ManifestStore;
  readonly runs: RunStore;
  /** Of this process, for this store. */
  readonly pace: Pace;
  readonly onWarning: (message: string) => void;
}

/**
 * A part of the work, for compactors that work at once, each under a lease of its own. "log": the
 * shards of the log that fall to it, with nothing but the smallest levels. "units": larger merges of
 * levels, within its span of ids. Parts are of one division if they have the same `of`; others may meet
 * in what they merge, which is harmless.
 */
export type CompactionTask = {
  readonly kind: "log" | "units";
  /** 0 ≤ index < of ≤ 16 */
  readonly index: number;
  readonly of: number;
};

/** What a look shows before there is a lease. */
export type Found = Pick<
  CompactionReport,
  "generation" | "runs" | "levels" | "perLevel" | "retired" | "backlog" | "quietMs" | "waiting"
>;

export interface PassOptions {
  /** Default: all of the work. A store without a manifest has no parts. */
  readonly task?: CompactionTask | undefined;
  /**
   * Called once there is work, with what was found; returns the task of this pass, where the rest is
   * for others. Undefined: the pass is for all of it. Not called for a pass that has a task.
   */
  readonly divide?: ((found: Found) => Promise<CompactionTask | undefined>) | undefined;
  /** Merge all levels into one, whatever their sizes. Default false. */
  readonly full?: boolean | undefined;
  /** Ends the pass before its next step once it aborts; a publication that was begun is ended. */
  readonly signal?: AbortSignal | undefined;
  /** Returns the time left; called before each step, so that what begins fits. Default: Infinity. */
  readonly leftMs?: (() => number) | undefined;
  /** Rewrites records of older schema versions. Default: they are copied as they are. */
  readonly migration?: Migration | undefined;
  /** The result is to say what new runs stand for, which names all log that was merged. Default false. */
  readonly keepsReplaced?: boolean | undefined;
}

/** What a pass came to, without what is always reported. */
export type PartialResult = Partial<Pick<PassResult, "replaced">> & {
  /** Whether all log that it has listed is merged. Default: it is not known. */
  readonly isDrained?: boolean;
  /** In how many portions log was merged. */
  readonly portions?: number;
} & Pick<CompactionReport, "outcome" | "generation"> &
  Partial<CompactionReport>;
