/**
 * The log as the memory of an open store knows it: the view that memory stands for with what was
 * written here since, the runs and segments that were merged into memory, how many operations the
 * live log holds, and which of them users see and can undo. Pure.
 */
import type { Replaced } from "../compaction/report.ts";
import { applyDelta } from "../core/delta.ts";
import { isHidden } from "../core/hidden.ts";
import type { Delta, LogOperation, Operation } from "../core/operation.ts";
import { compareVersions, operationKey, type Version } from "../core/version.ts";
import { type Segment, versionOf } from "../format/segment.ts";
import type { LogRef } from "../log/log.ts";
import { type MemoryBase, memoryBase, runNames, type View } from "../view/view.ts";

/** How far back an agent can undo what is compacted already: its memory is bounded. */
const OWN_OPERATIONS_MAX = 1_000;

/** An operation that this store may undo. */
interface OwnOperation {
  readonly segment: string;
  readonly operation: LogOperation;
  readonly version: Version;
  /** Of the record before; undefined when there was none that this store knew. */
  readonly before: Version | undefined;
}

/** What undoing an operation writes; `value` undefined deletes the record. */
export interface Undo {
  readonly id: string;
  readonly value: unknown;
  readonly undoes: Version;
  /** Of the record now: the same, or of an undo that restored it. */
  readonly current: Version;
}

export interface HistoryOptions {
  /** "" in single-writer mode. */
  readonly agentId: string;
  /** Schema version that operations must have to be undone. */
  readonly schema: number;
}

export class KnownLog {
  readonly history: History;
  #view: View;
  /** Written here since the view's listing. */
  #ownSegments: LogRef[] = [];
  /** Of these, and of earlier ones: parts of objects that others' segments share, while they live. */
  #ownParts: LogRef[] = [];
  #merged = new Set<string>();
  #base: MemoryBase;
  #countsBySegment = new Map<string, number>();
  /** The sum of the counts: every write reads it. */
  #operationCount = 0;

  constructor(view: View, options: HistoryOptions) {
    this.#view = view;
    this.#base = memoryBase(view);
    this.history = new History(options);
  }

  /** The view that memory stands for. */
  get view(): View {
    return this.#view;
  }

