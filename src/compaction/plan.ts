/**
 * Decides what a compaction does next (PROTOCOL, C4): one step after the other, each published by
 * itself. A step merges either a portion of the log, with small levels at most, or a unit: some span
 * of ids of the newest levels, as far as it comes within its bytes and time. Pure.
 */
import type { ProtocolSettings } from "../core/settings.ts";
import type { HistoryEntry, Manifest } from "../format/manifest-codec.ts";
import { type Level, levelsOf } from "../format/levels.ts";
import { lineBytes, type RunInfo } from "../format/run-info.ts";
import type { LogUnit } from "../log/log.ts";
import { behind, piecesOf, visibleBytes, visibleSpans } from "../runs/visible.ts";
import { countMerged, LEVELS_MAX, levelsBeside } from "./tiers.ts";

export interface CompactionLimits {
  /** Bytes and segments of log merged in one step: what its memory is in proportion to. */
  readonly logBytesMax: number;
  readonly logSegmentsMax: number;
  /** Levels up to this are merged together with the log; more of them are units of their own. */
  readonly joinBytesMax: number;
  /** The pace of merging runs by which these are chosen where none is known. */
  readonly assumedBytesPerMs: number;
  /** What a unit reads of runs: what an invocation that is cut off loses at most. */
  readonly unitBytesMax: number;
  /** A level is cut into runs of about this many bytes of lines, before they are compressed. */
  readonly runBytesMax: number;
  /** Levels of fewer bytes are always merged. */
  readonly portionBytesMin: number;
}

const KIB = 1024;
const MIB = KIB * KIB;

export const DEFAULT_LIMITS: CompactionLimits = {
  logBytesMax: 64 * MIB,
  logSegmentsMax: 20_000,
  joinBytesMax: 64 * MIB,
  // 1 MB/s: slower than any medium that a store is for.
  assumedBytesPerMs: 1_000,
  unitBytesMax: 256 * MIB,
  runBytesMax: 64 * MIB,
  portionBytesMin: 64 * KIB,
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
  /** Objects are to be deleted, which takes a publication: as urgent as log. */
  readonly isDue: boolean;
  /** The caller requests one level, whatever the sizes. */
  readonly wantsFull: boolean;
  /** Deletions take much room and may be purged: by a merge of all levels. */
  readonly wantsPurge: boolean;
  /** What was deleted or replaced must go: levels whose oldest data is from before this date. */
  readonly overdueMs: number;
  /** Runs that are rewritten, whatever their sizes. */
  readonly isAsked: (run: RunInfo) => boolean;
}

export interface CompactionPlan {
  /** Merged, then deleted. */
  readonly units: readonly LogUnit[];
  /** Of the manifest, the newest first. */
  readonly levels: readonly Level[];
  /** Positions of the levels that take part. */
  readonly taken: readonly number[];
  /** Ids below it do not take part. */
  readonly from: string;
  /** Ids from it on do not take part; undefined: as far as bytes and time last. */
  readonly to: string | undefined;
  /** Whether it must reach its end: log is merged whole, and so is what joins it. */
  readonly isWhole: boolean;
  /** Position of the level that takes in the new runs; -1: a new one above, their count: below all. */
  readonly into: number;
  /** Positions of levels that drain from now on, while something of them is left. */
  readonly draining: readonly number[];
}

/** Ids with from <= id < to. */
interface Bounds {
  readonly from: string;
  readonly to: string;
}

export interface Planned {
  /** Undefined: nothing is to be done. */
  readonly step: CompactionPlan | undefined;
  /** Runs of levels that drain or should do so. */
  readonly waiting: readonly RunInfo[];
}

/** Of what could be rewritten in the time left, what may be merged together with the log. */
const JOIN_SHARE = 1 / 4;

/** The next step of log, or of what is due; the caller has something of either. */
export function planLog(input: PlanInput): CompactionPlan {
  const levels = levelsOf(input.manifest);
  const taken = positions(0, countJoining(input, levels));
  const draining = positionsOf(levels, ({ isDraining }) => isDraining);
  return {
    units: input.units,
    levels,
    taken,
    from: "",
    to: undefined,
    isWhole: true,
    into: -1,
    draining,
  };
}

