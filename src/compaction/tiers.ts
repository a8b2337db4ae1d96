/**
 * Which levels a merge takes: the binomial compaction of Mathieu, Staelin, Young and Yousefi, "Bigtable
 * Merge Compaction" (arXiv 1407.3008, section 3), by bytes instead of by numbers of flushes. With k
 * levels, data that is C(k + w − 1, k) times one portion of log is written about w times on its way to
 * the oldest level; no policy with at most k levels writes less. Pure.
 */

/** More levels than this are never left by a merge that is done. */
export const LEVELS_MAX = 9;
/** Nor more than this while some of them drain. */
const DRAINING_LEVELS_MAX = 12;
/** How often a record may be rewritten before one more level is allowed. */
const REWRITES_WANTED = 13;
const LEVELS_MIN = 2;
const BISECTIONS = 40;

/**
 * How many of the newest levels to merge with `bytes` of new data, all of them into the last of these.
 * @param sizes bytes of each level, the newest first
 * @param bytes of what comes on top, which is counted as at least `portionBytesMin`; 0: nothing comes
 * @param levelsMax fewer are allowed beside levels that drain already. Default: there are none
 */
export function countMerged(
  sizes: readonly number[],
  bytes: number,
  portionBytesMin: number,
  levelsMax: number = LEVELS_MAX,
): number {
  const portion = Math.max(bytes, portionBytesMin);
  const total = sizes.reduce((sum, size) => sum + size, bytes);
  const allowed = Math.min(levelsFor(total / portion), levelsMax);
  let above = total;
  for (let at = sizes.length - 1; at >= 0; at--) {
    const size = sizes[at] ?? 0;
    above -= size;
    // Of the levels allowed those that stay, older than this one, are used already.
    const k = Math.max(1, allowed - (sizes.length - 1 - at));
    const isDue = size <= portionBytesMin || above * rewrites(k, size / portion) >= k * size;
    if (above > 0 && isDue) return at + 1;
  }
  const isNew = bytes > 0 ? 1 : 0;
  const tooMany = sizes.length + isNew - allowed;
  return tooMany > 0 ? Math.min(sizes.length, tooMany + 1 - isNew) : 0;
}

/** How many levels there may be above those that drain, and the level that takes these in. */
export function levelsBeside(others: number): number {
  return Math.max(LEVELS_MIN, Math.min(LEVELS_MAX, DRAINING_LEVELS_MAX - others));
}

/** How often data of so many portions is written on its way into the oldest level. */
export function rewritesOf(portions: number): number {
  return rewrites(levelsFor(portions), portions);
}

/** The fewest levels with which data of so many portions is rewritten as seldom as wanted. */
function levelsFor(portions: number): number {
  for (let k = LEVELS_MIN; k < LEVELS_MAX; k++) {
    if (rewrites(k, portions) <= REWRITES_WANTED) return k;
  }
  return LEVELS_MAX;
}

/** w, a real number of at least 1, with C(k + w − 1, k) = portions. */
function rewrites(k: number, portions: number): number {
  let [low, high] = [1, 2];
  while (choose(k, high) < portions) [low, high] = [high, high * 2];
  for (let step = 0; step < BISECTIONS; step++) {
    const middle = (low + high) / 2;
    if (choose(k, middle) < portions) low = middle;
    else high = middle;
  }
  return low;
}

/** C(k + w − 1, k) = w (w + 1) .. (w + k − 1) / k! */
function choose(k: number, w: number): number {
  let product = 1;
  for (let i = 0; i < k; i++) product *= (w + i) / (i + 1);
  return product;
}
