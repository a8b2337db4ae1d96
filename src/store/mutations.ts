/** The writing half of an open store: turns calls into staged operations and commits them. */
import { Deferred } from "../core/deferred.ts";
import { InvalidArgumentError, RecordNotFoundError } from "../core/errors.ts";
import { isPromise } from "../core/realm.ts";
import { checkId, copyRecord } from "../core/record.ts";
import { type ArchiveCall, Archiver } from "./archive.ts";
import { checkPeriod, defaultPeriod } from "../read/archives.ts";
import { type StagedOperation } from "../session/memtable.ts";
import { ABSENT } from "../core/version.ts";
import type { Session } from "../session/session.ts";

export class Mutations {
  readonly #session: Session;
  /** An undo or archive under way: later writes wait for it, so they keep the order of the calls. */
  #alone: Promise<void> | undefined;
  /** Updates that still look their record up, or are being written: the next of those waits. */
  readonly #updates = new Set<Promise<void>>();
  /** Operations of the batch being collected, while its callback runs. */
  #batch: StagedOperation[] | undefined;

  constructor(session: Session) {
    this.#session = session;
  }

  set(id: string, value: unknown): Promise<void> {
    return this.#apply(
      () => setOperation(id, value),
      () => undefined,
    );
  }

  delete(id: string): Promise<void> {
    return this.#apply(
      () => deletion(checkId(id)),
      () => this.#checkPresent(id),
    );
  }

  /**
   * @param change gets the record as memory holds it, undefined when there is none
   * @returns the store's copy of the record that was written; undefined when there is none now
   */
  async update(id: string, change: (current: unknown) => unknown): Promise<unknown> {
    const done = new Deferred();
    this.#updates.add(done.promise);
    try {
      if (this.#alone !== undefined) await this.#alone;
      return await this.#update(checkId(id), change);
    } finally {
      this.#updates.delete(done.promise);
      done.resolve();
    }
  }

  async #update(id: string, change: (current: unknown) => unknown): Promise<unknown> {
    await this.#session.loadForUpdate(id);
    const before = this.#session.records.visible.get(id);
    const next = change(before);
    if (isPromise(next)) {
      next.catch(() => undefined); // Its own rejection would hide the reason given here.
      throw new InvalidArgumentError("update needs a synchronous function");
    }
    if (next === undefined && before === undefined) return undefined;
    const operation = next === undefined ? deletion(id) : setOperation(id, next);
    await this.#write(operation);
    return operation.value;
  }

  /** Takes back the last operation of this store, where it is still the winner of its id. */
  undo(): Promise<boolean> {
    return this.#runAlone(() => this.#undoLast());
  }

  /** Moves the records that the caller chooses into an archive; returns their number. */
  async archive(candidates: ArchiveCall["candidates"], segment?: string): Promise<number> {
    const { runtime } = this.#session.engine;
    const period = checkPeriod(segment ?? defaultPeriod(runtime.nowMs()));
    const call = { period, candidates };
    return this.#runAlone(() => new Archiver(this.#session, call).run());
  }

  /** Runs after the mutations called before it, and before those called after it. */
  async #runAlone<R>(work: () => Promise<R>): Promise<R> {
    const earlier = [...this.#updates];
    if (this.#alone !== undefined) earlier.push(this.#alone);
    const ended = new Deferred();
    // Stays when it has ended: a write called in that moment must not overtake one that waited.
    this.#alone = ended.promise;
    try {
      await Promise.all(earlier);
      return await work();
    } finally {
      ended.resolve();
    }
  }

  async #undoLast(): Promise<boolean> {
    const { replica, records, writes } = this.#session;
    await writes.flush();
    await this.#session.refresh();
    const undo = replica.history.undoLast((id) => records.durable(id) ?? ABSENT);
    if (undo === undefined) return false;
    const { id, value, undoes } = undo;
    await this.#write({
      ...(value === undefined ? deletion(id) : setOperation(id, value)),
      undoes,
    });
    await writes.flush();
    return true;
  }

  async batch(fn: () => unknown): Promise<void> {
    if (this.#alone !== undefined) await this.#alone;
    if (this.#batch !== undefined) throw new InvalidArgumentError("batch cannot be nested");
    const operations: StagedOperation[] = [];
    this.#batch = operations;
    try {
      const result = fn();
      if (isPromise(result)) {
        result.catch(() => undefined); // Its own rejection would hide the reason given here.
        throw new InvalidArgumentError(
          "batch needs a synchronous function: what follows an await is not part of it",
        );
      }
    } catch (error) {
      this.#session.writes.unstage(operations);
      throw error;
    } finally {
      this.#batch = undefined;
    }
    if (operations.length > 0) await this.#commit(operations);
  }

  #apply(makeOperation: () => StagedOperation, check: () => void): Promise<void> {
    if (this.#batch === undefined) return this.#writeChecked(makeOperation, check);
    const operation = makeOperation();
    check();
    this.#session.writes.stage(operation);
    this.#batch.push(operation);
    // Programs written for the original rely on undefined here; the batch is what is awaited.
    return undefined as unknown as Promise<void>;
  }

  /** Async, so that a refused argument rejects instead of being thrown. */
  async #writeChecked(makeOperation: () => StagedOperation, check: () => void): Promise<void> {
    const operation = makeOperation(); // Copies the caller's value as it is now.
    if (this.#alone !== undefined) await this.#alone;
    check();
    await this.#write(operation);
  }

  async #write(operation: StagedOperation): Promise<void> {
    this.#session.writes.stage(operation);
    await this.#commit([operation]);
  }

  async #commit(operations: readonly StagedOperation[]): Promise<void> {
    const { writes } = this.#session;
    await writes.commit(operations);
    await writes.waitFor(this.#session.checkpointIfDue());
  }

  /** What memory does not show, also after a failed write, is checked before the flush instead. */
  #checkPresent(id: string): void {
    const { replica, records } = this.#session;
    const known = replica.isReadable(id) && replica.isCurrent;
    if (known && !records.visible.has(id)) throw new RecordNotFoundError(id);
  }
}

function setOperation(id: string, value: unknown): StagedOperation {
  return { op: "set", id: checkId(id), ...copyRecord(id, value) };
}

function deletion(id: string): StagedOperation {
  return { op: "delete", id, text: undefined, value: undefined };
}
