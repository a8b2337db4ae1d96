/** The event by which a compactor starts a worker: a share of the work of one store. Pure. */
import { InvalidArgumentError } from "../core/errors.ts";
import type { CompactionTask } from "../compaction/report.ts";
import { checkTask } from "../compaction/tasks.ts";
import { field, messagesOf } from "./event-fields.ts";

/** What a worker does, and for which store. */
export type WorkerTask = CompactionTask & {
  /** As the compactor names the store. */
  readonly location: string;
};

/**
 * What `startWorker` gets, and a worker as its event: for example
 * `{"opslogTask":{"location":"s3://bucket/tasks","kind":"log","index":1,"of":4}}`.
 */
export interface WorkerEvent {
  /** The share: number `index` of `of`, from 0, of the log or of the units of runs. */
  readonly opslogTask: WorkerTask;
}

/**
 * The tasks of an event, also of messages of SQS or SNS; none: it is an event of another kind.
 * @throws InvalidArgumentError for a task of another shape
 */
export function tasksIn(event: unknown): WorkerTask[] {
  const found = field(event, "opslogTask");
  const own = found === undefined ? [] : [workerTask(found)];
  return [...own, ...messagesOf(event).flatMap(tasksIn)];
}

/** @throws InvalidArgumentError, also for a key that is none of a task */
function workerTask(found: unknown): WorkerTask {
  const { location, kind, index, of, ...others } = Object(found);
  const isNamed = typeof location === "string" && location !== "";
  if (isNamed && Object.keys(others).length === 0) {
    const task: CompactionTask = { kind, index, of };
    checkTask(task);
    return { location, ...task };
  }
  throw new InvalidArgumentError(
    `the event's opslogTask: expected location, kind, index, of, found ${JSON.stringify(found)}`,
  );
}
