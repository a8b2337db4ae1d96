/**
 * What others changed and `tail` has not told yet. Kept from the first `tail` or `watch` on: the
 * segments told of by key, and of each record that changed since what the follower had before.
 */
import { append } from "../core/bulk.ts";
import { applyDelta } from "../core/delta.ts";
import type { LogOperation, Operation } from "../core/operation.ts";
import { compareVersions } from "../core/version.ts";
import { type Segment, versionOf } from "../format/segment-codec.ts";
import type { SegmentRef } from "../log/log.ts";
import type { View } from "../view/view.ts";
import { asDelta, publicOperation } from "./history.ts";
import type { StoreParts } from "./parts.ts";
import type { Records, ResidentEntry } from "./records.ts";
import { migrateRecord, type Schema } from "./schema.ts";
import { type NewOperation, tellChange, tellOperations, type Told } from "./untold.ts";

/** What a store knows when it is asked for news. */
export interface FollowedState {
  readonly view: View;
  /** Whether every record is resident. */
  readonly complete: boolean;
  /** Segments in memory, by key. */
  segments(key: string): readonly Segment[] | undefined;
}

export class Follower {
  readonly #parts: StoreParts;
  readonly #records: Records;
  /** Keys of segments told of, and of one's own; undefined until somebody follows. */
  #known: Set<string> | undefined;
  /** What the follower had of records that changed since. */
  readonly #before = new Map<string, ResidentEntry | undefined>();

  constructor(parts: StoreParts, records: Records) {
    this.#parts = parts;
    this.#records = records;
  }

  get isFollowing(): boolean {
    return this.#known !== undefined;
  }

  /** What is in view now is what the follower has. Only the first call counts. */
  begin(segments: readonly SegmentRef[]): void {
    this.#known ??= new Set(segments.map(({ key }) => key));
  }

  /**
   * A look may have changed a record.
   * @param complete every record was resident; else one without `before` only became so now
   */
  changed(id: string, before: ResidentEntry | undefined, complete: boolean): void {
    if (this.#known === undefined || this.#before.has(id)) return;
    if (before === undefined && !complete) return;
    if (before !== this.#records.durable(id)) this.#before.set(id, before);
  }

  /** RELOAD: a look replaced all entries. */
  replaced(before: ReadonlyMap<string, ResidentEntry>, complete: boolean): void {
    if (this.#known === undefined) return;
    const ids = new Set([...before.keys(), ...this.#records.residentIds]);
    for (const id of ids) this.changed(id, before.get(id), complete);
  }

  /**
   * The store's own flush is durable: whoever follows it knows what it writes. Where it lies in an
   * object with others', that one is read later: own operations are not above what is known then.
   */
  own(key: string, ids: Iterable<string>): void {
    if (this.#known === undefined) return;
    this.#known.add(key);
    for (const id of ids) this.#before.delete(id);
  }

  /**
   * Reads what it takes to tell the news.
   * @returns to be called at once, before anything else changes: tells them, and takes them as told
   */
  async prepare(state: FollowedState): Promise<() => Operation<unknown>[]> {
    const { view } = state;
    const known = this.#known ?? new Set();
    const refs = view.segments.filter(({ key }) => !known.has(key));
    const segments = await this.#read(refs, state);
    const operations = this.#byRecord(segments);
    const ids = new Set([...this.#before.keys(), ...operations.keys()]);
    const told: Told[] = [];
    const ofId: string[] = [];
    for (const id of ids) {
      // Own write on top, not durable yet: it wins, or its failure shows the record again.
      if (this.#isResident(id, state) && this.#records.isStaged(id)) continue;
      append(told, this.#tell(id, operations.get(id) ?? [], state));
      ofId.push(id);
    }
    told.sort((a, b) => compareVersions(a.version, b.version));
    return () => {
      for (const id of ofId) this.#before.delete(id);
      // One that is published stays known until it is deleted: it may count as live again.
      const published = view.published.filter((key) => known.has(key));
      this.#known = new Set([...view.segments.map(({ key }) => key), ...published]);
      return told.map(({ operation }) => operation);
    };
  }

  #tell(id: string, operations: readonly NewOperation[], state: FollowedState): Told[] {
    if (!this.#isResident(id, state)) return tellOperations(operations);
    const after = this.#records.durable(id);
    const before = this.#before.has(id) ? this.#before.get(id) : after;
    const { lastCheckpoint } = state.view.manifest.stats ?? {};
    const ts = lastCheckpoint ?? new Date(this.#parts.runtime.nowMs()).toISOString();
    return tellChange({ id, before, after, operations, ts });
  }

  #isResident(id: string, { complete }: FollowedState): boolean {
    return complete || this.#records.isResident(id);
  }

  /** Those that are still there: of what was compacted meanwhile the records tell. */
  async #read(refs: readonly SegmentRef[], state: FollowedState): Promise<Segment[]> {
    const found: Segment[] = [];
    const missing: SegmentRef[] = [];
    for (const ref of refs) {
      const held = state.segments(ref.key) ?? this.#parts.segmentCache.get(ref.key);
      const segments = held ?? ref.segments;
      if (segments !== undefined) append(found, segments);
      // What a complete store does not hold cannot be read, which was reported.
      else if (!state.complete) missing.push(ref);
    }
    for await (const read of this.#parts.log.read(missing)) {
      if (read.status === "found") append(found, read.segments);
    }
    return found;
  }

  /** New operations by id, in version order. */
  #byRecord(segments: readonly Segment[]): Map<string, NewOperation[]> {
    const { schema } = this.#parts;
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

/** The records of an operation as this version of the program works with them. */
function migrateOperation(schema: Schema, { v }: Segment, operation: LogOperation): LogOperation {
  if (v === schema.version) return operation;
  const { id, data, prev, encoding, ...rest } = operation;
  const old = encoding === "delta" ? applyDelta(data, asDelta(prev)) : prev;
  const created = old === undefined || (old === null && encoding !== "value");
  return {
    ...rest,
    id,
    ...(encoding === "value" ? { encoding } : {}),
    ...(prev === undefined ? {} : { prev: created ? null : migrateRecord(schema, id, old, v) }),
    ...(operation.op === "set" ? { data: migrateRecord(schema, id, data, v) } : {}),
  };
}
