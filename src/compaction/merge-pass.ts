/**
 * A compaction that holds the lease: one step after the other, each published by itself, while
 * there is work and time. From objects only, never from a Store's memory.
 */
import type { CorruptionError } from "../core/errors.ts";
import type { Manifest } from "../format/manifest-codec.ts";
import type { RunInfo } from "../format/run-info.ts";
import type { LogUnit, LogRef } from "../log/log.ts";
import type { Lease } from "../storage/lease.ts";
import { checkManifestPresent, lacksManifest, listReferable } from "../view/lost-manifest.ts";
import type { LoadedManifest } from "../view/manifest-store.ts";
import { namesIn, segmentLists, standingOf } from "../view/live-segments.ts";
import { LogCursor } from "./log-cursor.ts";
import { LogMerge, type MergedLog } from "./merge-log.ts";
import { MergeStep, type PublishedStep, type StepInput, type StepResult } from "./merge-step.ts";
import { isOutdated } from "./migrate.ts";
import { TooSlow } from "../engine/pace.ts";
import {
  type CompactionPlan,
  countUnits,
  type Planned,
  planStep,
  purgeFloorAt,
  runBytes,
  wantsPurge,
} from "./plan.ts";
import {
  dueRetired,
  fillIn,
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

/** How often a merge of runs that turns out too slow is planned again, smaller. */
const TOO_SLOW_MAX = 4;

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
    deleted: 0,
    collected: 0,
    corrupt: 0,
  };
  readonly #replaced: Replaced[] = [];
  #listed: readonly string[] = [];
  #current: Manifest | undefined;
  #newest: RunInfo | undefined;
  /** Runs that are being merged alone. */
  #underWay: readonly RunInfo[] = [];
  #lastWriteMs = 0;

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
    const cursor = new LogCursor(this.#parts.log);
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
    return { ...this.#published(), more: true, waiting: describe(this.#underWay) };
  }

  async #steps(first: LoadedManifest, begun: Begun): Promise<PartialResult> {
    const { pace, runtime } = this.#parts;
    const { cursor } = begun;
    let loaded = first;
    let tooSlow = 0;
    for (let isFirst = true; ; isFirst = false) {
      const hasTime = isFirst || pace.hasTime(this.#leftMs(), this.#lastWriteMs);
      const startedMs = runtime.steadyMs();
      const merged = await this.#readLog(loaded.manifest, begun, hasTime);
      const readMs = runtime.steadyMs() - startedMs;
      const { step, waiting } = this.#plan(loaded, begun, merged.done);
      // What cannot be read must not hold up what follows it.
      if (step === undefined && merged.taken.length > 0) continue;
      if (step === undefined || !hasTime) {
        return this.#ended(step !== undefined || !cursor.isDrained, waiting);
      }
      try {
        const result = await this.#carryOut(loaded, begun, { plan: step, merged, readMs });
        if (result.status === "lost") {
          const { generation } = loaded.manifest;
          return this.endedBy({ outcome: "lost", generation, more: result.more });
        }
        if (result.status === "published") loaded = result.loaded;
      } catch (error) {
        if (!(error instanceof TooSlow)) throw error;
        // Merged again, with runs that fit.
        cursor.putBack(merged.taken);
        if (++tooSlow > TOO_SLOW_MAX) return this.#ended(true, step.runs);
      }
    }
  }

  #plan(
    { manifest, lastModifiedMs, dateMs }: LoadedManifest,
    { cursor, floor }: Begun,
    units: readonly LogUnit[],
  ): Planned {
    const { settings, limits, pace, runtime } = this.#parts;
    const { gcGraceMs } = settings;
    const graces = { gcGraceMs, segmentGraceMs: segmentGraceOf(manifest, settings) };
    const retired = fillIn(manifest.retired, lastModifiedMs);
    const isUnpublished = this.#totals.publications === 0;
    return planStep({
      manifest,
      limits,
      time: { leftMs: this.#leftMs(), runBytesPerMs: pace.runBytesPerMs(runtime.steadyMs()) },
      units,
      isDrained: cursor.isDrained,
      leftOut: cursor.leftOut,
      isDue: isUnpublished && dueRetired(retired, dateMs, graces).length > 0,
      newest: this.#newest,
      wantsFull: this.#options.full === true,
      wantsPurge: wantsPurge(manifest, floor),
      isAsked: (run) => isOutdated(run, this.#options),
    });
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

  /** @throws TooSlow where a merge of runs will not be done in time */
  async #carryOut(
    loaded: LoadedManifest,
    { floor, lists }: Begun,
    { plan, merged, readMs }: Pick<StepInput, "plan" | "merged"> & { readonly readMs: number },
  ): Promise<StepResult> {
    const { pace, runtime } = this.#parts;
    const startedMs = runtime.steadyMs();
    const isLog = plan.units.length > 0;
    const leftMs = this.#leftMs();
    this.#underWay = isLog ? [] : plan.runs;
    const given = { loaded, plan, merged, floor, lists, listed: this.#listed, leftMs };
    const step = new MergeStep(this.#parts, this.#lease, this.#options, given);
    try {
      const result = await step.run();
      const writeMs = runtime.steadyMs() - startedMs;
      if (isLog) pace.mergedLog(readMs, (this.#lastWriteMs = writeMs));
      else if (plan.runs.length > 0) pace.mergedRuns(runBytes(plan.runs), writeMs, startedMs);
      if (result.status === "unchanged") this.#totals.deleted += result.deleted;
      if (result.status === "published") this.#count(result, plan, merged, lists);
      return result;
    } catch (error) {
      if (error instanceof TooSlow) pace.mergedRuns(error.bytesPerMs, 1, startedMs);
      throw error;
    }
  }

  #count(
    { loaded, newRun, list, garbage, deleted, mergedDeleted, replaced }: PublishedStep,
    { units, runs }: CompactionPlan,
    { merged, operations }: MergedLog,
    lists: Map<string, ReadonlySet<string>>,
  ): void {
    const totals = this.#totals;
    totals.publications++;
    totals.segments += merged.length;
    totals.operations += operations;
    totals.runsMerged += runs.length;
    totals.records += newRun?.records ?? 0;
    totals.bytes += newRun?.bytes ?? 0;
    totals.deleted += deleted;
    totals.collected += deleted - mergedDeleted;
    this.#current = loaded.manifest;
    this.#underWay = [];
    if (units.length > 0) this.#newest = newRun;
    if (replaced !== undefined) this.#replaced.push(replaced);
    // What this pass makes may be retired by a later step of it.
    const made = newRun === undefined ? [] : [newRun.path, newRun.index];
    const gone = new Set(garbage);
    this.#listed = [...this.#listed, ...made].filter((path) => !gone.has(path));
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
    const { generation = 0, runs = [], retired = [] } = this.#current ?? {};
    const counts = { ...this.#totals, runs: runs.length, retired: retired.length };
    return { outcome: "published", generation, ...counts, replaced: this.#replaced };
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
