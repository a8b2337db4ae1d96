/**
 * The workers of the model: a schedule begins a coordinator, which starts others where there is work
 * for them, as `createCompactor` with `parallel` does. All go on in the order of their times.
 */
import type { CompactionTask, Found } from "../../src/compaction/report.ts";
import { leasePathOf, wantedWorkers } from "../../src/compaction/tasks.ts";
import { Pace } from "../../src/engine/pace.ts";
import type { Cluster } from "./shared.ts";
import { type Work, Worker } from "./worker.ts";

/** As in `fan-out.ts`: a division is kept for so long. */
const KEPT_MS = 60_000;
/** From the request to the first line of code of an invocation. */
const START_MS = 200;

interface Running {
  readonly work: Work<number>;
  readonly isCoordinator: boolean;
  atMs: number;
}

export interface FleetOptions {
  /** Of one invocation. */
  readonly durationMs: number;
  /** Invocations at once at most. */
  readonly parallel: number;
  /** A coordinator begins at each of these, unless one runs. */
  readonly everyMs: number;
  readonly startMs: number;
}

export class Fleet {
  readonly #cluster: Cluster;
  readonly #options: FleetOptions;
  readonly #running: Running[] = [];
  /** Of the processes that do one kind of work, one after the other. */
  readonly #paces = new Map<string, Pace>();
  #division: { readonly task: CompactionTask; readonly started: number; atMs: number } | undefined;
  #nextMs: number;

  constructor(cluster: Cluster, options: FleetOptions) {
    this.#cluster = cluster;
    this.#options = options;
    this.#nextMs = options.startMs + options.everyMs;
  }

  /** Goes on with whoever is behind all others. @returns that time */
  step(): number {
    const next = this.#running.reduce<Running | undefined>(
      (first, each) => (first === undefined || each.atMs < first.atMs ? each : first),
      undefined,
    );
    const isBegun = this.#running.some(({ isCoordinator }) => isCoordinator);
    if (next === undefined || (!isBegun && this.#nextMs <= next.atMs)) {
      const atMs = this.#nextMs;
      this.#start(undefined, atMs);
      this.#nextMs = atMs + this.#options.everyMs;
      return atMs;
    }
    const { atMs } = next;
    const { value, done } = next.work.next();
    next.atMs = value;
    if (done === true) this.#end(next);
    return atMs;
  }

  #end(ended: Running): void {
    this.#running.splice(this.#running.indexOf(ended), 1);
    if (!ended.isCoordinator) return;
    const { everyMs, startMs } = this.#options;
    const due = startMs + Math.ceil((ended.atMs - startMs) / everyMs) * everyMs;
    this.#nextMs = Math.max(this.#nextMs, due);
  }

  #start(task: CompactionTask | undefined, atMs: number): void {
    const path = leasePathOf(task);
    const pace = this.#paces.get(path) ?? new Pace();
    this.#paces.set(path, pace);
    const divide = (found: Found, nowMs: number): CompactionTask | undefined =>
      this.#divide(found, nowMs);
    const worker = new Worker(this.#cluster, { task, pace, divide });
    const work = worker.invoke(atMs, this.#options.durationMs);
    this.#running.push({ work, atMs, isCoordinator: task === undefined });
  }

  #divide(found: Found, nowMs: number): CompactionTask | undefined {
    const before = this.#division;
    const isKept = before !== undefined && nowMs - before.atMs < KEPT_MS;
    const { log, units } = wantedWorkers(found, this.#options);
    const [own, ...others] = [...tasksOf("log", log), ...tasksOf("units", units)];
    if (own === undefined || others.length === 0) return undefined;
    if (isKept) return before.task;
    for (const task of others) this.#start(task, nowMs + START_MS);
    this.#division = { task: own, started: others.length, atMs: nowMs };
    return own;
  }
}

function tasksOf(kind: CompactionTask["kind"], of: number): CompactionTask[] {
  return Array.from({ length: of }, (_, index) => ({ kind, index, of }));
}
