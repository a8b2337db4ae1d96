/** What is simulated, and the searches over it. */
import { MEASURED, SDK_SEGMENT_MS } from "./assumptions.ts";
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
  { rate: 1, flushKb: 1, minutes: 1, days: 14 },
  { rate: 1, flushKb: 1, storeGb: 10, minutes: 1, days: 5 },
  { rate: 1, flushKb: 1, storeGb: 1_000, minutes: 1, days: 5 },
  { rate: 1, flushKb: 1, storeGb: 1_000, minutes: 1, days: 5, keepsAll: true },
  { rate: 100, flushKb: 1, minutes: 1, days: 5 },
  { rate: 100, flushKb: 1, storeGb: 10, minutes: 1, days: 5 },
  { rate: 100, flushKb: 1, storeGb: 10, minutes: 15, days: 5 },
  { rate: 100, flushKb: 10, storeGb: 10, minutes: 1, days: 2 },
  { rate: 100, flushKb: 1, storeGb: 1_000, minutes: 1, days: 5 },
  { rate: 100, flushKb: 1, storeGb: 1_000, minutes: 15, days: 5 },
  { rate: 100, flushKb: 10, storeGb: 1_000, minutes: 5, days: 4.5 },
  { rate: 100, flushKb: 1, storeGb: 10_000, minutes: 15, days: 5 },
  { rate: 100, flushKb: 1, storeGb: 10_000, minutes: 15, days: 4, keepsAll: true },
  { rate: 1_000, flushKb: 1, storeGb: 10, minutes: 1, days: 1 },
  { rate: 3_500, flushKb: 1, storeGb: 10, minutes: 15, days: 0.5 },
].map(scenarioOf);

/** The worker of the model with the throughput of so many, in the parts of a step that can be divided. */
export function withWorkers(scenario: Scenario, workers: number): Scenario {
  const { segmentMs, mergeBytesPerMs, keyMs } = { ...MEASURED, ...scenario.speed };
  const speed = {
    segmentMs: segmentMs / workers,
    mergeBytesPerMs: mergeBytesPerMs * workers,
    keyMs: keyMs / workers,
  };
  return { ...scenario, speed: { ...scenario.speed, ...speed } };
}

export const WITH_SDK = { segmentMs: SDK_SEGMENT_MS };

/** Of five hours at 15 minutes each: long enough to see a backlog that grows. */
const SEARCH = { storeGb: 10, minutes: 15, days: 0.2 };
const ROUNDS = 6;

export interface Capacity {
  readonly flushKb: number;
  readonly client: "light" | "sdk";
  /** The highest rate that was kept up, and the lowest that was not. */
  readonly keptUp: number;
  readonly fellBehind: number;
}

export function keepsUp({ samples, behindDay, scenario }: Outcome): boolean {
  // A minute of arrivals and what came during one invocation may wait.
  const last = samples.at(-1);
  return behindDay === undefined && (last?.ageMs ?? 0) < 2 * scenario.invocationMs;
}

/** The point at which one worker no longer keeps up. */
export function capacityOf(flushKb: number, client: Capacity["client"]): Capacity {
  let [keptUp, fellBehind] = [50, 5_000];
  for (let round = 0; round < ROUNDS; round++) {
    const rate = Math.round(Math.sqrt(keptUp * fellBehind));
    const scenario = scenarioOf({ ...SEARCH, rate, flushKb });
    const speed = client === "sdk" ? WITH_SDK : {};
    if (keepsUp(simulate({ ...scenario, speed }))) keptUp = rate;
    else fellBehind = rate;
  }
  return { flushKb, client, keptUp, fellBehind };
}
