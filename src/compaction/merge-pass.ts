/**
 * A compaction that holds the lease: one step after the other, each published by itself, while
 * there is work and time. From objects only, never from a Store's memory.
 */
import type { CorruptionError } from "../core/errors.ts";
import { HeldLines } from "../format/held-lines.ts";
import type { Manifest } from "../format/manifest-codec.ts";
import { countLevels } from "../format/levels.ts";
import type { IdSpan } from "../format/run-info.ts";
import type { LogUnit, LogRef } from "../log/log.ts";
import type { Lease } from "../storage/lease.ts";
import { warnOfLists } from "../view/archive-lists.ts";
import { checkManifestPresent, lacksManifest, listReferable } from "../view/lost-manifest.ts";
import type { LoadedManifest } from "../view/manifest-store.ts";
import { standingOf } from "../view/live-segments.ts";
import type { PassedClaims } from "./claims.ts";
import { KnownLists } from "./known-lists.ts";
import { LanesWork, type SeenLanes } from "./lanes-work.ts";
import { LogCursor, NO_OFFER } from "./log-cursor.ts";
import { LogMerge, type MergedLog, NO_LOG } from "./merge-log.ts";
import { MergeStep, type PublishedStep, type StepResult } from "./merge-step.ts";
import type { Begun, PlannedStep, Turn } from "./pass-turn.ts";
import { PassTotals } from "./pass-totals.ts";
import { TooSlow } from "../engine/pace.ts";
import {
  ALL_IDS,
  type CompactionPlan,
  countUnits,
  hasTooManyLevels,
  mergedLevels,
  planAlone,
  type PlanInput,
  planLog,
  planUnit,
} from "./plan.ts";
import { countSealed, purgeFloorAt } from "./purge.ts";
import { planInputOf } from "./plan-input.ts";
import { nextHistory, tombstoneGraceOf } from "./publication.ts";
import type { CompactorParts, PartialResult, PassOptions } from "./report.ts";
import { goesOn, isForDue, spanOf } from "./tasks.ts";
import { UpgradePass } from "./upgrade-pass.ts";

/** Of the time left, in which a unit is merged; the rest is for its publication. */
const UNIT_SHARE = 0.6;
/** Of a pass, for units: then it lists the log anew. */
const UNITS_MS_MAX = 30_000;
/** Of the time left, in which levels that join the log must be merged. */
const JOIN_SHARE = 0.4;

/** Of levels, beyond which a pass that is for log only leaves it to those that merge levels. */
const SHARED_LEVELS_MAX = 24;

const NO_UNIT = { step: undefined, waiting: [] };

export class MergePass {
  readonly #parts: CompactorParts;
  readonly #lease: Lease;
  readonly #options: PassOptions;
  readonly #listedFloor: number | undefined;
  readonly #totals: PassTotals;
  readonly #lines = new HeldLines();
  readonly #lanes: LanesWork;
  #listed: readonly string[] | undefined;
  #lastWriteMs = 0;
  #hasActed = false;
  /** Of a task, once there was a merge of levels: its ids, or none. */
  #span: { readonly ids: IdSpan | undefined } | undefined;

  /**
   * @param listedFloor of a look: what the floor may rise to although this pass merges no log
   * @param seen of the look, too
   */
  constructor(
    parts: CompactorParts,
    lease: Lease,
    options: PassOptions,
    listedFloor: number | undefined,
    seen: SeenLanes,
  ) {
    this.#parts = parts;
    this.#lease = lease;
    this.#options = options;
    this.#listedFloor = listedFloor;
    this.#totals = new PassTotals(options.keepsReplaced === true);
    this.#lanes = new LanesWork(parts, options, isForDue(options.task) ? seen : undefined);
  }

