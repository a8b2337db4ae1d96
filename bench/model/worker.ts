/**
 * One invocation of the model's compactor. Its passes run as `Compactor`, `MergePass` and
 * `createCompactor` do, by the engine's planner, tasks and pace; a clock that nothing else moves is
 * advanced by what requests and work take. Where it sees what others do, it yields the time, and goes
 * on once all others have come as far.
 */
import type { Edit } from "../../src/compaction/edit.ts";
import {
  ALL_IDS,
  type CompactionPlan,
  hasTooManyLevels,
  mergedLevels,
  overdueAt,
  planAnyUnit,
  type PlanInput,
  type Planned,
  runBytes,
} from "../../src/compaction/plan.ts";
import { dueRetired, fillIn } from "../../src/compaction/publication.ts";
import type { CompactionTask, Found } from "../../src/compaction/report.ts";
import { goesOn, isForDue, leasePathOf, spanOf } from "../../src/compaction/tasks.ts";
import type { Retired } from "../../src/format/manifest-codec.ts";
import type { IdSpan } from "../../src/format/run-info.ts";
import { SHARDS } from "../../src/log/log-ranges.ts";
import type { LoadedManifest } from "../../src/view/manifest-store.ts";
import { rewrittenBy } from "./catalogues.ts";
import type { Merged } from "./key-space.ts";
import { unitOf } from "./log-unit.ts";
import { countIn, type LogSpan, splitLog } from "./model-log.ts";
import { type ModelStore, runsOf } from "./model-store.ts";
import type { Cluster, WorkerOptions } from "./shared.ts";

/** As in `merge-pass.ts`. */
const UNIT_SHARE = 0.6;
const JOIN_SHARE = 0.4;
const UNITS_MS_MAX = 30_000;
const SHARED_LEVELS_MAX = 24;
/** As in `merge-step.ts`. */
const ATTEMPTS_MAX = 50;
/** As in `createCompactor`. */
const MARGIN_MS = 5_000;
const REMAINING_MIN_MS = 20_000;
const PASSES_MAX = 50;
/** As in `compactor.ts`. */
const COUNTED_MAX = 200_000;
const LOOK_SHARE = 1 / 8;

/** Requests of a step that wait for each other, before the manifest: run, index, list. */
const WRITE_REQUESTS = 3;
/** How many objects are read at once. */
const PARALLEL = 16;

interface Portion {
  readonly spans: readonly LogSpan[];
  readonly segments: number;
  readonly bytes: number;
  readonly readMs: number;
}

/** Yields the time at which it looks at what others may have changed. */
export type Work<R = void> = Generator<number, R, void>;
type Outcome = "published" | "lost";
type Ended = "done" | "more" | "busy";

export class Worker {
  readonly #cluster: Cluster;
  readonly #options: WorkerOptions;
  #task: CompactionTask | undefined;
  #nowMs = 0;
  #endMs = 0;
  #loaded: LoadedManifest;

  constructor(cluster: Cluster, options: WorkerOptions) {
    this.#cluster = cluster;
    this.#options = options;
    this.#loaded = cluster.store.loaded;
  }

  /** Passes while one leaves work behind and there is time. @returns when it ended */
  *invoke(startMs: number, durationMs: number): Work<number> {
    this.#nowMs = startMs;
    this.#endMs = startMs + durationMs;
    let [passes, longestMs] = [0, 0];
    for (let ended: Ended = "more"; ended === "more" && passes < PASSES_MAX; passes++) {
      const leftMs = this.#endMs - this.#nowMs;
      if (passes > 0 && leftMs < Math.max(REMAINING_MIN_MS, 2 * longestMs)) break;
      const beganMs = this.#nowMs;
      ended = yield* this.#pass();
      longestMs = Math.max(longestMs, this.#nowMs - beganMs);
    }
    const { ledger } = this.#cluster;
    ledger.invocations++;
    ledger.busyMs += this.#nowMs - startMs;
    return this.#nowMs;
  }

  get #leftMs(): number {
    return this.#endMs - MARGIN_MS - this.#nowMs;
  }

