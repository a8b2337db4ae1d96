/**
 * A store's copy in memory, whole or in part, and the view it stands for. All that changes it from
 * outside comes through here: opening, refreshing, looking records up.
 */
import type { Replaced } from "../compaction/report.ts";
import { Deferred } from "../core/deferred.ts";
import { type CorruptionError, UnavailableError } from "../core/errors.ts";
import type { WrittenSegment } from "../log/log.ts";
import { isRecent, momentOf } from "../core/medium-clock.ts";
import { Mutex } from "../core/mutex.ts";
import { parseClaimPath } from "../format/paths.ts";
import type { Segment } from "../format/segment.ts";
import type { View } from "../view/view.ts";
import { type FollowedState, Follower, type TakeChanges } from "./change-feed.ts";
import { catchUp } from "./catch-up.ts";
import { gather, type Gathered, type Wanted } from "../read/load-records.ts";
import {
  type Freshness,
  type LookTimes,
  lookAgainAtManifest,
  lookWhole,
  openLook,
  type TimedView,
} from "../view/freshness.ts";
import { type History, KnownLog } from "./known-log.ts";
import type { Engine } from "../engine/engine.ts";
import { Memtable } from "./memtable.ts";
import { Refreshes, type RefreshKind } from "./refreshes.ts";
import { ABSENT, type ResidentEntry } from "../core/version.ts";

/** One operation of a flush that is durable now. */
export interface CommittedOperation {
  readonly id: string;
  readonly entry: ResidentEntry;
}

export interface ReplicaOptions {
  readonly agentId: string;
  readonly version: number;
  /** "skip": report what cannot be read and continue without it; "throw": stop there. */
  readonly onCorrupt: "skip" | "throw";
  /** Called with each view that is opened or refreshed to. */
  readonly onView?: ((view: View) => void) | undefined;
  readonly freshness: Freshness;
}

/** What may change memory only while nothing else does: exists inside `withLock`. */
export interface LockedReplica {
  /** Makes every record resident. */
  loadAll(): Promise<void>;
  /**
   * Looks again; what is resident afterwards stands for a view (under "snapshot": a manifest) begun
   * after the call. Lookups may be under way.
   */
  refresh(kind?: RefreshKind): Promise<void>;
  /** As `Replica.lookup`. */
  lookup(ids: Iterable<string>): Promise<void>;
  /** Takes in a flush of this store's own: durable now, and part of every later look. */
  commit(
    operations: readonly CommittedOperation[],
    segment: Segment,
    written: Pick<WrittenSegment, "ref">,
  ): void;
  /** After a failed write: memory may lack what landed all the same, until the next strong refresh. */
  distrust(): void;
}

/** How often a lookup starts again because a refresh came in between. */
const LOOKUPS_MAX = 50;

export class Replica {
  readonly records = new Memtable();
  /** Exists from the first `tail` or `watch` on. */
  #follower: Follower | undefined;
  #shownGeneration = 0;
  readonly #log: KnownLog;
  readonly #engine: Engine;
  readonly #options: ReplicaOptions;
  readonly #reported = new Set<string>();
  /** Claims that could not be read, by key. */
  readonly #damaged = new Map<string, CorruptionError>();
  #times: LookTimes;
  /** This store has made a look of its own: what it writes orders above all acknowledged before. */
  #hasLooked: boolean;
  /** Flushes and refreshes take turns; reads never wait. */
  readonly #mutex = new Mutex();
  readonly #locked: LockedReplica;
  /** For callers that do not hold the lock. */
  readonly refreshes: Refreshes;
  /**
   * The ids of lookups under way, for each lookup. A refresh includes them: what they look for is
   * resident when it ends, so that neither starts again for ever because of the other.
   */
  readonly #lookups = new Set<readonly string[]>();
  /** Settled when the refresh has ended whose results are being made resident. */
  #closed: Deferred | undefined;
  #mustRefresh = false;
  #complete = false;

  /** Opens a view; no record is resident yet. */
  static async open(engine: Engine, options: ReplicaOptions): Promise<Replica> {
    return new Replica(engine, options, await openLook(engine, options.freshness));
  }

