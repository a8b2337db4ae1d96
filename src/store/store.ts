/** The public class: each method checks its arguments and makes one call into the open session. */
import { InvalidArgumentError, NotOpenError } from "../core/errors.ts";
import { HIDDEN_RECORDS } from "../core/hidden.ts";
import type { Fields, Operation } from "../core/operation.ts";
import type { VersionToken } from "../format/version-token.ts";
import { systemRuntime } from "../core/runtime.ts";
import { backendFor } from "../engine/resolve-backend.ts";
import { archiveNames, type ManifestInfo } from "../read/manifest-info.ts";
import type { HiddenRecords } from "./hidden-records.ts";
import type { Mutations } from "./mutations.ts";
import { type OpenState, openState, type State } from "./open-state.ts";
import type { DeleteOptions, SetOptions, UpdateOptions, WrittenVersion } from "./conditions.ts";
import { resolveOptions, type StoreOptions } from "../session/options.ts";
import type { OnceOptions } from "./once.ts";
import type { ReadOptions } from "./reads.ts";
import type { ScanOptions } from "./scan-range.ts";
import { Session, type StoreInternals } from "../session/session.ts";
import { describeStats, type StoreStats } from "./stats.ts";
import type { TransactionFunction, TransactionOptions } from "./transactions.ts";

/**
 * An embedded, event-sourced document store on a directory or on S3.
 *
 * ```ts
 * await using store = await Store.open<Task>("./data");
 * await store.set("task-1", { title: "Build API" });
 * ```
 *
 * Reads of resident records (`get`, `has`, `all`, `entries`, `filter`, `count`) are synchronous. Every other
 * method resolves when what it promises holds; rejections are `OpslogError`s whose `action` says what to do.
 */
export class Store<T = Fields> {
  readonly #internals: StoreInternals;
  #state: State<T> = { name: "closed" };
  #closing: Promise<void> | undefined;
  /** What `getManifest` returns after `close`. */
  #lastManifest: ManifestInfo | null = null;

  /** @param internals for tests and handlers: clock and randomness, cost meter, deadline */
  constructor(internals: StoreInternals = {}) {
    this.#internals = internals;
  }

  /**
   * A new store, open. Close it, or declare it with `await using`.
   * @param location a directory (a path or a `file://` URL), or what the backend serves: `s3://bucket/prefix`
   * @example
   * const store = await Store.open<Task>("./data", { agentId: "worker-1", skipLoad: true });
   */
  static async open<T = Fields>(location: string, options?: StoreOptions<T>): Promise<Store<T>> {
    const store = new Store<T>();
    await store.open(location, options);
    return store;
  }

