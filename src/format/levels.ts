/**
 * The levels of a manifest: each is one sequence of runs in id order, so that a point read looks into
 * one run of a level. Which level holds the higher version of an id does not follow from their order.
 */
import { assert } from "../core/assert.ts";
import { compareText } from "../core/version.ts";
import type { Catalogue } from "./catalogue.ts";
import type { Manifest } from "./manifest-codec.ts";
import type { RunInfo } from "./run-info.ts";

export interface Level {
  /** In the order of their ids. */
  readonly runs: readonly RunInfo[];
  /** Its runs are being merged into the next older level that does not drain. */
  readonly isDraining: boolean;
}

/**
 * All runs that the manifest names, also those in its catalogues, which must have been read
 * (`ManifestStore.open`).
 */
export function allRuns({ runs, catalogues }: Pick<Manifest, "runs" | "catalogues">): RunInfo[] {
  return [...catalogues.flatMap((catalogue) => runsIn(catalogue)), ...runs];
}

/** What a catalogue holds, as of another level: there may be thousands, of which only the level differs. */
const renumbered = new WeakMap<readonly RunInfo[], readonly RunInfo[]>();

/** The runs of a catalogue that was read, with the level that it has now. */
export function runsIn({ path, content, level }: Catalogue): readonly RunInfo[] {
  assert(content !== undefined, `the catalogue ${path} is used before it is read`);
  const isOf = (runs: readonly RunInfo[]): boolean => runs.every((run) => run.level === level);
  if (isOf(content)) return content;
  const known = renumbered.get(content);
  if (known !== undefined && isOf(known)) return known;
  const runs = content.map((run) => ({ ...run, level }));
  renumbered.set(content, runs);
  return runs;
}

/** Whether an object in `snapshots/` belongs to a run of the manifest, or is one of its catalogues. */
export function namesRun(manifest: Pick<Manifest, "runs" | "catalogues">, path: string): boolean {
  if (manifest.catalogues.some((catalogue) => catalogue.path === path)) return true;
  return allRuns(manifest).some((run) => run.path === path || run.index === path);
}

/** The newest first. Catalogues must have been read. */
export function levelsOf(manifest: Pick<Manifest, "runs" | "catalogues" | "draining">): Level[] {
  const { draining } = manifest;
  const byLevel = new Map<number, RunInfo[]>();
  for (const run of allRuns(manifest)) {
    const same = byLevel.get(run.level);
    if (same === undefined) byLevel.set(run.level, [run]);
    else same.push(run);
  }
  return [...byLevel]
    .toSorted(([a], [b]) => a - b)
    .map(([level, held]) => ({ runs: inOrder(held), isDraining: draining.includes(level) }));
}

/** What both say of runs: of those in catalogues together, of the others each. No catalogue is read. */
export function described({
  runs,
  catalogues,
}: Pick<Manifest, "runs" | "catalogues">): (RunInfo | Catalogue)[] {
  return [...catalogues, ...runs];
}

export function countLevels(manifest: Pick<Manifest, "runs" | "catalogues">): number {
  return new Set(described(manifest).map(({ level }) => level)).size;
}

export function countRuns({ runs, catalogues }: Pick<Manifest, "runs" | "catalogues">): number {
  return catalogues.reduce((sum, catalogue) => sum + catalogue.runs, runs.length);
}

/** What a manifest holds of these levels, the newest of which is level 0; empty ones are left out. */
export function flatLevels(
  levels: readonly Level[],
): Pick<Manifest, "runs" | "catalogues" | "draining"> {
  const held = levels.filter(({ runs }) => runs.length > 0);
  const numbered = held.map(({ runs }, level) =>
    inOrder(runs).map((run) => (run.level === level ? run : { ...run, level })),
  );
  return {
    runs: numbered.toReversed().flat(),
    catalogues: [],
    draining: held.flatMap(({ isDraining }, level) => (isDraining ? [level] : [])),
  };
}

function inOrder(runs: readonly RunInfo[]): RunInfo[] {
  return runs.toSorted((a, b) => compareText(a.minId, b.minId));
}
