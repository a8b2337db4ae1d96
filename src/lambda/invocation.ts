/** What every invocation does around its handler: a store of its own, opened, settled, closed. */
import { type Cost, resolvePrices } from "../core/cost.ts";
import { CostMeter } from "../core/cost-meter.ts";
import { describeValue } from "../core/describe.ts";
import { InvalidArgumentError } from "../core/errors.ts";
import { messageOf } from "../core/realm.ts";
import { type Runtime, systemRuntime } from "../core/runtime.ts";
import type { Backlog } from "../session/backlog-alarm.ts";
import { Deadline } from "../storage/deadline.ts";
import { MeteredBackend } from "../storage/metered-backend.ts";
import { type StoreOptions } from "../session/options.ts";
import { callback, checkFlag, warningsTo } from "../core/options.ts";
import type { Store } from "../store/store.ts";
import type { LambdaContext } from "./context.ts";
import { InvocationStore } from "./invocation-store.ts";
import type { S3Access } from "./s3-access.ts";
import { CompactorStarter, compactorOfEnvironment } from "./compactor-starter.ts";
import { type LocationOptions, type OpenLocation, WarmLocation } from "./warm-location.ts";

/**
 * Options of the store, with other defaults: `skipLoad` and `strictHydration` are true, and no
 * invocation compacts (that is the compactor's) unless an option says so. `agentId` is the invocation's.
 * `costBudget` is each invocation's own. `onBacklog` is awaited before an invocation's result is
 * returned, so that what it sends to start the compactor is on its way when the process freezes; its
 * default is `startCompactor()` where the environment variable OPSLOG_COMPACTOR names a function.
 */
export interface WithStoreOptions<T = unknown>
  extends LocationOptions, Omit<StoreOptions<T>, "backend" | "agentId"> {
  /**
   * The store gives up this long before the invocation times out (`getRemainingTimeInMillis`), to
   * leave time for reporting it: nothing is sent or repeated any more, a read that is pending rejects
   * with UnavailableError, a write with WriteOutcomeUnknownError. ms, default 500.
   */
  readonly deadlineMarginMs?: number | undefined;
  /**
   * Where invocations run at once in one process, flushes share objects on S3, each as a segment of
   * its own: one is sent at once if none is in flight, else with the next, when that one is back or
   * this time has passed. 0: it does not wait, and shares only with those of the same moment.
   * ms, default 10. On a directory each flush is appended separately.
   */
  readonly flushLingerMs?: number | undefined;
  /**
   * Called with the cost of an invocation, once its store is closed, whether it succeeded or not, and before
   * its result is returned; a promise is awaited. What it fails with goes to `onWarning`.
   */
  readonly onCost?: ((cost: Cost, context: LambdaContext) => void | Promise<void>) | undefined;
  /** Logs the cost of each invocation as one line of JSON, with its request id. Default false. */
  readonly logCost?: boolean | undefined;
}

const DEADLINE_MARGIN_MS = 500;
const FLUSH_LINGER_MS = 10;
/** More would be a useless delay, and the sign of a wrong unit. */
const FLUSH_LINGER_MS_MAX = 1_000;

/** Makes invocations; what lives as long as the process is here. */
export class Invocations<T> {
  readonly #options: WithStoreOptions<T>;
  readonly #warm: WarmLocation;
  readonly #runtime: Runtime;
  #starter: CompactorStarter | undefined;

  constructor(options: WithStoreOptions<T>, s3: S3Access, runtime: Runtime = systemRuntime) {
    this.#options = options;
    this.#warm = new WarmLocation(options, s3);
    this.#runtime = runtime;
  }

