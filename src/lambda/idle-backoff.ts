/**
 * When to look again at what had nothing to do: after as long as it has been quiet, within a bound.
 * So what is written again soon is found soon, and what is quiet for long costs little.
 */
export class IdleBackoff {
  readonly #mostMs: number;
  readonly #quiet = new Map<string, { readonly sinceMs: number; readonly lookedMs: number }>();

  /** @param mostMs the longest time without a look; 0: each time */
  constructor(mostMs: number) {
    this.#mostMs = mostMs;
  }

  isResting(name: string, nowMs: number): boolean {
    const quiet = this.#quiet.get(name);
    if (quiet === undefined) return false;
    const pastMs = nowMs - quiet.lookedMs;
    // A clock that was set back ends the rest.
    return pastMs >= 0 && pastMs < Math.min(this.#mostMs, quiet.lookedMs - quiet.sinceMs);
  }

  /** There was nothing to do. @param quietMs for how long at least */
  quiet(name: string, nowMs: number, quietMs = 0): void {
    const sinceMs = Math.min(this.#quiet.get(name)?.sinceMs ?? nowMs, nowMs - quietMs);
    this.#quiet.set(name, { sinceMs, lookedMs: nowMs });
  }

  /** There was work, or a failure. */
  busy(name: string): void {
    this.#quiet.delete(name);
  }
}
