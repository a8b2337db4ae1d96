/** What a look keeps of the log that is listed: numbers, however many names there are and how long. */
import { append } from "../core/bulk.ts";
import { digestWords } from "../core/hash.ts";
import type { TextSet } from "../core/text-set.ts";
import type { Manifest } from "../format/manifest-codec.ts";
import type { ClaimRef } from "../log/claims.ts";
import type { LogPage } from "../log/log.ts";
import { isIgnored, segmentLists, summaryOfLists, toDigest } from "../view/live-segments.ts";

const WORDS = 4;
const [LO, HI, WRITTEN, NUMBERS] = [0, 1, 2, 3];

/** What waits to be merged: not what the runs hold and only waits to be deleted. */
export interface Waiting {
  readonly segments: number;
  /** When the oldest of them was written; Infinity: there is none. */
  readonly oldestMs: number;
  /** Lowest clock of those that are not ignored; Infinity: there is none. */
  readonly lo: number;
  /** Lists that show which of them are in the runs after all; none if it is known. */
  readonly unread: readonly string[];
}

export class Survey {
  #count = 0;
  #numbers = new Float64Array(NUMBERS * 1_024);
  #digests = new Uint32Array(WORDS * 1_024);
  firstDateMs: number | undefined;
  lastDateMs = 0;
  legacyLog: string | undefined;
  /** Claims and transactions, as they are. */
  readonly lanes: { readonly claims: ClaimRef[]; readonly transactions: string[] } = {
    claims: [],
    transactions: [],
  };
  /** Something of it cannot be read. */
  isDamaged = false;

  /** Segments so far. */
  get count(): number {
    return this.#count;
  }

  add({ segments, lanes, corrupt, legacyLog, dateMs, writtenMs }: LogPage): void {
    this.firstDateMs ??= dateMs;
    this.lastDateMs = Math.max(this.lastDateMs, dateMs);
    this.legacyLog ??= legacyLog;
    this.isDamaged ||= corrupt.length > 0;
    append(this.lanes.claims, lanes?.claims ?? []);
    append(this.lanes.transactions, lanes?.transactions ?? []);
    const dates = writtenMs();
    this.#makeRoom(this.#count + segments.length);
    for (const { path, lo, hi, range } of segments) {
      const at = this.#count++;
      // No list names a file of which this is a part.
      if (range === undefined) this.#digests.set(digestWords(path), at * WORDS);
      this.#numbers[at * NUMBERS + LO] = lo;
      this.#numbers[at * NUMBERS + HI] = hi;
      this.#numbers[at * NUMBERS + WRITTEN] = dates.get(path) ?? dateMs;
    }
  }

  /**
   * V3 of all of them, as `sortListing` does it.
   * @param merged what lists name, where they were read
   */
  waiting(manifest: Manifest, merged?: TextSet): Waiting {
    const named = summaryOfLists(manifest);
    const isSettled = named === undefined || merged !== undefined || this.#isExactly(named);
    const isMerged = (at: number): boolean => {
      if (merged !== undefined) return merged.hasDigest(this.#digest(at));
      return isSettled && named !== undefined && this.#number(at, HI) <= named.hi;
    };
    let [segments, oldestMs, lowest] = [0, Infinity, Infinity];
    for (let at = 0; at < this.#count; at++) {
      if (isMerged(at)) continue;
      segments++;
      oldestMs = Math.min(oldestMs, this.#number(at, WRITTEN));
      const lo = this.#number(at, LO);
      if (!isIgnored({ lo }, manifest)) lowest = Math.min(lowest, lo);
    }
    const unread = isSettled ? [] : segmentLists(manifest).map(({ path }) => path);
    return { segments, oldestMs, lo: lowest, unread };
  }

  /** Whether what lists name is what was listed up to their highest clock, or nothing of them was. */
  #isExactly({ count, hi, digest }: NonNullable<ReturnType<typeof summaryOfLists>>): boolean {
    let [found, high, low] = [0, 0, 0];
    for (let at = 0; at < this.#count; at++) {
      if (this.#number(at, HI) > hi) continue;
      found++;
      high ^= this.#digests[at * WORDS] ?? 0;
      low ^= this.#digests[at * WORDS + 1] ?? 0;
    }
    return found === 0 || (found === count && toDigest(high, low) === digest);
  }

  #number(at: number, which: number): number {
    return this.#numbers[at * NUMBERS + which] ?? 0;
  }

  #digest(at: number): Uint32Array {
    return this.#digests.subarray(at * WORDS, (at + 1) * WORDS);
  }

  #makeRoom(count: number): void {
    if (count * WORDS <= this.#digests.length) return;
    const room = Math.max(count, 2 * this.#count);
    const [numbers, digests] = [this.#numbers, this.#digests];
    this.#numbers = new Float64Array(room * NUMBERS);
    this.#numbers.set(numbers);
    this.#digests = new Uint32Array(room * WORDS);
    this.#digests.set(digests);
  }
}
