/** What one invocation of the compactor does for one store: passes, one after the other. */
import type { Cost } from "../core/cost.ts";
import type { CostMeter } from "../core/cost-meter.ts";
import type { Runtime } from "../core/runtime.ts";
import type { CompactionTask, Found } from "../compaction/report.ts";
import type { Deadline } from "../storage/deadline.ts";
import { amplificationOf, forecastOf, paceOf } from "../compaction/measures.ts";
import { compactMetered, type CompactOptions, type CompactReport } from "../compaction/compact.ts";
import type { Share } from "./fan-out.ts";
import type { OpenLocation } from "./warm-location.ts";

/**
 * Sums over all passes; `outcome`, `generation`, `runs`, `levels`, `perLevel`, `retired`, `more` and
 * `waiting` are the last pass's, `backlog` and `quietMs` the first one's.
 */
export interface CompactorReport extends CompactReport {
  /** Passes of this invocation; 0: it was not yet time to look again (`idleMaxMs`). */
  readonly passes: number;
  /** Passes that another compactor was faster than. */
  readonly conflicts: number;
  /** Workers that this invocation started (`parallel`); `more` is then true, as they are at work. */
  readonly workers: number;
}

/** Less than this is left for starting a pass only in the first place. */
export const REMAINING_MIN_MS = 20_000;
/** A backlog that takes more is continued by the next schedule. */
export const PASSES_MAX = 50;

export interface StoreCompactionOptions {
  readonly compact: Omit<CompactOptions, "backend">;
  readonly runtime: Runtime;
  /** One for all passes: round trips of one come after those of the other. */
  readonly meter: CostMeter;
  /** Stops a pass under way. */
  readonly deadline: Deadline;
  /** How long this store may still take: further passes are begun by it. */
  readonly leftMs: () => number;
  /** What this invocation is for; default: all of the work. */
  readonly task?: CompactionTask | undefined;
  /** Divides the work on the store with workers; default: there are none. */
  readonly divide?: ((found: Found) => Promise<Share | undefined>) | undefined;
}

/** What became of a store. */
export interface StoreCompaction {
  /** What was done; with `failure`, before it. */
  readonly report: CompactorReport | undefined;
  readonly cost: Cost;
  readonly failure: { readonly error: unknown } | undefined;
  /** Whether this invocation may do more. */
  readonly isUnfinished: boolean;
  readonly durationMs: number;
  /** Of the longest pass; the next one is begun only in twice that time. */
  readonly longestMs: number;
}

/** Never rejects. @param open returns the store, or throws */
export async function compactStore(
  open: () => OpenLocation,
  options: StoreCompactionOptions,
): Promise<StoreCompaction> {
  const { compact, runtime, meter, deadline, leftMs, task, divide } = options;
  const startedMs = runtime.nowMs();
  let report: CompactorReport | undefined;
  let longestMs = 0;
  let isUnfinished = false;
  const result = (failure?: StoreCompaction["failure"]): StoreCompaction => {
    const durationMs = runtime.nowMs() - startedMs;
    const goesOn = failure === undefined && isUnfinished;
    return { report, cost: meter.cost, failure, isUnfinished: goesOn, durationMs, longestMs };
  };
  try {
    const { location, backend } = open();
    do {
      const given = { ...compact, backend };
      const passMs = (): number => Math.min(leftMs(), deadline.leftMs);
      const shares: Share[] = [];
      const within = {
        signal: deadline.signal,
        leftMs: passMs,
        runtime,
        task,
        divide: divide && (async (found: Found) => noted(await divide(found), shares)),
      };
      const pass = await compactMetered(location, given, meter, within);
      longestMs = Math.max(longestMs, pass.durationMs);
      report = add(report, pass, shares[0]);
      isUnfinished = mayGoOn(report.passes, pass, shares[0]);
    } while (isUnfinished && leftMs() >= timeForAnother(longestMs));
    return result();
  } catch (error) {
    return result({ error });
  }
}

function noted(share: Share | undefined, shares: Share[]): CompactionTask | undefined {
  if (share !== undefined) shares.push(share);
  return share?.task;
}

/** How much time must be left for a further pass. @param longestMs of the passes so far */
export function timeForAnother(longestMs: number): number {
  return Math.max(REMAINING_MIN_MS, 2 * longestMs);
}

/** Whether there is more to do that this invocation may still do. */
function mayGoOn(passes: number, { outcome, more }: CompactReport, share?: Share): boolean {
  if (outcome === "stopped" || passes >= PASSES_MAX) return false;
  return more || outcome === "lost" || share?.lacks === true;
}

function add(
  sum: CompactorReport | undefined,
  pass: CompactReport,
  share: Share | undefined,
): CompactorReport {
  const first = {
    ...pass,
    passes: 1,
    conflicts: Number(pass.outcome === "lost"),
    workers: share?.started ?? 0,
    more: pass.more || share !== undefined,
  };
  return sum === undefined ? first : joinReports(sum, first);
}

/** Of one store in one invocation. */
export function joinReports(sum: CompactorReport, pass: CompactorReport): CompactorReport {
  const done = {
    segments: sum.segments + pass.segments,
    lineBytes: sum.lineBytes + pass.lineBytes,
    logBytes: sum.logBytes + pass.logBytes,
    durationMs: sum.durationMs + pass.durationMs,
    unitsMs: sum.unitsMs + pass.unitsMs,
  };
  const pace = paceOf(done);
  const { waiting, arriving } = pass.forecast;
  return {
    ...pass,
    ...done,
    amplification: amplificationOf(done),
    expectedAmplification: Math.max(sum.expectedAmplification, pass.expectedAmplification),
    pace,
    forecast: forecastOf(waiting, arriving, pace, pass.outcome),
    passes: sum.passes + pass.passes,
    publications: sum.publications + pass.publications,
    conflicts: sum.conflicts + pass.conflicts,
    workers: sum.workers + pass.workers,
    backlog: sum.backlog,
    quietMs: sum.quietMs,
    operations: sum.operations + pass.operations,
    runsMerged: sum.runsMerged + pass.runsMerged,
    records: sum.records + pass.records,
    bytes: sum.bytes + pass.bytes,
    deleted: sum.deleted + pass.deleted,
    collected: sum.collected + pass.collected,
    corrupt: Math.max(sum.corrupt, pass.corrupt),
  };
}
