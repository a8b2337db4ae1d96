/**
 * Draws who is there and how often they come: in a few worlds everybody, in the others two or three
 * kinds that meet each other more often than the many do, in a fraction of the time.
 */
import type { Prng } from "./prng.ts";

/** Who comes again and again, does something, and goes. */
export const COMERS = [
  "short",
  "single",
  "clones",
  "fresh",
  "gradual",
  "follower",
  "stale",
  "streamer",
  "handlers",
  "archiver",
  "compactor",
  "rival",
  "relay",
  "contenders",
  "callers",
  "transactors",
] as const;

export type Comer = (typeof COMERS)[number];

export interface Crowd {
  /** Mean times between two that come; Infinity: none does. */
  readonly gapsMs: Readonly<Record<Comer, number>>;
  /** Who is there all the time. */
  readonly longWriters: number;
  readonly longReaders: number;
  readonly stormMs: number;
  /** Writers are busy for so long, then almost idle: deletions age, and late requests land. */
  readonly busyMs: number;
  readonly quietMs: number;
  readonly pageObjectsMax: number;
}

export const NOBODY: Crowd["gapsMs"] = {
  short: Infinity,
  single: Infinity,
  clones: Infinity,
  fresh: Infinity,
  gradual: Infinity,
  follower: Infinity,
  stale: Infinity,
  streamer: Infinity,
  handlers: Infinity,
  archiver: Infinity,
  compactor: Infinity,
  rival: Infinity,
  relay: Infinity,
  contenders: Infinity,
  callers: Infinity,
  transactors: Infinity,
};

/** Share of the worlds in which everybody is. */
const LARGE = 1 / 32;

export function drawCrowd(prng: Prng): Crowd {
  return prng.chance(LARGE) ? drawLarge(prng) : drawSmall(prng);
}

function drawLarge(prng: Prng): Crowd {
  const readerMs = prng.between(4_000, 9_000);
  const compactor = prng.between(1_500, 9_000);
  return {
    gapsMs: {
      short: prng.pick([2_000, 4_000, 20_000]),
      single: 40_000,
      clones: prng.chance(0.3) ? 60_000 : Infinity,
      fresh: readerMs,
      gradual: readerMs * 3,
      follower: readerMs * 4,
      stale: readerMs * 5,
      streamer: prng.chance(0.3) ? prng.between(4_000, 20_000) : Infinity,
      handlers: Infinity,
      archiver: prng.pick([5_000, 12_000, 30_000, Infinity]),
      compactor,
      rival: compactor * 2,
      relay: Infinity,
      contenders: Infinity,
      callers: Infinity,
      transactors: Infinity,
    },
    longWriters: prng.between(1, 3),
    longReaders: prng.between(1, 3),
    stormMs: prng.between(100_000, 220_000),
    busyMs: prng.between(10_000, 40_000),
    quietMs: prng.between(20_000, 80_000),
    pageObjectsMax: drawPage(prng),
  };
}

/** Everybody comes a handful of times; a deletion still lives to see that it is purged. */
function drawSmall(prng: Prng): Crowd {
  // Time costs nothing: what comes late must still meet those whom it may harm.
  const stormMs = prng.between(40_000, 180_000);
  const writers = prng.sample(["short", "short", "long", "single", "clones"] as const, 2);
  const readers = prng.sample(
    ["fresh", "gradual", "follower", "stale", "streamer", "long", "long"] as const,
    prng.between(1, 2),
  );
  const has = (kind: string): boolean => [...writers, ...readers].some((one) => one === kind);
  /** As many in the storm. */
  const times = (kind: Comer, low: number, high: number): number =>
    has(kind) ? stormMs / prng.between(low, high) : Infinity;
  return {
    gapsMs: {
      ...NOBODY,
      short: writers.includes("short") ? stormMs / prng.between(4, 16) : Infinity,
      single: times("single", 1, 4),
      clones: times("clones", 1, 3),
      fresh: times("fresh", 3, 8),
      gradual: times("gradual", 2, 4),
      follower: times("follower", 1, 3),
      stale: times("stale", 1, 3),
      streamer: times("streamer", 1, 3),
      archiver: prng.chance(0.25) ? stormMs / prng.pick([3, 6, 12]) : Infinity,
      compactor: stormMs / prng.pick([5, 10, 20]),
      rival: prng.chance(0.4) ? stormMs / prng.between(2, 6) : Infinity,
    },
    longWriters: writers.includes("long") ? prng.between(1, 2) : 0,
    longReaders: readers.includes("long") ? prng.between(1, 2) : 0,
    stormMs,
    busyMs: prng.between(8_000, 30_000),
    quietMs: prng.between(10_000, 50_000),
    pageObjectsMax: drawPage(prng),
  };
}

/** A log of more than a page is listed in parts, or by shards: the dearest thing that anybody does. */
function drawPage(prng: Prng): number {
  return prng.chance(0.25) ? prng.between(3, 5) : prng.between(8, 40);
}
