/** Decides what one compaction pass merges. Pure. */
import type { HistoryEntry, Manifest } from "../format/manifest-codec.ts";
import type { RunInfo } from "../format/run-info.ts";
import type { CompactionInput, LogUnit } from "../log/log.ts";

export interface CompactionLimits {
  /** Bytes of log merged in one pass: what its memory is in proportion to. */
  readonly logBytesMax: number;
  /** More runs than this are merged, so that a point read asks few. */
  readonly runsMax: number;
}

export const DEFAULT_LIMITS: CompactionLimits = { logBytesMax: 64 * 1024 * 1024, runsMax: 8 };

export interface CompactionPlan {
  /** Merged, then deleted. */
  readonly units: readonly LogUnit[];
  /** Merged with the units into one new run, then retired. */
  readonly runs: readonly RunInfo[];
  readonly keptRuns: readonly RunInfo[];
  /** Every run and every listed segment takes part: only such a merge may purge. */
  readonly full: boolean;
  /** Log that this pass leaves for the next one. */
  readonly more: boolean;
}

/** @param mustJoin runs that take part, whatever the tiers say */
export function planCompaction(
  manifest: Manifest,
  { units, leftOut }: Pick<CompactionInput, "units" | "leftOut">,
  limits: CompactionLimits,
  wantsFull: boolean,
  mustJoin: (run: RunInfo) => boolean = () => false,
): CompactionPlan {
  const mergeable = units.filter(({ corrupt }) => !corrupt);
  const chosen = takeBytes(mergeable, limits.logBytesMax);
  const runs = wantsFull
    ? manifest.runs
    : chooseRuns(manifest.runs, bytesOf(chosen), limits.runsMax, mustJoin);
  const complete = chosen.length === units.length && !leftOut;
  return {
    units: chosen,
    runs,
    keptRuns: manifest.runs.filter((run) => !runs.includes(run)),
    full: complete && runs.length === manifest.runs.length,
    more: chosen.length < mergeable.length,
  };
}

function bytesOf(units: readonly LogUnit[]): number {
  return units.reduce((sum, { segments }) => segments.reduce((s, { bytes }) => s + bytes, sum), 0);
}

/** At least one unit, so that every pass makes progress. */
function takeBytes(units: readonly LogUnit[], bytesMax: number): LogUnit[] {
  const chosen: LogUnit[] = [];
  let bytes = 0;
  for (const unit of units) {
    bytes += bytesOf([unit]);
    if (chosen.length > 0 && bytes > bytesMax) break;
    chosen.push(unit);
  }
  return chosen;
}

/**
 * Size-tiered: the new run takes in every run that is no larger than what it holds already, like a
 * carry in a binary counter, so that a record is rewritten once per doubling of the store.
 */
function chooseRuns(
  runs: readonly RunInfo[],
  deltaBytes: number,
  runsMax: number,
  mustJoin: (run: RunInfo) => boolean,
): RunInfo[] {
  const chosen = runs.filter(mustJoin);
  const isAsked = chosen.length > 0;
  let bytes = chosen.reduce((sum, run) => sum + run.bytes, deltaBytes);
  const others = runs.filter((run) => !chosen.includes(run));
  for (const run of others.toSorted((a, b) => a.bytes - b.bytes)) {
    const tooMany = runs.length - chosen.length + 1 > runsMax;
    if ((bytes === 0 || run.bytes > bytes) && !tooMany) break;
    chosen.push(run);
    bytes += run.bytes;
  }
  // One run alone, with nothing to merge into it, would only be copied.
  return deltaBytes === 0 && chosen.length === 1 && !isAsked ? [] : chosen;
}

/** Share of tombstones from which a full merge is worth it. */
const TOMBSTONE_SHARE = 0.25;

/** Whether deletions take so much room that they should be purged now that they may be. */
export function wantsPurge(manifest: Manifest, purgeFloor: number): boolean {
  const records = manifest.runs.reduce((sum, run) => sum + run.records, 0);
  const tombstones = manifest.runs.reduce((sum, run) => sum + run.tombstones, 0);
  return purgeFloor > manifest.purgeFloor && tombstones > records * TOMBSTONE_SHARE;
}

/**
 * F: the highest clock that was included in a manifest at least the grace period ago.
 * @param dateMs Date of the first page of the listing that the merge is based on
 */
export function purgeFloorAt(
  manifest: Manifest,
  history: readonly HistoryEntry[],
  dateMs: number,
  tombstoneGraceMs: number,
): number {
  return history
    .filter(({ at }) => dateMs - at >= tombstoneGraceMs)
    .reduce((floor, { clock }) => Math.max(floor, clock), manifest.purgeFloor);
}
