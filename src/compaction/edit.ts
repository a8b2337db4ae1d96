/**
 * What a step changes in a manifest, and the same change over a newer manifest than the step began on
 * (PROTOCOL, C7): it must not be merged again because somebody else published meanwhile. Pure.
 */
import type { Manifest } from "../format/manifest-codec.ts";
import { allRuns, type Level, levelsOf } from "../format/levels.ts";
import type { IdSpan, RunInfo } from "../format/run-info.ts";
import { excise, intersection, visibleSpans } from "../runs/visible.ts";
import type { LanesChange } from "./claims.ts";
import { isSameLanes } from "./lanes.ts";
import type { CompactionPlan } from "./plan.ts";

export interface Edit {
  /** What it was planned and merged on. */
  readonly base: Manifest;
  readonly plan: CompactionPlan;
  /** Lowest clock of the log that was merged. Default: none was. */
  readonly lo?: number;
  /** Runs that were written, the merge of what lies in the span. */
  readonly made: readonly RunInfo[];
  readonly span: IdSpan;
  /** The floor afterwards; undefined: that of the manifest. */
  readonly purgeFloor: number | undefined;
  /** Merged log is deleted once this is published, not a grace later. */
  readonly deletesLog: boolean;
  /** Default: the lanes stay as they are. */
  readonly lanes?: LanesChange | undefined;
}

/** Runs of the base that the span is taken over from. */
export function takenRuns({ plan, span }: Pick<Edit, "plan" | "span">): RunInfo[] {
  return plan.taken.flatMap(
    (at) => plan.levels[at]?.runs.filter((run) => isWithin(run, span)) ?? [],
  );
}

/**
 * The levels of the next manifest.
 * @param current the base, or a later manifest
 * @returns undefined if the change does not hold over it: then all of it is given up
 */
export function levelsAfter(edit: Edit, current: Manifest): Level[] | undefined {
  if (!isPublishable(edit, current) || !isUntouched(edit, current)) return undefined;
  const { plan, span, made } = edit;
  const taken = new Set(takenRuns(edit).map(({ path }) => path));
  const draining = pathsOf(plan.draining.flatMap((at) => plan.levels[at]?.runs ?? []));
  const levels = levelsOf(current).map(({ runs, isDraining }) => ({
    runs: runs
      .map((run) => (taken.has(run.path) ? excise(run, span) : run))
      .filter((run) => visibleSpans(run).length > 0),
    isDraining: isDraining || runs.some(({ path }) => draining.has(path)),
  }));
  const into = target(edit, current);
  if (into === undefined) return undefined;
  const newest = { runs: made, isDraining: false };
  if (into < 0) return [newest, ...levels];
  const level = levels[into];
  if (level === undefined) return [...levels, newest];
  // LEVELS: what lies in the span there is what was merged.
  if (level.runs.some((run) => isWithin(run, span))) return undefined;
  return levels.with(into, { ...level, runs: [...level.runs, ...made] });
}

/** The answer was lost; by now others may have merged what was published. */
export function wasPublished({ made }: Pick<Edit, "made">, current: Manifest): boolean {
  const known = new Set([...allRuns(current), ...current.retired].map(({ path }) => path));
  return made.some(({ path }) => known.has(path));
}

/**
 * LANE-FLOOR: what another has passed since may have been deleted, and its numbers taken by late
 * requests. So what was read of the lanes counts only over those that it was read on.
 */
export function isLanesOutrun(lanes: LanesChange | undefined, current: Manifest): boolean {
  return lanes !== undefined && !isSameLanes(lanes.before, current.lanes ?? []);
}

/** ORPHAN, FLOOR, LANE-FLOOR and C9, over what was published since. */
function isPublishable(edit: Edit, current: Manifest): boolean {
  const { base, plan, made, lo = Infinity, purgeFloor = 0, lanes } = edit;
  // Log that was merged under a lower floor may bring back what was purged under this one.
  if (lo <= current.purgeFloor) return false;
  if (current.generation === base.generation) return true;
  // What was made on the base may have been collected.
  if (current.collected > base.generation) return false;
  if (wasPublished(edit, current)) return false;
  if (isLanesOutrun(lanes, current)) return false;
  // Readers rely on a grace that was promised since.
  if (edit.deletesLog && current.segmentGraceMs > 0) return false;
  if (purgeFloor <= base.purgeFloor) return true;
  // It must not rise sooner than what writers rely on since.
  if (current.tombstoneGraceMs !== base.tombstoneGraceMs) return false;
  // A run that others have made of log since may hold what is at or below a floor that rises here,
  // of ids whose deletions were purged together with that.
  const known = pathsOf(allRuns(base));
  const hasNew = allRuns(current).some(({ path }) => !known.has(path));
  return !hasNew || plan.taken.length + made.length === 0;
}

/** Nobody else has taken over anything that was merged. */
function isUntouched(edit: Edit, current: Manifest): boolean {
  if (current.generation === edit.base.generation) return true;
  const now = new Map(allRuns(current).map((run) => [run.path, run]));
  return takenRuns(edit).every((run) => {
    const same = now.get(run.path);
    return same !== undefined && shown(same, edit.span) === shown(run, edit.span);
  });
}

function shown(run: RunInfo, span: IdSpan): string {
  return JSON.stringify(visibleSpans(run).map((visible) => intersection(visible, span)));
}

/** Position of the level that takes the new runs in; undefined: it is gone. */
function target({ base, plan }: Edit, current: Manifest): number | undefined {
  if (plan.into < 0) return -1;
  const levels = levelsOf(current);
  const wanted = plan.levels[plan.into];
  if (wanted !== undefined) {
    const paths = pathsOf(wanted.runs);
    const at = levels.findIndex(({ runs }) => runs.some(({ path }) => paths.has(path)));
    return at < 0 ? undefined : at;
  }
  // Below all: another step may have begun that level.
  const known = pathsOf(allRuns(base));
  const last = levels.at(-1);
  const isBegun =
    last !== undefined && !last.isDraining && last.runs.every(({ path }) => !known.has(path));
  return isBegun && levels.length > 1 ? levels.length - 1 : levels.length;
}

function isWithin(run: RunInfo, span: IdSpan): boolean {
  return visibleSpans(run).some((visible) => intersection(visible, span) !== undefined);
}

function pathsOf(runs: readonly RunInfo[]): ReadonlySet<string> {
  return new Set(runs.map(({ path }) => path));
}
