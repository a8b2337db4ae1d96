/** Everything that exists only while a store is open. */
import type { Deadline } from "../storage/deadline.ts";
import { CostMeter } from "../core/cost-meter.ts";
import { NotOpenError, ReadOnlyError } from "../core/errors.ts";
import type { Runtime } from "../core/runtime.ts";
import type { StorageBackend } from "../storage/backend.ts";
import type { View } from "../view/view.ts";
import { BackendClaim } from "../engine/backend-claim.ts";
import { BacklogAlarm } from "./backlog-alarm.ts";
import { checkExists, lostManifestGuard, publishFirstManifest } from "./first-manifest.ts";
import { Flusher } from "./flusher.ts";
import type { Freshness } from "../view/freshness.ts";
import { describeManifest, type ManifestInfo } from "../read/manifest-info.ts";
import type { ResolvedOptions } from "./options.ts";
import { createEngine, type Engine, type EngineOptions } from "../engine/engine.ts";
import { FlushGroup } from "../log/flush-group.ts";
import type { Memtable } from "./memtable.ts";
import { Checkpoints } from "./checkpoints.ts";
import { ConditionalWrites } from "./conditional-writes.ts";
import { Replica } from "./replica.ts";
import { Transactions } from "./transactions.ts";
import { checkSchema } from "../core/schema.ts";
import { CommitQueue } from "./commit-queue.ts";
import { takeWriterLock, type WriterLock } from "./writer-lock.ts";

/** What a store is made of that its users have no part in. */
export interface StoreInternals {
  /** Default: the system's. */
  readonly runtime?: Runtime;
  /** Default: a new one at each opening. */
  readonly meter?: CostMeter;
  /** When nothing waits for the medium any more. Default: never. */
  readonly deadline?: Deadline | undefined;
  /** Flushes share objects with those of other such stores over the backend. Default: they do not. */
  readonly flushLingerMs?: number | undefined;
  /** How many archives a manifest names itself. Default: 32. */
  readonly archivesInlineMax?: number | undefined;
  /** Ids lie in the lanes below this number. Default: in all. */
  readonly lanes?: number | undefined;
}

/** What makes the group of stores that share objects, at most so long after one another. */
function groupOf(lingerMs: number | undefined): EngineOptions["makeFlushGroup"] {
  if (lingerMs === undefined) return undefined;
  return (runtime, settings) => new FlushGroup(runtime, { ...settings, lingerMs });
}

/** What `close` releases. */
interface Held {
  readonly claim: BackendClaim;
  readonly lock: WriterLock | undefined;
  readonly backlog: BacklogAlarm;
}

export class Session {
  readonly options: ResolvedOptions;
  readonly replica: Replica;
  readonly engine: Engine;
  readonly #writes: CommitQueue | undefined;
  readonly #conditional: ConditionalWrites | undefined;
  readonly #transactions: Transactions | undefined;
  readonly #claim: BackendClaim;
  readonly #lock: WriterLock | undefined;
  readonly #backlog: BacklogAlarm;
  readonly checkpoints: Checkpoints;
  #closed = false;

  /** @throws as `Store.open` documents; nothing stays locked or open then */
  static async open(
    location: string,
    options: ResolvedOptions,
    backend: StorageBackend,
    runtime: Runtime,
    {
      meter = new CostMeter(options.prices),
      deadline,
      flushLingerMs,
      ...limits
    }: Omit<StoreInternals, "runtime"> = {},
  ): Promise<Session> {
    const { readOnly, version, migrate, agentId } = options;
    const claim = await BackendClaim.take(backend, location, { readOnly });
    const schema = { version, migrate };
    const place = { backend, location: claim.location };
    const given = { ...options, ...place, runtime, schema, meter, deadline };
    const makeFlushGroup = groupOf(flushLingerMs);
    const engine = createEngine({ ...given, makeFlushGroup, ...limits });
    const backlog = new BacklogAlarm(location, options);
    let lock: WriterLock | undefined;
    try {
      if (!readOnly && agentId === "") lock = await takeWriterLock(engine);
      const onView = (view: View): void => backlog.look(view);
      const replica = await Replica.open(engine, { ...options, onView });
      if (!options.skipLoad) {
        const { loaded, legacyLog } = replica.view;
        const { etag } = await engine.manifests.confirm(loaded, legacyLog);
        if (etag === undefined && !readOnly) await publishFirstManifest(engine, loaded);
      }
      if (readOnly) await checkExists(engine, { view: replica.view, ...replica.times }, location);
      if (!options.skipLoad) {
        checkSchema(engine.schema, replica.view.loaded.manifest.schema, "a record of this store");
        await replica.withLock((locked) => locked.loadAll());
      }
      return new Session(engine, options, replica, { claim, lock, backlog });
    } catch (error) {
      // The first error is reported; a lock left behind is recovered as after a crash.
      await Promise.allSettled([lock?.release()]);
      await Promise.allSettled([claim.release()]);
      await backlog.settle();
      throw error;
    }
  }

