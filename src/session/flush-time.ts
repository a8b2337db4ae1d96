/** How a flush uses time (PROTOCOL, H3 to H6): when to look before it, its clocks, what a freeze means. */
import { WriteOutcomeUnknownError } from "../core/errors.ts";
import type { TakenClocks } from "../core/hybrid-clock.ts";
import type { WrittenSegment } from "../log/log.ts";
import type { Engine } from "../engine/engine.ts";
import type { Replica } from "./replica.ts";

export class FlushTime {
  readonly #engine: Pick<Engine, "clock" | "onWarning">;
  readonly #replica: Pick<Replica, "view" | "times">;

  constructor(
    engine: Pick<Engine, "clock" | "onWarning">,
    replica: Pick<Replica, "view" | "times">,
  ) {
    this.#engine = engine;
    this.#replica = replica;
  }

  /**
   * H4: this process was frozen, and its time may lie behind. H5: clocks are ahead of time, and only
   * above a view that began after the newest call is a flush above what was acknowledged before it.
   * @param calledMs when the newest call came, by the steady clock; undefined: the view began since
   */
  needsLook(calledMs: number | undefined): boolean {
    const { clock } = this.#engine;
    const { view, times } = this.#replica;
    if (clock.isDoubtful) return true;
    if (calledMs === undefined || !clock.isDragged(view.clock)) return false;
    return times.listedAt === undefined || times.listedAt.steadyMs <= calledMs;
  }

  /** @throws InvalidArgumentError when the store's clocks are used up */
  take(count: number): TakenClocks {
    const { clock, onWarning } = this.#engine;
    const above = this.#replica.view.clock;
    const aheadMs = clock.takeWarning(above);
    if (aheadMs !== undefined) {
      onWarning(
        `the clocks of this store are ${Math.round(aheadMs / 1_000)} s ahead of its medium's time, because ` +
          "some clock was wrong; nothing is lost, but until time has caught up each flush looks for other writers first",
      );
    }
    return clock.take(count, above);
  }

  /** H6. @throws WriteOutcomeUnknownError: the write is durable, but may order below earlier ones */
  checkStoodStill(clocks: TakenClocks, { dateMs, ref }: WrittenSegment): void {
    if (!this.#engine.clock.stoodStill(clocks, dateMs)) return;
    throw new WriteOutcomeUnknownError(
      `${ref.path} was written while both clocks of this process stood still, perhaps since before the call: ` +
        "it may order below what others wrote meanwhile",
      { path: ref.path },
    );
  }
}
