/**
 * Decides what a compaction does next (PROTOCOL, C4): one step after the other, each published by
 * itself. Log comes first, larger merges of runs as far as they fit into the time. Pure.
 */
import type { HistoryEntry, Manifest } from "../format/manifest-codec.ts";
import { lineBytes, type RunInfo } from "../format/run-info.ts";
import type { LogUnit } from "../log/log.ts";

export interface CompactionLimits {
  /** Bytes and segments of log merged in one step: what its memory is in proportion to. */
  readonly logBytesMax: number;
  readonly logSegmentsMax: number;
  /** More runs than this are merged, so that a point read looks into few. */
  readonly runsMax: number;
  /** Runs up to this are merged together with the log; more of them are a step of their own. */
  readonly joinBytesMax: number;
  /** The pace of merging runs by which these are chosen where none is known. */
  readonly assumedBytesPerMs: number;
  /** Runs that come to more are not merged: no medium may refuse what was written for hours. */
  readonly objectBytesMax: number;
  /** Where there are too many runs, as many as come to this are merged before larger ones. */
  readonly unitBytesMax: number;
}

const MIB = 1024 * 1024;

export const DEFAULT_LIMITS: CompactionLimits = {
  logBytesMax: 64 * MIB,
  logSegmentsMax: 20_000,
  runsMax: 8,
  joinBytesMax: 64 * MIB,
  // 1 MB/s: slower than any medium that a store is for.
  assumedBytesPerMs: 1_000,
  // What S3 takes, and room for the log that joins.
  objectBytesMax: 5 * MIB * MIB - 1024 * MIB,
  unitBytesMax: 256 * MIB,
};

/** What is left of the time of a pass. */
export interface PassTime {
  /** Infinity: it has no end. */
  readonly leftMs: number;
  /** How fast this process has read and rewritten runs; undefined: not measured yet. */
  readonly runBytesPerMs: number | undefined;
}

export interface PlanInput {
  readonly manifest: Manifest;
  readonly limits: CompactionLimits;
  readonly time: PassTime;
  /** Log taken for this step. */
  readonly units: readonly LogUnit[];
  /** With these units nothing is left of the log as it was listed. */
  readonly isDrained: boolean;
  /** Some of what was listed must stay where it is: no purge. */
  readonly leftOut: boolean;
  /** Objects are to be deleted, which takes a publication: as urgent as log. */
  readonly isDue: boolean;
  /** What this pass last made of log: runs that the log should have joined are merged with it. */
  readonly newest: RunInfo | undefined;
  /** The caller requests one run, whatever the sizes. */
  readonly wantsFull: boolean;
  /** Deletions take much room and may be purged: by a merge of all runs. */
  readonly wantsPurge: boolean;
  /** Runs that are rewritten, whatever their sizes. */
  readonly isAsked: (run: RunInfo) => boolean;
}

export interface CompactionPlan {
  /** Merged, then deleted. */
  readonly units: readonly LogUnit[];
  /** Merged with the units into one new run, then retired. */
  readonly runs: readonly RunInfo[];
  readonly keptRuns: readonly RunInfo[];
  /** Every run and every listed segment takes part: only such a merge may purge. */
  readonly full: boolean;
}

export interface Planned {
  /** Undefined: nothing is to be done, or nothing that fits into the time. */
  readonly step: CompactionPlan | undefined;
  /** Runs that should be merged and do not fit into the time. */
  readonly waiting: readonly RunInfo[];
}

/** Share of the time left that a merge of runs may take by the measured pace; the rest is spare. */
const RUNS_SHARE = 0.8;
/** Of what could be rewritten in the time left, what may be merged together with the log. */
const JOIN_SHARE = 1 / 4;

export function planStep(input: PlanInput): Planned {
  if (input.units.length > 0 || input.isDue) {
    return { step: planOf(input, chooseJoining(input)), waiting: [] };
  }
  const { chosen, waiting } = chooseAlone(input);
  return { step: chosen.length === 0 ? undefined : planOf(input, chosen), waiting };
}

