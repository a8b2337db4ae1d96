/**
 * Gives writes their clocks (PROTOCOL, H3 to H6): a Lamport clock whose numbers are times, so that
 * of two writes the later one is higher even if their stores have not seen each other.
 */
import { InvalidArgumentError } from "./errors.ts";
import { APART_MS_MAX, apartMs, type MediumTime, type Moment, momentOf } from "./medium-clock.ts";
import type { Runtime } from "./runtime.ts";
import { CLOCK_MAX } from "./version.ts";

/** A clock is ms since 1970 times this, in whole numbers. */
export const CLOCKS_PER_MS = 1_024;

/** Of the stores of one process over one location: none of them takes a clock twice. */
export interface LastClock {
  value: number;
  /** That the store is dragged was reported. */
  hasWarned: boolean;
}

/** Clocks taken for a flush, and what was known of the time then. */
export interface TakenClocks {
  /** Of the first operation; the others follow by one. */
  readonly first: number;
  readonly at: Moment;
  readonly offsetMsMax: number;
}

/** A clock further ahead of the estimate than this may hide what others wrote since. */
const DRAGGED_MS = 1_000;
/** What a medium's own clocks may differ by. */
const STOOD_STILL_MS = 10_000;
/** More is reported. */
export const AHEAD_MS_MAX = 60_000;

export class HybridClock {
  readonly #runtime: Pick<Runtime, "steadyMs" | "wallMs">;
  readonly #time: MediumTime;
  readonly #last: LastClock;

  constructor(
    runtime: Pick<Runtime, "steadyMs" | "wallMs">,
    time: MediumTime,
    last: LastClock = { value: 0, hasWarned: false },
  ) {
    this.#runtime = runtime;
    this.#time = time;
    this.#last = last;
  }

  /**
   * Takes `count` clocks, above all that were given before and above `above`; they are never given
   * again, not even when the write fails.
   * @param above the highest clock of the view
   * @throws InvalidArgumentError when the store's clocks are used up; nothing is taken then
   */
  take(count: number, above: number): TakenClocks {
    const known = Math.max(this.#last.value, above);
    const first = Math.max(known + 1, Math.floor(this.#time.estimateMs() * CLOCKS_PER_MS));
    const last = first + count - 1;
    if (last > CLOCK_MAX) {
      throw new InvalidArgumentError(`the store's clock is used up: ${known} of ${CLOCK_MAX}`);
    }
    this.#last.value = last;
    const { offsetMsMax } = this.#time;
    return { first, at: momentOf(this.#runtime), offsetMsMax };
  }

  /** The process was frozen, or its clock was set, since the medium answered last. */
  get isDoubtful(): boolean {
    return this.#time.isDoubtful;
  }

  /** Somebody's clock was so far ahead that clocks are counted on from there. */
  isDragged(above: number): boolean {
    return this.#aheadMs(above) > DRAGGED_MS;
  }

  /** By how many ms the store is dragged, once in a process, when it is by more than a minute. */
  takeWarning(above: number): number | undefined {
    const aheadMs = this.#aheadMs(above);
    if (this.#last.hasWarned || aheadMs <= AHEAD_MS_MAX) return undefined;
    this.#last.hasWarned = true;
    return aheadMs;
  }

  /**
   * Whether both clocks of the process stood still, perhaps before the call: the medium's time went
   * on by more than they did, and they agree with each other.
   * @param dateMs of the answer that has just come
   */
  stoodStill({ at, offsetMsMax }: TakenClocks, dateMs: number): boolean {
    const now = momentOf(this.#runtime);
    const offsetMs = dateMs - now.steadyMs;
    return offsetMs > offsetMsMax + STOOD_STILL_MS && apartMs(at, now) <= APART_MS_MAX;
  }

  #aheadMs(above: number): number {
    const estimateMs = this.#time.estimateMs();
    if (estimateMs === 0) return 0;
    return Math.max(this.#last.value, above) / CLOCKS_PER_MS - estimateMs;
  }
}