  /**
   * Opens the store at a directory, or where the backend says (`s3://bucket/prefix`).
   * @throws InvalidArgumentError (options, location), LockedError, StoreNotFoundError,
   *   AccessDeniedError, CorruptionError, FormatVersionError, SchemaTooNewError, UnavailableError
   */
  async open(location: string, options?: StoreOptions<T>): Promise<void> {
    if (this.#state.name !== "closed") throw new InvalidArgumentError("Store is already open.");
    const resolved = resolveOptions(options);
    const backend = backendFor(location, resolved.backend);
    this.#state = { name: "opening" };
    try {
      const { runtime = systemRuntime, ...others } = this.#internals;
      const session = await Session.open(location, resolved, backend, runtime, others);
      this.#state = openState(session, runtime);
    } catch (error) {
      this.#state = { name: "closed" };
      throw error;
    }
  }

  /**
   * Flushes, checkpoints if an option says so, releases locks and sockets, also when one of these fails; it
   * rejects with the first failure, once. Closing twice is fine.
   */
  async close(): Promise<void> {
    if (this.#state.name === "open") {
      const { session, watch } = this.#state;
      this.#lastManifest = session.describeManifest();
      this.#state = { name: "closed" };
      const closing = watch.close().then(() => session.close());
      this.#closing = closing.finally(() => {
        this.#lastManifest = session.describeManifest();
      });
    }
    try {
      await this.#closing;
    } finally {
      this.#closing = undefined;
    }
  }

  /** As `close`, at the end of an `await using` block. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** The record, when it is resident. @throws NotHydratedError under `strictHydration` */
  get(id: string): T | undefined {
    return this.#open().reads.get(id);
  }

  /** Whether a resident record has this id. @throws NotHydratedError under `strictHydration` */
  has(id: string): boolean {
    return this.#open().reads.has(id);
  }

  /** All resident records, in insertion order. */
  all(): T[] {
    return this.entries().map(([, value]) => value);
  }

  /** As `all`, each with its id. */
  entries(): [string, T][] {
    return this.#open().reads.entries();
  }

  /** Resident records that the predicate accepts. @throws NotHydratedError under `strictHydration` */
  filter(predicate: (value: T, id: string) => boolean): T[] {
    return this.#open().reads.filter(predicate);
  }

  /** How many resident records it accepts; by default all. @throws as `filter` */
  count(predicate?: (value: T, id: string) => boolean): number {
    return this.#open().reads.count(predicate);
  }

  /**
   * A record, resident or not, or undefined; read by ranged reads and resident from then on.
   * @throws InvalidArgumentError (id, freshness), CorruptionError, UnavailableError
   * @example
   * const task = await store.read("task-1", { freshness: "strong" });
   */
  async read(id: string, options?: ReadOptions): Promise<T | undefined> {
    return (await this.readMany([id], options)).get(id);
  }

  /** Those of the records that exist, by id; looked up together, as of one view. */
  async readMany(ids: Iterable<string>, options?: ReadOptions): Promise<Map<string, T>> {
    return this.#open().reads.readMany(ids, options);
  }

  /**
   * Names the version of a record as `read` would return it, once that is durable; undefined when there
   * is none. To go with a value, take the version first, then `get`.
   * @throws as `read`, and what that flush fails with
   */
  async versionOf(id: string, options?: ReadOptions): Promise<VersionToken | undefined> {
    return this.#open().reads.versionOf(id, options);
  }

  /**
   * Records in id order (UTF-16 code units), resident or not, as of the first `next()`, which throws
   * InvalidArgumentError. Read little ahead; of the log, what lies in the range is held in memory.
   * @example
   * for await (const [id, task] of store.scan({ prefix: "task-" })) console.log(id, task.title);
   */
  async *scan(options?: ScanOptions): AsyncGenerator<[string, T]> {
    yield* this.#open().scans.scan(options);
  }

  /** Makes these records resident, or all, so that the synchronous reads answer for them. */
  async hydrate(ids?: Iterable<string>): Promise<void> {
    await this.#open().reads.hydrate(ids);
  }

  /**
   * Creates or replaces a record where a condition holds: over exactly one version (`ifVersion`), or where there is no record
   * (`ifAbsent`). Of any number of processes that try at once, one succeeds.
   * @returns the version written, for the next `ifVersion`
   * @throws ConditionFailedError, which holds the record that was found; NotSupportedError in a store that
   *   has no lanes yet; ConflictError; otherwise as without options
   * @example
   * const { version } = await store.set("task-1", { title: "Build API" }, { ifAbsent: true });
   */
  set(id: string, value: T, options: SetOptions): Promise<WrittenVersion>;
  /**
   * Creates or replaces a record. Resolves when it is durable.
   * @throws InvalidArgumentError (also for what JSON would lose, see `Storable`), UnavailableError
   *   (nothing written), WriteOutcomeUnknownError
   * @example
   * await store.set("task-1", { title: "Build API" });
   */
  set(id: string, value: T): Promise<void>;
  set(id: string, value: T, options?: SetOptions): Promise<WrittenVersion | void> {
    const { reads } = this.#open();
    const mutations = this.#mutations();
    if (options === undefined) return mutations.set(id, value);
    return mutations.setIf(id, value, options, (found) => reads.handOut(found));
  }

  /** @param options a condition, as for `set` @throws RecordNotFoundError; otherwise as `set` */
  delete(id: string, options?: DeleteOptions): Promise<void> {
    const { reads } = this.#open();
    const mutations = this.#mutations();
    if (options === undefined) return mutations.delete(id);
    return mutations.deleteIf(id, options, (value) => reads.handOut(value));
  }

  /**
   * Reads a record, changes it, writes what `change` returns; `undefined` deletes it (or leaves it
   * absent). With an `agentId` exact also beside other processes: `change` is called again where others
   * were faster. In a store that has no lanes yet, atomic within this process only, with a warning.
   * @returns what it wrote, as a read returns it; undefined where there is no record now
   * @throws ConflictError when others were faster for `deadlineMs` (nothing was written); as `set`
   * @example
   * const visits = await store.update("visits", (current) => ({ count: (current?.count ?? 0) + 1 }));
   */
  update(
    id: string,
    change: (current: T | undefined) => T | undefined,
    options?: UpdateOptions,
  ): Promise<T | undefined> {
    if (this.#state.name === "open") this.#state.mutations.checkNoBatch("an update");
    return this.#update(id, change, options);
  }

  async #update(
    id: string,
    change: (current: T | undefined) => T | undefined,
    options: UpdateOptions | undefined,
  ): Promise<T | undefined> {
    const { reads } = this.#open();
    const ofStored = (current: unknown): unknown => change(reads.handOut(current));
    return reads.handOut(await this.#mutations().update(id, ofStored, options));
  }

  /**
   * Runs a function once for a key, whoever calls, and returns its result (what JSON keeps of it), also to
   * later calls. What throws, or outlives its lease, runs again.
   * @throws OnceInProgressError, OnceLostError, what `fn` throws; otherwise as `set` with a condition
   * @example
   * const receipt = await store.once(`order-${order.id}`, () => charge(order));
   */
  once<R>(key: string, fn: () => R | Promise<R>, options?: OnceOptions): Promise<R> {
    this.#mutations();
    return this.#open().once.run(key, fn, options);
  }

  /**
   * Collects the `set` and `delete` calls of a synchronous function into one flush, all or nothing.
   * An error in it reverses everything. Inside, `set` and `delete` act at once and return undefined.
   * @example
   * await store.batch(() => {
   *   store.set("task-1", { title: "Build API" });
   *   store.delete("task-0");
   * });
   */
  async batch(fn: () => void): Promise<void> {
    await this.#mutations().batch(fn);
  }

  /**
   * Runs `fn`, and makes what it writes take effect at one moment, whole or not at all; what it read still
   * holds then, also beside other processes (strict serializability). `fn` may run again: it writes by `tx` alone.
   * @throws what `fn` throws; ConflictError when others were faster for `deadlineMs` (nothing was written); as `set`
   */
  transaction<R>(fn: TransactionFunction<T, R>, options?: TransactionOptions): Promise<R> {
    const { reads } = this.#open();
    return this.#mutations().transaction(fn, options, (value) => reads.handOut(value));
  }

  /**
   * Takes back this store's last operation (of a batch, the last one) by a new one that restores the record before;
   * several in a row walk back. False when there is none (a compaction ends what a single writer can undo, an agent
   * keeps its last 1,000), when another has written the record since, it was archived, or it was a blind write.
   */
  async undo(): Promise<boolean> {
    return this.#mutations().undo();
  }

  /** Operations on a record that no snapshot holds yet, oldest first; undone ones are not shown. */
  getHistory(id: string): Operation<T>[] {
    return this.getOps().filter((operation) => operation.id === id);
  }

  /** Operations that no snapshot holds yet, by version; a lazy store has only its own. @param since as in `getWalOps` */
  getOps(since?: string): Operation<T>[] {
    const { session, reads } = this.#open();
    return reads.operations(session.replica.history.operations<T>(since));
  }

  /**
   * The records of the snapshot in id order, in bounded memory; what is in the log is left to
   * `getWalOps`, to be called afterwards. A compaction meanwhile does no harm.
   */
  async *streamSnapshot(): AsyncGenerator<[string, T]> {
    yield* this.#open().streams.snapshot();
  }

  /**
   * The log in version order, undone operations left out, in bounded memory. Applied to the snapshot
   * streamed last it yields every record as of the call: what compactions took out of the log since
   * that snapshot comes first, one operation per record (no `prev`, `ts` of the checkpoint).
   * @param sinceTimestamp those with a later `ts` only, compared as text
   * @throws UnavailableError when deletions were purged meanwhile: stream the snapshot again
   */
  async *getWalOps(sinceTimestamp?: string): AsyncGenerator<Operation<T>> {
    yield* this.#open().streams.operations(sinceTimestamp);
  }

  /**
   * Moves the resident records that `predicate` accepts into an archive, by default the quarter's in
   * local time ("2026-Q4"), and compacts; returns their number. What others write meanwhile survives.
   * @throws NotHydratedError, LockedError, ConflictError; otherwise as `set`
   */
  async archive(predicate: (value: T, id: string) => boolean, segment?: string): Promise<number> {
    return this.#mutations().archive(this.#open().reads.chooser(predicate), segment);
  }

  /** All that was ever archived there, without bringing it back. @throws StoreNotFoundError */
  async loadArchive(segment: string): Promise<Map<string, T>> {
    return this.#open().reads.loadArchive(segment);
  }

  /** One name for each archive, as of the last look: "archive/archive-2026-Q4.json". */
  listArchiveSegments(): string[] {
    return archiveNames(this.#open().session.replica.view);
  }

  /**
   * Merges the log into a new snapshot; without effect while another compactor is at work.
   * @throws NotOpenError, ReadOnlyError, CorruptionError, UnavailableError
   */
  async compact(): Promise<void> {
    this.#mutations();
    await this.#open().session.checkpoints.compact();
  }

  /** Picks up what others made durable, or under "snapshot" compacted, before the call. */
  async refresh(): Promise<void> {
    await this.#open().session.replica.refreshes.asDeclared();
  }

  /**
   * Refreshes; returns in version order what others changed since the last look; of what was compacted
   * since, net changes (docs/following.md). @throws FollowerExpiredError: read again what you follow
   * @example
   * for (const { op, id, data } of await store.tail()) console.log(op, id, data);
   */
  async tail(): Promise<Operation<T>[]> {
    return this.#open().watch.tail();
  }

  /**
   * Calls back with what `tail` returns, unless that is empty, until `unwatch`, `close` or the next
   * `watch`. Failures go to `onWarning`, and watching continues. @throws InvalidArgumentError, NotOpenError
   * @example
   * store.watch((operations) => console.log(`${operations.length} changes`), 5_000);
   */
  watch(callback: (operations: Operation<T>[]) => void, intervalMs = 1000): void {
    this.#open().watch.start(callback, intervalMs);
  }

  /** Ends `watch`. */
  unwatch(): void {
    if (this.#state.name === "open") this.#state.watch.stop();
  }

  /** Resolves when everything accepted so far is durable; `sync` is the same. */
  async flush(): Promise<void> {
    if (this.#state.name === "open") await this.#state.session.flush();
  }

  /** As `flush`, under the name of the original. */
  async sync(): Promise<void> {
    await this.flush();
  }

  /** Counts, and what the store has cost so far. */
  stats(): StoreStats {
    return describeStats(this.#open().session);
  }

  /** The state of the last look or write; after `close` that of the end; null before `open`. */
  getManifest(): ManifestInfo | null {
    if (this.#state.name !== "open") return this.#lastManifest;
    return this.#state.session.describeManifest();
  }

  /** @internal */
  [HIDDEN_RECORDS](): HiddenRecords {
    return this.#open().hidden;
  }

  /** @throws NotOpenError */
  #open(): OpenState<T> {
    if (this.#state.name !== "open") throw new NotOpenError();
    return this.#state;
  }

  /** @throws NotOpenError, ReadOnlyError */
  #mutations(): Mutations {
    return this.#open().mutations.checkAllowed();
  }
}