function planOf(input: PlanInput, runs: readonly RunInfo[]): CompactionPlan {
  const { manifest, units, isDrained, leftOut } = input;
  const keptRuns = manifest.runs.filter((run) => !runs.includes(run));
  return { units, runs, keptRuns, full: isDrained && !leftOut && keptRuns.length === 0 };
}

/** Cheap enough not to hold the log up: one publication, and no run of log alone. */
function chooseJoining(input: PlanInput): readonly RunInfo[] {
  const { manifest, limits, time, units, isAsked } = input;
  const { runs } = manifest;
  const rewritable = bytesWithin(time, limits.assumedBytesPerMs) * JOIN_SHARE;
  const bytesMax = Math.min(limits.joinBytesMax, rewritable);
  const delta = unitBytes(units);
  const fanout = fanoutOf(runs, delta, limits);
  const choices = [
    ...(wantsAll(input) ? [runs] : []),
    chooseTier(runs, delta, { ...limits, fanout, isAsked }),
    chooseTier(runs, delta, { runsMax: Infinity, fanout, isAsked: () => false }),
  ];
  return choices.find((choice) => runBytes(choice) <= bytesMax) ?? [];
}

/** Runs are merged without log: what is wanted most and fits. */
function chooseAlone(input: PlanInput): {
  readonly chosen: readonly RunInfo[];
  readonly waiting: readonly RunInfo[];
} {
  const { manifest, limits, time, newest, isAsked } = input;
  const { runs } = manifest;
  const bytesMax = Math.min(bytesWithin(time, Infinity), limits.objectBytesMax);
  let waiting: readonly RunInfo[] = [];
  const fits = (choice: readonly RunInfo[]): boolean => {
    if (runBytes(choice) <= bytesMax) return choice.length > 0;
    if (choice.length > waiting.length) waiting = choice;
    return false;
  };
  const [all, asked] = [wantsAll(input) ? runs : [], runs.filter(isAsked)];
  if (fits(all)) return { chosen: all, waiting };
  const withAsked = asked.length === 0 ? [] : chooseTier(runs, 0, { runsMax: Infinity, isAsked });
  for (const choice of [withAsked, ...asked.map((run) => [run])]) {
    if (fits(choice)) return { chosen: choice, waiting };
  }
  if (newest !== undefined && runs.includes(newest)) {
    const others = runs.filter((run) => run !== newest);
    const options = { runsMax: Infinity, isAsked: () => false };
    const wide = chooseTier(others, lineBytes(newest), {
      ...options,
      fanout: fanoutOf(others, lineBytes(newest), limits),
    });
    if (wide.length > 0 && fits([newest, ...wide])) return { chosen: [newest, ...wide], waiting };
    const tier = chooseTier(others, lineBytes(newest), options);
    if (!fits([newest, ...tier])) tier.splice(countWithin(tier, bytesMax - lineBytes(newest)));
    if (tier.length > 0) return { chosen: [newest, ...tier], waiting };
  }
  if (runs.length <= limits.runsMax) return { chosen: [], waiting };
  const window = chooseWindow(runs, Math.min(bytesMax, limits.unitBytesMax));
  if (window.length > 0) return { chosen: window, waiting };
  const few = chooseTier(runs, 0, { runsMax: limits.runsMax, isAsked: () => false });
  return { chosen: fits(few) ? few : [], waiting };
}

/** One run, with nothing to merge into it and nothing to purge from it, would only be copied. */
function wantsAll(input: PlanInput): boolean {
  const { wantsFull, wantsPurge: mayPurge, manifest, units, isDrained, leftOut } = input;
  if (!isDrained) return false;
  const isMergeable = manifest.runs.length > 1 || units.length > 0;
  return (wantsFull && isMergeable) || (mayPurge && !leftOut);
}

function bytesWithin({ leftMs, runBytesPerMs }: PassTime, unknownBytesPerMs: number): number {
  if (leftMs === Infinity) return Infinity;
  return Math.max(0, leftMs) * RUNS_SHARE * (runBytesPerMs ?? unknownBytesPerMs);
}

