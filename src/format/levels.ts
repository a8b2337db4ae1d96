/**
 * The levels of a manifest: each is one sequence of runs in id order, so that a point read looks into
 * one run of a level. Which level holds the higher version of an id does not follow from their order.
 */
import { compareText } from "../core/version.ts";
import type { Manifest } from "./manifest-codec.ts";
import type { RunInfo } from "./run-info.ts";

export interface Level {
  /** In the order of their ids. */
  readonly runs: readonly RunInfo[];
  /** Its runs are being merged into the next older level that does not drain. */
  readonly isDraining: boolean;
}

/** The newest first. */
export function levelsOf({ runs, draining }: Pick<Manifest, "runs" | "draining">): Level[] {
  const byLevel = new Map<number, RunInfo[]>();
  for (const run of runs) {
    const same = byLevel.get(run.level);
    if (same === undefined) byLevel.set(run.level, [run]);
    else same.push(run);
  }
  return [...byLevel]
    .toSorted(([a], [b]) => a - b)
    .map(([level, held]) => ({ runs: inOrder(held), isDraining: draining.includes(level) }));
}

export function countLevels(runs: readonly RunInfo[]): number {
  return new Set(runs.map(({ level }) => level)).size;
}

/** What a manifest holds of these levels, the newest of which is level 0; empty ones are left out. */
export function flatLevels(levels: readonly Level[]): Pick<Manifest, "runs" | "draining"> {
  const held = levels.filter(({ runs }) => runs.length > 0);
  const numbered = held.map(({ runs }, level) => inOrder(runs).map((run) => ({ ...run, level })));
  return {
    runs: numbered.toReversed().flat(),
    draining: held.flatMap(({ isDraining }, level) => (isDraining ? [level] : [])),
  };
}

function inOrder(runs: readonly RunInfo[]): RunInfo[] {
  return runs.toSorted((a, b) => compareText(a.minId, b.minId));
}
