/** Simulates days of one store and its compactors. Deterministic by its seed. */
import { DEFAULT_LIMITS, planLog, planUnit } from "../../src/compaction/plan.ts";
import { MEASURED, type Speed } from "./assumptions.ts";
import { Fleet } from "./cluster.ts";
import { randomOf } from "./key-space.ts";
import { Ledger } from "./ledger.ts";
import { ModelLog } from "./model-log.ts";
import { ModelStore, type StoreShape } from "./model-store.ts";
import type { Cluster, Planner } from "./shared.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const SAMPLE_MS = 10 * MINUTE_MS;
/** A store whose log is this late does not keep up. */
const BEHIND_MS = 6 * 60 * MINUTE_MS;
const START_MS = Date.UTC(2026, 11, 1);

export interface Scenario extends StoreShape {
  readonly flushesPerSecond: number;
  readonly flushBytes: number;
  readonly invocationMs: number;
  /** Invocations at once at most. */
  readonly workers: number;
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
  /** One in ten minutes. */
  readonly samples: readonly Sample[];
  readonly levelsMax: number;
  /** Since when it is hopelessly behind; undefined: it keeps up. */
  readonly behindDay: number | undefined;
  /** How many workers were busy, on average. */
  readonly busy: number;
  /** What data waited longest to be merged into the oldest level. */
  readonly eraseMs: number;
  readonly store: ModelStore;
  readonly log: ModelLog;
}

const PLANNER: Planner = { planLog, planUnit };

/** @param planner another one, to show what depends on it */
export function simulate(scenario: Scenario, planner = PLANNER): Outcome {
  const { flushesPerSecond, flushBytes, invocationMs, workers, days, seed } = scenario;
  const { everyMs = MINUTE_MS } = scenario;
  const random = randomOf(seed);
  const log = new ModelLog(flushesPerSecond, START_MS, random);
  const store = new ModelStore(scenario, START_MS, random);
  const ledger = new Ledger();
  const speed = { ...MEASURED, ...scenario.speed };
  const leases = new Set<string>();
  const limits = DEFAULT_LIMITS;
  const cluster: Cluster = { store, log, ledger, planner, speed, limits, flushBytes, leases };
  const options = { durationMs: invocationMs, parallel: workers, everyMs, startMs: START_MS };
  const fleet = new Fleet(cluster, options);
  const samples: Sample[] = [];
  let [levelsMax, eraseMs, nowMs] = [0, 0, START_MS];
  let behindDay: number | undefined;
  const endMs = START_MS + days * DAY_MS;
  while (nowMs < endMs && behindDay === undefined) {
    nowMs = fleet.step();
    levelsMax = Math.max(levelsMax, store.levels);
    if (nowMs < START_MS + (samples.length + 1) * SAMPLE_MS) continue;
    eraseMs = Math.max(eraseMs, store.waitingMs());
    const day = (nowMs - START_MS) / DAY_MS;
    samples.push(sampleOf(store, log, day, nowMs, ledger));
    if (log.ageMs(nowMs) > BEHIND_MS) behindDay = day;
  }
  const busy = ledger.busyMs / (nowMs - START_MS);
  const seen = { levelsMax, eraseMs, behindDay, busy };
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
    manifestBytes: store.shape().bytes,
    isDraining: store.loaded.manifest.draining.length > 0,
    waitingMs: store.waitingMs(),
    amplification: ledger.amplification,
  };
}
