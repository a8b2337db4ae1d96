/** One invocation of the compactor: its time, its turns, and what it logs. */
import { resolvePrices } from "../core/cost.ts";
import { CostMeter } from "../core/cost-meter.ts";
import { callback, checkFlag, wrong } from "../core/options.ts";
import type { Runtime } from "../core/runtime.ts";
import type { CompactOptions } from "../compaction/compact.ts";
import type { CompactionTask } from "../compaction/report.ts";
import { Deadline } from "../storage/deadline.ts";
import { metricsLine } from "./compactor-metrics.ts";
import type { CommonOptions } from "./compactor-options.ts";
import type { LambdaContext } from "./context.ts";
import { FanOut } from "./fan-out.ts";
import type { IdleBackoff } from "./idle-backoff.ts";
import {
  type CompactorReport,
  compactStore,
  joinReports,
  PASSES_MAX,
  REMAINING_MIN_MS,
  type StoreCompaction,
  timeForAnother,
} from "./store-compaction.ts";
import type { OpenLocation } from "./warm-location.ts";

/** As long as Lambda lets an invocation run. */
const INVOCATION_MS_MAX = 900_000;

/** A pass stops this long before the invocation ends; of a short invocation, a quarter before. */
const STOP_MARGIN_MS = 5_000;

/**
 * What is quiet for longer has no metrics: each would cost $0.30 a month. An alarm over three
 * schedules of a day sees the end of a backlog before.
 */
const METRICS_QUIET_MS = 4 * 86_400_000;

/** One store in one invocation. */
export class Visit {
  readonly location: string;
  readonly open: () => OpenLocation;
  /** Of a worker; undefined: all of the work. */
  readonly task: CompactionTask | undefined;
  /** Of all turns. */
  readonly meter: CostMeter;
  /** Of all turns. */
  report: CompactorReport | undefined;
  failure: StoreCompaction["failure"];
  isUnfinished = false;
  longestMs = 0;

  constructor(
    location: string,
    open: () => OpenLocation,
    { prices }: Pick<CompactOptions, "prices">,
    task?: CompactionTask,
  ) {
    this.location = location;
    this.open = open;
    this.task = task;
    this.meter = new CostMeter(resolvePrices(prices));
  }

  get isBegun(): boolean {
    return this.report !== undefined || this.failure !== undefined;
  }
}

export class CompactorInvocation {
  readonly #options: Omit<CompactOptions, "backend">;
  readonly #idle: IdleBackoff;
  readonly #runtime: Runtime;
  readonly #log: (line: string) => void;
  readonly #metrics: boolean;
  readonly #fanOut: FanOut;
  readonly #leftMs: () => number;
  readonly #anotherMs: number;
  readonly #deadline: Deadline;

  /** @throws InvalidArgumentError */
  constructor(
    { log, metrics, idleMaxMs = 0, parallel, startWorker, ...options }: CommonOptions,
    idle: IdleBackoff,
    runtime: Runtime,
    context: LambdaContext | undefined,
  ) {
    if (typeof idleMaxMs !== "number" || !(idleMaxMs >= 0)) {
      throw wrong("idleMaxMs", "a non-negative number of ms", idleMaxMs);
    }
    this.#options = options;
    this.#idle = idle;
    this.#runtime = runtime;
    this.#log = callback(log, "log") ?? logLine;
    this.#metrics = checkFlag(metrics, "metrics", true);
    this.#fanOut = new FanOut({ ...options, parallel, startWorker }, runtime);
    this.#leftMs = timeOf(context, runtime);
    const wholeMs = this.#leftMs();
    this.#anotherMs = Math.min(REMAINING_MIN_MS, wholeMs / 2);
    const marginMs = Math.min(STOP_MARGIN_MS, wholeMs / 4);
    this.#deadline = new Deadline(runtime, () => this.#leftMs() - marginMs);
  }

  /** For the first turn of a store. */
  get hasTimeForAnother(): boolean {
    return this.#leftMs() >= this.#anotherMs;
  }

  /** For a further turn. */
  hasTimeFor({ longestMs }: Visit): boolean {
    return this.#leftMs() >= timeForAnother(longestMs);
  }

  /** One turn of a store. @param stores this one and those still to come, which share the time */
  async compact(visit: Visit, stores: number): Promise<void> {
    const leftMs = this.#leftMs();
    // Most of many stores have nothing to do, and leave their part to the others.
    const turnMs = Math.max(leftMs / stores, Math.min(REMAINING_MIN_MS, leftMs / 4));
    const { location, task } = visit;
    const mayDivide = this.#fanOut.isWanted && task === undefined;
    const done = await compactStore(visit.open, {
      compact: this.#options,
      runtime: this.#runtime,
      meter: visit.meter,
      deadline: this.#deadline,
      leftMs: () => this.#leftMs() - (leftMs - turnMs),
      task,
      divide: mayDivide ? (found) => this.#fanOut.divide(location, found) : undefined,
    });
    const { report } = done;
    visit.failure = done.failure;
    visit.longestMs = Math.max(visit.longestMs, done.longestMs);
    if (report !== undefined) {
      visit.report = visit.report === undefined ? report : joinReports(visit.report, report);
    }
    visit.isUnfinished = done.isUnfinished && (visit.report?.passes ?? 0) < PASSES_MAX;
    this.#report(visit, done);
    // What is left of a share says nothing of the store.
    if (task !== undefined) return;
    const nowMs = this.#runtime.nowMs();
    if (wasIdle(visit)) this.#idle.quiet(location, nowMs, visit.report?.quietMs);
    else this.#idle.busy(location);
  }

  end(): void {
    this.#deadline.stop();
  }

  #report(visit: Visit, { report, cost, failure, durationMs }: StoreCompaction): void {
    const { location, task } = visit;
    const error = failure === undefined ? {} : { error: String(failure.error) };
    this.#log(
      JSON.stringify({
        message: "opslog compaction",
        location,
        ...(task && { task }),
        ...visit.report,
        cost,
        ...error,
      }),
    );
    if (!this.#metrics) return;
    if (wasIdle(visit) && (visit.report?.quietMs ?? 0) > METRICS_QUIET_MS) return;
    const failed = failure !== undefined;
    const isWorker = task !== undefined;
    const startsWorkers = !isWorker && this.#fanOut.isWanted;
    const turn = { location, report, failed, durationMs, isWorker, startsWorkers };
    const line = metricsLine(turn, this.#runtime.nowMs());
    // Not the console: what Lambda puts before or around its lines would hide the metrics.
    process.stdout.write(`${line}\n`);
  }
}

/** Whether all that was done was to look. */
function wasIdle({ report, failure }: Visit): boolean {
  return failure === undefined && report?.outcome === "idle" && report.passes === 1;
}

/** The context of a unit test, or of a script, may have no time limit: then the longest of an invocation holds. */
function timeOf(context: LambdaContext | undefined, runtime: Runtime): () => number {
  if (typeof context?.getRemainingTimeInMillis === "function") {
    return () => context.getRemainingTimeInMillis();
  }
  const endMs = runtime.steadyMs() + INVOCATION_MS_MAX;
  return () => endMs - runtime.steadyMs();
}

function logLine(line: string): void {
  console.log(line);
}
