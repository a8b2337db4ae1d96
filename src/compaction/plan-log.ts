/**
 * Decides with which levels a portion of the log is merged, and whether it may be published at all: how
 * many levels a reader looks into is bounded by what may be added to them (PROTOCOL, C4). Pure.
 */
import { CLOCKS_PER_MS } from "../core/hybrid-clock.ts";
import { type Level, levelsOf } from "../format/levels.ts";
import type { Manifest } from "../format/manifest-codec.ts";
import type { LogUnit } from "../log/log.ts";
import {
  type CompactionPlan,
  type PlanInput,
  positions,
  positionsOf,
  sizesOf,
  sum,
  unitBytes,
  wantsAll,
} from "./plan.ts";
import { countMerged, fullness, LEVELS_LATE_MAX, LEVELS_READ_MAX, levelsBeside } from "./tiers.ts";

/** Of what could be rewritten in the time left, what may be merged together with the log. */
const JOIN_SHARE = 1 / 4;
/** Log that waits longer need not wait for levels to be merged. */
export const LATE_MS = 5 * 60_000;

/** @param dateMs by the medium, now @returns as `lateMs` of a `PlanInput` */
export function lateAt(dateMs: number): number {
  return dateMs - LATE_MS;
}

/**
 * The next step of log, or of what is due; the caller has something of either.
 * @returns undefined: levels must be merged before, or a reader would look into too many
 */
export function planLog(input: PlanInput): CompactionPlan | undefined {
  const levelsMax = levelsMaxOf(input);
  return planJoined(input, { levelsMax, leaves: input.units.length === 0 ? Infinity : levelsMax });
}

/** Claims that are passed: they make room if they can, and wait for nothing. */
export function planPassed(input: PlanInput): CompactionPlan {
  const bound = { levelsMax: Infinity, leaves: LEVELS_READ_MAX };
  return planJoined(input, bound) ?? { ...planAlone(input.manifest, []), levelsMax: Infinity };
}

interface Bound {
  readonly levelsMax: number;
  /** As many levels join as leave at most so many. */
  readonly leaves: number;
}

function planJoined(input: PlanInput, { levelsMax, leaves }: Bound): CompactionPlan | undefined {
  const { units } = input;
  const levels = levelsOf(input.manifest);
  const least = fullness(levels) + 1 - leaves;
  const wanted = input.isOutrun === true ? 0 : countJoining(input, levels);
  if (wanted >= least) return log(levels, units, wanted, levelsMax);
  const upper = upperOf(levels).slice(0, least);
  const isFitting = upper.length === least && sum(sizesOf(upper)) <= rewritable(input);
  return isFitting ? log(levels, units, least, levelsMax) : undefined;
}

/** The log as a level of its own, or with nothing of it what else changes the manifest. */
export function planAlone(manifest: Manifest, units: readonly LogUnit[]): CompactionPlan {
  return log(levelsOf(manifest), units, 0, LEVELS_READ_MAX);
}

/** @param joining how many of the newest levels */
function log(
  levels: readonly Level[],
  units: readonly LogUnit[],
  joining: number,
  levelsMax: number,
): CompactionPlan {
  const draining = positionsOf(levels, ({ isDraining }) => isDraining);
  const taken = positions(0, joining);
  const span = { from: "", to: undefined, isWhole: true, into: -1 };
  return { units, levels, taken, ...span, draining, levelsMax };
}

/** Levels that are cheap enough not to hold the log up: one publication, and no level of log alone. */
function countJoining(input: PlanInput, levels: readonly Level[]): number {
  const { limits, units } = input;
  const bytesMax = Math.min(limits.joinBytesMax, rewritable(input));
  const upper = upperOf(levels);
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

/** Bytes of levels that there is time to merge together with the log. */
function rewritable({ limits, time }: PlanInput): number {
  if (time.leftMs === Infinity) return Infinity;
  return Math.max(0, time.leftMs) * (time.runBytesPerMs ?? limits.assumedBytesPerMs) * JOIN_SHARE;
}

/** Those above what drains: what drains is not rewritten twice. */
function upperOf(levels: readonly Level[]): readonly Level[] {
  const firstDraining = levels.findIndex(({ isDraining }) => isDraining);
  return firstDraining < 0 ? levels : levels.slice(0, firstDraining);
}

/** A pass that is too short for any unit merges a portion of log that is late all the same. */
function levelsMaxOf(input: PlanInput): number {
  if (!isLate(input)) return LEVELS_READ_MAX;
  return input.isFirst === true ? Infinity : LEVELS_LATE_MAX;
}

function isLate({ units, lateMs }: PlanInput): boolean {
  const clock = lateMs * CLOCKS_PER_MS;
  return units.some(({ segments }) => segments.some(({ lo }) => lo < clock));
}
