/** What every part of an open store works with. */
import type { Pace } from "./pace.ts";
import { type Warm, warmOf } from "./process-cache.ts";
import { type Compression, DEFAULT_COMPRESSION } from "../core/compression.ts";
import type { CostBudget } from "../core/cost.ts";
import { CostMeter } from "../core/cost-meter.ts";
import { HybridClock } from "../core/hybrid-clock.ts";
import { LANES } from "../core/lane.ts";
import { WallClock } from "../core/medium-clock.ts";
import type { Runtime } from "../core/runtime.ts";
import { DATE_SKEW_MS, type ProtocolSettings, purgeGraceMs } from "../core/settings.ts";
import type { Segment } from "../format/segment.ts";
import { FileLog } from "../log/file-log.ts";
import { ClaimWriter } from "../log/claim-writer.ts";
import { NewestClaims } from "../log/newest-claims.ts";
import type { FlushGroup, FlushGroupSettings } from "../log/flush-group.ts";
import type { Log, LogWriter } from "../log/log.ts";
import { ObjectLog } from "../log/object-log.ts";
import { ByteCache } from "../runs/byte-cache.ts";
import { RunStore } from "../runs/run-reader.ts";
import type { StorageBackend } from "../storage/backend.ts";
import type { Deadline } from "../storage/deadline.ts";
import { DeadlineBackend } from "../storage/deadline-backend.ts";
import { type BudgetGuard, MeteredBackend } from "../storage/metered-backend.ts";
import { ManifestStore } from "../view/manifest-store.ts";
import type { WarmLooks } from "../view/freshness.ts";
import { type Schema, UNMIGRATED } from "../core/schema.ts";

export interface Engine {
  /** Counts the requests of this store, and holds them to its budget. */
  readonly backend: StorageBackend;
  readonly meter: CostMeter;
  readonly runtime: Runtime;
  readonly settings: ProtocolSettings;
  /** Of the runs that are written. */
  readonly compression: Compression;
  /** How many archives a manifest names itself: more go to a list. */
  readonly archivesInlineMax: number;
  /** Ids lie in the lanes below this number, which seals close. */
  readonly lanes: number;
  /** How far a date of the medium may be from the true time, in ms. */
  readonly dateSkewMs: number;
  readonly log: Log;
  /** Numbers of lanes, to be created. */
  readonly claims: ClaimWriter;
  /** Of each lane, as far as this store has seen it. */
  readonly newestClaims: NewestClaims;
  readonly manifests: ManifestStore;
  /** Of the stores over this backend and location. */
  readonly warmLooks: WarmLooks;
  /** Gives writes their clocks. */
  readonly clock: HybridClock;
  /** Opens the runs that manifests name. */
  readonly runs: RunStore;
  /** Of compactions over this backend. */
  readonly pace: Pace;
  /** Segments that point reads fetched, by key. */
  readonly segmentCache: ByteCache<readonly Segment[]>;
  /** Called with each problem that the store recovered from. */
  readonly onWarning: (message: string) => void;
  /** Turns stored records into what this version of the program works with. */
  readonly schema: Schema;
  /** Of the invocation that the store is for. */
  readonly deadline: Deadline | undefined;
}

/** Their descriptions take about 6 KB. */
const ARCHIVES_INLINE_MAX = 32;
/** Beside the default bound for runs; a parsed segment takes a few times its bytes. */
const SEGMENT_CACHE_BYTES_MAX = 8 * 1024 * 1024;

/** What `createEngine` is given. */
export interface EngineOptions {
  /** As the caller made it, also when others share it: what is warm is found by it. */
  readonly backend: StorageBackend;
  /** What the backend is bound to. */
  readonly location: string;
  readonly runtime: Runtime;
  readonly settings: ProtocolSettings;
  /** Default: "deflate". */
  readonly compression?: Compression | undefined;
  /** Default: 32. */
  readonly archivesInlineMax?: number | undefined;
  /** Default: all. Fewer only where no id of the store lies in the others. */
  readonly lanes?: number | undefined;
  readonly onWarning: (message: string) => void;
  /** Default: records are taken as they are stored. */
  readonly schema?: Schema | undefined;
  /** Default: one of its own, at the default prices. */
  readonly meter?: CostMeter | undefined;
  readonly costBudget?: CostBudget | undefined;
  readonly deadline?: Deadline | undefined;
  /**
   * Makes a group whose flushes share objects, for the stores over this backend that are given it, too.
   * Default: each flush is an object. A compaction has no flushes, and its bundle no group.
   */
  readonly makeFlushGroup?:
    | ((runtime: Runtime, settings: Omit<FlushGroupSettings, "lingerMs">) => FlushGroup)
    | undefined;
}

/** One protocol, two media: files that grow get a file log, everything else one object per flush. */
export function createEngine(given: EngineOptions): Engine {
  const { location, runtime, onWarning, costBudget, deadline } = given;
  const { meter = new CostMeter(), schema = UNMIGRATED } = given;
  const { compression = DEFAULT_COMPRESSION, archivesInlineMax = ARCHIVES_INLINE_MAX } = given;
  const { lanes = LANES } = given;
  const guard = costBudget && { budget: costBudget, onWarning };
  const timed = deadline && new DeadlineBackend(given.backend, deadline);
  const backend = new MeteredBackend(timed ?? given.backend, meter, guard);
  const { appendable } = backend;
  const { dateSkewMs = DATE_SKEW_MS } = backend;
  const settings = settingsOn(backend, given.settings, dateSkewMs);
  const warm = warmOf(given.backend, location);
  const writing = { ...settings, conditions: warm.manifest.conditions };
  const log =
    appendable === undefined
      ? new ObjectLog(backend, runtime, writing, joinGroup(given, warm, meter, guard))
      : new FileLog(backend, appendable, runtime);
  return {
    backend,
    meter,
    runtime,
    settings,
    compression,
    archivesInlineMax,
    lanes,
    dateSkewMs,
    log,
    claims: new ClaimWriter(backend, writing),
    newestClaims: new NewestClaims(),
    manifests: new ManifestStore(backend, warm.manifest),
    warmLooks: warm.looks,
    clock: new HybridClock(runtime, given.backend.clock ?? new WallClock(runtime), warm.lastClock),
    runs: new RunStore(backend, warm.cache, onWarning),
    pace: warm.pace,
    segmentCache: new ByteCache(SEGMENT_CACHE_BYTES_MAX),
    onWarning,
    schema,
    deadline,
  };
}

/** The settings as they hold on a medium. */
function settingsOn(
  backend: StorageBackend,
  settings: ProtocolSettings,
  dateSkewMs: number,
): ProtocolSettings {
  const tombstoneGraceMs = purgeGraceMs(settings, dateSkewMs);
  if (backend.appendable === undefined) return { ...settings, tombstoneGraceMs };
  // A directory's second look is one more listing of it, and its log files are deleted in order.
  return { ...settings, tombstoneGraceMs, segmentGraceMs: 0 };
}

/** How a store gets a writer that flushes together with those of others. */
function joinGroup(
  { backend, runtime, settings, deadline, makeFlushGroup }: EngineOptions,
  warm: Warm,
  meter: CostMeter,
  guard: BudgetGuard | undefined,
): (() => LogWriter) | undefined {
  if (makeFlushGroup === undefined) return undefined;
  const { writeTimeoutMs } = settings;
  return () => {
    const { conditions } = warm.manifest;
    const group = (warm.flushGroup ??= makeFlushGroup(runtime, { writeTimeoutMs, conditions }));
    return group.join({ backend: new MeteredBackend(backend, meter, guard), deadline });
  };
}
