/** What was there before: a running maximum over two lists in order of time. O(n log n). */
import { compareSent, type SentVersion } from "./history.ts";

/** A version that everything later of the same key must know. */
export interface Known {
  readonly key: string;
  readonly atMs: number;
  readonly version: SentVersion;
}

export interface Later {
  readonly key: string;
  readonly atMs: number;
}

/** Calls back with each of `later` and the highest of `known` of its key that lies before it. */
export function sweep<K extends Known, L extends Later>(
  known: readonly K[],
  later: readonly L[],
  onPair: (later: L, highest: K) => void,
): void {
  const highest = new Map<string, K>();
  const sorted = known.toSorted(byTime);
  let at = 0;
  for (const one of later.toSorted(byTime)) {
    for (let next = sorted[at]; next !== undefined && next.atMs < one.atMs; next = sorted[++at]) {
      const before = highest.get(next.key);
      if (before === undefined || compareSent(next.version, before.version) > 0) {
        highest.set(next.key, next);
      }
    }
    const found = highest.get(one.key);
    if (found !== undefined) onPair(one, found);
  }
}

function byTime(a: Later, b: Later): number {
  return a.atMs === b.atMs ? 0 : a.atMs < b.atMs ? -1 : 1;
}