/** The next unit, the most urgent first: levels that are too many, then those that drain. */
export function planUnit(input: PlanInput): Planned {
  const levels = levelsOf(input.manifest);
  const draining = positionsOf(levels, ({ isDraining }) => isDraining);
  // However long the merge of all takes: readers must not look into more and more levels meanwhile.
  if (levels.length <= LEVELS_MAX) {
    if (wantsAll(input, levels)) return planAll(levels);
    if (isOverdue(input, levels)) return planOldest(levels);
  }
  // What drains already is older: what came on top of it is less, and merged first.
  const upper = draining[0] ?? levels.length;
  const { portionBytesMin } = input.limits;
  const levelsMax = levelsBeside(levels.length - upper);
  const merged = countMerged(sizesOf(levels.slice(0, upper)), 0, portionBytesMin, levelsMax);
  if (merged > 1) {
    return unit(levels, merged - 1, [...positions(0, merged - 1), ...draining]);
  }
  if (draining.length > 0) {
    const after = levels.findIndex(({ isDraining }, at) => at > upper && !isDraining);
    return unit(levels, after < 0 ? levels.length : after, draining);
  }
  return planRewrite(input, levels);
}

/** Whether there is a unit to merge, without log and without a wish of the caller. */
export function hasUnit({
  manifest,
  limits,
  overdueMs,
}: Pick<PlanInput, "manifest" | "limits" | "overdueMs">): boolean {
  const time = { leftMs: Infinity, runBytesPerMs: undefined };
  const nothing = { units: [], isDrained: true, isDue: false, wantsFull: false, wantsPurge: false };
  const input = { manifest, limits, time, overdueMs, ...nothing, isAsked: () => false };
  return planUnit(input).step !== undefined;
}

/** Whether units come before more log: no reader may have to look into more levels. */
export function hasTooManyLevels(manifest: Manifest): boolean {
  return levelsOf(manifest).length > LEVELS_MAX;
}

/** As `planOldest`; deletions that may be purged take all of the oldest level along, into a new one. */
function planAll(levels: readonly Level[]): Planned {
  const count = levels.length;
  const hasTombstones = levels.some(({ runs }) => runs.some(({ tombstones }) => tombstones > 0));
  const isNew = count === 1 || (hasTombstones && !drainsIntoOldest(levels));
  return isNew ? unit(levels, count, positions(0, count)) : planOldest(levels);
}

/** Drains all levels into the oldest. What has begun is ended before newer levels are begun. */
function planOldest(levels: readonly Level[]): Planned {
  const count = levels.length;
  const draining = positionsOf(levels, ({ isDraining }) => isDraining);
  if (levels[count - 1]?.isDraining === true) return unit(levels, count, draining);
  if (drainsIntoOldest(levels)) return unit(levels, count - 1, draining);
  return unit(levels, count - 1, positions(0, count - 1));
}

function drainsIntoOldest(levels: readonly Level[]): boolean {
  return levels.slice(-2).some(({ isDraining }) => isDraining);
}

/** @param into those that drain next above it drain into it @param draining all that drain then */
function unit(levels: readonly Level[], into: number, draining: readonly number[]): Planned {
  let newest = into;
  while (draining.includes(newest - 1)) newest--;
  const drained = levels.slice(newest, into).flatMap(({ runs }) => runs);
  const { from, to } = wholeRuns(levels[into]?.runs ?? [], boundsOf(drained));
  const waiting = draining.flatMap((at) => levels[at]?.runs ?? []);
  const taken = positions(0, Math.min(into + 1, levels.length));
  const step = { units: [], levels, taken, from, to, isWhole: false, into, draining };
  return { step, waiting };
}

/** From the first id that counts to the last. */
function boundsOf(runs: readonly RunInfo[]): Bounds {
  const [first, last] = [runs.map(firstVisible), runs.map(({ maxId }) => maxId)];
  const from = first.reduce((lowest, id) => (id < lowest ? id : lowest));
  return { from, to: behind(last.reduce((highest, id) => (id > highest ? id : highest))) };
}

/** Runs of the level that lie in part within the bounds are not left cut; what lies outside stays. */
function wholeRuns(runs: readonly RunInfo[], { from, to }: Bounds): Bounds {
  const bounds = { from, to };
  for (const { span } of piecesOf(runs)) {
    if (span.from < from && from < span.to) bounds.from = span.from;
    if (span.from < to && to < span.to) bounds.to = span.to;
  }
  return bounds;
}

/** A run that is asked for is rewritten in its place. */
function planRewrite({ isAsked }: PlanInput, levels: readonly Level[]): Planned {
  const waiting = levels.flatMap(({ runs }) => runs.filter(isAsked));
  const into = levels.findIndex(({ runs }) => runs.some(isAsked));
  const run = levels[into]?.runs.find(isAsked);
  if (run === undefined) return { step: undefined, waiting };
  const from = firstVisible(run);
  const to = behind(run.maxId);
  const step = { units: [], levels, taken: [into], from, to, isWhole: false, into, draining: [] };
  return { step, waiting };
}

