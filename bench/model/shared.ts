/** What the workers of the model share, and what each is given. */
import type { CompactionLimits, planLog, planUnit } from "../../src/compaction/plan.ts";
import type { CompactionTask, Found } from "../../src/compaction/report.ts";
import type { Pace } from "../../src/engine/pace.ts";
import type { Speed } from "./assumptions.ts";
import type { Ledger } from "./ledger.ts";
import type { ModelLog } from "./model-log.ts";
import type { ModelStore } from "./model-store.ts";

/** What decides about the next step: the engine's. */
export interface Planner {
  readonly planLog: typeof planLog;
  readonly planUnit: typeof planUnit;
}

/** What all workers share. */
export interface Cluster {
  readonly store: ModelStore;
  readonly log: ModelLog;
  readonly ledger: Ledger;
  readonly planner: Planner;
  readonly speed: Speed;
  readonly limits: CompactionLimits;
  readonly flushBytes: number;
  /** Paths of those that are held. */
  readonly leases: Set<string>;
}

export interface WorkerOptions {
  readonly task: CompactionTask | undefined;
  readonly pace: Pace;
  /** Starts others for their parts of the work; returns what is left to this worker. */
  readonly divide: (found: Found, nowMs: number) => CompactionTask | undefined;
}
