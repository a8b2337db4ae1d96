/** Log of the model: flushes that arrive at some rate, and what has been taken of them. */
const MINUTE_MS = 60_000;

export class ModelLog {
  readonly #perSecond: number;
  readonly #startMs: number;
  readonly #random: () => number;
  /** Arrivals up to the beginning of each minute. */
  readonly #arrived: number[] = [0];
  taken = 0;

  /** @param perSecond on average; a minute has between half and one and a half times as many */
  constructor(perSecond: number, startMs: number, random: () => number) {
    this.#perSecond = perSecond;
    this.#startMs = startMs;
    this.#random = random;
  }

  /** Whole flushes that have arrived until then. */
  arrived(nowMs: number): number {
    const minutes = (nowMs - this.#startMs) / MINUTE_MS;
    const minute = Math.floor(minutes);
    while (this.#arrived.length < minute + 2) {
      const before = this.#arrived.at(-1) ?? 0;
      this.#arrived.push(before + this.#perSecond * 60 * (0.5 + this.#random()));
    }
    const [from = 0, to = 0] = this.#arrived.slice(minute, minute + 2);
    return Math.floor(from + (to - from) * (minutes - minute));
  }

  waiting(nowMs: number): number {
    return this.arrived(nowMs) - this.taken;
  }

  /** About the age of the oldest that waits. */
  ageMs(nowMs: number): number {
    return (this.waiting(nowMs) / this.#perSecond) * 1_000;
  }
}
