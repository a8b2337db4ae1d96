/** Runs of a manifest merged into one sequence, with memory bounded whatever their number. */
import { type RunEntry, wins } from "../core/version.ts";
import { allRuns, levelsOf } from "../format/levels.ts";
import type { Manifest } from "../format/manifest-codec.ts";
import { type EntryBatches, inTurn, mergeSorted } from "../runs/merge.ts";
import type { Run } from "../runs/run.ts";
import { intersection, type Piece, piecesOf } from "../runs/visible.ts";
import { BLOCK_BYTES_MAX } from "../runs/run-writer.ts";
import { entryOf, type LiveOperation } from "./log-replay.ts";
import type { Engine } from "../engine/engine.ts";
import type { Stretch } from "../view/level-stretches.ts";
import type { IdRange } from "./merged-view.ts";

/** Of the reads under way for all runs together; each run holds about three reads. */
const SPANS_BYTES_MAX = 1024 * 1024;
const SPAN_BYTES_MIN = 128 * 1024;
const SPAN_BYTES_MAX = 512 * 1024;
/** Of a scan without limit, which may be left early all the same. */
const SCAN_BYTES_FIRST = 64 * 1024;
/** Of the first reads of a scan with a limit, which is to be all that it takes. */
const LIMITED_BYTES_FIRST = 2 * 1024 * 1024;

/** An entry with whether it comes from a run that was not known before. */
export interface MarkedEntry extends RunEntry {
  readonly isNew: boolean;
}

/** What is read of runs. */
export interface RunsRange extends IdRange {
  /** Given for scans that may stop soon: about this many records, Infinity if unknown. */
  readonly recordsWanted?: number;
}

/** The entries of each level within the range, read ahead with bounded memory for all together. */
export function scansOf<E extends RunEntry = RunEntry>(
  levels: readonly (readonly Stretch[])[],
  { recordsWanted, ...range }: RunsRange = {},
  of: (scan: EntryBatches, run: Run) => EntryBatches<E> = unmarked,
): EntryBatches<E>[] {
  const share = Math.floor(SPANS_BYTES_MAX / Math.max(1, levels.length));
  const spanBytesMax = Math.min(SPAN_BYTES_MAX, Math.max(SPAN_BYTES_MIN, share));
  const limitedShare = Math.max(spanBytesMax, Math.floor(LIMITED_BYTES_FIRST / levels.length));
  const wanted = { from: range.from ?? "", to: range.to };
  const within = (pieces: readonly Piece<Run>[]): Piece<Run>[] => {
    const shared = pieces.flatMap(({ run, span }) => {
      const common = intersection(span, wanted);
      return common === undefined ? [] : [{ run, span: common }];
    });
    return range.reverse === true ? shared.reverse() : shared;
  };
  return levels.map((stretches) => {
    let isFirst = recordsWanted !== undefined;
    const open = ({ run, span }: Piece<Run>): EntryBatches<E> => {
      const firstBytes = isFirst
        ? Math.min(limitedShare, firstBytesOf(run, recordsWanted ?? Infinity))
        : undefined;
      isFirst = false;
      // By blocks: what is handed out one by one must be verified before, not at the end of the run.
      return of(run.scan({ ...range, ...span, byBlocks: true, spanBytesMax, firstBytes }), run);
    };
    const opens = (pieces: readonly Piece<Run>[]): (() => EntryBatches<E>)[] =>
      within(pieces).map((piece) => () => open(piece));
    const inOrder = range.reverse === true ? stretches.toReversed() : stretches;
    return inTurn(
      inOrder.flatMap((stretch) => {
        if ("pieces" in stretch) return opens(stretch.pieces);
        const isWanted = intersection(stretch.span, wanted) !== undefined;
        return isWanted ? [() => loaded(stretch.load().then(opens))] : [];
      }),
    );
  });
}

async function* loaded<E extends RunEntry>(
  opens: Promise<Iterable<() => EntryBatches<E>>>,
): AsyncGenerator<readonly E[]> {
  yield* inTurn(await opens);
}

function unmarked<E extends RunEntry>(scan: EntryBatches): EntryBatches<E> {
  return scan as EntryBatches<E>;
}

/** The records wanted may begin anywhere in a block. */
function firstBytesOf({ bytes, records }: Run, recordsWanted: number): number {
  if (recordsWanted === Infinity) return SCAN_BYTES_FIRST;
  return Math.ceil((recordsWanted * bytes) / records) + BLOCK_BYTES_MAX;
}

/**
 * Winners that lie in runs which `known` does not name: what has changed since. Of both, the catalogues
 * have been read.
 */
export async function* streamChanges(
  engine: Engine,
  manifest: Manifest,
  known: Manifest,
): AsyncGenerator<RunEntry[]> {
  const knownPaths = new Set(allRuns(known).map(({ path }) => path));
  if (allRuns(manifest).every(({ path }) => knownPaths.has(path))) return;
  const once = engine.runs.once();
  const levels = levelsOf(manifest).map(({ runs }) => [
    { pieces: piecesOf(runs).map(({ run, span }) => ({ run: once.open(run), span })) },
  ]);
  const marked = scansOf(levels, {}, (scan, { path }) => mark(scan, !knownPaths.has(path)));
  for await (const batch of mergeSorted(marked)) {
    const changed = batch.filter(({ isNew }) => isNew);
    if (changed.length > 0) yield changed;
  }
}

/**
 * Leaves out operations that the runs hold, or a later one on the same record.
 * @param clockMax the runs hold none above it
 */
export async function aboveRuns(
  runs: readonly Run[],
  clockMax: number,
  operations: readonly LiveOperation[],
): Promise<readonly LiveOperation[]> {
  const low = operations.filter(({ version }) => version.clock <= clockMax);
  const ids = new Set(low.map(({ operation }) => operation.id));
  const winners = await lookUpRuns(runs, ids);
  return operations.filter((each) => {
    const winner = winners.get(each.operation.id);
    return wins(entryOf(each), winner);
  });
}

/** Winners of these ids, tombstones included. @throws RunGoneError, CorruptionError */
export async function lookUpRuns(
  runs: readonly Run[],
  ids: ReadonlySet<string>,
): Promise<Map<string, RunEntry>> {
  const winners = new Map<string, RunEntry>();
  if (ids.size === 0) return winners;
  for (const run of runs) {
    const found = await run.getMany(ids);
    for (const [id, entry] of found) if (wins(entry, winners.get(id))) winners.set(id, entry);
  }
  return winners;
}

async function* mark(batches: EntryBatches, isNew: boolean): AsyncGenerator<MarkedEntry[]> {
  for await (const batch of batches) yield batch.map((entry) => ({ ...entry, isNew }));
}
