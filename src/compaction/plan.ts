/**
 * Decides what a compaction does next (PROTOCOL, C4): one step after the other, each published by
 * itself. A step merges either a portion of the log, with small levels at most, or a unit: some span
 * of ids of the newest levels, as far as it comes within its bytes and time. Pure.
 */
import type { ProtocolSettings } from "../core/settings.ts";
import type { Manifest } from "../format/manifest-codec.ts";
import { countLevels, type Level, levelsOf } from "../format/levels.ts";
import type { IdSpan, RunInfo } from "../format/run-info.ts";
import type { LogUnit } from "../log/log.ts";
import { visibleLineBytes } from "../runs/catalogue-summary.ts";
import { RUN_LAYOUT, type RunLayout } from "../runs/run-writer.ts";
import { behind, intersection, piecesOf, visibleSpans } from "../runs/visible.ts";
import { type CatalogueLimits, DEFAULT_CATALOGUE_LIMITS } from "./fold.ts";
import { countMerged, LEVELS_MAX, levelsBeside } from "./tiers.ts";

export interface CompactionLimits extends CatalogueLimits {
  /** Bytes and segments of log merged in one step: what its memory is in proportion to. */
  readonly logBytesMax: number;
  readonly logSegmentsMax: number;
  /** Levels up to this are merged together with the log; more of them are units of their own. */
  readonly joinBytesMax: number;
  /** The pace of merging runs by which these are chosen where none is known: slower than any medium. */
  readonly assumedBytesPerMs: number;
  /** What a unit reads of runs: what an invocation that is cut off loses at most. */
  readonly unitBytesMax: number;
  /** A level is cut into runs of about this many bytes of lines, before they are compressed. */
  readonly runBytesMax: number;
  /** Levels of fewer bytes are always merged. */
  readonly portionBytesMin: number;
  /** Partitions of runs are copied whole if their lines in the index are not shorter. */
  readonly copiedIndexBytesMin: number;
  /** How large blocks and partitions of runs become. */
  readonly layout: RunLayout;
  /** How long records of calls that run once stay beyond their end. */
  readonly endedKeptMs: number;
}

const [KIB, MIB] = [1024, 1024 * 1024];

