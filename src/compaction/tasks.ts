/** Which parts of the work several compactors take on, each under a lease of its own (PROTOCOL, C2). */
import { InvalidArgumentError } from "../core/errors.ts";
import type { Level } from "../format/levels.ts";
import { COMPACT_LEASE_PATH, taskLeasePath } from "../format/paths.ts";
import type { IdSpan } from "../format/run-info.ts";
import { compareText } from "../core/version.ts";
import { SHARDS } from "../log/log-ranges.ts";
import { DEFAULT_LIMITS } from "./plan.ts";
import type { CompactionTask, Found } from "./report.ts";

/** As many as there are shards of the log. */
export const WORKERS_MAX = SHARDS.length;

/** Log that is worth a worker of its own: what one merges in some seconds. */
const SEGMENTS_PER_WORKER = 5_000;

/** How many workers of each kind; none of either: one pass does all of it. */
export interface WantedWorkers {
  readonly log: number;
  readonly units: number;
}

/**
 * Into how many tasks what was found could be divided, at most `parallel` together. Of the log a
 * power of two, so that divisions of one moment and the next differ seldom. Pure.
 */
export function wantedWorkers(
  { generation, backlog, waiting }: Pick<Found, "generation" | "backlog" | "waiting">,
  { parallel }: { readonly parallel: number },
): WantedWorkers {
  const log = backlog.isCut ? WORKERS_MAX : Math.floor(backlog.segments / SEGMENTS_PER_WORKER);
  const units = Math.floor(waiting.bytes / DEFAULT_LIMITS.unitBytesMax);
  if (generation === 0 || parallel < 2 || log + units < 2) return { log: 0, units: 0 };
  // Neither waits for the other: with too little of one, one worker does it.
  const least = Math.ceil(parallel / 2);
  const logMax = Math.min(
    WORKERS_MAX,
    Math.max(least, parallel - Math.max(1, units)),
    parallel - 1,
  );
  const forLog = powerOfTwoBelow(Math.min(Math.max(1, log), logMax));
  const forUnits = Math.min(Math.max(1, units), WORKERS_MAX, parallel - forLog);
  return { log: forLog, units: forUnits };
}

function powerOfTwoBelow(count: number): number {
  return 2 ** Math.floor(Math.log2(count));
}

/** @throws InvalidArgumentError */
export function checkTask(task: CompactionTask | undefined): CompactionTask | undefined {
  if (task === undefined) return undefined;
  const { kind, index, of } = task;
  const isPart = Number.isInteger(index) && Number.isInteger(of) && index >= 0 && index < of;
  if ((kind === "log" || kind === "units") && isPart && of <= WORKERS_MAX) return task;
  throw new InvalidArgumentError(
    `no task of a compaction: ${JSON.stringify(task)}; expected kind "log" or "units" and ` +
      `0 <= index < of <= ${WORKERS_MAX}`,
  );
}

export function leasePathOf(task: CompactionTask | undefined): string {
  return task === undefined ? COMPACT_LEASE_PATH : taskLeasePath(task.kind, task.index, task.of);
}

/** Deletions that are due belong to one of several. */
export function isForDue(task: CompactionTask | undefined): boolean {
  return task === undefined || (task.kind === "units" && task.index === 0);
}

/**
 * Whether a worker goes on with all ids once nothing is left in its own: where the others have ended,
 * or did not come, what drains there would stay, and more of it with each merge that is begun.
 */
export function goesOn(task: CompactionTask | undefined): boolean {
  return task?.kind === "units" && task.index === 0;
}

/**
 * The span of ids that falls to a worker: the partitions of the levels, in the order of their ids,
 * cut where as many bytes are on each side. It depends on the levels alone, and counts what was taken
 * over from a run, too, so that it moves little while the levels are being merged. Pure.
 * @returns undefined where there are fewer partitions than workers, and none for this one
 */
export function spanOf(
  levels: readonly Level[],
  { index, of }: Pick<CompactionTask, "index" | "of">,
): IdSpan | undefined {
  const parts = levels
    .flatMap(({ runs }) =>
      runs.flatMap(({ partitions, minId, bytes }) =>
        partitions.map(({ separator, dataOffset }, at) => ({
          from: at === 0 ? minId : separator,
          bytes: (partitions[at + 1]?.dataOffset ?? bytes) - dataOffset,
        })),
      ),
    )
    .toSorted((a, b) => compareText(a.from, b.from));
  const total = parts.reduce((sum, { bytes }) => sum + bytes, 0);
  const cut = (share: number): string | undefined => {
    let before = 0;
    const found = parts.find(({ bytes }) => {
      const isFirst = before >= (total * share) / of;
      before += bytes;
      return isFirst;
    });
    return found?.from;
  };
  const from = index === 0 ? "" : cut(index);
  const to = index === of - 1 ? undefined : cut(index + 1);
  if (from === undefined || (to !== undefined && to <= from)) return undefined;
  return { from, to };
}
