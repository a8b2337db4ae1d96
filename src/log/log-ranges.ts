/**
 * How a log that takes more than a page is listed in parts (V1): as many in parallel as its pages
 * seem to require, so that neither many requests are spent on a short log nor many round trips on a
 * long one. Names begin with one of 16 shards, and parts begin where shards do. Pure.
 */
import { LOG_PREFIX } from "../format/paths.ts";
import type { LogPart } from "./log.ts";

export const SHARDS = "0123456789abcdef".split("");

/** Each shard is in one part of as many as there are; parts beyond the number of shards are empty. */
export function shardsOf({ index, of }: LogPart): string[] {
  return SHARDS.filter((_, shard) => shard % of === index);
}

/** A part of the names of the log. */
export interface LogRange {
  /** Number of the shard that it begins in, and of the one before which it ends. */
  readonly from: number;
  readonly end: number;
  /** Of it, listed so far. */
  readonly pages: number;
}

export const WHOLE_LOG: LogRange = { from: 0, end: SHARDS.length, pages: 0 };

/**
 * Behind the first page, which may show a single busy stream, there are two parts at most, and two
 * from more than about a page on: that saves a round trip, seldom for a further request.
 */
const PAGES_FOR_TWO = 1.1;
/** Behind others a part pays off if it takes so many pages from another one. */
const PAGES_PER_PART = 2.5;
const PARTS_MAX = 4;
/** Where in its shard a name lies that the shard's other names are not known of. */
const MIDDLE = 0.5;

/** Every name of the shard, and of those behind it, is above this. */
export function shardStart(shard: number): string {
  return `${LOG_PREFIX}${SHARDS[shard]}/`;
}

/** Whether a name lies before the range; the first one begins with the log. */
export function isBefore({ from }: LogRange, path: string): boolean {
  return from > 0 && path < shardStart(from);
}

export function isWithin(range: LogRange, path: string): boolean {
  const isBehind = range.end < SHARDS.length && path >= shardStart(range.end);
  return !isBehind && !isBefore(range, path);
}

/** The first shard that may hold names above this one; the number of shards if none may. */
export function shardBehind(path: string): number {
  // "0" follows "/".
  const found = SHARDS.findIndex((shard) => path < `${LOG_PREFIX}${shard}0`);
  return found < 0 ? SHARDS.length : found;
}

/**
 * What remains of a range after a page of it, in parts: the first one goes on behind the page, the
 * others begin at a shard. None if the page is the last.
 * @param last highest path of the page
 */
export function rangesBehind(range: LogRange, last: string): LogRange[] {
  const { from, end } = range;
  const pages = range.pages + 1;
  const shard = shardBehind(last);
  if (shard >= end) return [];
  const left = end - shard - MIDDLE;
  const expected = (pages * left) / (shard - from + MIDDLE);
  const wanted = Math.max(1, Math.min(PARTS_MAX, Math.round(expected / PAGES_PER_PART)));
  const parts = range === WHOLE_LOG ? (expected > PAGES_FOR_TWO ? 2 : 1) : wanted;
  const starts = Array.from({ length: parts - 1 }, (_, n) =>
    Math.round(shard + MIDDLE + (left * (n + 1)) / parts),
  );
  const bounds = [...new Set([...starts.filter((start) => start > shard && start < end), end])];
  const [next = end] = bounds;
  return [
    { from, end: next, pages },
    ...bounds.slice(1).map((bound, n) => ({ from: bounds[n] ?? end, end: bound, pages: 0 })),
  ];
}
