/** The order in which the original's operations count, as clocks of ours. Pure. */
import type { Segment } from "../format/segment.ts";
import type { LegacyOperation } from "./operation.ts";

/** Below the `w` of every writer of ours. */
export const LEGACY_W = "0".repeat(16);

/** Made when it is first needed: it takes 2 ms, which every cold start would pay. */
let agents: Intl.Collator | undefined;

/**
 * One segment for each operation, in the order in which the original replays them: clocks ascend,
 * are unique, and never lie below the original's own.
 * @param logs the operations of each log, as they follow each other in it
 * @param schemaVersion of the records
 */
export function orderLegacy(
  logs: readonly (readonly LegacyOperation[])[],
  schemaVersion: number,
): Segment[] {
  const ranked = logs.flatMap(rankAll).toSorted(compareRanked);
  let last = 0;
  return ranked.map(({ clock, agent, operation }) => {
    last = Math.max(last + 1, clock);
    return {
      agent,
      writerNonce: LEGACY_W,
      schemaVersion,
      operations: [{ ...operation, clock: last }],
    };
  });
}

interface Ranked extends Omit<LegacyOperation, "clock"> {
  readonly clock: number;
  /** Among operations of one clock: 1 for those that only follow it in their log. */
  readonly rank: number;
}

/**
 * A log without clocks comes before all others. A single writer on a log with clocks wrote none:
 * what it wrote follows what was there, which the original's agents get wrong.
 */
function rankAll(log: readonly LegacyOperation[]): Ranked[] {
  let highest = 0;
  return log.map(({ clock, ...rest }) => {
    if (clock === undefined) return { ...rest, clock: highest, rank: Math.min(highest, 1) };
    highest = Math.max(highest, clock);
    return { ...rest, clock, rank: 0 };
  });
}

function compareRanked(a: Ranked, b: Ranked): number {
  return a.clock - b.clock || a.rank - b.rank || compareAgents(a.agent, b.agent);
}

/**
 * The original compares agents by `localeCompare` in the reader's locale; one locale for
 * all makes readers agree.
 */
function compareAgents(a: string, b: string): number {
  return (agents ??= new Intl.Collator("en")).compare(a, b);
}