  constructor(engine: Engine, options: ReplicaOptions, { view, ...times }: TimedView) {
    this.#engine = engine;
    this.#options = options;
    const { agentId, version: schema } = options;
    this.#log = new KnownLog(view, { agentId, schema });
    this.#times = times;
    this.#hasLooked = options.freshness === "strong";
    this.#locked = {
      loadAll: () => this.#loadAll(),
      refresh: (kind = "strong") => this.#refresh(kind),
      lookup: (ids) => this.#lookup(ids, () => this.#refresh("strong")),
      commit: (operations, segment, written) => this.#commit(operations, segment, written),
      distrust: () => {
        this.#mustRefresh = true;
      },
    };
    this.refreshes = new Refreshes((work) => this.withLock(work), options.freshness);
    for (const error of view.corrupt) this.onCorrupt(error);
    options.onView?.(view);
  }

  /** Runs flushes, refreshes and loads one at a time, in the order of the calls. */
  withLock<R>(work: (locked: LockedReplica) => Promise<R>): Promise<R> {
    return this.#mutex.run(() => work(this.#locked));
  }

  /** A write failed since the last strong refresh: memory may lack what landed all the same. */
  get mustRefresh(): boolean {
    return this.#mustRefresh;
  }

  get view(): View {
    return this.#log.view;
  }

  /** The view with what was written here since. */
  get viewWithOwn(): View {
    return this.#log.viewWithOwn;
  }

  get history(): History {
    return this.#log.history;
  }

  get times(): LookTimes {
    return this.#times;
  }

  /** False until the store has listed the log itself: another's look is not enough to write on. */
  get hasLooked(): boolean {
    return this.#hasLooked;
  }

  /** Memory stands for a look of this store's own, and holds each of its writes that landed since. */
  get isCurrent(): boolean {
    return this.#hasLooked && !this.#mustRefresh;
  }

  /** Whether every record of the store is resident. */
  get complete(): boolean {
    return this.#complete;
  }

  get corruptCount(): number {
    return this.#reported.size;
  }

  /** Operations in the log, not yet compacted, as far as this store has read or written them. */
  get operationCount(): number {
    return this.#log.operationCount;
  }

  /** Whether a read may be answered from memory. @param wanted "strong": as of the last look */
  isFresh(wanted: Freshness): boolean {
    if (wanted === "strong") return true;
    const { runtime, settings } = this.#engine;
    const { manifestAt, listedAt } = this.#times;
    const now = momentOf(runtime);
    if (wanted === "snapshot") return isRecent(manifestAt, now, settings.refreshEveryMs);
    return isRecent(listedAt, now, wanted.maxStaleMs);
  }

  /**
   * Whether a flush may take its clocks above this view: a stale one would lose to what others wrote
   * meanwhile, and another store's look may be stale (RECENT).
   */
  isFreshToWrite(ageMsMax: number): boolean {
    const isYoung = isRecent(this.#times.listedAt, momentOf(this.#engine.runtime), ageMsMax);
    return isYoung && this.isCurrent;
  }

  isResident(id: string): boolean {
    return this.#complete || this.records.isResident(id);
  }

  /** Whether a synchronous read of this id is complete. */
  isReadable(id: string): boolean {
    return this.#complete || this.records.isReadable(id);
  }

  async #loadAll(): Promise<void> {
    if (this.#complete) return;
    const gathered = await this.#gather(this.viewWithOwn, "all", new Set());
    this.#install(gathered, "all");
    this.#complete = true;
    this.history.adoptLog();
  }

  /** What was unreadable is read again: it may have been restored. */
  async #refresh(kind: RefreshKind): Promise<void> {
    const damaged = [...this.#damaged];
    this.#damaged.clear();
    const merged = new Set(this.#log.merged);
    for (const [key] of damaged) merged.delete(key);
    try {
      await this.#renew(kind, merged);
    } catch (error) {
      for (const [key, damage] of damaged) this.#damaged.set(key, damage);
      throw error;
    }
  }

  /** @param merged what memory stands for already */
  async #renew(kind: RefreshKind, merged: ReadonlySet<string>): Promise<void> {
    const isWhole = kind === "strong";
    const { view, ...times } = isWhole
      ? await lookWhole(this.#engine, this.view)
      : await lookAgainAtManifest(this.#engine, { view: this.viewWithOwn, ...this.#times });
    for (const error of view.corrupt) this.onCorrupt(error);
    this.#options.onView?.(view);
    if (this.#complete) {
      this.#install(await this.#gather(view, "all", merged), "all");
    } else {
      const wanted = this.records.residentIds;
      const gathered = await this.#gather(view, wanted, merged);
      await this.#withLookups(() => this.#installWithLookups(gathered, wanted));
    }
    this.#times = times;
    if (!isWhole) return;
    this.#hasLooked = true;
    this.#mustRefresh = false;
  }

  /** No lookup makes anything resident meanwhile. */
  async #withLookups(install: () => Promise<void>): Promise<void> {
    const closed = new Deferred();
    this.#closed = closed;
    try {
      await install();
    } finally {
      this.#closed = undefined;
      closed.resolve();
    }
  }

  /** What lookups made resident meanwhile stands for the old view: it is brought up, too. */
  async #installWithLookups(gathered: Gathered, wanted: ReadonlySet<string>): Promise<void> {
    const all = new Set([...wanted, ...this.records.residentIds, ...[...this.#lookups].flat()]);
    const arrived = new Set([...all].filter((id) => !wanted.has(id)));
    const settles = this.#follower !== undefined;
    const onCorrupt = (error: CorruptionError): void => this.onCorrupt(error);
    const found = await catchUp(this.#engine, { wanted, gathered, arrived, onCorrupt, settles });
    this.#install(found, all);
  }

  #install(gathered: Gathered, wanted: Wanted): void {
    this.#installRecords(gathered, wanted);
    this.#log.install(gathered.view, gathered.segments, wanted === "all");
  }

  #installRecords({ entries, replaces }: Gathered, wanted: Wanted): void {
    if (wanted !== "all") for (const id of wanted) if (!entries.has(id)) entries.set(id, ABSENT);
    if (replaces) {
      const before = this.records.replace(entries);
      this.#follower?.replaced(before, this.#complete);
      return;
    }
    for (const [id, entry] of entries) {
      const before = this.records.durable(id);
      this.records.merge(id, entry);
      this.#follower?.changed(id, before, this.#complete);
    }
  }

  /** A scan shows records of this view, perhaps of a newer manifest than that of the last look. */
  shown({ loaded: { manifest } }: View): void {
    this.#shownGeneration = Math.max(this.#shownGeneration, manifest.generation);
  }

  /** From now on `pendingChanges` returns what others change. */
  follow(): Follower {
    return (this.#follower ??= new Follower(this.#engine, this.records, this.#followed()));
  }

  #followed(): FollowedState {
    return {
      view: this.viewWithOwn,
      complete: this.#complete,
      segments: (key) => this.history.segments(key),
      shownGeneration: this.#shownGeneration,
      onCorrupt: (error) => this.onCorrupt(error),
    };
  }

  /**
   * What others changed since it was reported last.
   * @returns to be called at once: returns it, and marks it delivered; undefined: refresh first
   */
  pendingChanges(): Promise<TakeChanges | undefined> {
    return this.follow().prepare(this.#followed());
  }

  /** Makes these ids resident, absent ones included. */
  lookup(ids: Iterable<string>): Promise<void> {
    return this.#lookup(ids, () => this.refreshes.asDeclared());
  }

  /** @param refresh with the lock, or waiting for it */
  async #lookup(ids: Iterable<string>, refresh: () => Promise<void>): Promise<void> {
    const wanted = [...ids];
    if (wanted.every((id) => this.isResident(id))) return;
    this.#lookups.add(wanted);
    try {
      await this.#lookUp(wanted, refresh);
    } finally {
      this.#lookups.delete(wanted);
    }
  }

  async #lookUp(ids: readonly string[], refresh: () => Promise<void>): Promise<void> {
    for (let attempt = 1; attempt <= LOOKUPS_MAX; attempt++) {
      const missing = new Set(ids.filter((id) => !this.isResident(id)));
      if (missing.size === 0) return;
      const { view } = this;
      const gathered = await this.#gather(this.viewWithOwn, missing, new Set());
      while (this.#closed !== undefined) await this.#closed.promise;
      // A refresh came in between: the result would stand for an older view than its neighbours.
      // The next one takes this lookup along.
      if (this.view !== view) continue;
      // The same holds when a compaction made this lookup go over to a newer manifest: what is
      // resident must follow, or a batch could be seen in part.
      if (gathered.view.loaded.etag === view.loaded.etag) {
        this.#installRecords({ ...gathered, replaces: false }, missing);
        return;
      }
      await refresh();
    }
    throw new UnavailableError("lookup: the view was refreshed faster than records could be read");
  }

  #commit(
    operations: readonly CommittedOperation[],
    segment: Segment,
    { ref }: Pick<WrittenSegment, "ref">,
  ): void {
    this.#log.add(ref, segment, (id) => this.records.durable(id)?.version);
    for (const { id, entry } of operations) this.records.merge(id, entry);
    this.#follower?.own(ref, segment);
  }

  recordCompaction(replaced: Replaced): void {
    this.#log.recordCompaction(replaced);
  }

  #gather(view: View, wanted: Wanted, merged: ReadonlySet<string>): Promise<Gathered> {
    const { base } = this.#log;
    const onCorrupt = (error: CorruptionError): void => this.onCorrupt(error);
    // What was reported to a follower must not be reported again because it was deleted late.
    const settles = wanted === "all" || this.#follower !== undefined;
    return gather(this.#engine, { view, wanted, merged, base, onCorrupt, settles });
  }

  /** Why nothing may be decided by the claims of a lane: one of them was found to be unreadable. */
  damageOf(lane: number): CorruptionError | undefined {
    for (const [key, error] of this.#damaged) if (parseClaimPath(key)?.lane === lane) return error;
    return undefined;
  }

  /** What cannot be read and is left out: reported once, or thrown under `onCorrupt: "throw"`. */
  onCorrupt(error: CorruptionError): void {
    const { path } = error;
    if (path !== undefined && parseClaimPath(path) !== undefined) this.#damaged.set(path, error);
    if (this.#options.onCorrupt === "throw") throw error;
    if (this.#reported.has(error.message)) return;
    this.#reported.add(error.message);
    this.#engine.onWarning(`skipped what cannot be read: ${error.message}`);
  }
}
