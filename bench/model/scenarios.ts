/** What is simulated, and the searches over it. */
import { SDK_SEGMENT_MS } from "./assumptions.ts";
import { type Outcome, type Scenario, simulate } from "./simulate.ts";

const GB = 1e9;
const MINUTE_MS = 60_000;
const KEEP_ALL_MS = 100 * 365 * 86_400_000;

export const SEED = 20_261_130;

interface Given {
  readonly rate: number;
  readonly flushKb: number;
  /** Undefined: it begins empty, and every write is a new record. */
  readonly storeGb?: number;
  readonly minutes: number;
  /** Default 1. */
  readonly workers?: number;
  readonly days: number;
  /** Without the bound for bytes that were deleted or replaced. */
  readonly keepsAll?: boolean;
}

export function scenarioOf({
  rate,
  flushKb,
  storeGb,
  minutes,
  workers = 1,
  days,
  keepsAll,
}: Given): Scenario {
  const bytes = flushKb * 1_000;
  return {
    flushesPerSecond: rate,
    flushBytes: bytes,
    recordBytes: bytes,
    capacityBytes: storeGb === undefined ? Infinity : storeGb * GB,
    initialBytes: (storeGb ?? 0) * GB,
    invocationMs: minutes * MINUTE_MS,
    workers,
    days,
    ...(keepsAll === true ? { settings: { eraseAfterMs: KEEP_ALL_MS } } : {}),
    seed: SEED,
  };
}

/** Old bytes are erased from the fourth day on. */
export const SCENARIOS: readonly Scenario[] = [
  ...[1, 2, 4, 8, 16].map((workers) => ({
    rate: 3_500,
    flushKb: 1,
    storeGb: 10,
    minutes: 5,
    workers,
    days: 0.25,
  })),
  { rate: 3_500, flushKb: 1, storeGb: 10, minutes: 1, workers: 8, days: 0.25 },
  { rate: 3_500, flushKb: 1, storeGb: 10, minutes: 15, workers: 8, days: 0.25 },
  { rate: 3_500, flushKb: 1, storeGb: 1_000, minutes: 15, workers: 8, days: 0.25 },
  { rate: 3_500, flushKb: 1, storeGb: 10_000, minutes: 15, workers: 8, days: 0.1 },
  { rate: 1, flushKb: 1, minutes: 1, days: 14 },
  { rate: 1, flushKb: 1, storeGb: 1_000, minutes: 1, days: 5 },
  { rate: 1, flushKb: 1, storeGb: 1_000, minutes: 1, days: 5, keepsAll: true },
  { rate: 100, flushKb: 1, minutes: 1, days: 5 },
  { rate: 100, flushKb: 1, storeGb: 10, minutes: 1, days: 5 },
  { rate: 100, flushKb: 10, storeGb: 10, minutes: 1, days: 2 },
  { rate: 100, flushKb: 1, storeGb: 1_000, minutes: 15, days: 5 },
  { rate: 100, flushKb: 1, storeGb: 1_000, minutes: 15, workers: 4, days: 5 },
  { rate: 100, flushKb: 10, storeGb: 1_000, minutes: 5, days: 4.5 },
  { rate: 1_000, flushKb: 1, storeGb: 10, minutes: 1, days: 1 },
  { rate: 100, flushKb: 1, storeGb: 10_000, minutes: 15, days: 4, keepsAll: true },
  { rate: 100, flushKb: 1, storeGb: 10_000, minutes: 15, days: 4.5 },
  { rate: 100, flushKb: 1, storeGb: 10_000, minutes: 15, workers: 8, days: 4.5 },
].map(scenarioOf);

export const WITH_SDK = { segmentMs: SDK_SEGMENT_MS };

/** Of about two hours at 5 minutes each: long enough to see a backlog that grows. */
const SEARCH = { storeGb: 10, minutes: 5, days: 0.1 };
const ROUNDS = 5;
/** Of which the capacity is searched. */
export const WORKERS = [1, 2, 4, 8, 16] as const;
/** A worker keeps up with about so many. */
const RATE_PER_WORKER = { least: 300, most: 4_000 };

export interface Capacity {
  readonly flushKb: number;
  readonly client: "light" | "sdk";
  readonly workers: number;
  /** The highest rate that was kept up, and the lowest that was not. */
  readonly keptUp: number;
  readonly fellBehind: number;
  /** At the highest rate that was kept up. */
  readonly outcome: Outcome | undefined;
}

/** At the end about what arrives during one invocation may wait. */
export function keepsUp({ samples, behindDay, scenario }: Outcome): boolean {
  const last = samples.at(-1);
  return behindDay === undefined && (last?.ageMs ?? 0) < 2 * scenario.invocationMs;
}

/** The point at which so many workers no longer keep up. */
export function capacityOf(
  flushKb: number,
  client: Capacity["client"],
  workers: number,
  days = SEARCH.days,
): Capacity {
  let keptUp = RATE_PER_WORKER.least;
  // Several share their work the worse, the more they are.
  let fellBehind = RATE_PER_WORKER.most * Math.sqrt(workers);
  let outcome: Outcome | undefined;
  for (let round = 0; round < ROUNDS; round++) {
    const rate = Math.round(Math.sqrt(keptUp * fellBehind));
    const scenario = scenarioOf({ ...SEARCH, rate, flushKb, workers, days });
    const speed = client === "sdk" ? WITH_SDK : {};
    const found = simulate({ ...scenario, speed });
    if (keepsUp(found)) [keptUp, outcome] = [rate, found];
    else fellBehind = rate;
  }
  return { flushKb, client, workers, keptUp, fellBehind: Math.round(fellBehind), outcome };
}
