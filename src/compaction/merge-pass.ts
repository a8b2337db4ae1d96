/**
 * A compaction that holds the lease: one step after the other, each published by itself, while
 * there is work and time. From objects only, never from a Store's memory.
 */
import type { CorruptionError } from "../core/errors.ts";
import { EMPTY_MANIFEST, type Manifest } from "../format/manifest-codec.ts";
import { lineBytes, type RunInfo } from "../format/run-info.ts";
import type { LogUnit, LogRef } from "../log/log.ts";
import type { Lease } from "../storage/lease.ts";
import { checkManifestPresent, lacksManifest, listReferable } from "../view/lost-manifest.ts";
import type { LoadedManifest } from "../view/manifest-store.ts";
import { namesIn, segmentLists, standingOf } from "../view/live-segments.ts";
import { LogCursor } from "./log-cursor.ts";
import { LogMerge, type MergedLog } from "./merge-log.ts";
import { MergeStep, type PublishedStep, type StepInput, type StepResult } from "./merge-step.ts";
import { shapeOf } from "./measures.ts";
import { isOutdated } from "./migrate.ts";
import { TooSlow } from "../engine/pace.ts";
import {
  type CompactionPlan,
  countUnits,
  hasTooManyLevels,
  overdueAt,
  type PlanInput,
  planLog,
  planUnit,
  purgeFloorAt,
  runBytes,
  unitBytes,
  wantsPurge,
} from "./plan.ts";
import {
  dueRetired,
  fillIn,
  isCollectable,
  nextHistory,
  segmentGraceOf,
  tombstoneGraceOf,
} from "./publication.ts";
import type {
  CompactorParts,
  PartialResult,
  PassOptions,
  Replaced,
  WaitingRuns,
} from "./report.ts";
import { UpgradePass } from "./upgrade-pass.ts";

/** Of the time left, in which a unit is merged; the rest is for its publication. */
const UNIT_SHARE = 0.6;
/** Of a pass, for units: then it lists the log anew. */
const UNITS_MS_MAX = 30_000;
/** Of the time left, in which levels that join the log must be merged. */
const JOIN_SHARE = 0.4;

/** What every step of a pass is planned by. */
interface Begun {
  readonly cursor: LogCursor;
  /** F: what a purge raises the floor to. */
  readonly floor: number;
  /** What lists that the manifest names hold, by the list. */
  readonly lists: Map<string, ReadonlySet<string>>;
  /** What they held when the pass began, which the cursor leaves out. */
  readonly merged: ReadonlySet<string>;
}

/** What is to be merged, and how long it took to read the log of it. */
interface PlannedStep extends Pick<StepInput, "plan" | "merged"> {
  readonly readMs: number;
}

const NO_LOG: MergedLog = {
  entries: new Map(),
  taken: [],
  done: [],
  corrupt: [],
  merged: [],
  gone: new Set(),
  operations: 0,
  created: 0,
  clock: 0,
  schema: 0,
};

