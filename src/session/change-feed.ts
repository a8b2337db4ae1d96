/**
 * What others changed and `tail` has not reported yet. From the first `tail` or `watch` on it keeps what
 * the follower has: the view of its last look and, of each record in memory that changed since, what
 * was there before.
 */
import { applyDelta } from "../core/delta.ts";
import { type CorruptionError, FollowerExpiredError } from "../core/errors.ts";
import { isHidden } from "../core/hidden.ts";
import type { LogOperation, Operation } from "../core/operation.ts";
import { compareVersions, type ResidentEntry } from "../core/version.ts";
import { type Segment, versionOf } from "../format/segment.ts";
import type { LogRef } from "../log/log.ts";
import type { View } from "../view/view.ts";
import { type Base, ChangedObjects, type KnownSegment, writersOf } from "./changed-objects.ts";
import { asDelta, publicOperation } from "./known-log.ts";
import type { Engine } from "../engine/engine.ts";
import type { Memtable } from "./memtable.ts";
import { SegmentReader } from "../read/segment-reader.ts";
import { migrateRecord, type Schema } from "../core/schema.ts";
import {
  type Change,
  type NewOperation,
  changesFor,
  changesForUnknown,
} from "./pending-changes.ts";

/** What a store has when changes are requested. */
export interface FollowedState {
  readonly view: View;
  /** Whether every record is resident. */
  readonly complete: boolean;
  /** Segments in memory, by key. */
  segments(key: string): readonly Segment[] | undefined;
  /** Generation of the newest manifest of which a scan has shown records. */
  readonly shownGeneration: number;
  /** Called with segments that cannot be read. */
  readonly onCorrupt: (error: CorruptionError) => void;
}

/** Returns the changes and marks them delivered. @throws FollowerExpiredError, once */
export type TakeChanges = () => Operation<unknown>[];

export class Follower {
  readonly #engine: Engine;
  readonly #records: Memtable;
  /** What the follower has. */
  #base: Base;
  /** What the follower has of records that changed in memory since. */
  readonly #before = new Map<string, ResidentEntry | undefined>();
  /** Became resident since: it is unknown what the follower has of them. */
  #arrived = new Set<string>();
  /** Changed while an own write was on top: reported when that fails. */
  #deferred = new Set<string>();

  /** @param state what is in view now is what the follower has */
  constructor(engine: Engine, records: Memtable, state: FollowedState) {
    this.#engine = engine;
    this.#records = records;
    this.#base = baseOf(state, new Map());
  }

