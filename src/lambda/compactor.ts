/** The scheduled function that compacts one store, or several in turn. */
import { InvalidArgumentError } from "../core/errors.ts";
import { type Runtime, systemRuntime } from "../core/runtime.ts";
import { wantedBy } from "./compactor-event.ts";
import { CompactorInvocation, Visit } from "./compactor-invocation.ts";
import type { CommonOptions } from "./compactor-options.ts";
import type { LambdaContext } from "./context.ts";
import { Fleet, type FleetOptions, oneOf } from "./fleet.ts";
import { IdleBackoff } from "./idle-backoff.ts";
import type { S3Access } from "./s3-access.ts";
import { type CompactorReport, joinReports } from "./store-compaction.ts";
import { type LocationOptions, type OpenLocation, WarmLocation } from "./warm-location.ts";
import { tasksIn, type WorkerTask } from "./worker-event.ts";

/** Options of `createCompactor` for one store. */
export interface CompactorOptions extends LocationOptions, CommonOptions {}

/** For several stores: `locations` or `discover`. */
export interface FleetCompactorOptions extends FleetOptions, CommonOptions {}

/**
 * `skipped`: there was no time left; the next invocation begins with it. `resting`: it had nothing
 * to do, and it is not yet time to look again (`idleMaxMs`).
 */
export type StoreOutcome =
  | { readonly location: string; readonly outcome: "done"; readonly report: CompactorReport }
  | { readonly location: string; readonly outcome: "failed"; readonly error: unknown }
  | { readonly location: string; readonly outcome: "skipped" | "resting" };

/** What the compactor of several stores did. */
export interface FleetReport {
  /** One outcome for each store. */
  readonly stores: readonly StoreOutcome[];
}

type Handler<Report> = (event: unknown, context: LambdaContext) => Promise<Report>;

const IDLE_MAX_MS = 900_000;

/**
 * Makes a Lambda handler for a schedule. It runs compaction passes while one leaves work behind
 * (`more`) or lost a race, and while the invocation has at least 20 s and twice the time of its
 * longest pass left; a pass that is not done 5 s before the end stops. Being cut off, or running
 * twice at once, is harmless: the next invocation continues from what was published.
 *
 * Several stores share the time: each has a turn with an equal part of what is left, or with 20 s (at
 * most a quarter of it) where that is more. When all have had a turn, those with more to do have
 * further ones. Those that are not reached are the first of the next invocation.
 *
 * The event decides which stores are looked at: one of a schedule, those that are due (`idleMaxMs`); a
 * notification of S3 about an object, also through EventBridge, SQS or SNS, and `{ location }`, the
 * stores that it names; any other event, all stores at once.
 *
 * With `parallel` an invocation that finds a long backlog starts workers, which are invocations of the same
 * handler with a `WorkerEvent`: each does one share of the work on one store under a lease of its own, and
 * ends at once where another does that share. Workers start no workers. One invocation starts at most
 * `parallel` − 1 in a minute, for all of its stores together.
 *
 * Logs one line of JSON per store and turn and returns the same as an object. When a pass fails, the
 * line contains the error, what was done before it and what all of it cost. The other stores are
 * compacted all the same, and the invocation fails at the end.
 *
 * @throws (the handler) as `compact`, with several stores an AggregateError of that;
 *   InvalidArgumentError for a missing location, and for an `opslogTask` of another shape or store
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
  const idle = new IdleBackoff(common.idleMaxMs ?? IDLE_MAX_MS);
  let last: CompactorReport | undefined;
  return async (event, context) => {
    const name = `${location}`;
    const isDue = wantedBy(event) !== "scheduled" || !idle.isResting(name, runtime.nowMs());
    if (!isDue && last !== undefined) return restingReport(last);
    const invocation = new CompactorInvocation(common, idle, runtime, context);
    try {
      const tasks = tasksIn(event);
      if (tasks.length > 0) {
        const visits = visitsFor(tasks, [name], () => warm.get(), common);
        await compactInTurns(visits, invocation);
        return joined(visits);
      }
      const visit = new Visit(name, () => warm.get(), common);
      await invocation.compact(visit, 1);
      const { report, failure } = visit;
      if (failure !== undefined || report === undefined) throw failure?.error;
      last = report;
      return report;
    } finally {
      invocation.end();
    }
  };
}

/** @throws what a task failed with */
function joined(visits: readonly Visit[]): CompactorReport {
  for (const { failure } of visits) if (failure !== undefined) throw failure.error;
  return visits.flatMap(({ report }) => report ?? []).reduce(joinReports);
}

