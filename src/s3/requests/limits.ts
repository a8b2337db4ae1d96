/** Time limits that run from the last sign of life instead of from the beginning. */
import { SILENT_ABORT } from "../../core/silent-abort.ts";
import type { Runtime } from "../../core/runtime.ts";

/**
 * Runs `work`, and abandons it when `limitMs` pass without a call of `touch`: its signal aborts and
 * the result is a rejection with an error named TimeoutError.
 */
export async function withWatchdog<T>(
  runtime: Runtime,
  limitMs: number,
  work: (signal: AbortSignal, touch: () => void) => Promise<T>,
): Promise<T> {
  const abort = new AbortController();
  const done = new AbortController();
  let aliveMs = runtime.steadyMs();
  const touch = (): void => {
    aliveMs = runtime.steadyMs();
  };
  const expiry = async (): Promise<never> => {
    for (let leftMs = limitMs; leftMs > 0; leftMs = aliveMs + limitMs - runtime.steadyMs()) {
      await runtime.sleep(leftMs, done.signal);
      // The work is over: its result stands, and this promise is left behind unsettled.
      if (done.signal.aborted) return new Promise<never>(() => {});
    }
    abort.abort();
    throw Object.assign(new Error(`nothing arrived for ${limitMs} ms`), { name: "TimeoutError" });
  };
  try {
    return await Promise.race([work(abort.signal, touch), expiry()]);
  } finally {
    done.abort(SILENT_ABORT);
  }
}
