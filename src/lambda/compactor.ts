/** The scheduled function that compacts one store, or several in turn. */
import { type Runtime, systemRuntime } from "../core/runtime.ts";
import { Deadline } from "../storage/deadline.ts";
import type { CompactOptions } from "../compaction/compact.ts";
import { callback, checkFlag } from "../core/options.ts";
import {
  type CompactorReport,
  REMAINING_MIN_MS,
  compactStore,
  type StoreCompaction,
} from "./store-compaction.ts";
import { metricsLine } from "./compactor-metrics.ts";
import type { LambdaContext } from "./context.ts";
import { Fleet, type FleetOptions, oneOf } from "./fleet.ts";
import type { S3Access } from "./s3-access.ts";
import { type LocationOptions, type OpenLocation, WarmLocation } from "./warm-location.ts";

interface CommonOptions extends Omit<CompactOptions, "backend"> {
  /** Called with one line of JSON per store that reports what was done. Default: console.log. */
  readonly log?: ((line: string) => void) | undefined;
  /**
   * Writes a line in CloudWatch's embedded metric format per store to the standard output:
   * namespace "Opslog", dimension "Store" = the location. Default true.
   */
  readonly metrics?: boolean | undefined;
}

/** Options of `createCompactor` for one store. */
export interface CompactorOptions extends LocationOptions, CommonOptions {}

/** For several stores: `locations` or `discover`. */
export interface FleetCompactorOptions extends FleetOptions, CommonOptions {}

/** `skipped`: there was no time left; the next invocation begins with it. */
export type StoreOutcome =
  | { readonly location: string; readonly outcome: "done"; readonly report: CompactorReport }
  | { readonly location: string; readonly outcome: "failed"; readonly error: unknown }
  | { readonly location: string; readonly outcome: "skipped" };

/** What the compactor of several stores did. */
export interface FleetReport {
  /** One outcome for each store. */
  readonly stores: readonly StoreOutcome[];
}

type Handler<Report> = (event: unknown, context: LambdaContext) => Promise<Report>;

/** As long as Lambda lets an invocation run. */
const INVOCATION_MS_MAX = 900_000;

/** A pass stops this long before the invocation ends; of a short invocation, a quarter before. */
const STOP_MARGIN_MS = 5_000;

/**
 * Makes a Lambda handler for a schedule. It runs compaction passes while one leaves work behind
 * (`more`) or lost a race, and while the invocation has at least 20 s and twice the time of its
 * longest pass left; a pass that is not done 5 s before the end stops. Being cut off, or running
 * twice at once, is harmless: the next invocation continues from what was published.
 *
 * Several stores share the time: each is given an equal part of what is left for further passes.
 * Those that are not reached are the first of the next invocation.
 *
 * Logs one line of JSON per store and returns the same as an object. When a pass fails, the line
 * contains the error, what was done before it and what all of it cost. The other stores are compacted
 * all the same, and the invocation fails at the end.
 *
 * @throws (the handler) as `compact`, with several stores an AggregateError of that;
 *   InvalidArgumentError for a missing location
 */
export interface CreateCompactor {
  (options: CompactorOptions): Handler<CompactorReport>;
  (options: FleetCompactorOptions): Handler<FleetReport>;
}

/** `createCompactor` where S3 is reached so. */
export function makeCreateCompactor(s3: S3Access): CreateCompactor {
  function createCompactor(options: CompactorOptions): Handler<CompactorReport>;
  function createCompactor(options: FleetCompactorOptions): Handler<FleetReport>;
  function createCompactor(
    options: CompactorOptions | FleetCompactorOptions,
  ): Handler<CompactorReport | FleetReport> {
    return "locations" in options || "discover" in options || !("location" in options)
      ? compactFleet(options, s3)
      : compactOne(options, s3);
  }
  return createCompactor;
}

/** As `createCompactor`, for one store; tests bring another clock. */
export function compactOne(
  { location, backend, ...common }: CompactorOptions,
  s3: S3Access,
  runtime: Runtime = systemRuntime,
): Handler<CompactorReport> {
  const warm = new WarmLocation({ location, backend }, s3);
  return async (_event, context) => {
    const invocation = new CompactorInvocation(common, runtime, context);
    try {
      const { report, failure } = await invocation.compact(`${location}`, () => warm.get(), 1);
      if (failure !== undefined || report === undefined) throw failure?.error;
      return report;
    } finally {
      invocation.end();
    }
  };
}

