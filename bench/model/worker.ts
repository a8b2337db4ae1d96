/**
 * One compactor of the model. Its passes run as `MergePass` and `createCompactor` do, by the engine's
 * planner and pace; a clock that nothing else moves is advanced by what requests and work take.
 */
import {
  type CompactionLimits,
  type CompactionPlan,
  hasTooManyLevels,
  hasUnit,
  overdueAt,
  type PlanInput,
  type planLog,
  type planUnit,
} from "../../src/compaction/plan.ts";
import { dueRetired, fillIn } from "../../src/compaction/publication.ts";
import { Pace } from "../../src/engine/pace.ts";
import type { Retired } from "../../src/format/manifest-codec.ts";
import type { LogUnit } from "../../src/log/log.ts";
import type { Speed } from "./assumptions.ts";
import type { Merged } from "./key-space.ts";
import { Ledger } from "./ledger.ts";
import type { ModelLog } from "./model-log.ts";
import { type ModelStore, runsOf } from "./model-store.ts";

/** As in `merge-pass.ts`. */
const UNIT_SHARE = 0.6;
const JOIN_SHARE = 0.4;
/** As in `createCompactor`. */
const MARGIN_MS = 5_000;
const REMAINING_MIN_MS = 20_000;
const PASSES_MAX = 50;
/** As in `compactor.ts`. */
const COUNTED_MAX = 200_000;
const LOOK_SHARE = 1 / 8;

/** Requests of a publication that wait for each other: run, index, list and manifest, read back. */
const PUBLISH_REQUESTS = 5;

/** What decides about the next step: the engine's. */
export interface Planner {
  readonly planLog: typeof planLog;
  readonly planUnit: typeof planUnit;
}

export interface WorkerOptions {
  readonly planner: Planner;
  readonly speed: Speed;
  readonly limits: CompactionLimits;
  readonly flushBytes: number;
}

interface Portion {
  readonly segments: number;
  readonly bytes: number;
  readonly readMs: number;
}

export class Worker {
  readonly ledger = new Ledger();
  readonly #store: ModelStore;
  readonly #log: ModelLog;
  readonly #options: WorkerOptions;
  readonly #pace = new Pace();
  #nowMs = 0;
  #endMs = 0;

  constructor(store: ModelStore, log: ModelLog, options: WorkerOptions) {
    this.#store = store;
    this.#log = log;
    this.#options = options;
  }

  /** Passes while one leaves work behind and there is time. @returns when it ended */
  invoke(startMs: number, durationMs: number): number {
    this.#nowMs = startMs;
    this.#endMs = startMs + durationMs;
    let [passes, longestMs] = [0, 0];
    for (let more = true; more && passes < PASSES_MAX; passes++) {
      const leftMs = this.#endMs - this.#nowMs;
      if (passes > 0 && leftMs < Math.max(REMAINING_MIN_MS, 2 * longestMs)) break;
      const beganMs = this.#nowMs;
      more = this.#pass();
      longestMs = Math.max(longestMs, this.#nowMs - beganMs);
    }
    this.ledger.invocations++;
    this.ledger.busyMs += this.#nowMs - startMs;
    return this.#nowMs;
  }

  get #leftMs(): number {
    return this.#endMs - MARGIN_MS - this.#nowMs;
  }

