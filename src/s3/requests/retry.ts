/** When and how often a request is repeated. The SDK itself repeats nothing. */
import type { Runtime } from "../../core/runtime.ts";
import type { Failure } from "./errors.ts";

const BACKOFF_BASE_MS = 50;
const BACKOFF_MS_MAX = 5_000;
/** A server that has too much to do so often in a row is overloaded for seconds. */
const OVERLOADED = 4;

/**
 * How long to wait before attempt `failures + 1`: full jitter, so that writers that collided do not
 * collide again. After a first failure on a broken connection (thawed process, idle socket) there is
 * no wait: the next attempt uses a new connection. A server that refuses again and again because it has
 * too much to do gets the longest waits: six attempts then take 5.3 s on average instead of 1.5 s.
 */
export function backoffMs(runtime: Runtime, failure: Failure, failures: number): number {
  if (failure.deadSocket && failures === 1) return 0;
  // Answered, unlike a connection that was refused: a server that is not there is not waited for.
  const isOverload = failure.kind === "refused" && failure.status !== undefined;
  const grown = BACKOFF_BASE_MS * 2 ** failures;
  const ceiling =
    isOverload && failures >= OVERLOADED ? BACKOFF_MS_MAX : Math.min(BACKOFF_MS_MAX, grown);
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