/** As `createCompactor`, for several stores; tests bring another clock. */
export function compactFleet(
  { locations, discover, backend, ...common }: FleetCompactorOptions,
  s3: S3Access,
  runtime: Runtime = systemRuntime,
): Handler<FleetReport> {
  if ("location" in common) throw oneOf();
  const fleet = new Fleet({ locations, discover, backend }, s3);
  return async (_event, context) => {
    const invocation = new CompactorInvocation(common, runtime, context);
    try {
      return await compactAll(fleet, invocation, runtime);
    } finally {
      invocation.end();
    }
  };
}

async function compactAll(
  fleet: Fleet,
  invocation: CompactorInvocation,
  runtime: Runtime,
): Promise<FleetReport> {
  const locations = await fleet.inTurn(runtime);
  const stores: StoreOutcome[] = [];
  for (const [at, location] of locations.entries()) {
    if (at > 0 && !invocation.hasTimeForAnother) {
      stores.push({ location, outcome: "skipped" });
      continue;
    }
    const open = (): OpenLocation => fleet.open(location);
    const { report, failure } = await invocation.compact(location, open, locations.length - at);
    if (failure !== undefined) stores.push({ location, outcome: "failed", error: failure.error });
    else if (report !== undefined) stores.push({ location, outcome: "done", report });
  }
  const skipped = stores.find(({ outcome }) => outcome === "skipped");
  fleet.continueWith((skipped ?? stores[0])?.location);
  const failed = stores.flatMap((store) => (store.outcome === "failed" ? [store] : []));
  if (failed.length === 0) return { stores };
  const texts = failed.map(({ location, error }) => `${location}: ${String(error)}`);
  throw new AggregateError(
    failed.map(({ error }) => error),
    `${failed.length} of ${stores.length} stores could not be compacted: ${texts.join("; ")}`,
  );
}

/** The time of one invocation, and what it logs. */
class CompactorInvocation {
  readonly #options: Omit<CompactOptions, "backend">;
  readonly #runtime: Runtime;
  readonly #log: (line: string) => void;
  readonly #metrics: boolean;
  readonly #leftMs: () => number;
  readonly #anotherMs: number;
  readonly #deadline: Deadline;

  /** @throws InvalidArgumentError */
  constructor(
    { log, metrics, ...options }: CommonOptions,
    runtime: Runtime,
    context: LambdaContext | undefined,
  ) {
    this.#options = options;
    this.#runtime = runtime;
    this.#log = callback(log, "log") ?? logLine;
    this.#metrics = checkFlag(metrics, "metrics", true);
    this.#leftMs = timeOf(context, runtime);
    const wholeMs = this.#leftMs();
    this.#anotherMs = Math.min(REMAINING_MIN_MS, wholeMs / 2);
    const marginMs = Math.min(STOP_MARGIN_MS, wholeMs / 4);
    this.#deadline = new Deadline(runtime, () => this.#leftMs() - marginMs);
  }

  get hasTimeForAnother(): boolean {
    return this.#leftMs() >= this.#anotherMs;
  }

  /** @param stores this one and those still to come, which share the time */
  async compact(
    location: string,
    open: () => OpenLocation,
    stores: number,
  ): Promise<StoreCompaction> {
    const keptMs = this.#leftMs() * (1 - 1 / stores);
    const done = await compactStore(open, {
      compact: this.#options,
      runtime: this.#runtime,
      deadline: this.#deadline,
      leftMs: () => this.#leftMs() - keptMs,
    });
    const { report, cost, failure, durationMs } = done;
    const error = failure === undefined ? {} : { error: String(failure.error) };
    this.#log(
      JSON.stringify({ message: "opslog compaction", location, ...report, cost, ...error }),
    );
    if (this.#metrics) {
      const failed = failure !== undefined;
      const line = metricsLine({ location, report, failed, durationMs }, this.#runtime.nowMs());
      // Not the console: what Lambda puts before or around its lines would hide the metrics.
      process.stdout.write(`${line}\n`);
    }
    return done;
  }

  end(): void {
    this.#deadline.stop();
  }
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
