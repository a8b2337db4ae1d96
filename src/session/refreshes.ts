/**
 * Refreshes of one store. Flushes and refreshes take turns. Callers that arrive while one runs share
 * the next, so that at most one runs and one waits, whatever the number of callers.
 */
import { momentOf } from "../core/medium-clock.ts";
import type { Operation } from "../core/operation.ts";
import { RunGoneError } from "../runs/run-gone.ts";
import type { TakeChanges } from "./change-feed.ts";
import { type Freshness, isWithin } from "../view/freshness.ts";
import type { Engine } from "../engine/engine.ts";
import type { LockedReplica, Replica } from "./replica.ts";
import { ViewLimit } from "../view/view-limit.ts";

type Kind = "strong" | "snapshot";

export class Refreshes {
  readonly #engine: Pick<Engine, "runtime" | "settings">;
  readonly #replica: Replica;
  readonly #freshness: Freshness;
  /** Those that have not begun yet: they serve calls made now. */
  readonly #waiting = new Map<Kind, Promise<void>>();
  #running: Promise<void> | undefined;

  constructor(
    engine: Pick<Engine, "runtime" | "settings">,
    replica: Replica,
    freshness: Freshness,
  ) {
    this.#engine = engine;
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

  /**
   * Before a read: after a failed write, looks again; then as fresh as is required.
   * @param asked default: the store's; where that is "strong", as of the store's last look
   */
  async freshen(asked?: Freshness): Promise<void> {
    if (this.#replica.mustRefresh || asked === "strong") return this.refresh();
    const wanted = asked ?? this.#freshness;
    if (this.#isFresh(wanted)) return;
    // The one that is under way may be young enough. Its failure goes to the callers it serves.
    await Promise.allSettled([this.#running]);
    if (!this.#isFresh(wanted)) await this.refresh(wanted === "snapshot" ? "snapshot" : "strong");
  }

  #isFresh(wanted: Freshness): boolean {
    if (wanted === "strong") return true;
    const { runtime, settings } = this.#engine;
    const { manifestAt, listedAt } = this.#replica.times;
    const now = momentOf(runtime);
    if (wanted === "snapshot") return isWithin(manifestAt, now, settings.refreshEveryMs);
    return isWithin(listedAt, now, wanted.maxStaleMs);
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
