/** A Lambda handler around a store: open, handle, make durable, close. */
import type { Store } from "../store/store.ts";
import type { LambdaContext } from "./context.ts";
import { Invocations, joinFailures, type WithStoreOptions } from "./invocation.ts";
import type { S3Access } from "./s3-access.ts";

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
 * neither awaited nor caught; with several, an AggregateError of them. A write that cannot be
 * confirmed before the invocation's time is up rejects in time to be reported (`deadlineMarginMs`).
 *
 * @throws (the handler) InvalidArgumentError for a missing location or an unusable option; what
 *   `Store.open` and the writes throw
 */
export type WithStore = <
  T = unknown,
  Event = unknown,
  Result = unknown,
  Context extends LambdaContext = LambdaContext,
>(
  options: WithStoreOptions<T>,
  handler: StoreHandler<T, Event, Result, Context>,
) => (event: Event, context: Context) => Promise<Result>;

/** `withStore` where S3 is reached so. */
export function makeWithStore(s3: S3Access): WithStore {
  return (options, handler) => invokeWith(new Invocations(options, s3), handler);
}

/** A handler; tests bring invocations under another clock. */
export function invokeWith<T, Event, Result, Context extends LambdaContext>(
  invocations: Invocations<T>,
  handler: StoreHandler<T, Event, Result, Context>,
): (event: Event, context: Context) => Promise<Result> {
  return async (event, context) => {
    const invocation = await invocations.begin(context);
    const handle = async (): Promise<Result> => handler(event, context, invocation.store);
    const [handled] = await Promise.allSettled([handle()]);
    const failures = await invocation.end(handled.status === "rejected" ? [handled.reason] : []);
    if (handled.status === "fulfilled" && failures.length === 0) return handled.value;
    throw joinFailures(failures);
  };
}