  /** Opens a store; `end` must follow. @throws InvalidArgumentError, what `Store.open` throws */
  async begin(context: LambdaContext): Promise<Invocation<T>> {
    const options = this.#options;
    const meter = new CostMeter(resolvePrices(options.prices));
    const tellCost = costTeller(options);
    const deadline = deadlineOf(context, options, this.#runtime);
    const over = async (): Promise<void> => {
      deadline?.stop();
      await tellCost(meter.cost, context);
    };
    try {
      const flushLingerMs = lingerOf(options);
      const internals = { meter, deadline, flushLingerMs, runtime: this.#runtime };
      const store = new InvocationStore<T>(internals);
      const place = this.#warm.get();
      const { location, backend } = place;
      await store.open(location, {
        ...storeOptions(options),
        agentId: agentOf(context),
        backend,
        onBacklog: options.onBacklog ?? this.#starterFor(place, meter, deadline),
      });
      return new Invocation(store, over);
    } catch (error) {
      await over();
      throw error;
    }
  }

  /** What starts the compactor that the environment names, at the cost of the invocation. */
  #starterFor(
    { location, backend }: OpenLocation,
    meter: CostMeter,
    deadline: Deadline | undefined,
  ): ((backlog: Backlog) => Promise<void>) | undefined {
    if (compactorOfEnvironment() === undefined) return undefined;
    const starter = (this.#starter ??= new CompactorStarter({}, this.#runtime));
    return async (backlog) => {
      const metered = { location, backend: new MeteredBackend(backend, meter) };
      const started = starter.start(backlog, () => metered);
      await (deadline === undefined ? started : deadline.waitFor(started));
    };
  }
}

export class Invocation<T> {
  readonly store: Store<T>;
  readonly #settle: () => Promise<unknown[]>;
  readonly #over: () => Promise<void>;

  constructor(store: InvocationStore<T>, over: () => Promise<void>) {
    this.store = store;
    this.#settle = () => store.settle();
    this.#over = over;
  }

  /**
   * Makes everything durable and closes the store.
   * @param failures what the handler failed with
   * @returns these, those of writes whose outcome was not awaited, and those of closing
   */
  async end(failures: readonly unknown[]): Promise<unknown[]> {
    try {
      const unobserved = await this.#settle();
      const [closed] = await Promise.allSettled([this.store.close()]);
      const last = closed.status === "rejected" ? [closed.reason] : [];
      return [...failures, ...unobserved, ...last];
    } finally {
      await this.#over();
    }
  }
}

/** One failure as it is, several as an AggregateError of them. */
export function joinFailures(failures: readonly unknown[]): unknown {
  if (failures.length === 1) return failures[0];
  const texts = failures.map((error) => messageOf(error));
  const message = `${failures.length} failures in one invocation: ${texts.join("; ")}`;
  return new AggregateError(failures, message);
}

/** What is done with the cost of an invocation. @throws InvalidArgumentError */
function costTeller<T>(
  options: WithStoreOptions<T>,
): (cost: Cost, context: LambdaContext) => Promise<void> {
  const logCost = checkFlag(options.logCost, "logCost", false);
  const onCost = callback(options.onCost, "onCost");
  const onWarning = warningsTo(options.onWarning);
  return async (cost, context) => {
    const { awsRequestId: requestId } = context;
    if (logCost) console.log(JSON.stringify({ message: "opslog cost", requestId, ...cost }));
    try {
      await onCost?.(cost, context);
    } catch (error) {
      onWarning(`onCost failed: ${String(error)}`);
    }
  };
}

/** The context of a unit test may have no time limit: then there is no deadline. */
function deadlineOf<T>(
  context: LambdaContext,
  { deadlineMarginMs: marginMs = DEADLINE_MARGIN_MS }: WithStoreOptions<T>,
  runtime: Runtime,
): Deadline | undefined {
  if (typeof marginMs !== "number" || !(marginMs >= 0 && marginMs < Infinity)) {
    const found = describeValue(marginMs);
    throw new InvalidArgumentError(
      `option deadlineMarginMs: expected a non-negative number of ms, found ${found}`,
    );
  }
  if (typeof context.getRemainingTimeInMillis !== "function") return undefined;
  return new Deadline(runtime, () => context.getRemainingTimeInMillis() - marginMs);
}

/** @throws InvalidArgumentError */
function lingerOf<T>({ flushLingerMs: ms = FLUSH_LINGER_MS }: WithStoreOptions<T>): number {
  if (typeof ms === "number" && ms >= 0 && ms <= FLUSH_LINGER_MS_MAX) return ms;
  throw new InvalidArgumentError(
    `option flushLingerMs: expected 0..${FLUSH_LINGER_MS_MAX} ms, found ${describeValue(ms)}`,
  );
}

function agentOf({ awsRequestId }: LambdaContext): string {
  if (typeof awsRequestId === "string" && awsRequestId !== "") return awsRequestId;
  // Without an agent the store would be a single writer's, and lock the others out.
  throw new InvalidArgumentError(
    `context.awsRequestId must be a non-empty string, found ${JSON.stringify(awsRequestId)}`,
  );
}

function storeOptions<T>(options: WithStoreOptions<T>): StoreOptions<T> {
  if ("agentId" in options) {
    throw new InvalidArgumentError("agentId is no option of withStore: it is context.awsRequestId");
  }
  const {
    location: _location,
    backend: _backend,
    deadlineMarginMs: _deadlineMarginMs,
    onCost: _onCost,
    logCost: _logCost,
    flushLingerMs: _flushLingerMs,
    ...given
  } = options;
  return {
    ...given,
    skipLoad: given.skipLoad ?? true,
    strictHydration: given.strictHydration ?? true,
    checkpointOnClose: given.checkpointOnClose ?? false,
    checkpointThreshold: given.checkpointThreshold ?? Infinity,
  };
}
