/** Runs of a manifest merged into one sequence, with memory bounded whatever their number. */
import { compareVersions, type RunEntry, wins } from "../core/version.ts";
import type { Manifest } from "../format/manifest-codec.ts";
import type { RunInfo } from "../format/run-info.ts";
import { type EntryBatches, mergeSorted } from "../runs/merge.ts";
import { ByteCache } from "../runs/byte-cache.ts";
import type { RunCache } from "../runs/run-objects.ts";
import { RunReader } from "../runs/run-reader.ts";
import type { LiveOperation } from "./live-operations.ts";
import type { StoreParts } from "./parts.ts";

/** Of the reads under way for all runs together; each run holds about three reads. */
const SPANS_BYTES_MAX = 1024 * 1024;
const SPAN_BYTES_MIN = 128 * 1024;
const SPAN_BYTES_MAX = 512 * 1024;

/** Of parts of indexes held by one stream. */
const INDEX_BYTES_MAX = 1024 * 1024;

/** An entry with whether it comes from a run that was not known before. */
export interface MarkedEntry extends RunEntry {
  readonly isNew: boolean;
}

/**
 * The winner of every id from `from` on, tombstones included; of equal entries one of any run.
 * @throws RunGoneError, CorruptionError
 */
export function streamRuns(
  parts: StoreParts,
  runs: readonly RunInfo[],
  from?: string,
): AsyncGenerator<RunEntry[]> {
  return mergeSorted(scansOf(parts, runs, from));
}

/** Winners that lie in runs which `known` does not name: what has changed since. */
export async function* streamChanges(
  parts: StoreParts,
  runs: readonly RunInfo[],
  known: readonly RunInfo[],
): AsyncGenerator<RunEntry[]> {
  const knownPaths = new Set(known.map(({ path }) => path));
  if (runs.every(({ path }) => knownPaths.has(path))) return;
  const marked = scansOf(parts, runs).map((scan, at) =>
    mark(scan, !knownPaths.has(runs[at]?.path ?? "")),
  );
  for await (const batch of mergeSorted<MarkedEntry>(marked)) {
    const changed = batch.filter(({ isNew }) => isNew);
    if (changed.length > 0) yield changed;
  }
}

/** Leaves out operations that the runs hold, or a later one on the same record. */
export async function aboveRuns(
  parts: StoreParts,
  { clock, runs }: Pick<Manifest, "clock" | "runs">,
  operations: readonly LiveOperation[],
): Promise<readonly LiveOperation[]> {
  const low = operations.filter(({ version }) => version.clock <= clock);
  const ids = new Set(low.map(({ operation }) => operation.id));
  const winners = await lookUpRuns(parts, runs, ids);
  return operations.filter(({ version, operation }) => {
    const winner = winners.get(operation.id);
    return winner === undefined || compareVersions(version, winner.version) > 0;
  });
}

/** Winners of these ids, tombstones included. @throws RunGoneError, CorruptionError */
export async function lookUpRuns(
  { backend, cache, onWarning }: StoreParts,
  runs: readonly RunInfo[],
  ids: ReadonlySet<string>,
): Promise<Map<string, RunEntry>> {
  const winners = new Map<string, RunEntry>();
  if (ids.size === 0) return winners;
  for (const run of runs) {
    const found = await new RunReader(backend, cache, run, onWarning).getMany(ids);
    for (const [id, entry] of found) if (wins(entry, winners.get(id))) winners.set(id, entry);
  }
  return winners;
}

function scansOf(parts: StoreParts, runs: readonly RunInfo[], from?: string): EntryBatches[] {
  const { backend, onWarning } = parts;
  // Of its own: what is read once would only displace what point reads come back to.
  const cache: RunCache = new ByteCache(INDEX_BYTES_MAX);
  const share = Math.floor(SPANS_BYTES_MAX / Math.max(1, runs.length));
  const spanBytesMax = Math.min(SPAN_BYTES_MAX, Math.max(SPAN_BYTES_MIN, share));
  // By blocks: what is handed out one by one must be verified before, not at the end of the run.
  const options = { from, byBlocks: true, spanBytesMax };
  return runs.map((run) => new RunReader(backend, cache, run, onWarning).scan(options));
}

async function* mark(batches: EntryBatches, isNew: boolean): AsyncGenerator<MarkedEntry[]> {
  for await (const batch of batches) yield batch.map((entry) => ({ ...entry, isNew }));
}
