/** Merges listed segments into one map of winners: the delta of a compaction. */
import type { CorruptionError } from "../core/errors.ts";
import { compareVersions, type Entry, type Version, wins } from "../core/version.ts";
import { type Segment, versionOf } from "../format/segment.ts";
import type { Log, LogUnit, SegmentRead, LogRef } from "../log/log.ts";

export interface MergedLog {
  readonly entries: ReadonlyMap<string, Entry>;
  /** Units that were read, as far as they could be. */
  readonly taken: readonly LogUnit[];
  /** Of these, those whose every segment was merged, dropped or gone: they may be deleted. */
  readonly done: readonly LogUnit[];
  readonly corrupt: readonly CorruptionError[];
  /** Keys of the segments merged. */
  readonly merged: readonly string[];
  /** Segments that were gone already when they were to be read. */
  readonly gone: ReadonlySet<string>;
  readonly operations: number;
  /** How many more records there are after the merged operations than before the first of them. */
  readonly created: number;
  /** Lowest clock of the segments merged; Infinity: there are none. */
  readonly lo: number;
  /** Highest clock and schema version merged. */
  readonly clock: number;
  readonly schema: number;
}

export const NO_LOG: MergedLog = {
  entries: new Map(),
  taken: [],
  done: [],
  corrupt: [],
  merged: [],
  gone: new Set(),
  operations: 0,
  created: 0,
  lo: Infinity,
  clock: 0,
  schema: 0,
};

export interface LogMergeOptions {
  /** Whether a segment is merged; the others of a unit are dropped whole (FLOOR). */
  readonly isLive: (ref: LogRef) => boolean;
  /** No unit but the first is begun then; what was begun is read to its end. */
  readonly isOver: () => boolean;
  readonly signal: AbortSignal | undefined;
}

export class LogMerge {
  readonly #log: Log;
  readonly #options: LogMergeOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #firsts = new Map<string, FirstOperation>();
  readonly #corrupt: CorruptionError[] = [];
  readonly #unreadable = new Set<string>();
  readonly #merged: string[] = [];
  readonly #gone = new Set<string>();
  readonly #taken: LogUnit[] = [];
  #operations = 0;
  #lo = Infinity;
  #clock = 0;
  #schema = 0;

  constructor(log: Log, options: LogMergeOptions) {
    this.#log = log;
    this.#options = options;
  }

  get taken(): readonly LogUnit[] {
    return this.#taken;
  }

  get corrupt(): readonly CorruptionError[] {
    return this.#corrupt;
  }

  /** @returns units that were not begun @throws the signal's reason once it has aborted */
  async add(units: readonly LogUnit[]): Promise<readonly LogUnit[]> {
    const rest = units.toReversed();
    for await (const read of this.#log.read(this.#begin(rest))) {
      this.#options.signal?.throwIfAborted();
      this.#take(read);
    }
    return rest.reverse();
  }

  result(): MergedLog {
    const taken = this.#taken;
    const isReadable = ({ key }: LogRef): boolean => !this.#unreadable.has(key);
    return {
      entries: this.#entries,
      taken,
      done: taken.filter(({ segments }) => segments.every(isReadable)),
      corrupt: this.#corrupt,
      merged: this.#merged,
      gone: this.#gone,
      operations: this.#operations,
      created: countCreated(this.#entries, this.#firsts),
      lo: this.#lo,
      clock: this.#clock,
      schema: this.#schema,
    };
  }

  /** Takes what it returns from the end of `rest`. */
  *#begin(rest: LogUnit[]): Generator<LogRef> {
    const { isLive, isOver } = this.#options;
    while (this.#taken.length === 0 || !isOver()) {
      const unit = rest.pop();
      if (unit === undefined) return;
      this.#taken.push(unit);
      yield* unit.segments.filter(isLive);
    }
  }

  #take(read: SegmentRead): void {
    const { key, lo, hi } = read.ref;
    if (read.status === "gone") {
      this.#gone.add(key); // Its deleter had published it.
      return;
    }
    if (read.status === "corrupt") {
      this.#corrupt.push(read.error);
      this.#unreadable.add(key);
      return;
    }
    for (const segment of read.segments) {
      mergeSegment(this.#entries, this.#firsts, segment);
      this.#operations += segment.operations.length;
      this.#schema = Math.max(this.#schema, segment.schemaVersion);
    }
    this.#merged.push(key);
    this.#lo = Math.min(this.#lo, lo);
    this.#clock = Math.max(this.#clock, hi);
  }
}

/** The lowest operation on a record shows whether it existed before. */
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
  const { schemaVersion } = segment;
  for (const operation of segment.operations) {
    const { id, op, data, prev, encoding } = operation;
    const version = versionOf(segment, operation);
    const first = firsts.get(id);
    if (first === undefined || compareVersions(version, first.version) < 0) {
      // A blind write has no `prev`; it counts as a create.
      const existed = prev !== undefined && (prev !== null || encoding === "value");
      firsts.set(id, { version, existed });
    }
    const text = op === "set" ? JSON.stringify(data) : undefined;
    const entry = { version, schemaVersion, text };
    if (wins(entry, entries.get(id))) entries.set(id, entry);
  }
}
