/**
 * What a store holds in memory: durable entries by version, operations staged on top of them that
 * are not durable yet, and the records that synchronous reads see. Pure, without a log.
 */
import { isHidden } from "../core/hidden.ts";
import { type ResidentEntry, type Version, wins } from "../core/version.ts";

/** An operation accepted but not durable yet; `text` and `value` are undefined for a delete. */
export interface StagedOperation {
  readonly op: "set" | "delete";
  readonly id: string;
  readonly text: string | undefined;
  readonly value: unknown;
  /** The operation that this one undoes. */
  readonly undoes?: Version;
}

/** Operations staged on one record. Each costs the same, however many there are. */
class StagedList {
  #operations: StagedOperation[] = [];
  /** Of these: taken back, or durable. Never the newest. */
  readonly #removed = new Set<StagedOperation>();

  get newest(): StagedOperation | undefined {
    return this.#operations.at(-1);
  }

  add(operation: StagedOperation): void {
    this.#operations.push(operation);
  }

  /** @returns whether none is left */
  remove(operation: StagedOperation): boolean {
    this.#removed.add(operation);
    for (let last = this.newest; last !== undefined; last = this.newest) {
      if (!this.#removed.delete(last)) break;
      this.#operations.pop();
    }
    // A record that always has something staged must not hold all that ever was.
    if (2 * this.#removed.size > this.#operations.length) {
      this.#operations = this.#operations.filter((one) => !this.#removed.has(one));
      this.#removed.clear();
    }
    return this.#operations.length === 0;
  }
}

export class Memtable {
  #entries = new Map<string, ResidentEntry>();
  readonly #staged = new Map<string, StagedList>();
  /** In insertion order: an update keeps its place, a record set after its deletion goes last. */
  #visible = new Map<string, unknown>();

  /** The records that synchronous reads see. */
  get visible(): ReadonlyMap<string, unknown> {
    return this.#visible;
  }

  /** Every id of which the durable entry is known, deleted and absent ones included. */
  get residentIds(): ReadonlySet<string> {
    return new Set(this.#entries.keys());
  }

  /** All ids of which reads can be answered: the record they see, undefined where there is none. */
  *known(): Generator<[id: string, value: unknown]> {
    for (const id of this.#entries.keys()) yield [id, this.#visible.get(id)];
    for (const id of this.#staged.keys()) {
      if (!this.#entries.has(id)) yield [id, this.#visible.get(id)];
    }
  }

  isResident(id: string): boolean {
    return this.#entries.has(id);
  }

  /** Whether reads of this id can be answered: its entry is known, or it was written here. */
  isReadable(id: string): boolean {
    return this.#entries.has(id) || this.#staged.has(id);
  }

  /** The durable entry, without staged operations. */
  durable(id: string): ResidentEntry | undefined {
    return this.#entries.get(id);
  }

  /** Merges a durable entry. */
  merge(id: string, entry: ResidentEntry): void {
    if (!wins(entry, this.#entries.get(id))) return;
    this.#entries.set(id, entry);
    this.#show(id);
  }

  /** Whether an operation on this record is not durable yet. */
  isStaged(id: string): boolean {
    return this.#staged.has(id);
  }

  /**
   * Forgets every durable entry for these (RELOAD); staged operations stay.
   * @returns the entries from before
   */
  replace(entries: Map<string, ResidentEntry>): ReadonlyMap<string, ResidentEntry> {
    const before = this.#entries;
    this.#entries = entries;
    this.#visible = new Map();
    for (const id of entries.keys()) this.#show(id);
    for (const id of this.#staged.keys()) this.#show(id);
    return before;
  }

  /** Shows an operation to readers before it is durable. */
  stage(operation: StagedOperation): void {
    const { id } = operation;
    const staged = this.#staged.get(id) ?? new StagedList();
    staged.add(operation);
    this.#staged.set(id, staged);
    this.#show(id);
  }

  /** Takes operations back, or off because they are durable now. */
  unstage(operations: readonly StagedOperation[]): void {
    const ids = new Set<string>();
    for (const operation of operations) {
      const staged = this.#staged.get(operation.id);
      if (staged?.remove(operation) === true) this.#staged.delete(operation.id);
      ids.add(operation.id);
    }
    for (const id of ids) this.#show(id);
  }

  #show(id: string): void {
    if (isHidden(id)) return;
    const staged = this.#staged.get(id)?.newest;
    const value = staged === undefined ? this.#entries.get(id)?.value : staged.value;
    if (value === undefined) this.#visible.delete(id);
    else if (this.#visible.get(id) !== value) this.#visible.set(id, value);
  }
}