  /** C3 to C10. @throws RunGoneError when a run was replaced meanwhile */
  async run(): Promise<PartialResult> {
    const { manifests, onWarning } = this.#parts;
    const { task } = this.#options;
    const found = await manifests.load();
    if (found.legacyManifest !== undefined) return this.#upgrade();
    const opened = await manifests.open(found);
    // Where one cannot be read, no archive is collected.
    const warn = warnOfLists(onWarning);
    const loaded = isForDue(task) ? await manifests.openArchives(opened, warn) : opened;
    this.#totals.begin(loaded);
    const source = task?.kind === "units" ? NO_OFFER : this.#parts.log;
    const cursor = new LogCursor(source, task);
    try {
      const begun = await this.#begin(loaded, cursor);
      const { generation } = loaded.manifest;
      if (task !== undefined && generation === 0)
        return this.endedBy({ outcome: "lost", generation });
      const listed = this.#listed ?? [];
      if (lacksManifest(loaded.manifest, listed)) return await this.#checkLacking(listed);
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
    const { task } = this.#options;
    const known = new KnownLists(this.#parts, isForDue(task));
    const [, listed] = await Promise.all([
      cursor.open(),
      isForDue(task) ? listReferable(backend) : undefined,
      known.read(manifest),
    ]);
    this.#listed = listed;
    cursor.leaveOut((ref) => known.names.has(ref.path));
    if (task !== undefined) {
      const floor = isForDue(task) ? this.#listedFloor : undefined;
      const mayRaise = (): boolean => floor !== undefined;
      return { cursor, known, floor: floor ?? manifest.purgeFloor, mayRaise };
    }
    const graceMs = tombstoneGraceOf(manifest, settings);
    const floor = purgeFloorAt(manifest, nextHistory(loaded), cursor.firstDateMs, graceMs);
    const mayRaise = (): boolean => cursor.isClearOf(floor) && !cursor.leftOut;
    return { cursor, known, floor, mayRaise };
  }

  /**
   * What becomes of a pass that ends here: what it has published counts, whatever came then.
   * @param otherwise where it has published nothing
   */
  endedBy(otherwise: PartialResult): PartialResult {
    return this.#totals.endedBy(otherwise);
  }

  /** Log and units take turns where there are too many levels; else all log comes first. */
  async #steps(loaded: LoadedManifest, begun: Begun): Promise<PartialResult> {
    let turn: Turn = { loaded, isLogNext: true, isFirst: true };
    for (;;) {
      // A call for each: what this function has once referred to, it may keep until it is referred anew.
      const next = await this.#step(turn, begun);
      if ("outcome" in next) return next;
      turn = next;
    }
  }

  /** @returns the next turn, or what the pass came to */
  async #step({ loaded, isLogNext, isFirst }: Turn, begun: Begun): Promise<Turn | PartialResult> {
    const { pace } = this.#parts;
    const { cursor } = begun;
    if (this.#isCrowded(loaded.manifest)) return this.#totals.ended(!cursor.isDrained);
    const hasTime = isFirst || pace.hasTime(this.#leftMs(), this.#lastWriteMs);
    const isLog = !cursor.isDrained && (isLogNext || !hasTooManyLevels(loaded.manifest));
    const claims = await this.#planClaims(loaded, begun, hasTime);
    const takesLog = claims === undefined && (isLog || isFirst);
    const log = takesLog ? await this.#takeLog(loaded, begun, hasTime) : claims;
    if (log === "unreadable") return { loaded, isLogNext, isFirst: false };
    const planned =
      log ?? (await this.#planSeals(loaded, begun, hasTime)) ?? this.#planUnit(loaded, begun);
    if (planned === undefined || !hasTime || (log === undefined && this.#hasHadItsUnits())) {
      this.#totals.isDrained = cursor.isDrained && this.#options.task?.kind !== "units";
      return this.#totals.ended(planned !== undefined || !cursor.isDrained);
    }
    const result = await this.#carryOut(loaded, begun, planned);
    if (result.status === "lost") {
      const { generation } = loaded.manifest;
      return this.endedBy({ outcome: "lost", generation, more: result.more });
    }
    // Files without log are no turn of the log.
    const isFree = planned.merged === NO_LOG || result.status === "unchanged";
    return { loaded: result.loaded, isLogNext: isFree, isFirst: false };
  }

  /** Too many levels for readers, and it is for others to merge them. */
  #isCrowded(manifest: Manifest): boolean {
    const isShared = this.#options.task?.kind === "log" && this.#hasActed;
    return isShared && countLevels(manifest) > SHARED_LEVELS_MAX;
  }

  /** What was written meanwhile is for the next pass, which the same invocation begins. */
  #hasHadItsUnits(): boolean {
    return (
      this.#options.task === undefined &&
      this.#leftMs() !== Infinity &&
      this.#totals.unitsMs >= UNITS_MS_MAX
    );
  }

  /** Undefined: there is neither log nor anything else that is as urgent. */
  async #takeLog(
    loaded: LoadedManifest,
    begun: Begun,
    hasTime: boolean,
  ): Promise<PlannedStep | "unreadable" | undefined> {
    const { runtime } = this.#parts;
    await this.#learn(loaded.manifest, begun);
    const startedMs = runtime.steadyMs();
    const merged = await this.#readLog(loaded.manifest, begun, hasTime);
    const readMs = runtime.steadyMs() - startedMs;
    const input = this.#planInput(loaded, begun, merged.done);
    if (merged.done.length > 0 || input.isDue) return { plan: planLog(input), merged, readMs };
    // What cannot be read must not hold up what follows it.
    return merged.taken.length > 0 ? "unreadable" : undefined;
  }

  /** Before all log: guarded writes wait for nothing in it. */
  async #planClaims(
    loaded: LoadedManifest,
    begun: Begun,
    hasTime: boolean,
  ): Promise<PlannedStep | undefined> {
    const claims = hasTime ? await this.#lanes.next(loaded, begun.known.claims) : undefined;
    return claims && this.#planPassed(loaded, begun, claims);
  }

