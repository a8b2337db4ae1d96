/**
 * Log of the model: flushes that arrive at some rate, evenly in all shards, and what the runs hold of
 * each shard: the oldest, without gaps.
 */
import { SHARDS } from "../../src/log/log-ranges.ts";

const MINUTE_MS = 60_000;
const ALL = SHARDS.map((_, shard) => shard);

/** Flushes of one shard by their numbers: from <= n < to. */
export interface LogSpan {
  readonly shard: number;
  readonly from: number;
  readonly to: number;
}

export class ModelLog {
  readonly #perSecond: number;
  readonly #startMs: number;
  readonly #random: () => number;
  /** Arrivals up to the beginning of each minute. */
  readonly #arrived: number[] = [0];
  readonly #taken = ALL.map(() => 0);

  /** @param perSecond on average; a minute has between half and one and a half times as many */
  constructor(perSecond: number, startMs: number, random: () => number) {
    this.#perSecond = perSecond;
    this.#startMs = startMs;
    this.#random = random;
  }

  /** How many the runs hold. */
  get taken(): number {
    return this.#taken.reduce((sum, count) => sum + count, 0);
  }

  /** Whole flushes that have arrived until then. */
  arrived(nowMs: number): number {
    const minutes = (nowMs - this.#startMs) / MINUTE_MS;
    const minute = Math.floor(minutes);
    while (this.#arrived.length < minute + 2) {
      const before = this.#arrived.at(-1) ?? 0;
      this.#arrived.push(before + this.#perSecond * 60 * (0.5 + this.#random()));
    }
    const [from = 0, to = 0] = this.#arrived.slice(minute, minute + 2);
    return Math.floor(from + (to - from) * (minutes - minute));
  }

  /** What waits in some shards, one part for each. */
  list(nowMs: number, shards: readonly number[] = ALL): LogSpan[] {
    const arrived = this.arrived(nowMs);
    return shards.flatMap((shard) => {
      const to = Math.floor((arrived + ALL.length - 1 - shard) / ALL.length);
      const from = this.#taken[shard] ?? 0;
      return to > from ? [{ shard, from, to }] : [];
    });
  }

  waiting(nowMs: number, shards?: readonly number[]): number {
    return countIn(this.list(nowMs, shards));
  }

  /** The runs hold these. @returns how many of them they did not hold before */
  take(spans: readonly LogSpan[]): number {
    let taken = 0;
    for (const { shard, from, to } of spans) {
      const before = this.#taken[shard] ?? 0;
      if (to <= before) continue;
      if (from > before) throw new Error(`the model merges shard ${shard} with a gap`);
      taken += to - before;
      this.#taken[shard] = to;
    }
    return taken;
  }

  /** About the age of the oldest that waits. */
  ageMs(nowMs: number): number {
    const most = this.list(nowMs).reduce((max, { from, to }) => Math.max(max, to - from), 0);
    return ((most * ALL.length) / this.#perSecond) * 1_000;
  }
}

export function countIn(spans: readonly LogSpan[]): number {
  return spans.reduce((sum, { from, to }) => sum + to - from, 0);
}

/** The first so many, and the rest. */
export function splitLog(
  spans: readonly LogSpan[],
  count: number,
): { readonly first: readonly LogSpan[]; readonly rest: readonly LogSpan[] } {
  const [first, rest]: [LogSpan[], LogSpan[]] = [[], []];
  let left = count;
  for (const span of spans) {
    const cut = Math.min(span.to, span.from + left);
    if (cut > span.from) first.push({ ...span, to: cut });
    if (cut < span.to) rest.push({ ...span, from: cut });
    left -= cut - span.from;
  }
  return { first, rest };
}
