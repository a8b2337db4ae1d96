/** How a compactor divides the work on a store with workers that it starts. */
import { InvalidArgumentError } from "../core/errors.ts";
import { callback, positive, warningsTo } from "../core/options.ts";
import type { Runtime } from "../core/runtime.ts";
import type { CompactionTask, Found } from "../compaction/report.ts";
import { type WantedWorkers, wantedWorkers, WORKERS_MAX } from "../compaction/tasks.ts";
import type { CommonOptions } from "./compactor-options.ts";
import { invokeFunction } from "./invoke-function.ts";
import type { WorkerEvent } from "./worker-event.ts";

/** Within this time a division is kept: its workers are at work. */
const KEPT_MS = 60_000;

/** What of a division falls to this invocation. */
export interface Share {
  readonly task: CompactionTask;
  /** Workers that were started with it. */
  readonly started: number;
  /** Whether some could not be started: what they would have done is left to this invocation. */
  readonly lacks: boolean;
}

interface Division extends Share {
  readonly atMs: number;
}

/** Of one invocation. */
export class FanOut {
  readonly #parallel: number;
  readonly #startWorker: (event: WorkerEvent) => void | Promise<void>;
  readonly #onWarning: (message: string) => void;
  readonly #runtime: Runtime;
  /** The last one of each store. */
  readonly #divisions = new Map<string, Division>();

  /** @throws InvalidArgumentError */
  constructor(options: CommonOptions, runtime: Runtime) {
    this.#parallel = positive(options.parallel, "parallel", 1, WORKERS_MAX);
    this.#startWorker =
      callback(options.startWorker, "startWorker") ?? ((event) => invokeItself(event, runtime));
    this.#onWarning = warningsTo(options.onWarning);
    this.#runtime = runtime;
  }

  get isWanted(): boolean {
    return this.#parallel > 1;
  }

  /** Starts workers where what was found is worth them. Undefined: one does everything. */
  async divide(location: string, found: Found): Promise<Share | undefined> {
    const nowMs = this.#runtime.steadyMs();
    const before = this.#divisions.get(location);
    const isKept = before !== undefined && nowMs - before.atMs < KEPT_MS;
    const parallel = isKept ? this.#parallel : this.#parallel - this.#atWork(nowMs);
    const [own, ...others] = tasksOf(wantedWorkers(found, { parallel }));
    if (own === undefined || others.length === 0) return undefined;
    // What workers that were not started would have done is nobody's share.
    if (isKept) return before.lacks ? undefined : { ...before, started: 0 };
    const starts = await Promise.all(others.map((task) => this.#start(location, task)));
    const started = starts.filter(Boolean).length;
    const share = { task: own, started, lacks: started < others.length };
    this.#divisions.set(location, { ...share, atMs: nowMs });
    return started === 0 ? undefined : share;
  }

  /** Workers that this invocation has started for any store. */
  #atWork(nowMs: number): number {
    const recent = [...this.#divisions.values()].filter(({ atMs }) => nowMs - atMs < KEPT_MS);
    return recent.reduce((sum, { started }) => sum + started, 0);
  }

  /** Whether it was started. */
  async #start(location: string, task: CompactionTask): Promise<boolean> {
    try {
      await this.#startWorker({ opslogTask: { location, ...task } });
      return true;
    } catch (error) {
      this.#onWarning(
        `worker ${task.kind} ${task.index} of ${task.of} of ${location} was not started, and its ` +
          `work is left to this compactor: ${String(error)}`,
      );
      return false;
    }
  }
}

/** The first is the caller's. */
function tasksOf({ log, units }: WantedWorkers): CompactionTask[] {
  return [...ofKind("log", log), ...ofKind("units", units)];
}

function ofKind(kind: CompactionTask["kind"], of: number): CompactionTask[] {
  return Array.from({ length: of }, (_, index) => ({ kind, index, of }));
}

/** The function whose invocation this is, in the same version. */
async function invokeItself(event: WorkerEvent, runtime: Runtime): Promise<void> {
  const { AWS_LAMBDA_FUNCTION_NAME: name, AWS_LAMBDA_FUNCTION_VERSION: version } = process.env;
  if (!name) {
    throw new InvalidArgumentError("outside Lambda workers need the option startWorker");
  }
  const isNumbered = version !== undefined && /^\d+$/.test(version);
  await invokeFunction(isNumbered ? `${name}:${version}` : name, event, runtime);
}
