/** How many segments are written to a store, as far as the looks of this process show. */

/** What a look at the log has found. */
export interface Looked {
  /** Segments that wait; at least so many, where `isCut`. */
  readonly segments: number;
  readonly isCut: boolean;
  /** Since the oldest of them was written. */
  readonly ageMs: number;
}

/** Between closer looks the dates of a medium, which may be whole seconds, show no rate. */
const APART_MS_MIN = 10_000;
/** Nor does the age of a segment that was just written. */
const AGE_MS_MIN = 1_000;

export class Arrivals {
  #last: { readonly segments: number; readonly dateMs: number } | undefined;
  /** By this process, since the last look. */
  #merged = 0;

  merged(segments: number): void {
    this.#merged += segments;
  }

  /**
   * Segments written in a second since the look before; without one, since the oldest that waits was
   * written. What other processes have merged meanwhile counts as not written.
   * @param dateMs of the look, by the medium
   */
  looked({ segments, isCut, ageMs }: Looked, dateMs: number): number {
    const last = this.#last;
    const byAge = perSecond(segments, Math.max(ageMs, AGE_MS_MIN));
    if (isCut) {
      this.#last = undefined;
      return byAge;
    }
    if (last !== undefined && dateMs - last.dateMs < APART_MS_MIN && dateMs >= last.dateMs) {
      return byAge;
    }
    const written = segments - (last?.segments ?? 0) + this.#merged;
    this.#last = { segments, dateMs };
    this.#merged = 0;
    if (last === undefined || dateMs < last.dateMs) return byAge;
    return perSecond(Math.max(0, written), dateMs - last.dateMs);
  }
}

function perSecond(segments: number, ms: number): number {
  return (segments / ms) * 1_000;
}
