/** The writing half of an open store: turns calls into staged operations and commits them. */
import { Deferred } from "../core/deferred.ts";
import { InvalidArgumentError, ReadOnlyError, RecordNotFoundError } from "../core/errors.ts";
import { isPromise } from "../core/realm.ts";
import { checkUserId } from "../core/hidden.ts";
import { type ArchiveCall, Archiver } from "./archive.ts";
import { checkPeriod, defaultPeriod } from "../read/archives.ts";
import { type StagedOperation } from "../session/memtable.ts";
import { ABSENT, compareVersions, type Version } from "../core/version.ts";
import type { FoundRecord } from "../session/claim-draft.ts";
import type { ConditionalCall } from "../session/conditional-writes.ts";
import { checkOutside } from "../session/evaluation.ts";
import type { Session } from "../session/session.ts";
import { runAlone } from "../session/transactions-alone.ts";
import {
  changed,
  checkUpdate,
  conditionalCall,
  DEADLINE_MS,
  type SetOptions,
  type UpdateOptions,
  type WrittenVersion,
} from "./conditions.ts";
import { deletion, setOperation } from "./operations.ts";
import { tokenOf, versionIn } from "./tokens.ts";
import { type TransactionCall, transactionCall } from "./transactions.ts";

/** A record as the caller gets it. */
type HandOut = (value: unknown) => unknown;

export class Mutations {
  readonly #session: Session;
  /** An undo or archive under way: later writes wait for it, so they keep the order of the calls. */
  #alone: Promise<void> | undefined;
  /** Updates that still look their record up, or are being written: the next of those waits. */
  readonly #updates = new Set<Promise<void>>();
  /** It was said that updates are not atomic yet. */
  #hasWarned = false;
  /** Operations of the batch being collected, while its callback runs. */
  #batch: StagedOperation[] | undefined;

  constructor(session: Session) {
    this.#session = session;
  }

  /** @throws ReadOnlyError, InvalidArgumentError in the function of a transaction */
  checkAllowed(): this {
    if (this.#session.options.readOnly) throw new ReadOnlyError();
    checkOutside(this.#session.replica);
    return this;
  }

  set(id: string, value: unknown): Promise<void> {
    return this.#apply(
      () => setOperation(id, value),
      () => undefined,
    );
  }

  delete(id: string): Promise<void> {
    return this.#apply(
      () => deletion(checkUserId(id)),
      () => this.#checkPresent(id),
    );
  }

  setIf(
    id: string,
    value: unknown,
    options: SetOptions,
    handOut: HandOut,
  ): Promise<WrittenVersion> {
    this.checkNoBatch("a set with a condition");
    return this.#writeIf(() => setOperation(id, value), options, handOut);
  }

  deleteIf(id: string, options: SetOptions, handOut: HandOut): Promise<void> {
    this.checkNoBatch("a delete with a condition");
    return this.#deleteIf(id, options, handOut);
  }

