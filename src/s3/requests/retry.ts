/** When and how often a request is repeated. The SDK itself repeats nothing. */
import type { Runtime } from "../../core/runtime.ts";
import type { Failure } from "./errors.ts";

/** The outcome of one attempt of one operation. */
export type Attempt<Out> =
  | { readonly ok: true; readonly output: Out; readonly dateMs: number }
  | {
      readonly ok: false;
      readonly failure: Failure;
      /** Present with every failure that is an answer about an object (absent, unchanged …). */
      readonly dateMs: number | undefined;
      /** An earlier HTTP attempt of the same call, made by a caller's client, failed, too. */
      readonly repeated: boolean;
    };

const BACKOFF_BASE_MS = 50;
const BACKOFF_MS_MAX = 5_000;

/**
 * How long to wait before attempt `failures + 1`: full jitter, so that writers that collided do not
 * collide again. A first failure on a broken connection (thawed process, idle socket) waits not at
 * all: the next attempt uses a new one.
 */
export function backoffMs(runtime: Runtime, failure: Failure, failures: number): number {
  if (failure.deadSocket && failures === 1) return 0;
  const ceiling = Math.min(BACKOFF_MS_MAX, BACKOFF_BASE_MS * 2 ** failures);
  return Math.ceil(runtime.random() * ceiling);
}

/** Ends early when `signal` aborts. */
export async function pause(runtime: Runtime, ms: number, signal?: AbortSignal): Promise<void> {
  if (ms > 0) await runtime.sleep(ms, signal);
}

/** Whether the very same request may be sent again after this failure. */
export function isRepeatable(failure: Failure): boolean {
  return ["unknown", "refused", "contended"].includes(failure.kind);
}

/**
 * Repeats a request that may be carried out any number of times. Gives the first success or
 * definite failure, or the last of `attemptsMax` failures; none follows once `signal` has aborted.
 */
export async function repeatIdempotent<Out>(
  settings: { readonly runtime: Runtime; readonly attemptsMax: number },
  attempt: () => Promise<Attempt<Out>>,
  signal?: AbortSignal,
): Promise<Attempt<Out>> {
  for (let failures = 1; ; failures++) {
    const result = await attempt();
    const isLast = failures >= settings.attemptsMax || signal?.aborted === true;
    if (result.ok || !isRepeatable(result.failure) || isLast) return result;
    await pause(settings.runtime, backoffMs(settings.runtime, result.failure, failures), signal);
  }
}
