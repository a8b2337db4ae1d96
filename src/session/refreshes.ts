/**
 * Refreshes of one store; the session decides when a read requires one. Flushes and refreshes take
 * turns. Callers that arrive while one runs share the next, so that at most one runs and one waits,
 * whatever the number of callers.
 */
import type { Operation } from "../core/operation.ts";
import { RunGoneError } from "../runs/run-gone.ts";
import type { TakeChanges } from "./change-feed.ts";
import type { Freshness } from "../view/freshness.ts";
import type { LockedReplica, Replica } from "./replica.ts";
import { ViewLimit } from "../view/view-limit.ts";

type Kind = "strong" | "snapshot";

export class Refreshes {
  readonly #replica: Replica;
  readonly #freshness: Freshness;
  /** Those that have not begun yet: they serve calls made now. */
  readonly #waiting = new Map<Kind, Promise<void>>();
  #running: Promise<void> | undefined;

  constructor(replica: Replica, freshness: Freshness) {
    this.#replica = replica;
    this.#freshness = freshness;
  }

  /** @param kind "snapshot": a manifest requested now, and no listing */
  refresh(kind: Kind = "strong"): Promise<void> {
    const shared = this.#waiting.get("strong") ?? this.#waiting.get(kind);
    if (shared !== undefined) return shared;
    const refreshed = this.#replica.withLock((locked) => {
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

  /** Refreshes, and returns what others changed; nothing is marked delivered unless it is used. */
  async look(
    deliver: (changes: Operation<unknown>[]) => void,
    isWanted: () => boolean,
  ): Promise<void> {
    await this.#replica.withLock(async (locked) => {
      this.#replica.follow();
      const take = await this.#pendingChanges(locked);
      if (isWanted()) deliver(take());
    });
  }

  /** Refreshes until nothing is deleted that the report of changes needs. */
  async #pendingChanges(locked: LockedReplica): Promise<TakeChanges> {
    const limit = new ViewLimit();
    let gone: { readonly etag: string | undefined } | undefined;
    for (;;) {
      limit.begin();
      await locked.refresh();
      const { view } = this.#replica;
      try {
        const take = await this.#replica.pendingChanges();
        if (take !== undefined) return take;
      } catch (error) {
        if (!(error instanceof RunGoneError)) throw error;
        if (gone?.etag === view.loaded.etag && gone !== undefined) throw error.asDamage();
        gone = { etag: view.loaded.etag };
      }
    }
  }
}
