/** `startCompactor`: its options and its type. */
import type { Backlog } from "../session/backlog-alarm.ts";
import type { LocationOptions } from "./warm-location.ts";

/** Options of `startCompactor`. */
export interface StartCompactorOptions extends Pick<LocationOptions, "backend"> {
  /** Name or ARN of the compactor's function. Default: the environment variable OPSLOG_COMPACTOR. */
  readonly functionName?: string | undefined;
  /** All processes together start it at most once in this time. ms, default 15,000. */
  readonly intervalMs?: number | undefined;
  /**
   * Starts the compactor. Default: an asynchronous invocation of the function, for which region and
   * credentials come from the environment.
   */
  readonly start?: ((backlog: Backlog) => void | Promise<void>) | undefined;
}

/**
 * Makes the option `onBacklog` of a store whose compactor is a function. Of all processes that see a
 * backlog, one in `intervalMs` starts the compactor: the one that takes the object `compact.start`;
 * none while a compactor is at work. A process costs at most two GETs and a PUT in that time. It
 * needs `s3:PutObject` on `compact.start`, and `lambda:InvokeFunction`.
 *
 * `withStore` and `storeMiddleware` do this by themselves where OPSLOG_COMPACTOR is set.
 *
 * @throws (what it returns) as the store's calls; AccessDeniedError and UnavailableError where the
 *   function cannot be invoked; InvalidArgumentError without its name
 */
export type StartCompactor = (
  options?: StartCompactorOptions,
) => (backlog: Backlog) => Promise<void>;