  /** The view with what was written here since. */
  get viewWithOwn(): View {
    return { ...this.#view, segments: [...this.#view.segments, ...this.#ownSegments] };
  }

  /** Runs by name and segments by key that the resident records stand for. */
  get merged(): ReadonlySet<string> {
    // Also of what was looked up since it was installed.
    return withoutUndecided(this.#merged, this.#view);
  }

  /** Of the view; without the legacy store that memory was loaded from once it was upgraded. */
  get base(): MemoryBase {
    return this.#base;
  }

  /** Operations in the log, not yet compacted, as far as this store has read or written them. */
  get operationCount(): number {
    return this.#operationCount;
  }

  /** A flush of this store is durable now. @param before version of a record, before the flush */
  add(ref: LogRef, segment: Segment, before: (id: string) => Version | undefined): void {
    this.history.add(ref.key, segment, before);
    this.#ownSegments.push(ref);
    if (ref.key !== ref.path) this.#ownParts.push(ref);
    this.#merged.add(ref.key);
    this.#countsBySegment.set(ref.key, segment.operations.length);
    this.#operationCount += segment.operations.length;
  }

  /**
   * Memory stands for a newer view now.
   * @param read segments that were read for it, by key
   * @param hasAll memory holds every record of the view
   */
  install(view: View, read: ReadonlyMap<string, readonly Segment[]>, hasAll: boolean): void {
    this.#view = view;
    this.#base = memoryBase(view);
    this.#ownSegments = [];
    this.#merged = mergedNames(view);
    const listed = new Set(view.segments.map(({ key }) => key));
    const isListed = ({ key, path }: LogRef): boolean => listed.has(key) || listed.has(path);
    this.#ownParts = this.#ownParts.filter((part) => !hasAll && isListed(part));
    // Those of the view, and own parts of its objects.
    const live = new Set([...listed, ...this.#ownParts.map(({ key }) => key)]);
    this.#countAnew(live, read);
    // A lazy store's history is what it wrote itself.
    this.history.retain(live, hasAll ? read : new Map());
  }

  /** A compaction made `runs` out of `sources`: memory that stands for all of them stands for those. */
  recordCompaction({ runs, sources }: Replaced): void {
    if (!sources.every((source) => this.#merged.has(source))) return;
    for (const run of runs) this.#merged.add(run);
    const { fingerprint } = this.#base;
    if (fingerprint === undefined || !sources.includes(fingerprint)) return;
    this.#base = { ...this.#base, fingerprint: undefined };
  }

  #countAnew(live: Iterable<string>, read: ReadonlyMap<string, readonly Segment[]>): void {
    const counts = new Map<string, number>();
    for (const key of live) {
      const count = countOperations(read.get(key)) ?? this.#countsBySegment.get(key);
      if (count !== undefined) counts.set(key, count);
    }
    // A part counts with its whole object where that was read.
    for (const { key, path } of this.#ownParts) if (counts.has(path)) counts.delete(key);
    this.#countsBySegment = counts;
    this.#operationCount = [...counts.values()].reduce((sum, count) => sum + count, 0);
  }
}

/** Runs by name and segments by key that what was gathered of a view stands for. */
export function mergedNames(view: View): Set<string> {
  const merged = new Set([...runNames(view), ...view.segments.map(({ key }) => key)]);
  return withoutUndecided(merged, view);
}

/** R3: the next refresh looks again whether they are decided. */
function withoutUndecided(merged: Set<string>, { decisions }: View): Set<string> {
  for (const key of decisions.undecided.keys()) merged.delete(key);
  return merged;
}

function countOperations(segments: readonly Segment[] | undefined): number | undefined {
  return segments?.reduce((sum, { operations }) => sum + operations.length, 0);
}

/**
 * The operations that no snapshot holds yet, as users see them, and this store's own ones in the
 * order in which they can be undone. An undo is an ordinary operation that restores the previous
 * record and names the version it undoes; history shows neither of the two.
 */
export class History {
  readonly #options: HistoryOptions;
  /** Live segments, as far as this store has read all of them or written them, by key. */
  #segments = new Map<string, readonly Segment[]>();
  #own: OwnOperation[] = [];
  /** The version of an undo stands for the version that it restored. */
  readonly #restored = new Map<string, Version | undefined>();

  constructor(options: HistoryOptions) {
    this.#options = options;
  }

  /** Keeps the segments that are still live, with those that were read now. */
  retain(liveKeys: Iterable<string>, read: ReadonlyMap<string, readonly Segment[]>): void {
    const live = new Map<string, readonly Segment[]>();
    for (const key of liveKeys) {
      const segments = read.get(key) ?? this.#segments.get(key);
      if (segments !== undefined) live.set(key, segments);
    }
    this.#segments = live;
    this.#forgetOwn();
  }

  /**
   * A checkpoint ends what a single writer can undo, also where it left an earlier operation in the
   * log: that is not the last one. An agent may undo it as long as it is the winner.
   */
  #forgetOwn(): void {
    if (this.#options.agentId === "") {
      const compacted = this.#own.findLastIndex(({ segment }) => !this.#segments.has(segment));
      this.#own = this.#own.slice(compacted + 1);
    } else if (this.#own.length > OWN_OPERATIONS_MAX) {
      this.#own = this.#own.slice(-OWN_OPERATIONS_MAX);
    }
    if (this.#own.length === 0) this.#restored.clear();
  }

  /** Live segments under one key, where this store has read all of them or written them. */
  segments(key: string): readonly Segment[] | undefined {
    return this.#segments.get(key);
  }

  /** After a single writer has loaded everything: what it finds in the log is its own. */
  adoptLog(): void {
    if (this.#options.agentId !== "") return;
    // A lazy store that loads everything later finds its own writes again.
    this.#own = [];
    this.#restored.clear();
    const last = new Map<string, Version>();
    for (const { segment, key, operation, version } of this.#sorted()) {
      const mine = segment.agent === "" && segment.schemaVersion === this.#options.schema;
      if (mine) this.#push(key, operation, version, last.get(operation.id));
      last.set(operation.id, version);
    }
  }

  /** Takes in a flush of this store's own. @param before version of a record, before the flush */
  add(key: string, segment: Segment, before: (id: string) => Version | undefined): void {
    this.#segments.set(key, [segment]);
    const last = new Map<string, Version>();
    for (const operation of segment.operations) {
      const { id } = operation;
      const version = versionOf(segment, operation);
      this.#push(key, operation, version, last.get(id) ?? before(id));
      last.set(id, version);
    }
  }

  #push(
    segment: string,
    operation: LogOperation,
    version: Version,
    before: Version | undefined,
  ): void {
    const { id, undoes } = operation;
    if (isHidden(id)) return;
    if (undoes === undefined) {
      this.#own.push({ segment, operation, version, before });
      return;
    }
    const isUndone = (own: OwnOperation): boolean =>
      own.operation.id === id && compareVersions(own.version, undoes) === 0;
    const index = this.#own.findLastIndex(isUndone);
    if (index < 0) return;
    const [undone] = this.#own.splice(index, 1);
    this.#restored.set(operationKey(id, version), undone?.before);
  }

  /**
   * How to undo the last own operation, or undefined when there is none, another has written the
   * record since, it was archived, or the operation did not look at the record before (a blind
   * write).
   * @param current the record now
   */
  undoLast(
    current: (id: string) => { readonly value: unknown; readonly version: Version },
  ): Undo | undefined {
    const own = this.#own.at(-1);
    if (own === undefined) return undefined;
    const { id, prev, encoding } = own.operation;
    const winner = current(id);
    const standsFor = this.#standsFor(id, winner.version);
    if (standsFor === undefined || compareVersions(standsFor, own.version) !== 0) return undefined;
    if (prev === undefined) return undefined;
    // The tombstone of an archive has the version of what it stands for.
    if (own.operation.op === "set" && winner.value === undefined) return undefined;
    const versions = { undoes: own.version, current: winner.version };
    if (encoding === "delta")
      return { id, value: applyDelta(winner.value, asDelta(prev)), ...versions };
    return { id, value: prev === null && encoding !== "value" ? undefined : prev, ...versions };
  }

  #standsFor(id: string, version: Version): Version | undefined {
    let found: Version | undefined = version;
    while (found !== undefined && this.#restored.has(operationKey(id, found))) {
      found = this.#restored.get(operationKey(id, found));
    }
    return found;
  }

  /** Operations in version order; `since`: those with a later `ts`, compared as text. */
  operations<T>(since?: string): Operation<T>[] {
    const sorted = this.#sorted();
    const undone = new Set(
      sorted.flatMap(({ operation: { id, undoes } }) =>
        undoes === undefined ? [] : [operationKey(id, undoes)],
      ),
    );
    return sorted
      .filter(({ operation, version }) => {
        const hidden =
          operation.undoes !== undefined || undone.has(operationKey(operation.id, version));
        return !hidden && (since === undefined || operation.ts > since);
      })
      .map(({ segment, operation }) => publicOperation<T>(segment, operation));
  }

  #sorted(): { segment: Segment; key: string; operation: LogOperation; version: Version }[] {
    return [...this.#segments]
      .flatMap(([key, segments]) =>
        segments.flatMap((segment) =>
          segment.operations
            .filter(({ id }) => !isHidden(id))
            .map((operation) => {
              return { segment, key, operation, version: versionOf(segment, operation) };
            }),
        ),
      )
      .toSorted((a, b) => compareVersions(a.version, b.version));
  }
}

export function asDelta(prev: unknown): Delta {
  return typeof prev === "object" && prev !== null ? prev : {};
}

/** The one place where stored JSON becomes the caller's type: its word for what it wrote. */
export function publicOperation<T>(
  { agent }: Pick<Segment, "agent">,
  operation: LogOperation,
): Operation<T> {
  const { ts, op, id, clock, data, prev, encoding } = operation;
  return {
    ts,
    op,
    id,
    ...(op === "set" ? { data: data as T } : {}),
    ...(prev === undefined ? {} : { prev }),
    ...(encoding === "delta" ? { encoding } : {}),
    ...(agent === "" ? {} : { agent, clock }),
  };
}
