/** What the next step of a pass is planned by. */
import type { LogUnit } from "../log/log.ts";
import type { LoadedManifest } from "../view/manifest-store.ts";
import type { LogCursor } from "./log-cursor.ts";
import { isOutdated } from "./migrate.ts";
import { overdueAt, type PlanInput } from "./plan.ts";
import { dueRetired, fillIn, gracesOf, isCollectable } from "./publication.ts";
import { wantsPurge } from "./purge.ts";
import type { CompactorParts, PassOptions } from "./report.ts";

/** Where a pass is. */
export interface PassState {
  readonly cursor: LogCursor;
  /** F: what a purge could raise the floor to. */
  readonly floor: number;
  /** Log that was read for this step. */
  readonly units: readonly LogUnit[];
  /** What is due is for this step, if there is anything. */
  readonly isDue: boolean;
  readonly leftMs: number;
}

export function planInputOf(
  { settings, limits, pace, runtime }: CompactorParts,
  options: PassOptions,
  loaded: LoadedManifest,
  { cursor, floor, units, isDue, leftMs }: PassState,
): PlanInput {
  const { manifest, dateMs } = loaded;
  const { full: wantsFull = false, task } = options;
  return {
    manifest,
    limits,
    time: { leftMs, runBytesPerMs: pace.runBytesPerMs(runtime.steadyMs()) },
    units,
    isDrained: cursor.isDrained,
    isDue: isDue && isAnythingDue(loaded, settings),
    wantsFull,
    wantsPurge: !cursor.leftOut && wantsPurge(manifest, floor, wantsFull),
    overdueMs: overdueAt(dateMs, settings),
    isAsked: (run) => isOutdated(run, options),
    isShared: task?.kind === "log",
  };
}

/** Whether a publication is wanted although nothing is merged: to delete, or to give the store lanes. */
export function isAnythingDue(
  loaded: LoadedManifest,
  settings: CompactorParts["settings"],
): boolean {
  const { manifest, lastModifiedMs, dateMs } = loaded;
  const retired = fillIn(manifest.retired, lastModifiedMs);
  const lacksLanes = manifest.lanes === undefined && manifest.generation > 0;
  const isDue = dueRetired(retired, dateMs, gracesOf(manifest, settings)).length > 0;
  return isDue || lacksLanes || isCollectable(loaded, settings);
}
