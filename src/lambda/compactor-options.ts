/** Options of every compactor. */
import type { CompactOptions } from "../compaction/compact.ts";
import type { WorkerEvent } from "./worker-event.ts";

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
  /**
   * How many invocations at once may work off a backlog of one store, 1 to 16. Where one is worth
   * more than one, the invocation that sees it starts others, which it hands a share each, and does a share
   * itself. Default 1: it starts none.
   */
  readonly parallel?: number | undefined;
  /**
   * Starts a worker: hands the event to a further invocation of the same handler, and does not wait
   * for what it does. Default: an asynchronous invocation of the function that this is; there is none
   * outside Lambda.
   */
  readonly startWorker?: ((event: WorkerEvent) => void | Promise<void>) | undefined;
}
