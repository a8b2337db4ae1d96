/**
 * Refreshes of one store; the session decides when a read requires one. Flushes and refreshes take
 * turns. Callers that arrive while one runs share the next, so that at most one runs and one waits,
 * whatever the number of callers.
 */
import type { Freshness } from "../view/freshness.ts";

/** "snapshot": a manifest requested now, and no listing. */
export type RefreshKind = "strong" | "snapshot";

/** Memory, while nothing else changes it. */
interface Refreshable {
  refresh(kind: RefreshKind): Promise<void>;
}

/** Runs what changes memory one at a time, in the order of the calls. */
type WithLock = (work: (locked: Refreshable) => Promise<void>) => Promise<void>;

export class Refreshes {
  readonly #withLock: WithLock;
  readonly #freshness: Freshness;
  /** Those that have not begun yet: they serve calls made now. */
  readonly #waiting = new Map<RefreshKind, Promise<void>>();
  #running: Promise<void> | undefined;

  /** @param freshness of the store */
  constructor(withLock: WithLock, freshness: Freshness) {
    this.#withLock = withLock;
    this.#freshness = freshness;
  }

  refresh(kind: RefreshKind = "strong"): Promise<void> {
    const shared = this.#waiting.get("strong") ?? this.#waiting.get(kind);
    if (shared !== undefined) return shared;
    const refreshed = this.#withLock((locked) => {
      this.#waiting.delete(kind);
      const running = locked.refresh(kind);
      this.#running = running;
      return running.finally(() => {
        if (this.#running === running) this.#running = undefined;
      });
    });
    this.#waiting.set(kind, refreshed);
    return refreshed;
  }

  /** As the options of the user say. */
  asDeclared(): Promise<void> {
    return this.refresh(this.#freshness === "snapshot" ? "snapshot" : "strong");
  }

  /** Resolves when the refresh that runs now has ended; a failure goes to the callers that it serves. */
  async settle(): Promise<void> {
    await Promise.allSettled([this.#running]);
  }
}
