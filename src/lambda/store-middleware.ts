/** The same as `withStore`, in the form that Middy takes; depends on no package. */
import type { Store } from "../store/store.ts";
import type { LambdaContext } from "./context.ts";
import { type Invocation, Invocations, joinFailures, type WithStoreOptions } from "./invocation.ts";
import type { S3Access } from "./s3-access.ts";

/** What is used of a Middy request. */
export interface MiddlewareRequest {
  /** The context of the invocation, to which the middleware adds `store`. */
  readonly context: LambdaContext;
  /** What the invocation has failed with, in `onError`. */
  readonly error?: unknown;
}

/** The context a handler behind the middleware gets. */
export type StoreContext<T> = LambdaContext & { readonly store: Store<T> };

/** A middleware that opens a store before the handler and closes it after. */
export interface StoreMiddleware {
  /** Opens the store. */
  before(request: MiddlewareRequest): Promise<void>;
  /** Flushes and closes the store. */
  after(request: MiddlewareRequest): Promise<void>;
  /** Closes the store after a handler that failed. */
  onError(request: MiddlewareRequest): Promise<void>;
}

/**
 * Opens a store before the handler, at `context.store`, and makes it durable and closes it after,
 * as `withStore` does: `middy(handler).use(storeMiddleware({ location }))`. Use it last: Middy
 * skips `after` when a later middleware's `before` answers early.
 * @throws (its parts) as `withStore`; `onError` only what came to the handler's own failure
 */
export type MakeStoreMiddleware = <T = unknown>(options: WithStoreOptions<T>) => StoreMiddleware;

/** `storeMiddleware` where S3 is reached so. */
export function storeMiddlewareOver(s3: S3Access): MakeStoreMiddleware {
  return (options) => middlewareOf(new Invocations(options, s3));
}

function middlewareOf<T>(invocations: Invocations<T>): StoreMiddleware {
  const running = new WeakMap<MiddlewareRequest, Invocation<T>>();
  const end = async (request: MiddlewareRequest, failures: unknown[]): Promise<void> => {
    const invocation = running.get(request);
    running.delete(request);
    const all = (await invocation?.end(failures)) ?? [];
    if (all.length > failures.length) throw joinFailures(all);
  };
  return {
    before: async (request) => {
      const invocation = await invocations.begin(request.context);
      running.set(request, invocation);
      Object.assign(request.context, { store: invocation.store });
    },
    after: (request) => end(request, []),
    onError: (request) => end(request, [request.error]),
  };
}