  /** The shards of the log that fall to it. */
  get #shards(): readonly number[] {
    const task = this.#task;
    const all = SHARDS.map((_, shard) => shard);
    if (task?.kind === "units") return [];
    return task === undefined ? all : all.filter((shard) => shard % task.of === task.index);
  }

  *#pass(): Work<Ended> {
    this.#task = this.#options.task;
    yield this.#nowMs;
    const { ledger, leases, limits, store } = this.#cluster;
    const { requests } = ledger;
    const overdueMs = overdueAt(this.#nowMs, store.settings);
    const { manifest } = (this.#loaded = store.loaded);
    const units = planAnyUnit({ manifest, limits, overdueMs });
    const found = this.#look(units);
    const isDue = this.#due().length > 0;
    const isWanted = (): boolean => {
      const kind = this.#task?.kind;
      const hasLog = found.backlog.segments > 0 && kind !== "units";
      const hasUnits = units.step !== undefined && kind !== "log";
      return hasLog || hasUnits || (isDue && isForDue(this.#task));
    };
    if (!isWanted()) return "done";
    this.#task ??= this.#options.divide(found, this.#nowMs);
    requests.get++;
    requests.put += 2;
    this.#wait(2);
    const lease = leasePathOf(this.#task);
    yield this.#nowMs;
    if (leases.has(lease)) return "busy";
    leases.add(lease);
    try {
      this.#begin();
      yield this.#nowMs;
      return yield* this.#steps();
    } finally {
      leases.delete(lease);
    }
  }

  /** C1: the manifest, and the log as far as an eighth of the time and 200,000 keys last. */
  #look(units: Planned): Found {
    const { ledger, log, speed, store } = this.#cluster;
    const isListed = this.#task?.kind !== "units" || isForDue(this.#task);
    ledger.requests.get++;
    this.#wait(1);
    const shards = this.#task?.kind === "units" ? undefined : this.#shards;
    const waiting = isListed ? log.waiting(this.#nowMs, shards) : 0;
    const keys = waiting * this.#listedPerLive(waiting);
    const most = Math.min(COUNTED_MAX, Math.max(0, this.#leftMs * LOOK_SHARE) / speed.keyMs);
    if (isListed) this.#list(Math.min(keys, most));
    const segments = Math.floor(keys > most ? (waiting * most) / keys : waiting);
    const { manifest } = store.loaded;
    return {
      generation: manifest.generation,
      runs: manifest.runs.length,
      levels: store.levels,
      perLevel: [],
      retired: manifest.retired.length,
      backlog: { segments, claims: 0, isCut: keys > most, ageMs: 0, lagMs: 0 },
      quietMs: 0,
      waiting: { runs: units.waiting.length, bytes: runBytes(units.waiting) },
    };
  }

  /** C3: the catalogues, the lists of merged segments, what lies in `snapshots/` and `archive/`. */
  #begin(): void {
    const { ledger, speed, store } = this.#cluster;
    const { catalogues, catalogueBytes } = store.shape();
    const lists = this.#lists().length;
    ledger.requests.get += 1 + catalogues + lists;
    this.#wait(1 + Math.ceil((catalogues + lists) / PARALLEL));
    this.#nowMs += catalogueBytes * speed.manifestMsPerByte;
    if (!isForDue(this.#task)) return;
    this.#list(2 * store.runs + catalogues);
    this.#list(0);
  }

  *#steps(): Work<Ended> {
    const { log, store } = this.#cluster;
    const { pace } = this.#options;
    this.#loaded = store.loaded;
    let left: readonly LogSpan[] = log.list(this.#nowMs, this.#shards);
    const listedPerLive = this.#listedPerLive(countIn(left));
    let [lastWriteMs, unitsMs, isLogNext, hasActed] = [0, 0, true, false];
    let span: { readonly ids: IdSpan | undefined } | undefined;
    for (let isFirst = true; ; isFirst = false) {
      const { manifest } = this.#loaded;
      if (this.#isCrowded(hasActed)) return left.length > 0 ? "more" : "done";
      const hasTime = isFirst || pace.hasTime(this.#leftMs, lastWriteMs);
      const isDue = !hasActed && isForDue(this.#task) && this.#due().length > 0;
      const isLog = left.length > 0 && (isLogNext || !hasTooManyLevels(manifest));
      const portion = isLog && hasTime ? this.#readLog(left, listedPerLive) : undefined;
      if (portion !== undefined) left = splitLog(left, portion.segments).rest;
      const input = this.#input(portion, left.length === 0, isDue);
      const takesLog = portion !== undefined || (isFirst && isDue);
      if (!takesLog && this.#task !== undefined)
        span ??= { ids: spanOf(mergedLevels(input), this.#task) };
      const own = takesLog
        ? this.#cluster.planner.planLog(input)
        : this.#planUnit(input, span?.ids);
      const isDone = own === undefined && goesOn(this.#task);
      if (isDone) span = { ids: ALL_IDS };
      const plan = isDone ? this.#planUnit(input, ALL_IDS) : own;
      const hadUnits = portion === undefined && this.#task === undefined && unitsMs >= UNITS_MS_MAX;
      if (plan === undefined || !hasTime || hadUnits)
        return plan !== undefined || left.length > 0 ? "more" : "done";
      const startedMs = this.#nowMs;
      const outcome = yield* this.#carryOut(plan, portion);
      if (outcome === "lost") return "more";
      const writeMs = this.#nowMs - startedMs;
      if (portion === undefined) unitsMs += writeMs;
      else pace.mergedLog(portion.readMs, (lastWriteMs = writeMs));
      isLogNext = portion === undefined;
      hasActed = true;
    }
  }

  #planUnit(input: PlanInput, ids: IdSpan | undefined): CompactionPlan | undefined {
    const task = this.#task;
    if (task?.kind === "log" || (task !== undefined && ids === undefined)) return undefined;
    return this.#cluster.planner.planUnit({ ...input, span: ids }).step;
  }

  /** Too many levels for readers, and it is for others to merge them. */
  #isCrowded(hasActed: boolean): boolean {
    return this.#task?.kind === "log" && hasActed && this.#cluster.store.levels > SHARED_LEVELS_MAX;
  }

  /** A portion of the log: as much as can be read in the time and merged in the memory. */
  #readLog(left: readonly LogSpan[], listedPerLive: number): Portion {
    const { speed, limits, flushBytes, ledger } = this.#cluster;
    const timed = Math.floor(this.#options.pace.readMs(this.#leftMs) / speed.segmentMs);
    const sized = Math.floor(limits.logBytesMax / flushBytes);
    const most = Math.min(limits.logSegmentsMax, timed, sized);
    const { first: spans } = splitLog(left, Math.max(1, most));
    const segments = countIn(spans);
    ledger.requests.get += segments;
    const keys = segments * listedPerLive;
    ledger.requests.list += keys / 900;
    const readMs = speed.requestMs + segments * speed.segmentMs + keys * speed.keyMs;
    this.#nowMs += readMs;
    return { spans, segments, bytes: segments * flushBytes, readMs };
  }

  *#carryOut(plan: CompactionPlan, portion: Portion | undefined): Work<Outcome> {
    const { ledger, limits, speed, store } = this.#cluster;
    const startedMs = this.#nowMs;
    const leftMs = this.#leftMs;
    const { mergeBytesPerMs } = speed;
    const logBytes = portion?.bytes ?? 0;
    const unitMs = Math.max(1, leftMs * UNIT_SHARE);
    const bytesMax = Math.min(limits.unitBytesMax, unitMs * mergeBytesPerMs);
    let [taken, merged] = [plan, store.merge({ plan, logBytes, bytesMax })];
    if (plan.isWhole && plan.taken.length > 0) {
      const joinMs = leftMs * JOIN_SHARE;
      if (merged.readBytes / mergeBytesPerMs > joinMs) {
        this.#nowMs += joinMs;
        ledger.restarts++;
        taken = { ...plan, taken: [] };
        merged = store.merge({ plan: taken, logBytes, bytesMax });
      }
    }
    let outcome = yield* this.#publish(taken, merged, portion);
    if (outcome === "lost" && plan.isWhole && taken.taken.length > 0) {
      // Others have merged what joined it: the log alone, from memory.
      taken = { ...plan, taken: [] };
      merged = store.merge({ plan: taken, logBytes, bytesMax });
      outcome = yield* this.#publish(taken, merged, portion);
    }
    const runBytesRead = merged.readBytes - logBytes;
    if (portion === undefined && runBytesRead > 0)
      this.#options.pace.mergedRuns(runBytesRead, this.#nowMs - startedMs, this.#nowMs);
    return outcome;
  }

  /** C7: over what others have published meanwhile, as long as it goes with that. */
  *#publish(plan: CompactionPlan, merged: Merged, portion: Portion | undefined): Work<Outcome> {
    const { ledger, speed, store } = this.#cluster;
    const { segments = 0, bytes = 0 } = portion ?? {};
    const runs = runsOf(merged.writtenBytes);
    ledger.readRuns(merged.readBytes - bytes, plan.taken.length);
    ledger.wroteRuns(merged.writtenBytes, runs);
    ledger.requests.put += segments > 0 ? 1 : 0;
    this.#nowMs += merged.readBytes / speed.mergeBytesPerMs;
    this.#wait(WRITE_REQUESTS);
    const edit = store.edit(this.#loaded, plan, merged);
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      yield this.#nowMs;
      const current = store.loaded;
      const levels = store.levelsWith(edit);
      if (levels === undefined) break;
      this.#swap(plan, runs);
      yield this.#nowMs;
      if (store.loaded === current) return this.#published(edit, levels, portion);
      // Another was faster: the manifest is read again.
      ledger.conflicts++;
    }
    store.giveUp(edit);
    ledger.lost++;
    return "lost";
  }

  /** Encodes and replaces the manifest, with its new catalogues before, and reads it back. */
  #swap({ into }: CompactionPlan, runs: number): void {
    const { ledger, speed, store } = this.#cluster;
    const { bytes, catalogues } = store.shape();
    const isFolded = catalogues > 0 && into >= 0;
    const written = isFolded ? rewrittenBy(runs) : 0;
    ledger.requests.put += 1 + written;
    ledger.requests.get++;
    this.#wait(isFolded ? 3 : 2);
    const planned = store.runs * speed.runMs;
    this.#nowMs = Math.ceil(this.#nowMs + bytes * speed.manifestMsPerByte + planned);
  }

  #published(edit: Edit, levels: ReturnType<ModelStore["levelsWith"]>, portion?: Portion): Outcome {
    const { flushBytes, ledger, log, store } = this.#cluster;
    const due = store.publish(edit, levels ?? [], portion?.segments ?? 0, this.#nowMs);
    this.#loaded = store.loaded;
    ledger.deleted(due.length + due.reduce((sum, entry) => sum + (entry.segments?.count ?? 0), 0));
    const taken = log.take(portion?.spans ?? []);
    ledger.logBytes += taken * flushBytes;
    ledger.segments += taken;
    ledger.repeated += (portion?.segments ?? 0) - taken;
    ledger.steps++;
    ledger.units += Number(portion === undefined && edit.plan.taken.length > 0);
    return "published";
  }

  #input(portion: Portion | undefined, isDrained: boolean, isDue: boolean): PlanInput {
    const { limits, store } = this.#cluster;
    return {
      manifest: this.#loaded.manifest,
      limits,
      time: {
        leftMs: this.#leftMs,
        runBytesPerMs: this.#options.pace.runBytesPerMs(this.#nowMs),
      },
      units: portion === undefined ? [] : [unitOf(portion.bytes)],
      isDrained,
      isDue,
      wantsFull: false,
      wantsPurge: false,
      overdueMs: overdueAt(this.#nowMs, store.settings),
      isAsked: () => false,
      isShared: this.#task?.kind === "log",
    };
  }

  #due(): readonly Retired[] {
    const { manifest, lastModifiedMs } = this.#cluster.store.loaded;
    const { settings } = this.#cluster.store;
    return dueRetired(fillIn(manifest.retired, lastModifiedMs), this.#nowMs, settings);
  }

  #lists(): readonly Retired[] {
    const { manifest } = this.#cluster.store.loaded;
    return manifest.retired.filter(({ segments }) => segments !== undefined);
  }

  /** How many keys a listing shows for each segment that waits: merged ones are still there. */
  #listedPerLive(waiting: number): number {
    const merged = this.#lists().reduce((sum, { segments }) => sum + (segments?.count ?? 0), 0);
    const { of } = this.#task?.kind === "log" ? this.#task : { of: 1 };
    return waiting === 0 ? 1 : 1 + merged / of / waiting;
  }

  #list(keys: number): void {
    const { ledger, speed } = this.#cluster;
    this.#nowMs += ledger.list(keys) * speed.pageMs + keys * speed.keyMs;
  }

  #wait(requests: number): void {
    this.#nowMs += requests * this.#cluster.speed.requestMs;
  }
}