  /** @returns whether work is left */
  #pass(): boolean {
    const { requests } = this.ledger;
    const { manifest, dateMs } = this.#store.loaded;
    this.#look();
    const overdueMs = overdueAt(this.#nowMs, this.#store.settings);
    const isWanted =
      this.#log.waiting(this.#nowMs) > 0 ||
      this.#due().length > 0 ||
      hasUnit({ manifest, limits: this.#options.limits, overdueMs });
    if (!isWanted) return false;
    // The lease, the manifest, lists of merged segments, what lies in `snapshots/` and `archive/`.
    requests.get += 2 + this.#lists().filter(({ at }) => at === undefined || at === dateMs).length;
    requests.put += 2;
    const objects = 2 * this.#store.runs + manifest.retired.length;
    this.#wait(3);
    this.#list(objects);
    this.#list(0);
    return this.#steps();
  }

  #steps(): boolean {
    const listed = this.#log.waiting(this.#nowMs);
    const shown = listed + this.#mergedListed();
    let [left, lastWriteMs, isLogNext, isPublished] = [listed, 0, true, false];
    this.#list(0);
    for (let isFirst = true; ; isFirst = false) {
      const hasTime = isFirst || this.#pace.hasTime(this.#leftMs, lastWriteMs);
      const { manifest } = this.#store.loaded;
      const isLog = left > 0 && (isLogNext || !hasTooManyLevels(manifest));
      const isDue = !isPublished && this.#due().length > 0;
      const portion = isLog && hasTime ? this.#readLog(left, shown / listed) : undefined;
      left -= portion?.segments ?? 0;
      const input = this.#input(portion, left === 0, isDue);
      const takesLog = portion !== undefined || (isFirst && isDue);
      const { planner } = this.#options;
      const plan = takesLog ? planner.planLog(input) : planner.planUnit(input).step;
      if (plan === undefined || !hasTime) return plan !== undefined || left > 0;
      const writeMs = this.#carryOut(plan, portion);
      if (portion !== undefined) this.#pace.mergedLog(portion.readMs, (lastWriteMs = writeMs));
      isLogNext = portion === undefined;
      isPublished = true;
    }
  }

  /** A portion of the log: as much as can be read in the time and merged in the memory. */
  #readLog(left: number, listedPerLive: number): Portion {
    const { speed, limits, flushBytes } = this.#options;
    const timed = Math.floor(this.#pace.readMs(this.#leftMs) / speed.segmentMs);
    const sized = Math.floor(limits.logBytesMax / flushBytes);
    const most = Math.min(left, limits.logSegmentsMax, timed, sized);
    const segments = Math.min(left, Math.max(1, most));
    this.ledger.requests.get += segments;
    const keys = segments * listedPerLive;
    this.ledger.requests.list += keys / 900;
    const readMs = speed.requestMs + segments * speed.segmentMs + keys * speed.keyMs;
    this.#nowMs += readMs;
    return { segments, bytes: segments * flushBytes, readMs };
  }

  #carryOut(plan: CompactionPlan, portion: Portion | undefined): number {
    const startedMs = this.#nowMs;
    const leftMs = this.#leftMs;
    const { mergeBytesPerMs } = this.#options.speed;
    const logBytes = portion?.bytes ?? 0;
    const unitMs = Math.max(1, leftMs * UNIT_SHARE);
    const bytesMax = Math.min(this.#options.limits.unitBytesMax, unitMs * mergeBytesPerMs);
    let [taken, merged] = [plan, this.#store.merge({ plan, logBytes, bytesMax })];
    if (plan.isWhole && plan.taken.length > 0) {
      const joinMs = leftMs * JOIN_SHARE;
      if (merged.readBytes / mergeBytesPerMs > joinMs) {
        this.#nowMs += joinMs;
        this.ledger.restarts++;
        taken = { ...plan, taken: [] };
        merged = this.#store.merge({ plan: taken, logBytes, bytesMax });
      }
    }
    this.#publish(taken, merged, portion);
    const writeMs = this.#nowMs - startedMs;
    const runBytes = merged.readBytes - logBytes;
    if (portion === undefined && runBytes > 0)
      this.#pace.mergedRuns(runBytes, writeMs, this.#nowMs);
    return writeMs;
  }

  #publish(plan: CompactionPlan, merged: Merged, portion: Portion | undefined): void {
    const { speed } = this.#options;
    const { ledger } = this;
    const { segments = 0, bytes = 0 } = portion ?? {};
    ledger.readRuns(merged.readBytes - bytes, plan.taken.length);
    ledger.wroteRuns(merged.writtenBytes, runsOf(merged.writtenBytes));
    ledger.requests.put += segments > 0 ? 2 : 1;
    ledger.requests.get++;
    this.#nowMs += merged.readBytes / speed.mergeBytesPerMs;
    this.#wait(PUBLISH_REQUESTS);
    this.#nowMs += this.#store.roughManifestBytes() * speed.manifestMsPerByte;
    this.#nowMs = Math.ceil(this.#nowMs);
    const due = this.#store.publish(plan, merged, segments, this.#nowMs);
    ledger.deleted(due.length + due.reduce((sum, entry) => sum + (entry.segments?.count ?? 0), 0));
    this.#log.taken += segments;
    ledger.logBytes += bytes;
    ledger.segments += segments;
    ledger.steps++;
    ledger.units += Number(portion === undefined && plan.taken.length > 0);
  }

  #input(portion: Portion | undefined, isDrained: boolean, isDue: boolean): PlanInput {
    const leftMs = this.#leftMs;
    const runBytesPerMs = this.#pace.runBytesPerMs(this.#nowMs);
    return {
      manifest: this.#store.loaded.manifest,
      limits: this.#options.limits,
      time: { leftMs, runBytesPerMs },
      units: portion === undefined ? [] : [unitOf(portion.bytes)],
      isDrained,
      isDue,
      wantsFull: false,
      wantsPurge: false,
      overdueMs: overdueAt(this.#nowMs, this.#store.settings),
      isAsked: () => false,
    };
  }

  #due(): readonly Retired[] {
    const { manifest, lastModifiedMs } = this.#store.loaded;
    const { settings } = this.#store;
    return dueRetired(fillIn(manifest.retired, lastModifiedMs), this.#nowMs, settings);
  }

  #lists(): readonly Retired[] {
    return this.#store.loaded.manifest.retired.filter(({ segments }) => segments !== undefined);
  }

  #mergedListed(): number {
    return this.#lists().reduce((sum, { segments }) => sum + (segments?.count ?? 0), 0);
  }

  /** C1: the manifest, and the log as far as an eighth of the time and 200,000 keys last. */
  #look(): void {
    const keys = this.#log.waiting(this.#nowMs) + this.#mergedListed();
    const { keyMs } = this.#options.speed;
    this.ledger.requests.get++;
    this.#wait(1);
    this.#list(Math.min(keys, COUNTED_MAX, Math.max(0, this.#leftMs * LOOK_SHARE) / keyMs));
  }

  #list(keys: number): void {
    const { pageMs, keyMs } = this.#options.speed;
    this.#nowMs += this.ledger.list(keys) * pageMs + keys * keyMs;
  }

  #wait(requests: number): void {
    this.#nowMs += requests * this.#options.speed.requestMs;
  }
}

/** Only its bytes count for a plan. */
function unitOf(bytes: number): LogUnit {
  const filter = { kind: "any" } as never;
  const ref = { key: "log", path: "log", range: undefined, lo: 1, hi: 1, filter, bytes };
  return { paths: ["log"], segments: [ref], corrupt: false };
}
