/** A Lambda handler around a store: open, handle, make durable, close. */
import { type Cost, resolvePrices } from "../core/cost.ts";
import { CostMeter } from "../core/cost-meter.ts";
import { InvalidArgumentError } from "../core/errors.ts";
import { callback, checkFlag, type StoreOptions, warningsTo } from "../store/options.ts";
import type { Store } from "../store/store.ts";
import type { LambdaContext } from "./context.ts";
import { InvocationStore } from "./invocation-store.ts";
import { type LocationOptions, WarmLocation } from "./warm-location.ts";

/**
 * Options of the store, with other defaults: `skipLoad` and `strictHydration` are true, and no
 * invocation compacts (that is the compactor's) unless asked to. `agentId` is the invocation's.
 * `costBudget` is each invocation's own. `onBacklog` is awaited before an invocation's result is
 * returned, so that what it sends to start the compactor is on its way when the process freezes.
 */
export interface WithStoreOptions<T = unknown>
  extends LocationOptions, Omit<StoreOptions<T>, "backend" | "agentId"> {
  /**
   * Told what an invocation cost, once its store is closed, whether it succeeded or not, and before
   * its result is returned; a promise is awaited. What it fails with goes to `onWarning`.
   */
  readonly onCost?: ((cost: Cost, context: LambdaContext) => void | Promise<void>) | undefined;
  /** Logs the cost of each invocation as one line of JSON, with its request id. Default false. */
  readonly logCost?: boolean | undefined;
}

/** What the application writes. The store is open; it is closed when the promise settles. */
export type StoreHandler<T, Event, Result, Context extends LambdaContext = LambdaContext> = (
  event: Event,
  context: Context,
  store: Store<T>,
) => Promise<Result> | Result;

/**
 * Makes a Lambda handler. Each invocation has a store of its own, opened lazily under the request
 * id as agent; connections live on from one invocation to the next. Any number of invocations may
 * run in one process at once.
 *
 * The result is returned once everything written is durable, awaited or not. The invocation fails
 * with what `handler` throws (what it wrote before stays), and with the failure of a write that it
 * neither awaited nor caught; with several, an AggregateError of them.
 *
 * @throws (the handler) InvalidArgumentError for a missing location or an unusable option; what
 *   `Store.open` and the writes throw
 */
export function withStore<
  T = unknown,
  Event = unknown,
  Result = unknown,
  Context extends LambdaContext = LambdaContext,
>(
  options: WithStoreOptions<T>,
  handler: StoreHandler<T, Event, Result, Context>,
): (event: Event, context: Context) => Promise<Result> {
  const warm = new WarmLocation(options);
  return async (event, context) => {
    const meter = new CostMeter(resolvePrices(options.prices));
    const tellCost = costTeller(options);
    try {
      const store = await openStore(warm, options, context, meter);
      const handled = await attempt(async () => handler(event, context, store));
      const unobserved = await store.settle();
      const closed = await attempt(() => store.close());
      const failures = [...failureOf(handled), ...unobserved, ...failureOf(closed)];
      if (handled.ok && failures.length === 0) return handled.value;
      throw failures.length === 1 ? failures[0] : new AggregateError(failures, describe(failures));
    } finally {
      await tellCost(meter.cost, context);
    }
  };
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

async function openStore<T>(
  warm: WarmLocation,
  options: WithStoreOptions<T>,
  { awsRequestId }: LambdaContext,
  meter: CostMeter,
): Promise<InvocationStore<T>> {
  const { location, backend } = warm.get();
  if (typeof awsRequestId !== "string" || awsRequestId === "") {
    // Without an agent the store would be a single writer's, and lock the others out.
    throw new InvalidArgumentError(
      `context.awsRequestId must be a non-empty string, found ${JSON.stringify(awsRequestId)}`,
    );
  }
  if ("agentId" in options) {
    throw new InvalidArgumentError("agentId is no option of withStore: it is context.awsRequestId");
  }
  const {
    location: _location,
    backend: _backend,
    onCost: _onCost,
    logCost: _logCost,
    ...given
  } = options;
  const store = new InvocationStore<T>({ meter });
  await store.open(location, {
    ...given,
    skipLoad: given.skipLoad ?? true,
    strictHydration: given.strictHydration ?? true,
    checkpointOnClose: given.checkpointOnClose ?? false,
    checkpointThreshold: given.checkpointThreshold ?? Infinity,
    agentId: awsRequestId,
    backend,
  });
  return store;
}

type Outcome<V> =
  | { readonly ok: true; readonly value: V }
  | { readonly ok: false; readonly error: unknown };

async function attempt<V>(task: () => Promise<V>): Promise<Outcome<V>> {
  try {
    return { ok: true, value: await task() };
  } catch (error) {
    return { ok: false, error };
  }
}

function failureOf(outcome: Outcome<unknown>): unknown[] {
  return outcome.ok ? [] : [outcome.error];
}

function describe(failures: readonly unknown[]): string {
  const texts = failures.map((error) => (error instanceof Error ? error.message : String(error)));
  return `${failures.length} failures in one invocation: ${texts.join("; ")}`;
}
