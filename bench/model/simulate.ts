/** Simulates days of one store and one compactor. Deterministic by its seed. */
import { DEFAULT_LIMITS, planLog, planUnit } from "../../src/compaction/plan.ts";
import { MEASURED, type Speed } from "./assumptions.ts";
import { randomOf } from "./key-space.ts";
import type { Ledger } from "./ledger.ts";
import { ModelLog } from "./model-log.ts";
import { ModelStore, type StoreShape } from "./model-store.ts";
import { type Planner, Worker } from "./worker.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** A store whose log is this late does not keep up. */
const BEHIND_MS = 6 * 60 * MINUTE_MS;
const START_MS = Date.UTC(2026, 11, 1);

export interface Scenario extends StoreShape {
  readonly flushesPerSecond: number;
  readonly flushBytes: number;
  readonly invocationMs: number;
  readonly days: number;
  /** An invocation begins at each of these, unless another runs. Default a minute. */
  readonly everyMs?: number;
  readonly speed?: Partial<Speed>;
  readonly seed: number;
}

export interface Sample {
  readonly day: number;
  readonly waiting: number;
  readonly ageMs: number;
  readonly levels: number;
  readonly runs: number;
  readonly manifestBytes: number;
  readonly isDraining: boolean;
  readonly waitingMs: number;
  /** So far. */
  readonly amplification: number;
}

export interface Outcome {
  readonly scenario: Scenario;
  readonly ledger: Ledger;
  /** One an hour. */
  readonly samples: readonly Sample[];
  readonly levelsMax: number;
  /** Since when it is hopelessly behind; undefined: it keeps up. */
  readonly behindDay: number | undefined;
  /** Share of the time in which the worker was busy. */
  readonly busy: number;
  readonly longestDrainMs: number;
  /** What data waited longest to be merged into the oldest level. */
  readonly eraseMs: number;
  readonly store: ModelStore;
  readonly log: ModelLog;
}

const PLANNER: Planner = { planLog, planUnit };

/** @param planner another one, to show what depends on it */
export function simulate(scenario: Scenario, planner = PLANNER): Outcome {
  const { flushesPerSecond, flushBytes, invocationMs, days, seed } = scenario;
  const { everyMs = MINUTE_MS } = scenario;
  const random = randomOf(seed);
  const log = new ModelLog(flushesPerSecond, START_MS, random);
  const store = new ModelStore(scenario, START_MS, random);
  const speed = { ...MEASURED, ...scenario.speed };
  const worker = new Worker(store, log, { planner, speed, limits: DEFAULT_LIMITS, flushBytes });
  const samples: Sample[] = [];
  let [levelsMax, longestDrainMs, eraseMs, drainsSince] = [
    0,
    0,
    0,
    undefined as number | undefined,
  ];
  let behindDay: number | undefined;
  const endMs = START_MS + days * DAY_MS;
  let nowMs = START_MS + everyMs;
  for (; nowMs < endMs && behindDay === undefined;) {
    const endedMs = worker.invoke(nowMs, invocationMs);
    levelsMax = Math.max(levelsMax, store.levels);
    eraseMs = Math.max(eraseMs, store.waitingMs());
    const isDraining = store.loaded.manifest.draining.length > 0;
    drainsSince = isDraining ? (drainsSince ?? nowMs) : undefined;
    longestDrainMs = Math.max(longestDrainMs, endedMs - (drainsSince ?? endedMs));
    const day = (endedMs - START_MS) / DAY_MS;
    if (day * 24 >= samples.length) samples.push(sampleOf(store, log, day, endedMs, worker.ledger));
    if (log.ageMs(endedMs) > BEHIND_MS) behindDay = day;
    nowMs = Math.max(
      nowMs + everyMs,
      Math.ceil((endedMs - START_MS) / everyMs) * everyMs + START_MS,
    );
  }
  const busy = worker.ledger.busyMs / (nowMs - START_MS);
  const { ledger } = worker;
  const seen = { levelsMax, longestDrainMs, eraseMs, behindDay, busy };
  return { scenario, ledger, samples, ...seen, store, log };
}

function sampleOf(
  store: ModelStore,
  log: ModelLog,
  day: number,
  nowMs: number,
  ledger: Ledger,
): Sample {
  return {
    day,
    waiting: log.waiting(nowMs),
    ageMs: log.ageMs(nowMs),
    levels: store.levels,
    runs: store.runs,
    manifestBytes: store.manifestBytes(),
    isDraining: store.loaded.manifest.draining.length > 0,
    waitingMs: store.waitingMs(),
    amplification: ledger.amplification,
  };
}
