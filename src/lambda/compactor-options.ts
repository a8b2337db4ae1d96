/** Options of every compactor. */
import type { CompactOptions } from "../compaction/compact.ts";

export interface CommonOptions extends Omit<CompactOptions, "backend"> {
  /** Called with one line of JSON per store that reports what was done. Default: console.log. */
  readonly log?: ((line: string) => void) | undefined;
  /**
   * Writes a line in CloudWatch's embedded metric format per store to the standard output:
   * namespace "Opslog", dimension "Store" = the location. None of a store that had nothing to do and
   * has not been published for four days. Default true.
   */
  readonly metrics?: boolean | undefined;
  /**
   * A scheduled invocation does not look at a store that had nothing to do before as much time has
   * passed as it had been quiet for, and never later than this. An event of another kind looks at
   * once. ms, default 900,000 (15 minutes); 0: each invocation looks.
   */
  readonly idleMaxMs?: number | undefined;
}