  constructor(
    engine: Engine,
    options: ResolvedOptions,
    replica: Replica,
    { claim, lock, backlog }: Held,
  ) {
    const { agentId, version: schema, blindWrites, readOnly } = options;
    this.engine = engine;
    this.options = options;
    this.replica = replica;
    this.#claim = claim;
    this.#lock = lock;
    this.#backlog = backlog;
    this.checkpoints = new Checkpoints(this);
    const checkManifest = lostManifestGuard(engine, options.skipLoad ? undefined : replica.view);
    const checkAllowed = async (seenMs: number): Promise<void> => {
      await checkManifest(replica.view);
      await lock?.check(seenMs);
    };
    const writing = { agentId, schema, blindWrites, checkAllowed };
    if (readOnly) return;
    const flusher = new Flusher(engine, replica, writing);
    this.#writes = new CommitQueue(flusher, replica, engine.runtime, options);
    this.#conditional = new ConditionalWrites(engine, replica, this.#writes, writing);
    this.#transactions = new Transactions(engine, replica, this.#writes, writing);
  }

  get records(): Memtable {
    return this.replica.records;
  }

  /** @throws ReadOnlyError */
  get writes(): CommitQueue {
    if (this.#writes === undefined) throw new ReadOnlyError();
    return this.#writes;
  }

  /** @throws ReadOnlyError */
  get conditional(): ConditionalWrites {
    if (this.#conditional === undefined) throw new ReadOnlyError();
    return this.#conditional;
  }

  /** @throws ReadOnlyError */
  get transactions(): Transactions {
    if (this.#transactions === undefined) throw new ReadOnlyError();
    return this.#transactions;
  }

  /** Operations that no snapshot holds yet: in the log, as far as it was seen, or buffered. */
  get operationCount(): number {
    return this.replica.operationCount + (this.#writes?.queuedOperations ?? 0);
  }

  describeManifest(): ManifestInfo {
    return describeManifest(this.replica.viewWithOwn, this.operationCount);
  }

  /**
   * Before a read: after a failed write, looks again; then as fresh as is required.
   * @param required default: the store's; where that is "strong", as of the store's last look
   */
  async freshen(required?: Freshness): Promise<void> {
    const { refreshes } = this.replica;
    if (this.replica.mustRefresh || required === "strong") return refreshes.refresh();
    const wanted = required ?? this.options.freshness;
    if (this.replica.isFresh(wanted)) return;
    // The one that is under way may be young enough.
    await refreshes.settle();
    if (this.replica.isFresh(wanted)) return;
    await refreshes.refresh(wanted === "snapshot" ? "snapshot" : "strong");
  }

  /** Makes ids resident. @param freshness as for `freshen` */
  async lookup(ids: readonly string[], freshness?: Freshness): Promise<void> {
    await this.freshen(freshness);
    await this.replica.lookup(ids);
  }

  /** An update must not be computed from another store's cached view. */
  async loadForUpdate(id: string): Promise<void> {
    if (this.replica.hasLooked) await this.lookup([id]);
    else await this.lookup([id], "strong");
  }

  async loadAll(): Promise<void> {
    await this.replica.withLock((locked) => locked.loadAll());
  }

  /** Picks up what others made durable before the call. */
  refresh(): Promise<void> {
    return this.replica.refreshes.refresh();
  }

  async flush(): Promise<void> {
    await this.#writes?.flush();
  }

  /** To be called after a write: compacts once the log holds enough operations. */
  async checkpointIfDue(): Promise<void> {
    if (this.operationCount >= this.checkpoints.dueAt) await this.checkpoints.run();
  }

  /** For writes that bypass the queue. @throws LockedError once another single writer took over */
  async checkWriter(): Promise<void> {
    await this.#lock?.check(this.replica.view.loaded.dateMs);
  }

  /** For work that spans several calls. @throws NotOpenError */
  checkOpen(): void {
    if (this.#closed) throw new NotOpenError();
  }

  /** Flushes, checkpoints if an option says so, and releases everything, whatever fails on the way. */
  async close(): Promise<void> {
    this.#closed = true;
    const { checkpointOnClose, readOnly } = this.options;
    const steps = [
      async () => this.#conditional?.settle(),
      async () => this.#transactions?.settle(),
      () => this.flush(),
      () => this.checkpoints.settle(),
      async () => {
        if (checkpointOnClose && !readOnly && this.replica.operationCount > 0)
          await this.checkpoints.compact();
      },
      async () => this.#writes?.close(),
      async () => this.#lock?.release(),
      () => this.#claim.release(),
      () => this.#backlog.settle(),
    ];
    const failures: unknown[] = [];
    for (const step of steps) await step().catch((error: unknown) => failures.push(error));
    if (failures.length > 0) throw failures[0];
  }
}