  /** After all log: what was deleted in it can be purged, too, once the lanes are sealed. */
  async #planSeals(
    loaded: LoadedManifest,
    begun: Begun,
    hasTime: boolean,
  ): Promise<PlannedStep | undefined> {
    const { cursor, floor, mayRaise } = begun;
    if (!hasTime || cursor.leftOut || !mayRaise()) return undefined;
    const claims = await this.#lanes.seal(loaded, floor);
    return claims && this.#planPassed(loaded, begun, claims);
  }

  #planPassed(loaded: LoadedManifest, begun: Begun, claims: PassedClaims): PlannedStep {
    const input = { ...this.#planInput(loaded, begun, []), wantsFull: false, wantsPurge: false };
    const plan = claims.merged.entries.size > 0 ? planLog(input) : planAlone(loaded.manifest, []);
    return { plan, merged: claims.merged, claims, readMs: 0 };
  }

  /** A pass for units, and for the log that nobody else merges. */
  #planUnit(loaded: LoadedManifest, begun: Begun): PlannedStep | undefined {
    const { task } = this.#options;
    if (task?.kind === "log") return undefined;
    const input = this.#planInput(loaded, begun, []);
    if (task !== undefined) this.#span ??= { ids: spanOf(mergedLevels(input), task) };
    const { ids } = this.#span ?? {};
    const isEmpty = task !== undefined && ids === undefined;
    const own = isEmpty ? NO_UNIT : planUnit({ ...input, span: ids });
    const isDone = own.step === undefined && goesOn(task);
    if (isDone) this.#span = { ids: ALL_IDS };
    const { step, waiting } = isDone ? planUnit(input) : own;
    this.#totals.waiting = waiting;
    if (step === undefined) return undefined;
    const { manifest } = loaded;
    const { floor, mayRaise } = begun;
    const isPurge = step.taken.length === step.levels.length && countSealed(manifest) > 0;
    const raises = isPurge && floor > manifest.purgeFloor && mayRaise();
    // A publication of its own: what a unit has merged must not be lost for its sake.
    const { draining } = step;
    const plan = raises ? { ...planAlone(manifest, []), draining } : step;
    return { plan, merged: NO_LOG, raises, readMs: 0 };
  }

  #planInput(loaded: LoadedManifest, begun: Begun, units: readonly LogUnit[]): PlanInput {
    const isDue = !this.#hasActed && isForDue(this.#options.task);
    const state = { ...begun, units, isDue, leftMs: this.#leftMs() };
    return planInputOf(this.#parts, this.#options, loaded, state);
  }

  /** A portion of the log: what can be read in the time, and published after it. */
  async #readLog(
    manifest: Manifest,
    { cursor, known }: Begun,
    hasTime: boolean,
  ): Promise<MergedLog> {
    const { log, limits, pace, runtime } = this.#parts;
    const { signal } = this.#options;
    const untilMs = runtime.steadyMs() + pace.readMs(this.#leftMs());
    const isOver = (): boolean => runtime.steadyMs() >= untilMs;
    const isLive = (ref: LogRef): boolean => standingOf(ref, manifest, known.names) === "live";
    const merge = new LogMerge(log, { isLive, isOver, signal, lines: this.#lines });
    if (!hasTime) return merge.result();
    while (merge.taken.length === 0 || !merge.isOver) {
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
    { floor, mayRaise, known }: Begun,
    { plan, merged, claims, raises = false, readMs }: PlannedStep,
  ): Promise<StepResult> {
    const { pace, runtime } = this.#parts;
    const startedMs = runtime.steadyMs();
    const isLog = plan.units.length > 0;
    const mayPurge = plan.isWhole && mayRaise() && claims === undefined;
    const run = (attempt: CompactionPlan): Promise<StepResult> => {
      const share = attempt.isWhole ? JOIN_SHARE : UNIT_SHARE;
      const step = new MergeStep(this.#parts, this.#lease, this.#options, {
        loaded,
        plan: attempt,
        merged,
        claims,
        strays: this.#lanes.strays,
        floor: mayPurge ? floor : loaded.manifest.purgeFloor,
        raises,
        lists: known.lists,
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
    this.#hasActed = true;
    if (result.status === "unchanged") this.#totals.deleted += result.deleted;
    if (result.status === "published") {
      const isUnit = !isLog && claims === undefined;
      if (isUnit) this.#totals.unitsMs += writeMs;
      if (isUnit && result.readBytes > 0) pace.mergedRuns(result.readBytes, writeMs, startedMs);
      this.#count(result, { merged, claims }, known);
    }
    return result;
  }

  #count(
    step: PublishedStep,
    { merged, claims }: Pick<PlannedStep, "merged" | "claims">,
    known: KnownLists,
  ): void {
    this.#totals.count(step, merged, claims?.count ?? 0);
    this.#lanes.published();
    const { newRuns, garbage } = step;
    // What this pass makes may be retired by a later step of it.
    const made = newRuns.flatMap(({ path, index }) => [path, index]);
    const deleted = new Set(garbage);
    this.#listed &&= [...this.#listed, ...made].filter((path) => !deleted.has(path));
    for (const { path, names } of step.lists) known.add(path, names);
  }

  #leftMs(): number {
    return this.#options.leftMs?.() ?? Infinity;
  }

  /** Objects of a lost manifest, or the first publications came between the two looks. */
  async #checkLacking(listed: readonly string[]): Promise<PartialResult> {
    const { manifest } = await this.#parts.manifests.load();
    checkManifestPresent(manifest, listed);
    return { outcome: "lost", generation: manifest.generation };
  }

  #reportCorrupt(errors: readonly CorruptionError[]): void {
    this.#totals.corrupt += errors.length;
    for (const { message } of errors) {
      this.#parts.onWarning(`not compacted, because it cannot be read: ${message}`);
    }
  }

  /** What others merge of the whole log meanwhile is not merged again, as far as lists show it. */
  async #learn(manifest: Manifest, { cursor, known }: Begun): Promise<void> {
    if (this.#options.task !== undefined || !(await known.read(manifest))) return;
    cursor.leaveOut((ref) => known.names.has(ref.path));
  }
}
