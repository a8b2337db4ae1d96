/** Merges listed segments into one map of winners: the delta of a compaction. */
import type { CorruptionError } from "../core/errors.ts";
import { compareVersions, type Entry, type Version, wins } from "../core/version.ts";
import type { Segment } from "../format/segment-codec.ts";
import type { Log, LogUnit } from "../log/log.ts";

export interface MergedLog {
  readonly entries: ReadonlyMap<string, Entry>;
  /** Units whose every segment was merged, dropped or gone: they may be deleted afterwards. */
  readonly done: readonly LogUnit[];
  readonly corrupt: readonly CorruptionError[];
  /** Keys of the segments merged. */
  readonly merged: readonly string[];
  /** Segments that were gone already when they were to be read. */
  readonly gone: ReadonlySet<string>;
  readonly operations: number;
  /** How many more records there are after the merged operations than before the first of them. */
  readonly created: number;
  /** Highest clock and schema version merged. */
  readonly clock: number;
  readonly schema: number;
}

/**
 * @param purgeFloor segments with lo <= it are dropped whole (FLOOR)
 * @throws the signal's reason once it has aborted
 */
export async function mergeLog(
  log: Log,
  units: readonly LogUnit[],
  purgeFloor: number,
  signal?: AbortSignal,
): Promise<MergedLog> {
  const entries = new Map<string, Entry>();
  const firsts = new Map<string, FirstOperation>();
  const corrupt: CorruptionError[] = [];
  const unreadable = new Set<string>();
  const merged: string[] = [];
  const gone = new Set<string>();
  const totals = { operations: 0, clock: 0, schema: 0 };
  const live = units.flatMap(({ segments }) => segments.filter(({ lo }) => lo > purgeFloor));
  for await (const read of log.read(live)) {
    signal?.throwIfAborted();
    if (read.status === "gone") {
      gone.add(read.ref.key); // Its deleter had published it.
      continue;
    }
    if (read.status === "corrupt") {
      corrupt.push(read.error);
      unreadable.add(read.ref.key);
      continue;
    }
    for (const segment of read.segments) {
      mergeSegment(entries, firsts, segment);
      totals.operations += segment.operations.length;
      totals.schema = Math.max(totals.schema, segment.v);
    }
    merged.push(read.ref.key);
    totals.clock = Math.max(totals.clock, read.ref.hi);
  }
  const done = units.filter(({ segments }) => segments.every(({ key }) => !unreadable.has(key)));
  return {
    entries,
    done,
    corrupt,
    merged,
    gone,
    created: countCreated(entries, firsts),
    ...totals,
  };
}

/** The lowest operation on a record tells whether it was there before. */
interface FirstOperation {
  readonly version: Version;
  readonly existed: boolean;
}

function countCreated(
  entries: ReadonlyMap<string, Entry>,
  firsts: ReadonlyMap<string, FirstOperation>,
): number {
  let created = 0;
  for (const [id, { text }] of entries) {
    const existed = firsts.get(id)?.existed === true;
    created += Number(text !== undefined) - Number(existed);
  }
  return created;
}

/** Data is taken over as its stored JSON (VERBATIM): JSON.stringify of what JSON.parse made of it. */
function mergeSegment(
  entries: Map<string, Entry>,
  firsts: Map<string, FirstOperation>,
  segment: Segment,
): void {
  const { agent, w, v: schema } = segment;
  for (const { id, op, clock, data, prev, encoding } of segment.operations) {
    const version = { clock, agent, w };
    const first = firsts.get(id);
    if (first === undefined || compareVersions(version, first.version) < 0) {
      // A blind write does not know; it counts as a create.
      const existed = prev !== undefined && (prev !== null || encoding === "value");
      firsts.set(id, { version, existed });
    }
    const text = op === "set" ? JSON.stringify(data) : undefined;
    const entry = { version, schema, text };
    if (wins(entry, entries.get(id))) entries.set(id, entry);
  }
}