  /**
   * A look may have changed a record.
   * @param complete every record was resident; else one without `before` only became so now
   */
  changed(id: string, before: ResidentEntry | undefined, complete: boolean): void {
    if (this.#before.has(id)) return;
    // Memory does not show what the follower has of these.
    if (this.#arrived.has(id) || this.#deferred.has(id)) return;
    if (before === undefined && !complete) this.#arrived.add(id);
    else if (before !== this.#records.durable(id)) this.#before.set(id, before);
  }

  /** RELOAD: a look replaced all entries. */
  replaced(before: ReadonlyMap<string, ResidentEntry>, complete: boolean): void {
    const ids = new Set([...before.keys(), ...this.#records.residentIds]);
    for (const id of ids) this.changed(id, before.get(id), complete);
  }

  /**
   * The store's own flush is durable: its follower has what it writes. Where it lies in an
   * object with others', that one is read later: own operations are not above what is known then.
   */
  own(ref: LogRef, segment: Segment): void {
    this.#base.known.set(ref.key, { ref, writers: writersOf(ref, [segment]) });
    this.#base.clock = Math.max(this.#base.clock, ref.hi);
    for (const { id } of segment.operations) {
      this.#before.delete(id);
      this.#arrived.delete(id);
      this.#deferred.delete(id);
    }
  }

  /**
   * Reads what it takes to report the changes.
   * @returns to be called at once, before anything else changes; undefined when a compaction has
   *   deleted what the view names: it is too old to report them
   * @throws RunGoneError when the view names a run that is not there
   */
  async prepare(state: FollowedState): Promise<TakeChanges | undefined> {
    const base = this.#base;
    const read = await this.#readLog(base, state);
    if (read === undefined) return undefined;
    const operations = this.#byRecord(read.segments);
    if (base.isWhole) {
      return this.#take(
        read.known,
        state,
        (id) => this.#changes(id, operations.get(id) ?? [], state),
        [...this.#before.keys(), ...operations.keys()],
      );
    }
    const given = { records: this.#records, shownGeneration: state.shownGeneration };
    const objects = new ChangedObjects(this.#engine, base, state.view, given);
    const found = await objects.find(operations, this.#deferred, {
      // What memory had before is known, or it has not changed.
      isSettled: (id) =>
        this.#before.has(id) ||
        (this.#has(id, state) && !this.#arrived.has(id) && !this.#deferred.has(id)),
      isResident: (id) => this.#has(id, state),
    });
    if (found === "outdated") return undefined;
    if (found instanceof FollowerExpiredError) {
      return () => {
        this.#restart(state, read.known);
        throw found;
      };
    }
    const changesOf = (id: string): Change[] => {
      const own = operations.get(id) ?? [];
      if (this.#before.has(id)) return this.#changes(id, own, state);
      const change = found.get(id);
      if (change === undefined) return [];
      return changesForUnknown({ ...change, id, ts: this.#ts(state) });
    };
    return this.#take(read.known, state, changesOf, [...this.#before.keys(), ...found.keys()]);
  }

  #take(
    known: Map<string, KnownSegment>,
    state: FollowedState,
    changesOf: (id: string) => Change[],
    ids: readonly string[],
  ): TakeChanges {
    const changes: Change[] = [];
    const ofId: string[] = [];
    const deferred = new Set<string>();
    for (const id of new Set(ids)) {
      // Own write on top, not durable yet: it wins, or its failure shows the record again.
      if (this.#records.isStaged(id)) {
        if (!this.#before.has(id)) deferred.add(id);
        continue;
      }
      if (!isHidden(id)) for (const one of changesOf(id)) changes.push(one);
      ofId.push(id);
    }
    changes.sort((a, b) => compareVersions(a.version, b.version));
    return () => {
      for (const id of ofId) this.#before.delete(id);
      this.#arrived = new Set();
      this.#deferred = deferred;
      this.#base = baseOf(state, known);
      return changes.map(({ operation }) => operation);
    };
  }

  /** What changed since the last look is unknown: from here on it can be reported again. */
  #restart(state: FollowedState, known: Map<string, KnownSegment>): void {
    this.#before.clear();
    this.#arrived = new Set();
    this.#deferred = new Set();
    this.#base = baseOf(state, known);
  }

  #changes(id: string, operations: readonly NewOperation[], state: FollowedState): Change[] {
    const after = this.#records.durable(id);
    const before = this.#before.has(id) ? this.#before.get(id) : after;
    return changesFor({ id, before, after, operations, ts: this.#ts(state) });
  }

  /** Of a net change. */
  #ts({ view }: FollowedState): string {
    const { lastCheckpoint } = view.loaded.manifest.stats ?? {};
    return lastCheckpoint ?? new Date(this.#engine.runtime.nowMs()).toISOString();
  }

  #has(id: string, { complete }: FollowedState): boolean {
    return complete || this.#records.isResident(id);
  }

  /**
   * Segments that came into view, and what is known of all that are in view now. Where every record
   * is resident, memory shows what is gone by now; else undefined: the view is too old.
   */
  async #readLog(
    base: Base,
    state: FollowedState,
  ): Promise<{ segments: Segment[]; known: Map<string, KnownSegment> } | undefined> {
    const known = new Map<string, KnownSegment>();
    const segments: Segment[] = [];
    const wanted: LogRef[] = [];
    const reader = new SegmentReader(this.#engine, state.view, {
      held: (key) => state.segments(key),
      onCorrupt: state.onCorrupt,
    });
    // One that is published stays known until it is deleted: it may count as live again.
    for (const key of state.view.published) {
      const held = base.known.get(key);
      if (held !== undefined) known.set(key, held);
    }
    for (const ref of state.view.segments) {
      const held = base.known.get(ref.key);
      if (held?.writers !== undefined || (held !== undefined && base.isWhole)) {
        known.set(ref.key, held.ref.mayVanish === true ? { ...held, ref } : held);
        continue;
      }
      known.set(ref.key, { ref, writers: undefined });
      // What a complete store does not hold cannot be read, which was reported.
      if (!base.isWhole || reader.held(ref) !== undefined) wanted.push(ref);
    }
    const gone = await reader.read(wanted, (ref, found, isIntent) => {
      // Whether an intent was decided in that view is not known.
      const isNew = isIntent === true || !base.known.has(ref.key);
      if (isNew) for (const segment of found) segments.push(segment);
      known.set(ref.key, { ref, writers: writersOf(ref, found) });
    });
    for (const key of state.view.decisions.undecided.keys()) known.delete(key);
    return gone.size > 0 ? undefined : { segments, known };
  }

  /** New operations by id, in version order. */
  #byRecord(segments: readonly Segment[]): Map<string, NewOperation[]> {
    const { schema } = this.#engine;
    const all = segments.flatMap((segment) =>
      segment.operations.map((operation): NewOperation => {
        const version = versionOf(segment, operation);
        const migrated = migrateOperation(schema, segment, operation);
        return { version, undoes: operation.undoes, operation: publicOperation(segment, migrated) };
      }),
    );
    all.sort((a, b) => compareVersions(a.version, b.version));
    const byId = new Map<string, NewOperation[]>();
    for (const one of all) {
      const { id } = one.operation;
      const others = byId.get(id);
      if (others === undefined) byId.set(id, [one]);
      else others.push(one);
    }
    return byId;
  }
}

/** What a follower has to which everything in view was reported. */
function baseOf({ view, complete }: FollowedState, known: Map<string, KnownSegment>): Base {
  for (const ref of view.segments) {
    const isMerged = !view.decisions.undecided.has(ref.key);
    if (isMerged && !known.has(ref.key)) known.set(ref.key, { ref, writers: undefined });
  }
  return { view, known, clock: view.clock, isWhole: complete };
}

/** The records of an operation as this version of the program works with them. */
function migrateOperation(
  schema: Schema,
  { schemaVersion }: Segment,
  operation: LogOperation,
): LogOperation {
  if (schemaVersion === schema.version) return operation;
  const { id, data, prev, encoding, ...rest } = operation;
  const old = encoding === "delta" ? applyDelta(data, asDelta(prev)) : prev;
  const created = old === undefined || (old === null && encoding !== "value");
  return {
    ...rest,
    id,
    ...(encoding === "value" ? { encoding } : {}),
    ...(prev === undefined
      ? {}
      : { prev: created ? null : migrateRecord(schema, id, old, schemaVersion) }),
    ...(operation.op === "set" ? { data: migrateRecord(schema, id, data, schemaVersion) } : {}),
  };
}