export function unitBytes(units: readonly LogUnit[]): number {
  return units.reduce((sum, { segments }) => segments.reduce((s, { bytes }) => s + bytes, sum), 0);
}

/** Of their lines: what a merge of them goes through. */
export function runBytes(runs: readonly RunInfo[]): number {
  return runs.reduce((sum, run) => sum + lineBytes(run), 0);
}

/** How many of the first runs come to at most so much. */
function countWithin(runs: readonly RunInfo[], bytesMax: number): number {
  let bytes = 0;
  const over = runs.findIndex((run) => (bytes += lineBytes(run)) > bytesMax);
  return over < 0 ? runs.length : over;
}

/** How many more units fit into a step that holds some: of none at least one, for progress. */
export function countUnits(
  held: readonly LogUnit[],
  more: readonly LogUnit[],
  { logBytesMax, logSegmentsMax }: CompactionLimits,
): number {
  let bytes = unitBytes(held);
  let segments = held.reduce((sum, unit) => sum + unit.segments.length, 0);
  const over = more.findIndex((unit) => {
    bytes += unitBytes([unit]);
    segments += unit.segments.length;
    return bytes > logBytesMax || segments > logSegmentsMax;
  });
  return over < 0 ? more.length : Math.max(over, held.length === 0 ? 1 : 0);
}

/**
 * How many times larger than the tier before a tier may grow: twice, or more where `runsMax` tiers
 * that double do not reach from the new bytes to the whole store.
 */
function fanoutOf(
  runs: readonly RunInfo[],
  newBytes: number,
  { runsMax }: CompactionLimits,
): number {
  if (newBytes === 0) return 2;
  const growth = (runBytes(runs) + newBytes) / newBytes;
  return Math.max(2, growth ** (1 / Math.max(1, runsMax - 1)));
}

/**
 * Size-tiered: the new run takes in every run that is smaller than `fanout - 1` times what it holds
 * already. With a fanout of 2 that is a carry in a binary counter: a record is rewritten once per
 * doubling of the store; with a larger one `(fanout / 2) * log(store, fanout)` times. And it takes in as
 * many more, the smallest first, as are too many.
 */
function chooseTier(
  runs: readonly RunInfo[],
  deltaBytes: number,
  {
    runsMax,
    fanout = 2,
    isAsked,
  }: Pick<CompactionLimits, "runsMax"> & Pick<PlanInput, "isAsked"> & { readonly fanout?: number },
): RunInfo[] {
  const chosen = runs.filter(isAsked);
  const hasAsked = chosen.length > 0;
  let bytes = deltaBytes + runBytes(chosen);
  const others = runs.filter((run) => !chosen.includes(run));
  for (const run of others.toSorted((a, b) => lineBytes(a) - lineBytes(b))) {
    const tooMany = runs.length - chosen.length + 1 > runsMax;
    if ((bytes === 0 || lineBytes(run) > bytes * (fanout - 1)) && !tooMany) break;
    chosen.push(run);
    bytes += lineBytes(run);
  }
  // One run alone, with nothing to merge into it, would only be copied.
  return deltaBytes === 0 && chosen.length === 1 && !hasAsked ? [] : chosen;
}

/**
 * The most runs next to each other in size that come to at most so much and of which the largest is
 * no larger than the others together: their records, too, are rewritten once per doubling. Where
 * there is none, runs below a third of `bytesMax` grow as Fibonacci numbers do: they are few.
 */
function chooseWindow(runs: readonly RunInfo[], bytesMax: number): readonly RunInfo[] {
  const sorted = runs.toSorted((a, b) => lineBytes(a) - lineBytes(b));
  let best: readonly RunInfo[] = [];
  for (const start of sorted.keys()) {
    let bytes = 0;
    for (const [at, run] of sorted.slice(start).entries()) {
      const isBalanced = lineBytes(run) <= bytes;
      bytes += lineBytes(run);
      if (bytes > bytesMax) break;
      if (isBalanced && at + 1 > best.length) best = sorted.slice(start, start + at + 1);
    }
  }
  return best;
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
