/** What one invocation of the compactor does for one store: passes, one after the other. */
import type { Cost } from "../core/cost.ts";
import { CostMeter } from "../core/cost-meter.ts";
import { resolvePrices } from "../core/cost.ts";
import type { Runtime } from "../core/runtime.ts";
import type { Deadline } from "../storage/deadline.ts";
import { compactMetered, type CompactOptions, type CompactReport } from "../compaction/compact.ts";
import type { OpenLocation } from "./warm-location.ts";

/**
 * Sums over all passes; `outcome`, `generation`, `runs`, `retired`, `more` and `waiting` are the last
 * pass's, `backlog` the first one's.
 */
export interface CompactorReport extends CompactReport {
  /** Passes of this invocation. */
  readonly passes: number;
  /** Passes that another compactor was faster than. */
  readonly conflicts: number;
}

/** Less than this is left for starting a pass only in the first place. */
export const REMAINING_MIN_MS = 20_000;
/** A backlog that takes more is continued by the next schedule. */
const PASSES_MAX = 50;

export interface StoreCompactionOptions {
  readonly compact: Omit<CompactOptions, "backend">;
  readonly runtime: Runtime;
  /** Stops a pass under way. */
  readonly deadline: Deadline;
  /** How long this store may still take: further passes are begun by it. */
  readonly leftMs: () => number;
}

/** What became of a store. */
export interface StoreCompaction {
  /** What was done; with `failure`, before it. */
  readonly report: CompactorReport | undefined;
  readonly cost: Cost;
  readonly failure: { readonly error: unknown } | undefined;
  readonly durationMs: number;
}

/** Never rejects. @param open returns the store, or throws */
export async function compactStore(
  open: () => OpenLocation,
  options: StoreCompactionOptions,
): Promise<StoreCompaction> {
  const { compact, runtime, deadline, leftMs } = options;
  const startedMs = runtime.nowMs();
  // One for all passes: round trips of one come after those of the other.
  const meter = new CostMeter(resolvePrices(compact.prices));
  let report: CompactorReport | undefined;
  const result = (failure?: StoreCompaction["failure"]): StoreCompaction => {
    return { report, cost: meter.cost, failure, durationMs: runtime.nowMs() - startedMs };
  };
  let longestMs = 0;
  try {
    const { location, backend } = open();
    do {
      const given = { ...compact, backend };
      const passMs = (): number => Math.min(leftMs(), deadline.leftMs);
      const within = { signal: deadline.signal, leftMs: passMs, runtime };
      const pass = await compactMetered(location, given, meter, within);
      longestMs = Math.max(longestMs, pass.durationMs);
      report = add(report, pass);
    } while (isUnfinished(report) && leftMs() >= Math.max(REMAINING_MIN_MS, 2 * longestMs));
    return result();
  } catch (error) {
    return result({ error });
  }
}

function isUnfinished({ outcome, more, passes }: CompactorReport): boolean {
  if (outcome === "stopped") return false;
  return (more || outcome === "lost") && passes < PASSES_MAX;
}

function add(sum: CompactorReport | undefined, pass: CompactReport): CompactorReport {
  const conflicts = Number(pass.outcome === "lost");
  if (sum === undefined) return { ...pass, passes: 1, conflicts };
  return {
    ...pass,
    passes: sum.passes + 1,
    publications: sum.publications + pass.publications,
    conflicts: sum.conflicts + conflicts,
    backlog: sum.backlog,
    segments: sum.segments + pass.segments,
    operations: sum.operations + pass.operations,
    runsMerged: sum.runsMerged + pass.runsMerged,
    records: sum.records + pass.records,
    bytes: sum.bytes + pass.bytes,
    deleted: sum.deleted + pass.deleted,
    collected: sum.collected + pass.collected,
    corrupt: Math.max(sum.corrupt, pass.corrupt),
    durationMs: sum.durationMs + pass.durationMs,
  };
}