export const DEFAULT_LIMITS: CompactionLimits = {
  ...DEFAULT_CATALOGUE_LIMITS,
  logBytesMax: 16 * MIB,
  logSegmentsMax: 20_000,
  joinBytesMax: 64 * MIB,
  assumedBytesPerMs: 1_000,
  unitBytesMax: 256 * MIB,
  runBytesMax: 64 * MIB,
  portionBytesMin: 64 * KIB,
  copiedIndexBytesMin: 12 * KIB,
  layout: RUN_LAYOUT,
  endedKeptMs: 3_600_000,
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
  /** Units of ids in it only. Default: of all. */
  readonly span?: IdSpan | undefined;
  /** Others publish log at the same time: levels join it only where there are too many. */
  readonly isShared?: boolean;
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

export const ALL_IDS: IdSpan = { from: "", to: undefined };

/** Of what could be rewritten in the time left, what may be merged together with the log. */
const JOIN_SHARE = 1 / 4;

/** The next step of log, or of what is due; the caller has something of either. */
export function planLog(input: PlanInput): CompactionPlan {
  const levels = levelsOf(input.manifest);
  const mayJoin = input.isShared !== true || levels.length >= LEVELS_MAX;
  return log(levels, input.units, mayJoin ? countJoining(input, levels) : 0);
}

/** The log as a level of its own, or with nothing of it what else changes the manifest. */
export function planAlone(manifest: Manifest, units: readonly LogUnit[]): CompactionPlan {
  return log(levelsOf(manifest), units, 0);
}

/** @param joining how many of the newest levels */
function log(levels: readonly Level[], units: readonly LogUnit[], joining: number): CompactionPlan {
  const draining = positionsOf(levels, ({ isDraining }) => isDraining);
  const taken = positions(0, joining);
  return { units, levels, taken, from: "", to: undefined, isWhole: true, into: -1, draining };
}

/** The next unit, the most urgent first: levels that are too many, then those that drain. */
export function planUnit(input: PlanInput): Planned {
  const levels = levelsOf(input.manifest);
  let waiting: readonly RunInfo[] | undefined;
  for (const merge of mergesOf(input, levels)) {
    waiting ??= merge.draining.flatMap((at) => levels[at]?.runs ?? []);
    const step = unit(levels, merge, input.span);
    if (step !== undefined) return { step, waiting };
  }
  return input.span === undefined
    ? planRewrite(input, levels)
    : { step: undefined, waiting: waiting ?? [] };
}

/** The levels that take part in the most urgent merge. */
export function mergedLevels(input: PlanInput): readonly Level[] {
  const levels = levelsOf(input.manifest);
  const { value: merge } = mergesOf(input, levels).next();
  return merge === undefined ? [] : levels.slice(0, merge.into + 1);
}

/** Levels that are merged into one, in as many units as it takes. */
interface Merge {
  /** Those that drain next above it drain into it. */
  readonly into: number;
  /** All that drain then. */
  readonly draining: readonly number[];
}

/** The most urgent first; a later one only where nothing of the earlier ones is in a span. */
function* mergesOf(input: PlanInput, levels: readonly Level[]): Generator<Merge, undefined> {
  const draining = positionsOf(levels, ({ isDraining }) => isDraining);
  // However long the merge of all takes: readers must not look into more and more levels meanwhile.
  if (levels.length <= LEVELS_MAX) {
    if (wantsAll(input, levels)) yield allOf(levels);
    else if (isOverdue(input, levels)) yield intoOldest(levels);
  }
  // What drains already is older: what came on top of it is less, and merged first.
  const upper = draining[0] ?? levels.length;
  const sizes = sizesOf(levels.slice(0, upper));
  // As small portions the newest level would take every turn of what drains below it.
  const portion = draining.length === 0 ? 0 : (sizes[0] ?? 0);
  const portionBytesMin = Math.max(portion, input.limits.portionBytesMin);
  const merged = countMerged(sizes, 0, portionBytesMin, levelsBeside(levels.length - upper));
  if (merged > 1) yield { into: merged - 1, draining: [...positions(0, merged - 1), ...draining] };
  if (draining.length === 0) return;
  const after = levels.findIndex(({ isDraining }, at) => at > upper && !isDraining);
  yield { into: after < 0 ? levels.length : after, draining };
}

/** The next unit without log and without a wish of the caller. */
export function planAnyUnit({
  manifest,
  limits,
  overdueMs,
}: Pick<PlanInput, "manifest" | "limits" | "overdueMs">): Planned {
  const time = { leftMs: Infinity, runBytesPerMs: undefined };
  const nothing = { units: [], isDrained: true, isDue: false, wantsFull: false, wantsPurge: false };
  const input = { manifest, limits, time, overdueMs, ...nothing, isAsked: () => false };
  return planUnit(input);
}

export function hasUnit(input: Pick<PlanInput, "manifest" | "limits" | "overdueMs">): boolean {
  return planAnyUnit(input).step !== undefined;
}

/** What a plan needs of a manifest whose catalogues were not read: each counts as one run. */
export function summaryOf(manifest: Manifest): Manifest {
  const described = manifest.catalogues.map((catalogue): RunInfo => {
    const { path, level, records, tombstones, minSchema, from, to, oldestMs } = catalogue;
    const bytes = Math.max(1, catalogue.visibleBytes);
    const named = { path, index: path, sha256: "", partitions: [], level };
    const dated = oldestMs === undefined ? {} : { oldestMs };
    return { ...named, bytes, records, tombstones, minSchema, minId: from, maxId: to, ...dated };
  });
  return { ...manifest, runs: [...described, ...manifest.runs], catalogues: [] };
}

/** Whether units come before more log: no reader may have to look into more levels. */
export function hasTooManyLevels(manifest: Manifest): boolean {
  return countLevels(manifest) > LEVELS_MAX;
}

/** As `intoOldest`; deletions that may be purged take all of the oldest level along, into a new one. */
function allOf(levels: readonly Level[]): Merge {
  const count = levels.length;
  const hasTombstones = levels.some(({ runs }) => runs.some(({ tombstones }) => tombstones > 0));
  const isNew = count === 1 || (hasTombstones && !drainsIntoOldest(levels));
  return isNew ? { into: count, draining: positions(0, count) } : intoOldest(levels);
}

/** Drains all levels into the oldest. What has begun is ended before newer levels are begun. */
function intoOldest(levels: readonly Level[]): Merge {
  const count = levels.length;
  const draining = positionsOf(levels, ({ isDraining }) => isDraining);
  if (levels[count - 1]?.isDraining === true) return { into: count, draining };
  if (drainsIntoOldest(levels)) return { into: count - 1, draining };
  return { into: count - 1, draining: positions(0, count - 1) };
}

function drainsIntoOldest(levels: readonly Level[]): boolean {
  return levels.slice(-2).some(({ isDraining }) => isDraining);
}

/** @returns undefined where nothing is left to be merged in the span */
function unit(
  levels: readonly Level[],
  { into, draining }: Merge,
  span: IdSpan | undefined,
): CompactionPlan | undefined {
  let newest = into;
  while (draining.includes(newest - 1)) newest--;
  const drained = levels.slice(newest, into).flatMap(({ runs }) => runs);
  const bounds = boundsOf(drained, span);
  if (bounds === undefined) return undefined;
  const { from, to } = wholeRuns(levels[into]?.runs ?? [], bounds, span);
  const taken = positions(0, Math.min(into + 1, levels.length));
  return { units: [], levels, taken, from, to, isWhole: false, into, draining };
}

/** From the first id that counts to the last; undefined where none of them is in the span. */
function boundsOf(runs: readonly RunInfo[], span: IdSpan = ALL_IDS): Bounds | undefined {
  const within = (all: Bounds): Bounds[] => {
    const shared = intersection(all, span);
    return shared === undefined ? [] : [shared];
  };
  const counting = runs.flatMap((run) => visibleSpans(run).flatMap(within));
  if (counting.length === 0) return undefined;
  const whole = runs.flatMap(({ minId, maxId }) => within({ from: minId, to: behind(maxId) }));
  const from = counting.map((each) => each.from).reduce((a, b) => (a < b ? a : b));
  return { from, to: whole.map(({ to }) => to).reduce((a, b) => (a > b ? a : b)) };
}

/**
 * Runs of the level that lie in part within the bounds are not left cut, but at the ends of the span;
 * what lies outside stays.
 */
function wholeRuns(
  runs: readonly RunInfo[],
  { from, to }: Bounds,
  limit: IdSpan = ALL_IDS,
): Bounds {
  const bounds = { from, to };
  for (const { span } of piecesOf(runs)) {
    const shared = intersection(span, limit);
    if (shared === undefined) continue;
    if (shared.from < from && from < shared.to) bounds.from = shared.from;
    if (shared.from < to && to < shared.to) bounds.to = shared.to;
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
  return sum(runs.map(visibleLineBytes));
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

/** Share of the time in which deleted bytes must be gone, after which the units for it begin. */
const ERASE_SHARE = 1 / 2;

/** The date for `overdueMs`. @param dateMs by the medium, now */
export function overdueAt(dateMs: number, { eraseAfterMs }: ProtocolSettings): number {
  return dateMs - eraseAfterMs * ERASE_SHARE;
}
