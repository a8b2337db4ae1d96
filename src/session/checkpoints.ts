/** Compactions that an open store runs itself: when its user calls for one, and when the log is long. */
import { Compactor } from "../compaction/compactor.ts";
import { DEFAULT_LIMITS } from "../compaction/plan.ts";
import type { CompactionReport } from "../compaction/report.ts";
import { migrationOf } from "../core/schema.ts";
import type { Engine } from "../engine/engine.ts";
import type { CommitQueue } from "./commit-queue.ts";
import type { ResolvedOptions } from "./options.ts";
import type { Replica } from "./replica.ts";

/** How often a compaction that the user called is tried again after losing a race. */
const COMPACTIONS_MAX = 20;
/** Of the checkpoint threshold: operations after which a checkpoint that could not run is retried. */
const RETRY_SHARE = 0.1;

/** What a checkpoint works on: the open session. */
interface Checkpointed {
  readonly engine: Engine;
  readonly options: Pick<ResolvedOptions, "checkpointThreshold" | "writeMode">;
  readonly replica: Pick<Replica, "operationCount" | "recordCompaction">;
  readonly writes: Pick<CommitQueue, "flush">;
  flush(): Promise<void>;
  refresh(): Promise<void>;
}

export class Checkpoints {
  readonly #session: Checkpointed;
  #running: Promise<void> | undefined;
  /** The next checkpoint is due when the log holds so many operations. */
  dueAt: number;

  constructor(session: Checkpointed) {
    this.#session = session;
    this.dueAt = session.options.checkpointThreshold;
  }

  /**
   * Compacts what is in the log now. Resolves without doing anything while another compactor is at
   * work.
   */
  async compact(): Promise<CompactionReport> {
    await this.#session.writes.flush();
    const migration = migrationOf(this.#session.engine.schema);
    const { deadline } = this.#session.engine;
    const within = deadline && { signal: deadline.signal, leftMs: () => deadline.leftMs };
    const compactor = new Compactor({ ...this.#session.engine, limits: DEFAULT_LIMITS });
    for (let pass = 1; ; pass++) {
      const { report, replaced } = await compactor.pass({
        migration,
        keepsReplaced: true,
        ...within,
      });
      for (const step of replaced) this.#session.replica.recordCompaction(step);
      const isUnfinished = report.outcome === "lost" || report.more;
      if (isUnfinished && deadline?.hasPassed !== true && pass < COMPACTIONS_MAX) continue;
      await this.#session.refresh();
      return report;
    }
  }

  /**
   * Runs the checkpoint that is due. The write that triggers it is made durable first; after that a
   * failure is a warning, and a later write tries again.
   */
  async run(): Promise<void> {
    this.#running ??= this.#checkpoint();
    await this.#running;
  }

  async #checkpoint(): Promise<void> {
    const { checkpointThreshold, writeMode } = this.#session.options;
    try {
      // An immediate write is durable by now; what fails of others is not its caller's.
      if (writeMode !== "immediate") await this.#session.flush();
      const compacted = await this.compactOrWarn();
      // What had to stay (damaged log) must not bring the next one at once; after another's lease,
      // perhaps a dead one's, or a failure it is tried again soon.
      const soon = checkpointThreshold - Math.ceil(checkpointThreshold * RETRY_SHARE);
      const remaining = this.#session.replica.operationCount - (compacted ? 0 : soon);
      this.dueAt = remaining + checkpointThreshold;
    } finally {
      this.#running = undefined;
    }
  }

  /** As `compact`; false if another compactor holds the lease, or it failed, which is a warning. */
  async compactOrWarn(): Promise<boolean> {
    try {
      return (await this.compact()).outcome !== "busy";
    } catch (error) {
      this.#session.engine.onWarning(`checkpoint failed, the log keeps growing: ${String(error)}`);
      return false;
    }
  }

  /** Resolves when no checkpoint runs. */
  async settle(): Promise<void> {
    await this.#running;
  }
}