/** @throws InvalidArgumentError for a task of another store */
function visitsFor(
  tasks: readonly WorkerTask[],
  known: readonly string[],
  open: (location: string) => OpenLocation,
  options: CommonOptions,
): Visit[] {
  const stray = tasks.find(({ location }) => !known.includes(location));
  if (stray !== undefined) {
    const found = JSON.stringify(stray.location);
    throw new InvalidArgumentError(
      `the event's opslogTask.location ${found} is no store of this compactor`,
    );
  }
  return tasks.map(
    ({ location, ...task }) => new Visit(location, () => open(location), options, task),
  );
}

/** @param last of a look that found nothing to do */
function restingReport(last: CompactorReport): CompactorReport {
  const requests = { get: 0, head: 0, put: 0, list: 0, delete: 0 };
  const cost = { requests, bytesIn: 0, bytesOut: 0, roundTrips: 0, usd: 0 };
  return { ...last, passes: 0, workers: 0, durationMs: 0, cost };
}

/** As `createCompactor`, for several stores; tests bring another clock. */
export function compactFleet(
  { locations, discover, backend, ...common }: FleetCompactorOptions,
  s3: S3Access,
  runtime: Runtime = systemRuntime,
): Handler<FleetReport> {
  if ("location" in common) throw oneOf();
  const { idleMaxMs = IDLE_MAX_MS } = common;
  const fleet = new Fleet({ locations, discover, backend }, s3, idleMaxMs);
  const idle = new IdleBackoff(idleMaxMs);
  return async (event, context) => {
    const invocation = new CompactorInvocation(common, idle, runtime, context);
    try {
      const tasks = tasksIn(event);
      if (tasks.length > 0) {
        const named = await fleet.inTurn(runtime, new Set(tasks.map(({ location }) => location)));
        const visits = visitsFor(tasks, named, (name) => fleet.open(name), common);
        await compactInTurns(visits, invocation);
        return reportOf(visits, () => true);
      }
      const wanted = wantedBy(event);
      const found = await fleet.inTurn(runtime, wanted);
      const visits = found.map((name) => new Visit(name, () => fleet.open(name), common));
      const nowMs = runtime.nowMs();
      const isDue = ({ location }: Visit): boolean =>
        wanted !== "scheduled" || !idle.isResting(location, nowMs);
      await compactInTurns(visits.filter(isDue), invocation);
      // What an event names is no part of the order.
      if (typeof wanted === "string") fleet.continueWith(nextOf(visits, isDue));
      return reportOf(visits, isDue);
    } finally {
      invocation.end();
    }
  };
}

/** One turn for each, then further ones for those that have more to do. */
async function compactInTurns(due: readonly Visit[], invocation: CompactorInvocation) {
  for (const [at, visit] of due.entries()) {
    if (at > 0 && !invocation.hasTimeForAnother) return;
    await invocation.compact(visit, due.length - at);
  }
  for (;;) {
    const unfinished = due.filter(({ isUnfinished }) => isUnfinished);
    if (unfinished.length === 0) return;
    for (const [at, visit] of unfinished.entries()) {
      if (!invocation.hasTimeFor(visit)) return;
      await invocation.compact(visit, unfinished.length - at);
    }
  }
}

/** The first one that was not reached, or the first of all. */
function nextOf(visits: readonly Visit[], isDue: (visit: Visit) => boolean): string | undefined {
  const skipped = visits.find((visit) => isDue(visit) && !visit.isBegun);
  return (skipped ?? visits[0])?.location;
}

/** @throws AggregateError of what stores failed with */
function reportOf(visits: readonly Visit[], isDue: (visit: Visit) => boolean): FleetReport {
  const stores = visits.map((visit): StoreOutcome => {
    const { location, failure, report } = visit;
    if (failure !== undefined) return { location, outcome: "failed", error: failure.error };
    if (report !== undefined) return { location, outcome: "done", report };
    return { location, outcome: isDue(visit) ? "skipped" : "resting" };
  });
  const failed = stores.flatMap((store) => (store.outcome === "failed" ? [store] : []));
  if (failed.length === 0) return { stores };
  const texts = failed.map(({ location, error }) => `${location}: ${String(error)}`);
  throw new AggregateError(
    failed.map(({ error }) => error),
    `${failed.length} of ${stores.length} stores could not be compacted: ${texts.join("; ")}`,
  );
}
