/** Merges listed segments into one map of winners: the delta of a compaction. */
import type { CorruptionError } from "../core/errors.ts";
import { compareVersions, type RunEntry, type Version, wins } from "../core/version.ts";
import type { HeldLines } from "../format/held-lines.ts";
import { type Segment, versionOf } from "../format/segment.ts";
import { isTombstone } from "../format/stored-line.ts";
import type { Log, LogUnit, SegmentRead, LogRef } from "../log/log.ts";

export interface MergedLog {
  readonly entries: ReadonlyMap<string, RunEntry>;
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

/** Lines and entries that one step holds at most, but for what was begun. */
const HELD_BYTES_MAX = 24 * 1024 * 1024;
/** Of an entry in memory, beside its line. */
const ENTRY_BYTES = 240;

export interface LogMergeOptions {
  /** Whether a segment is merged; the others of a unit are dropped whole (FLOOR). */
  readonly isLive: (ref: LogRef) => boolean;
  /** No unit but the first is begun then; what was begun is read to its end. */
  readonly isOver: () => boolean;
  readonly signal: AbortSignal | undefined;
  /** Takes what is merged; what it holds from before is not needed any more. */
  readonly lines: HeldLines;
}

export class LogMerge {
  readonly #log: Log;
  readonly #options: LogMergeOptions;
  readonly #winners: Winners;
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
    options.lines.clear();
    this.#winners = new Winners(options.lines);
  }

  get taken(): readonly LogUnit[] {
    return this.#taken;
  }

  get corrupt(): readonly CorruptionError[] {
    return this.#corrupt;
  }

  /** No unit but the first is begun any more: the time is over, or what is held is enough. */
  get isOver(): boolean {
    return this.#options.isOver() || this.#winners.heldBytes >= HELD_BYTES_MAX;
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
      entries: this.#winners.entries,
      taken,
      done: taken.filter(({ segments }) => segments.every(isReadable)),
      corrupt: this.#corrupt,
      merged: this.#merged,
      gone: this.#gone,
      operations: this.#operations,
      created: this.#winners.countCreated(),
      lo: this.#lo,
      clock: this.#clock,
      schema: this.#schema,
    };
  }

  /** Takes what it returns from the end of `rest`. */
  *#begin(rest: LogUnit[]): Generator<LogRef> {
    const { isLive } = this.#options;
    while (this.#taken.length === 0 || !this.isOver) {
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
      this.#winners.merge(segment);
      this.#operations += segment.operations.length;
      this.#schema = Math.max(this.#schema, segment.schemaVersion);
    }
    this.#merged.push(key);
    this.#lo = Math.min(this.#lo, lo);
    this.#clock = Math.max(this.#clock, hi);
  }
}

/** The merge of segments, and of claims, which are read as such, id by id. */
export class Winners {
  readonly entries = new Map<string, RunEntry>();
  readonly #lines: HeldLines;
  /** Lowest version of the operations on an id, where that is not the winner's. */
  readonly #lowest = new Map<string, Version>();
  /** Ids whose lowest operation shows that the record existed before it. */
  readonly #existing = new Set<string>();

  constructor(lines: HeldLines) {
    this.#lines = lines;
  }

  /** What is held, about. */
  get heldBytes(): number {
    return this.#lines.bytes + this.entries.size * ENTRY_BYTES;
  }

  countCreated(): number {
    let created = 0;
    for (const entry of this.entries.values()) {
      created += Number(!isTombstone(entry)) - Number(this.#existing.has(entry.id));
    }
    return created;
  }

  /** Data is taken over as its stored JSON (VERBATIM): JSON.stringify of what JSON.parse made of it. */
  merge(segment: Segment): void {
    const { schemaVersion } = segment;
    for (const operation of segment.operations) {
      const { id, op, data, prev, encoding } = operation;
      const version = versionOf(segment, operation);
      const current = this.entries.get(id);
      const lowest = current && (this.#lowest.get(id) ?? current.version);
      if (lowest === undefined || compareVersions(version, lowest) < 0) {
        // A blind write has no `prev`; it counts as a create.
        const existed = prev !== undefined && (prev !== null || encoding === "value");
        if (existed) this.#existing.add(id);
        else this.#existing.delete(id);
        if (current !== undefined) this.#lowest.set(id, version);
      }
      const text = op === "set" ? JSON.stringify(data) : undefined;
      const entry = { id, version, schemaVersion, text };
      if (!wins(entry, current)) continue;
      if (current !== undefined && !this.#lowest.has(id)) this.#lowest.set(id, current.version);
      this.entries.set(id, this.#lines.add(entry));
    }
  }
}
