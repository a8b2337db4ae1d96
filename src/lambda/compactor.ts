/** The scheduled function that compacts: passes, one after the other, while there is time. */
import { resolvePrices } from "../core/cost.ts";
import { CostMeter } from "../core/cost-meter.ts";
import { compactMetered, type CompactOptions, type CompactReport } from "../store/compact.ts";
import type { LambdaContext } from "./context.ts";
import { type LocationOptions, WarmLocation } from "./warm-location.ts";

export interface CompactorOptions extends LocationOptions, Omit<CompactOptions, "backend"> {
  /** Takes the one line of JSON that tells what was done. Default: console.log. */
  readonly log?: ((line: string) => void) | undefined;
}

/** Sums over all passes; `outcome`, `generation` and `more` are the last pass's. */
export interface CompactorReport extends CompactReport {
  readonly passes: number;
}

/** Less than this is left for starting a pass only in the first place. */
const REMAINING_MIN_MS = 20_000;
/** A backlog that takes more is continued by the next schedule. */
const PASSES_MAX = 50;

/**
 * Makes a Lambda handler for a schedule. It runs compaction passes while one leaves work behind
 * (`more`) or lost a race, and while the invocation has at least 20 s and twice the time of its
 * longest pass left. Being cut off, or running twice at once, is harmless: the next invocation
 * goes on from what was published.
 *
 * Logs one line of JSON and returns the same as an object. When a pass fails, the line tells the
 * error, what was done before it and what all of it cost, and the invocation fails.
 *
 * @throws (the handler) as `compact`; InvalidArgumentError for a missing location
 */
export function createCompactor(
  options: CompactorOptions,
): (event: unknown, context: LambdaContext) => Promise<CompactorReport> {
  const { location: _location, backend: _backend, log = consoleLog, ...given } = options;
  const warm = new WarmLocation(options);
  return async (_event, context) => {
    // One for all passes: round trips of one come after those of the other.
    const meter = new CostMeter(resolvePrices(options.prices));
    let report: CompactorReport | undefined;
    let longestMs = 0;
    try {
      const { location, backend } = warm.get();
      do {
        const pass = await compactMetered(location, { ...given, backend }, meter);
        longestMs = Math.max(longestMs, pass.durationMs);
        report = add(report, pass);
      } while (
        isUnfinished(report) &&
        context.getRemainingTimeInMillis() >= Math.max(REMAINING_MIN_MS, 2 * longestMs)
      );
    } catch (error) {
      log(toLine({ ...report, cost: meter.cost, error: String(error) }));
      throw error;
    }
    log(toLine(report));
    return report;
  };
}

function isUnfinished({ outcome, more, passes }: CompactorReport): boolean {
  return (more || outcome === "lost") && passes < PASSES_MAX;
}

function add(sum: CompactorReport | undefined, pass: CompactReport): CompactorReport {
  if (sum === undefined) return { ...pass, passes: 1 };
  return {
    ...pass,
    passes: sum.passes + 1,
    segments: sum.segments + pass.segments,
    operations: sum.operations + pass.operations,
    runsMerged: sum.runsMerged + pass.runsMerged,
    records: sum.records + pass.records,
    bytes: sum.bytes + pass.bytes,
    deleted: sum.deleted + pass.deleted,
    corrupt: Math.max(sum.corrupt, pass.corrupt),
    durationMs: sum.durationMs + pass.durationMs,
  };
}

function toLine(content: object): string {
  return JSON.stringify({ message: "opslog compaction", ...content });
}

function consoleLog(line: string): void {
  console.log(line);
}
