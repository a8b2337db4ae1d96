/** A moment after which nothing waits for the medium any more, such as the end of an invocation. */
import { Deferred } from "../core/deferred.ts";
import { SILENT_ABORT } from "../core/silent-abort.ts";
import { UnavailableError } from "../core/errors.ts";
import type { Runtime } from "../core/runtime.ts";

/** Longest wait of one timer; more would overflow it. */
const WAIT_MS_MAX = 24 * 60 * 60 * 1_000;

export class Deadline {
  readonly #runtime: Runtime;
  readonly #leftMs: () => number;
  readonly #passed = new AbortController();
  readonly #stopped = new AbortController();
  /** One function for each wait, to be called when the deadline passes. */
  readonly #waiting = new Set<() => void>();
  /** For messages: "the deadline (2026-11-22T14:01:33.436Z)", by the wall clock. */
  readonly text: string;

  /** @param leftMs returns the time left; called repeatedly, 0 or less at the end */
  constructor(runtime: Runtime, leftMs: () => number) {
    this.#runtime = runtime;
    this.#leftMs = leftMs;
    const atMs = runtime.nowMs() + Math.min(leftMs(), WAIT_MS_MAX);
    this.text = `the deadline (${new Date(atMs).toISOString()})`;
    void this.#wait();
  }

  /** Aborts when the deadline passes. */
  get signal(): AbortSignal {
    return this.#passed.signal;
  }

  get hasPassed(): boolean {
    return this.#passed.signal.aborted || this.#leftMs() <= 0;
  }

  get leftMs(): number {
    return Math.max(0, this.#leftMs());
  }

  /** Ends the timer; the deadline will not pass any more. */
  stop(): void {
    this.#stopped.abort(SILENT_ABORT);
  }

  /**
   * What `work` returns, or what `late` throws once the deadline passes; `work` then continues unobserved.
   * @throws UnavailableError when the deadline has passed already: `work` is not begun
   */
  async race<R>(what: string, work: () => Promise<R>, late: () => R): Promise<R> {
    if (this.hasPassed) {
      throw new UnavailableError(`${what} was not begun: ${this.text} has passed`);
    }
    return this.#raceWith(work(), late);
  }

  /** Resolves with the work or, whatever comes of it, when the deadline passes. */
  async waitFor(work: Promise<unknown>): Promise<void> {
    await this.#raceWith<unknown>(work, () => undefined);
  }

  /** A wait that is over leaves nothing in memory: a deadline may outlive any number of waits. */
  async #raceWith<R>(work: Promise<R>, late: () => R): Promise<R> {
    if (this.#passed.signal.aborted) {
      // No caller waits for the work: unhandled, its failure would end the process.
      work.catch(() => undefined);
      return late();
    }
    const passed = new Deferred();
    const pass = (): void => passed.resolve();
    this.#waiting.add(pass);
    try {
      return await Promise.race([work, passed.promise.then(late)]);
    } finally {
      this.#waiting.delete(pass);
    }
  }

  /** A timer may fire early or late against the clock that `leftMs` reads: that clock decides. */
  async #wait(): Promise<void> {
    for (;;) {
      const leftMs = this.#leftMs();
      if (leftMs <= 0) break;
      await this.#runtime.sleep(Math.min(leftMs, WAIT_MS_MAX), this.#stopped.signal);
      if (this.#stopped.signal.aborted) return;
    }
    this.#passed.abort();
    for (const pass of this.#waiting) pass();
  }
}