/** Levels that are cheap enough not to hold the log up: one publication, and no level of log alone. */
function countJoining(input: PlanInput, levels: readonly Level[]): number {
  const { limits, time, units } = input;
  const rewritable =
    time.leftMs === Infinity
      ? Infinity
      : Math.max(0, time.leftMs) * (time.runBytesPerMs ?? limits.assumedBytesPerMs) * JOIN_SHARE;
  const bytesMax = Math.min(limits.joinBytesMax, rewritable);
  const firstDraining = levels.findIndex(({ isDraining }) => isDraining);
  const upper = firstDraining < 0 ? levels : levels.slice(0, firstDraining);
  const sizes = sizesOf(upper);
  const levelsMax = levelsBeside(levels.length - upper.length);
  const wanted = countMerged(sizes, unitBytes(units), limits.portionBytesMin, levelsMax);
  const choices = wantsAll(input, levels) ? [levels.length, wanted] : [wanted];
  const bytesOf = (count: number): number => sum(sizesOf(levels.slice(0, count)));
  const fitting = choices.find((count) => bytesOf(count) <= bytesMax);
  if (fitting !== undefined) return fitting;
  // Of those that are too large together, the newest that are no larger than what is merged.
  let [count, bytes] = [0, unitBytes(units)];
  while (count < wanted && (sizes[count] ?? 0) <= bytes && bytesOf(count + 1) <= bytesMax) {
    bytes += sizes[count++] ?? 0;
  }
  return count;
}

/** One level, with nothing to merge into it and nothing to purge from it, would only be copied. */
function wantsAll(input: PlanInput, levels: readonly Level[]): boolean {
  const { wantsFull, wantsPurge: mayPurge, units, isDrained } = input;
  if (!isDrained || levels.length === 0) return false;
  return (wantsFull && (levels.length > 1 || units.length > 0)) || mayPurge;
}

/** Bytes that were deleted or replaced lie in the oldest level until what is newer reaches it. */
function isOverdue({ overdueMs }: PlanInput, levels: readonly Level[]): boolean {
  return levels
    .slice(0, -1)
    .some(({ runs }) => runs.some(({ oldestMs = Infinity }) => oldestMs < overdueMs));
}

function firstVisible(run: RunInfo): string {
  return visibleSpans(run)[0]?.from ?? run.minId;
}

function positions(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from) }, (_, at) => from + at);
}

function positionsOf(levels: readonly Level[], is: (level: Level) => boolean): number[] {
  return levels.flatMap((level, at) => (is(level) ? [at] : []));
}

export function sizesOf(levels: readonly Level[]): number[] {
  return levels.map(({ runs }) => runBytes(runs));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}

export function unitBytes(units: readonly LogUnit[]): number {
  return units.reduce(
    (total, { segments }) => segments.reduce((s, { bytes }) => s + bytes, total),
    0,
  );
}

/** Bytes of the lines of what of the runs counts: what a merge of them goes through. */
export function runBytes(runs: readonly RunInfo[]): number {
  return sum(runs.map((run) => (visibleBytes(run) / run.bytes) * lineBytes(run)));
}

/** How many more units fit into a step that holds some: of none at least one, for progress. */
export function countUnits(
  held: readonly LogUnit[],
  more: readonly LogUnit[],
  { logBytesMax, logSegmentsMax }: CompactionLimits,
): number {
  let bytes = unitBytes(held);
  let segments = held.reduce((total, each) => total + each.segments.length, 0);
  const over = more.findIndex((each) => {
    bytes += unitBytes([each]);
    segments += each.segments.length;
    return bytes > logBytesMax || segments > logSegmentsMax;
  });
  return over < 0 ? more.length : Math.max(over, held.length === 0 ? 1 : 0);
}

/** Share of tombstones from which a merge of all levels is worth it. */
const TOMBSTONE_SHARE = 0.25;

/** Whether deletions take so much room that they should be purged now that they may be. */
export function wantsPurge(manifest: Manifest, purgeFloor: number): boolean {
  const records = sum(manifest.runs.map((run) => run.records));
  const tombstones = sum(manifest.runs.map((run) => run.tombstones));
  return purgeFloor > manifest.purgeFloor && tombstones > records * TOMBSTONE_SHARE;
}

/** Share of the time in which deleted bytes must be gone, after which the units for it begin. */
const ERASE_SHARE = 1 / 2;

/** The date for `overdueMs`. @param dateMs by the medium, now */
export function overdueAt(dateMs: number, { eraseAfterMs }: ProtocolSettings): number {
  return dateMs - eraseAfterMs * ERASE_SHARE;
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
