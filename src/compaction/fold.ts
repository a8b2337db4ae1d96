/**
 * Which runs a manifest describes itself, and which ones catalogues describe: a manifest that is read
 * with every look must stay small, and a publication must not write anew what it does not change. Pure.
 */
import { append } from "../core/bulk.ts";
import { compareText } from "../core/version.ts";
import { type Catalogue, encodeCatalogue } from "../format/catalogue.ts";
import { runsIn } from "../format/levels.ts";
import type { RunInfo } from "../format/run-info.ts";
import { summarizeRuns } from "../runs/catalogue-summary.ts";
import { visibleSpans } from "../runs/visible.ts";

export interface CatalogueLimits {
  /** Of the descriptions of runs in the manifest itself. */
  readonly inlineBytesMax: number;
  /** Of the descriptions in one catalogue: what a cold read of one record reads at most of them. */
  readonly catalogueBytesMax: number;
}

const KIB = 1024;
export const DEFAULT_CATALOGUE_LIMITS: CatalogueLimits = {
  inlineBytesMax: 24 * KIB,
  catalogueBytesMax: 24 * KIB,
};

export interface FoldOptions {
  readonly limits: CatalogueLimits;
  /** Of the manifest before, all of them read: those that stay as they are stay named. */
  readonly before: readonly Catalogue[];
  /** Returns a path that no other catalogue has. */
  readonly newPath: () => string;
}

/** What a manifest names of its runs. */
export interface Folded {
  readonly runs: readonly RunInfo[];
  /** Those that are new have their content too, and are yet to be written. */
  readonly catalogues: readonly Catalogue[];
}

/** Runs of one level that follow each other. */
interface Group {
  readonly runs: readonly RunInfo[];
  /** A catalogue that describes exactly these. */
  readonly kept: Catalogue | undefined;
}

/**
 * The oldest levels, which seldom change, go to catalogues until the manifest is small enough.
 * @param runs all of them, the oldest level first
 */
export function foldRuns(runs: readonly RunInfo[], options: FoldOptions): Folded {
  const { limits, newPath } = options;
  let rest = runs;
  const catalogues: Catalogue[] = [];
  while (infoBytes(rest) > limits.inlineBytesMax) {
    const level = rest[0]?.level ?? 0;
    const held = rest.filter((run) => run.level === level);
    for (const { runs: described, kept } of groupsOf(held, options)) {
      catalogues.push(kept === undefined ? catalogueOf(described, newPath()) : { ...kept, level });
    }
    rest = rest.filter((run) => run.level !== level);
  }
  return { runs: rest, catalogues };
}

function catalogueOf(content: readonly RunInfo[], path: string): Catalogue {
  const { crc } = encodeCatalogue(content, path);
  return { path, level: content[0]?.level ?? 0, crc, ...summarizeRuns(content), content };
}

/** In the order of the ids, so that an id is in few of them. */
function groupsOf(level: readonly RunInfo[], { limits, before }: FoldOptions): Group[] {
  const { catalogueBytesMax } = limits;
  const ordered = level.toSorted((a, b) => compareText(firstVisible(a), firstVisible(b)));
  const groups = joined(keptGroups(ordered, before));
  const isSmall = ({ runs, kept }: Group): boolean =>
    kept === undefined && infoBytes(runs) < catalogueBytesMax / 2;
  // A small one takes a neighbour in, or there would be more and more of them.
  const isDissolved = (at: number): boolean => {
    const [previous, next] = [groups[at - 1], groups[at + 1]];
    return (next !== undefined && isSmall(next)) || (at === 1 && !!previous && isSmall(previous));
  };
  const settled = groups.map((group, at) =>
    isDissolved(at) ? { runs: group.runs, kept: undefined } : group,
  );
  return joined(settled).flatMap((group) =>
    group.kept === undefined ? cut(group.runs, catalogueBytesMax) : [group],
  );
}

/** Each catalogue of before whose runs are still there, unchanged and without others in between. */
function keptGroups(ordered: readonly RunInfo[], before: readonly Catalogue[]): Group[] {
  const byFirst = new Map(before.map((catalogue) => [runsIn(catalogue)[0]?.path, catalogue]));
  const groups: Group[] = [];
  for (let at = 0; at < ordered.length;) {
    const found = byFirst.get(ordered[at]?.path);
    const isKept = found?.content?.every((run, n) => isSame(run, ordered[at + n])) === true;
    const kept = isKept ? found : undefined;
    const runs = ordered.slice(at, at + (kept?.content?.length ?? 1));
    groups.push({ runs, kept });
    at += runs.length;
  }
  return groups;
}

/** Those that are written anew and follow each other, as one. */
function joined(groups: readonly Group[]): Group[] {
  const all: { readonly runs: RunInfo[]; readonly kept: Catalogue | undefined }[] = [];
  for (const { runs, kept } of groups) {
    const last = all.at(-1);
    if (kept !== undefined || last === undefined || last.kept !== undefined)
      all.push({ runs: [...runs], kept });
    else append(last.runs, runs);
  }
  return all;
}

/** In as few parts of about the same size as the limit permits; a part has at least one run. */
function cut(runs: readonly RunInfo[], bytesMax: number): Group[] {
  const total = infoBytes(runs);
  const share = total / Math.ceil(total / bytesMax);
  const parts: RunInfo[][] = [];
  let bytes = 0;
  for (const run of runs) {
    if (bytes >= share * parts.length) parts.push([]);
    parts.at(-1)?.push(run);
    bytes += infoBytes([run]);
  }
  return parts.map((part) => ({ runs: part, kept: undefined }));
}

/** What a run of a path may differ in. */
function isSame(a: RunInfo, b: RunInfo | undefined): boolean {
  return (
    a.path === b?.path &&
    a.oldestMs === b.oldestMs &&
    a.since === b.since &&
    JSON.stringify(a.excised) === JSON.stringify(b.excised)
  );
}

function firstVisible(run: RunInfo): string {
  if (run.excised === undefined) return run.minId;
  return visibleSpans(run)[0]?.from ?? run.minId;
}

/** Of a description without ids, and of one of its partitions. */
const RUN_BYTES = 360;
const PARTITION_BYTES = 45;

/** About the length of their descriptions. */
function infoBytes(runs: readonly RunInfo[]): number {
  return runs.reduce((sum, { minId, maxId, partitions, excised = [] }) => {
    const ids = [minId, maxId, ...partitions.map(({ separator }) => separator)];
    const spans = excised.flatMap(({ from, to = "" }) => [from, to]);
    const idBytes = [...ids, ...spans].reduce((total, id) => total + id.length, 0);
    return sum + RUN_BYTES + partitions.length * PARTITION_BYTES + spans.length * 4 + idBytes;
  }, 0);
}
