/** The levels of a view as sequences to be scanned, of which catalogues are read when their turn comes. */
import type { Catalogue } from "../format/catalogue.ts";
import { levelsOf } from "../format/levels.ts";
import type { IdSpan, RunInfo } from "../format/run-info.ts";
import type { Run } from "../runs/run.ts";
import type { RunStore } from "../runs/run-reader.ts";
import { type Piece, piecesOf } from "../runs/visible.ts";
import { compareText } from "../core/version.ts";
import type { ManifestStore } from "./manifest-store.ts";
import type { View } from "./view.ts";

/** Consecutive pieces of a level. */
export type Stretch =
  | { readonly pieces: readonly Piece<Run>[] }
  | { readonly span: IdSpan; readonly load: () => Promise<readonly Piece<Run>[]> };

/** The stretches of each level, in the order of ids. No I/O. */
export function levelStretches(
  store: RunStore,
  manifests: Pick<ManifestStore, "runsIn">,
  { loaded, legacy }: View,
): Stretch[][] {
  const { runs, catalogues, draining } = loaded.manifest;
  const levels = levelsOf({ runs, draining, catalogues: [] }).map((level): Stretch[] => [
    { pieces: opened(store, level.runs) },
  ]);
  const described = [...new Set(catalogues.map(({ level }) => level))].map((level) =>
    apart(catalogues.filter((catalogue) => catalogue.level === level)).map((group): Stretch => {
      const load = async (): Promise<Piece<Run>[]> => {
        const held = await Promise.all(group.map((catalogue) => manifests.runsIn(catalogue)));
        return opened(store, held.flat());
      };
      return { span: spanOf(group), load };
    }),
  );
  if (legacy === undefined) return [...levels, ...described];
  return [...levels, ...described, [{ pieces: [{ run: legacy.run, span: ALL }] }]];
}

const ALL = { from: "", to: undefined };

function opened(store: RunStore, runs: readonly RunInfo[]): Piece<Run>[] {
  return piecesOf(runs).map(({ run, span }) => ({ run: store.open(run), span }));
}

/** Catalogues of one level in the order of ids; those whose spans overlap are read together. */
function apart(catalogues: readonly Catalogue[]): Catalogue[][] {
  const groups: Catalogue[][] = [];
  for (const catalogue of catalogues.toSorted((a, b) => compareText(a.from, b.from))) {
    const last = groups.at(-1);
    if (last?.some(({ to }) => catalogue.from < to) === true) last.push(catalogue);
    else groups.push([catalogue]);
  }
  return groups;
}

function spanOf(group: readonly Catalogue[]): IdSpan {
  const ends = group.map(({ to }) => to);
  const to = ends.reduce((most, end) => (end > most ? end : most));
  return { from: group[0]?.from ?? "", to };
}
