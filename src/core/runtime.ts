/**
 * The only clock, timer and source of randomness in `src`. Everything below the public classes takes a `Runtime`,
 * so that the whole engine also runs under virtual time with seeded randomness.
 */
import { setMaxListeners } from "node:events";
import { randomBytes } from "node:crypto";

/** The clock and the source of randomness that a store uses. */
export interface Runtime {
  /** Wall clock, ms since 1970. For labels and ages only: no safety rule may depend on it. */
  nowMs(): number;
  /** The wall clock with a fraction of a ms, for clocks that order (PROTOCOL, "Time"). */
  wallMs(): number;
  /** ms since some beginning, by a clock that cannot be set: for time limits. */
  steadyMs(): number;
  /** Resolves after `ms`; resolves early, without an error, when `signal` aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** As `sleep`, for background work: does not keep the process alive. */
  idle(ms: number, signal?: AbortSignal): Promise<void>;
  /** `digits` random lower-case hex digits; `digits` is even. */
  randomHex(digits: number): string;
  /** Uniform in [0, 1), for jitter. */
  random(): number;
}

export const systemRuntime: Runtime = {
  nowMs: () => Date.now(),
  wallMs,
  steadyMs: () => performance.now(),
  sleep: (ms, signal) => wait(ms, signal, false),
  idle: (ms, signal) => wait(ms, signal, true),
  randomHex: (digits) => randomBytes(digits / 2).toString("hex"),
  random: () => Math.random(),
};

/** A timer for longer would fire at once. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** What counts on from the start of the process has the fraction, but may be ms off by now. */
function wallMs(): number {
  const nowMs = Date.now();
  return Math.min(Math.max(performance.timeOrigin + performance.now(), nowMs), nowMs + 0.999);
}

function wait(ms: number, signal: AbortSignal | undefined, background: boolean): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    let leftMs = ms;
    let timer: NodeJS.Timeout | undefined;
    const next = (): void => {
      if (timer !== undefined && !(leftMs > 0)) return done();
      const nextMs = Math.min(leftMs, TIMER_MS_MAX);
      leftMs -= nextMs;
      timer = setTimeout(next, nextMs);
      if (background) timer.unref();
    };
    if (signal !== undefined) {
      allowManyListeners(signal);
      signal.addEventListener("abort", done, { once: true });
    }
    next();
  });
}

/**
 * Many calls may wait on one deadline: Node 20 warns of more than ten listeners. Node refuses a signal
 * that is not its own (under jsdom every one), which has no such limit.
 */
function allowManyListeners(signal: AbortSignal): void {
  try {
    setMaxListeners(0, signal);
  } catch {
    // Nothing to allow.
  }
}