export class MergePass {
  readonly #parts: CompactorParts;
  readonly #lease: Lease;
  readonly #options: PassOptions;
  readonly #totals = {
    publications: 0,
    segments: 0,
    operations: 0,
    runsMerged: 0,
    records: 0,
    bytes: 0,
    lineBytes: 0,
    logBytes: 0,
    portions: 0,
    unitsMs: 0,
    deleted: 0,
    collected: 0,
    corrupt: 0,
  };
  readonly #replaced: Replaced[] = [];
  #listed: readonly string[] = [];
  #current: Manifest | undefined;
  /** Runs of levels that drain. */
  #waiting: readonly RunInfo[] = [];
  #lastWriteMs = 0;
  #dateMs = 0;
  #cursor: LogCursor | undefined;

  constructor(parts: CompactorParts, lease: Lease, options: PassOptions) {
    this.#parts = parts;
    this.#lease = lease;
    this.#options = options;
  }

  /** C3 to C10. @throws RunGoneError when a run was replaced meanwhile */
  async run(): Promise<PartialResult> {
    const loaded = await this.#parts.manifests.load();
    if (loaded.legacyManifest !== undefined) return this.#upgrade();
    this.#current = loaded.manifest;
    const cursor = (this.#cursor = new LogCursor(this.#parts.log));
    try {
      const begun = await this.#begin(loaded, cursor);
      if (lacksManifest(loaded.manifest, this.#listed)) return await this.#checkLacking();
      return await this.#steps(loaded, begun);
    } finally {
      await cursor.close();
    }
  }

  /** A legacy store; a later pass migrates its records. */
  async #upgrade(): Promise<PartialResult> {
    const upgraded = await new UpgradePass(this.#parts, this.#lease).run();
    return { ...upgraded, more: upgraded.more === true || this.#options.migration !== undefined };
  }

  /** Lists the log and the objects that a manifest may name, and reads what the runs hold. */
  async #begin(loaded: LoadedManifest, cursor: LogCursor): Promise<Begun> {
    const { manifest } = loaded;
    const { backend, settings } = this.#parts;
    const [, listed, lists] = await Promise.all([
      cursor.open(),
      listReferable(backend),
      this.#readLists(manifest),
    ]);
    this.#listed = listed;
    const merged = namesIn(lists);
    cursor.leaveOut((ref) => standingOf(ref, manifest, merged) === "merged");
    const graceMs = tombstoneGraceOf(manifest, settings);
    const floor = purgeFloorAt(manifest, nextHistory(loaded), cursor.firstDateMs, graceMs);
    return { cursor, floor, lists: new Map(lists), merged };
  }

  /**
   * What becomes of a pass that ends here: what it has published counts, whatever came then.
   * @param otherwise where it has published nothing
   */
  endedBy(otherwise: PartialResult): PartialResult {
    if (this.#totals.publications === 0) return { ...this.#totals, ...otherwise };
    return { ...this.#published(), more: true, waiting: describe(this.#waiting) };
  }

  /** Log and units take turns where there are too many levels; else all log comes first. */
  async #steps(first: LoadedManifest, begun: Begun): Promise<PartialResult> {
    const { pace } = this.#parts;
    const { cursor } = begun;
    let loaded = first;
    let isLogNext = true;
    for (let isFirst = true; ; isFirst = false) {
      const hasTime = isFirst || pace.hasTime(this.#leftMs(), this.#lastWriteMs);
      const isLog: boolean = !cursor.isDrained && (isLogNext || !hasTooManyLevels(loaded.manifest));
      const log: PlannedStep | "unreadable" | undefined =
        isLog || isFirst ? await this.#takeLog(loaded, begun, hasTime) : undefined;
      if (log === "unreadable") continue;
      const planned: PlannedStep | undefined = log ?? this.#planUnit(loaded, begun);
      if (planned === undefined || !hasTime || (log === undefined && this.#hasHadItsUnits())) {
        return this.#ended(planned !== undefined || !cursor.isDrained, this.#waiting);
      }
      const result = await this.#carryOut(loaded, begun, planned);
      // Files without log are no turn of the log.
      isLogNext = planned.merged === NO_LOG || result.status === "unchanged";
      if (result.status === "lost") {
        const { generation } = loaded.manifest;
        return this.endedBy({ outcome: "lost", generation, more: result.more });
      }
      if (result.status === "published") loaded = result.loaded;
    }
  }

  /** What was written meanwhile is for the next pass, which the same invocation begins. */
  #hasHadItsUnits(): boolean {
    return this.#leftMs() !== Infinity && this.#totals.unitsMs >= UNITS_MS_MAX;
  }

  /** Undefined: there is neither log nor anything else that is as urgent. */
  async #takeLog(
    loaded: LoadedManifest,
    begun: Begun,
    hasTime: boolean,
  ): Promise<PlannedStep | "unreadable" | undefined> {
    const { runtime } = this.#parts;
    const startedMs = runtime.steadyMs();
    const merged = await this.#readLog(loaded.manifest, begun, hasTime);
    const readMs = runtime.steadyMs() - startedMs;
    const input = this.#planInput(loaded, begun, merged.done);
    if (merged.done.length > 0 || input.isDue) return { plan: planLog(input), merged, readMs };
    // What cannot be read must not hold up what follows it.
    return merged.taken.length > 0 ? "unreadable" : undefined;
  }

  #planUnit(loaded: LoadedManifest, begun: Begun): PlannedStep | undefined {
    const { step, waiting } = planUnit(this.#planInput(loaded, begun, []));
    this.#waiting = waiting;
    return step && { plan: step, merged: NO_LOG, readMs: 0 };
  }

  #planInput(
    loaded: LoadedManifest,
    { cursor, floor }: Begun,
    units: readonly LogUnit[],
  ): PlanInput {
    const { manifest, lastModifiedMs, dateMs } = loaded;
    const { settings, limits, pace, runtime } = this.#parts;
    const { gcGraceMs } = settings;
    const graces = { gcGraceMs, segmentGraceMs: segmentGraceOf(manifest, settings) };
    const retired = fillIn(manifest.retired, lastModifiedMs);
    const isUnpublished = this.#totals.publications === 0;
    const isCollecting = isCollectable(loaded, settings);
    return {
      manifest,
      limits,
      time: { leftMs: this.#leftMs(), runBytesPerMs: pace.runBytesPerMs(runtime.steadyMs()) },
      units,
      isDrained: cursor.isDrained,
      isDue: isUnpublished && (isCollecting || dueRetired(retired, dateMs, graces).length > 0),
      wantsFull: this.#options.full === true,
      wantsPurge: !cursor.leftOut && wantsPurge(manifest, floor),
      overdueMs: overdueAt(dateMs, settings),
      isAsked: (run) => isOutdated(run, this.#options),
    };
  }

  /** A portion of the log: what can be read in the time, and published after it. */
  async #readLog(
    manifest: Manifest,
    { cursor, merged }: Begun,
    hasTime: boolean,
  ): Promise<MergedLog> {
    const { log, limits, pace, runtime } = this.#parts;
    const { signal } = this.#options;
    const untilMs = runtime.steadyMs() + pace.readMs(this.#leftMs());
    const isOver = (): boolean => runtime.steadyMs() >= untilMs;
    const isLive = (ref: LogRef): boolean => standingOf(ref, manifest, merged) === "live";
    const merge = new LogMerge(log, { isLive, isOver, signal });
    if (!hasTime) return merge.result();
    while (merge.taken.length === 0 || !isOver()) {
      const units = await cursor.next();
      signal?.throwIfAborted();
      const count = countUnits(merge.taken, units, limits);
      const rest = await merge.add(units.slice(0, count));
      cursor.putBack([...rest, ...units.slice(count)]);
      if (cursor.isDrained || count < units.length) break;
    }
    if (merge.corrupt.length > 0) cursor.keep();
    this.#reportCorrupt([...cursor.takeCorrupt(), ...merge.corrupt]);
    return merge.result();
  }

  async #carryOut(
    loaded: LoadedManifest,
    { cursor, floor, lists }: Begun,
    { plan, merged, readMs }: PlannedStep,
  ): Promise<StepResult> {
    const { pace, runtime } = this.#parts;
    const startedMs = runtime.steadyMs();
    const isLog = plan.units.length > 0;
    const mayRaise = cursor.isDrained && !cursor.leftOut;
    const run = (attempt: CompactionPlan): Promise<StepResult> => {
      const share = attempt.isWhole ? JOIN_SHARE : UNIT_SHARE;
      const step = new MergeStep(this.#parts, this.#lease, this.#options, {
        loaded,
        plan: attempt,
        merged,
        floor: mayRaise ? floor : loaded.manifest.purgeFloor,
        lists,
        listed: this.#listed,
        untilMs: startedMs + this.#leftMs() * share,
      });
      return step.run();
    };
    const result = await run(plan).catch((error: unknown) => {
      if (!(error instanceof TooSlow)) throw error;
      // For a while fewer levels join, or none.
      pace.mergedRuns(error.readBytes, runtime.steadyMs() - startedMs, startedMs);
      return run({ ...plan, taken: [] });
    });
    const writeMs = runtime.steadyMs() - startedMs;
    if (isLog) pace.mergedLog(readMs, (this.#lastWriteMs = writeMs));
    if (result.status === "unchanged") this.#totals.deleted += result.deleted;
    if (result.status === "published") {
      if (!isLog) this.#totals.unitsMs += writeMs;
      if (!isLog && result.readBytes > 0) pace.mergedRuns(result.readBytes, writeMs, startedMs);
      this.#count(result, merged, lists);
    }
    return result;
  }

  #count(
    { loaded, newRuns, list, garbage, deleted, mergedDeleted, replaced }: PublishedStep,
    { merged, operations, done }: MergedLog,
    lists: Map<string, ReadonlySet<string>>,
  ): void {
    const totals = this.#totals;
    const kept = new Set(loaded.manifest.runs.map(({ path }) => path));
    const gone = this.#current?.runs.filter(({ path }) => !kept.has(path)) ?? [];
    totals.publications++;
    totals.segments += merged.length;
    totals.operations += operations;
    totals.runsMerged += gone.length;
    totals.records += newRuns.reduce((sum, { records }) => sum + records, 0);
    totals.bytes += newRuns.reduce((sum, { bytes }) => sum + bytes, 0);
    totals.lineBytes += newRuns.reduce((sum, run) => sum + lineBytes(run), 0);
    totals.logBytes += unitBytes(done);
    if (merged.length > 0) totals.portions++;
    totals.deleted += deleted;
    totals.collected += deleted - mergedDeleted;
    this.#current = loaded.manifest;
    this.#dateMs = loaded.dateMs;
    if (replaced !== undefined) this.#replaced.push(replaced);
    // What this pass makes may be retired by a later step of it.
    const made = newRuns.flatMap(({ path, index }) => [path, index]);
    const deletedPaths = new Set(garbage);
    this.#listed = [...this.#listed, ...made].filter((path) => !deletedPaths.has(path));
    if (list !== undefined) lists.set(list.path, list.keys);
  }

  #ended(more: boolean, runs: readonly RunInfo[]): PartialResult {
    const waiting = describe(runs);
    const { publications } = this.#totals;
    if (publications > 0) return { ...this.#published(), more, waiting };
    const generation = this.#current?.generation ?? 0;
    return { ...this.#totals, outcome: "idle", generation, more, waiting };
  }

  #published(): PartialResult {
    const current = this.#current ?? EMPTY_MANIFEST;
    const counts = { ...this.#totals, ...shapeOf(current, this.#dateMs) };
    const isDrained = this.#cursor?.isDrained === true;
    const { generation } = current;
    return { outcome: "published", generation, ...counts, isDrained, replaced: this.#replaced };
  }

  #leftMs(): number {
    return this.#options.leftMs?.() ?? Infinity;
  }

  /** Objects of a lost manifest, or the first publications came between the two looks. */
  async #checkLacking(): Promise<PartialResult> {
    const { manifest } = await this.#parts.manifests.load();
    checkManifestPresent(manifest, this.#listed);
    return { outcome: "lost", generation: manifest.generation };
  }

  #reportCorrupt(errors: readonly CorruptionError[]): void {
    this.#totals.corrupt += errors.length;
    for (const { message } of errors) {
      this.#parts.onWarning(`not compacted, because it cannot be read: ${message}`);
    }
  }

  /** What the runs hold already. A list that cannot be read costs a second, harmless merge. */
  #readLists(manifest: Manifest): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
    const paths = segmentLists(manifest).map(({ path }) => path);
    return this.#parts.manifests.readLists(paths, ({ message }) => {
      this.#parts.onWarning(`a list of merged segments cannot be read: ${message}`);
    });
  }
}

function describe(runs: readonly RunInfo[]): WaitingRuns {
  return { runs: runs.length, bytes: runBytes(runs) };
}