  async #deleteIf(id: string, options: SetOptions, handOut: HandOut): Promise<void> {
    await this.#writeIf(() => deletion(checkUserId(id)), options, handOut);
  }

  async #writeIf(
    makeOperation: () => StagedOperation,
    options: SetOptions,
    handOut: HandOut,
  ): Promise<WrittenVersion> {
    const operation = makeOperation();
    const session = this.#session;
    const tokens = {
      encode: (version: Version) => tokenOf(session, operation.id, version),
      decode: (token: unknown) => versionIn(session, operation.id, token),
    };
    const call = conditionalCall(operation, options, tokens, handOut);
    this.checkMode("a write with a condition");
    const { version } = await this.decide(call);
    return { version: tokens.encode(version) };
  }

  /**
   * @param change gets the record as memory holds it, undefined when there is none; may be called again
   * @returns the store's copy of the record that was written; undefined when there is none now
   */
  async update(
    id: string,
    change: (current: unknown) => unknown,
    options?: UpdateOptions,
  ): Promise<unknown> {
    const isShared = this.#session.options.agentId !== "";
    const { atomic, ...how } = checkUpdate(options, isShared);
    checkUserId(id);
    if (atomic && !isShared) this.checkMode("an atomic update");
    if (atomic && isShared && (await this.#canBeAtomic())) {
      const decide = ({ value: before }: FoundRecord): StagedOperation | undefined => {
        const next = changed(change, before);
        if (next === undefined) return before === undefined ? undefined : deletion(id);
        return setOperation(id, next);
      };
      return (await this.decide({ id, decide, ...how })).value;
    }
    return this.#inTurn(() => this.#update(id, change));
  }

  /** Updates wait for an undo or archive under way, and those called later wait for them. */
  async #inTurn<R>(work: () => Promise<R>): Promise<R> {
    const done = new Deferred();
    this.#updates.add(done.promise);
    try {
      if (this.#alone !== undefined) await this.#alone;
      return await work();
    } finally {
      this.#updates.delete(done.promise);
      done.resolve();
    }
  }

  /** G0: until a compaction has added lanes, updates of several processes overwrite each other. */
  async #canBeAtomic(): Promise<boolean> {
    const { conditional, replica, engine, options } = this.#session;
    if (conditional.isSupported) return true;
    // Another store's look may be older than the lanes, and so is the look of a store that is new: it
    // was there before the first manifest, which an eager store publishes or finds.
    const isNew = !options.skipLoad && replica.view.loaded.etag === undefined;
    if (isNew || !replica.hasLooked) await this.#session.refresh();
    if (conditional.isSupported) return true;
    if (!this.#hasWarned) {
      this.#hasWarned = true;
      engine.onWarning(
        "update is atomic in this process only until the store was compacted by this version: " +
          "of two processes that update a record at once, one update is lost",
      );
    }
    return false;
  }

  /** A conditional write, or one that this store decides alone because nobody else writes. */
  decide(call: ConditionalCall): Promise<FoundRecord> {
    const isAlone = this.#session.options.agentId === "";
    return this.#inTurn(async () => {
      const { conditional } = this.#session;
      const found = await (isAlone ? this.#decideAlone(call) : conditional.commit(call));
      await this.#session.writes.waitFor(this.#session.checkpointIfDue());
      return found;
    });
  }

  async #decideAlone({ id, decide }: ConditionalCall): Promise<FoundRecord> {
    const { records, writes } = this.#session;
    // What was written before has a version once it is durable.
    do {
      await writes.flush();
      await this.#session.loadForUpdate(id);
    } while (records.isStaged(id));
    const { value, version } = records.durable(id) ?? ABSENT;
    const operation = decide({ value, version });
    if (operation === undefined) return { value, version };
    writes.stage(operation);
    const [written = version] = (await writes.commit([operation])) ?? [];
    return { value: operation.value, version: written };
  }

  transaction<T, R>(...call: Parameters<typeof transactionCall<T, R>>): Promise<R> {
    this.checkNoBatch("a transaction");
    return this.#transaction(call);
  }

  async #transaction<T, R>(call: Parameters<typeof transactionCall<T, R>>): Promise<R> {
    return this.transact(transactionCall(...call));
  }

  /** For calls that add reads and writes of their own. @throws as `Store.transaction` */
  async transact<R>({ body, limits }: TransactionCall<R>): Promise<R> {
    this.checkMode("a transaction");
    const session = this.#session;
    const isAlone = session.options.agentId === "";
    return this.#inTurn(async () => {
      const result = await (isAlone
        ? runAlone(session, body, limits)
        : session.transactions.run(body, limits));
      await session.writes.waitFor(session.checkpointIfDue());
      return result;
    });
  }

  /** Thrown at once, so that the batch is taken back. @throws InvalidArgumentError */
  checkNoBatch(what: string): void {
    if (this.#batch === undefined) return;
    throw new InvalidArgumentError(`${what} cannot be part of a batch`);
  }

  /** @throws InvalidArgumentError */
  checkMode(what: string): void {
    const { writeMode } = this.#session.options;
    if (writeMode === "immediate") return;
    throw new InvalidArgumentError(`${what} needs writeMode "immediate", found "${writeMode}"`);
  }

  async #update(id: string, change: (current: unknown) => unknown): Promise<unknown> {
    await this.#session.loadForUpdate(id);
    const before = this.#session.records.visible.get(id);
    const next = changed(change, before);
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
    const operation = { ...(value === undefined ? deletion(id) : setOperation(id, value)), undoes };
    // VERSION: what follows a guarded operation must not jump over what it did not see.
    if (undoes.revision !== undefined) return this.#undoGuarded(operation, undo.current);
    await this.#write(operation);
    await writes.flush();
    return true;
  }

  async #undoGuarded(operation: StagedOperation, current: Version): Promise<boolean> {
    let isUndone = false;
    const decide = ({ version }: FoundRecord): StagedOperation | undefined => {
      isUndone = compareVersions(version, current) === 0;
      return isUndone ? operation : undefined;
    };
    const { id } = operation;
    await this.#session.conditional.commit({ id, decide, fresh: true, deadlineMs: DEADLINE_MS });
    return isUndone;
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
