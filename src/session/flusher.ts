/**
 * The only way into the log: stages operations, writes whatever is pending as one flush, and makes
 * memory agree with what became durable (PROTOCOL, W1 to W6).
 */
import { Deferred } from "../core/deferred.ts";
import { InvalidArgumentError, WriteOutcomeUnknownError } from "../core/errors.ts";
import type { TakenClocks } from "../core/hybrid-clock.ts";
import { momentOf } from "../core/medium-clock.ts";
import { DATE_SKEW_MS, lagMsMax } from "../core/settings.ts";
import type { LogWriter, WrittenSegment } from "../log/log.ts";
import { buildFlush, type BuiltFlush, type PendingWrite } from "./flush-builder.ts";
import type { Engine } from "../engine/engine.ts";
import { FlushTime } from "./flush-time.ts";
import { isWithin } from "../view/freshness.ts";
import { type StagedOperation } from "./memtable.ts";
import { ResidentEntry } from "../read/resident-entry.ts";
import type { LockedReplica, Replica } from "./replica.ts";

/** A batch above this is refused before anything is written. */
export const BATCH_BYTES_MAX = 64 * 1024 * 1024;
/** Writes of several callers share a flush up to here. */
const FLUSH_BYTES_MAX = 8 * 1024 * 1024;
/** A process that is frozen again and again does not look for ever. */
const LOOKS_MAX = 3;
/** JSON around a record in its line, roughly. */
const LINE_BYTES = 200;

export interface FlusherOptions {
  readonly agentId: string;
  /** Schema version that records are written under. */
  readonly schema: number;
  /** Operations on records that are not resident carry no `prev`, and are not looked up. */
  readonly blindWrites: boolean;
  /** Called before each flush: throws when this writer must not write any more. */
  readonly checkAllowed: (seenMs: number) => Promise<void>;
}

interface Pending extends PendingWrite {
  readonly bytes: number;
  /** When the call came, by the steady clock. */
  readonly calledMs: number;
  readonly done: Deferred;
}

export class Flusher {
  readonly #engine: Engine;
  readonly #replica: Replica;
  readonly #options: FlusherOptions;
  readonly #writer: LogWriter;
  readonly #time: FlushTime;
  #queue: Pending[] = [];
  /** Queued or being written. */
  readonly #unsettled = new Set<Pending>();
  #queuedBytes = 0;
  #queuedOperations = 0;
  #flushing = false;
  /** Date of the last flush, by the medium's clock. */
  #writtenMs = 0;

  constructor(engine: Engine, replica: Replica, options: FlusherOptions) {
    this.#engine = engine;
    this.#replica = replica;
    this.#options = options;
    this.#writer = engine.log.createWriter(options.agentId);
    this.#time = new FlushTime(engine, replica);
  }

  /** Shows an operation to readers at once; `commit` or `unstage` must follow. */
  stage(operation: StagedOperation): void {
    this.#replica.records.stage(operation);
  }

  unstage(operations: readonly StagedOperation[]): void {
    this.#replica.records.unstage(operations);
  }

  /**
   * Makes staged operations durable, all or nothing.
   * @throws InvalidArgumentError above 64 MiB, RecordNotFoundError for a delete of nothing,
   *   UnavailableError when nothing was written, WriteOutcomeUnknownError when it may have been;
   *   in each case memory is as without them
   */
  commit(operations: readonly StagedOperation[]): Promise<void> {
    const done = this.enqueue(operations);
    this.start();
    return done;
  }

  /** As `commit`, but nothing is written before `start`. */
  enqueue(operations: readonly StagedOperation[]): Promise<void> {
    const bytes = operations.reduce((sum, { id, text }) => sum + sizeOf(id, text), 0);
    if (bytes > BATCH_BYTES_MAX) {
      this.unstage(operations);
      const found = `found ${bytes} bytes in ${operations.length} operations`;
      throw new InvalidArgumentError(`one write holds at most ${BATCH_BYTES_MAX} bytes, ${found}`);
    }
    const done = new Deferred();
    const calledMs = this.#engine.runtime.steadyMs();
    const pending = { operations, bytes, done, calledMs };
    this.#queue.push(pending);
    this.#unsettled.add(pending);
    this.#queuedBytes += bytes;
    this.#queuedOperations += operations.length;
    return done.promise;
  }

  /** Writes what is queued, unless that is under way. */
  start(): void {
    if (!this.#flushing && this.#queue.length > 0) void this.#flushAll();
  }

  /** Of operations queued or being written. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** Operations accepted but not durable yet. */
  get queuedOperations(): number {
    return this.#queuedOperations;
  }

  /** Resolves when everything accepted so far is durable; rejects when a part of it failed. */
  async flush(): Promise<void> {
    await Promise.all([...this.#unsettled].map(({ done }) => done.promise));
  }

  async close(): Promise<void> {
    await this.#writer.close();
  }

  /** Never rejects: every failure goes to the callers whose writes it concerns. */
  async #flushAll(): Promise<void> {
    this.#flushing = true;
    // Writes of the same moment share the flush.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      await this.#replica.withLock((locked) => this.#flushGroup(locked));
    }
    this.#flushing = false;
  }

  async #flushGroup(locked: LockedReplica): Promise<void> {
    const group = this.#takeGroup();
    try {
      await this.#write(locked, group);
    } catch (error) {
      // What is queued behind was built on values that are rolled back now: it fails as well.
      const failed = [...group, ...this.#queue.splice(0)];
      locked.distrust();
      this.#fail(failed, error);
    }
  }

  #takeGroup(): Pending[] {
    let count = 0;
    for (let bytes = 0; count < this.#queue.length; count++) {
      bytes += this.#queue[count]?.bytes ?? 0;
      if (count > 0 && bytes > FLUSH_BYTES_MAX) break;
    }
    return this.#queue.splice(0, count);
  }

  #fail(writes: readonly Pending[], error: unknown): void {
    this.unstage(writes.flatMap(({ operations }) => operations));
    for (const write of writes) this.#settle(write).reject(error);
  }

  async #write(locked: LockedReplica, group: readonly Pending[]): Promise<void> {
    const { agentId: agent, schema: v } = this.#options;
    await this.#prepare(locked, group);
    const clocks = this.#time.take(operationsIn(group));
    const flush = this.#build(group, clocks);
    for (const { write, error } of flush.refused) this.#fail([write], error);
    const operations = flush.built.flatMap((one) => one.operations);
    if (operations.length === 0) return;
    const countsUntilMs = this.#replica.view.dateMs + this.#lagMsMax;
    const { lines } = flush;
    const written = await this.#writer.write({ agent, v, operations, lines, countsUntilMs });
    this.#writtenMs = written.dateMs;
    this.#checkLate(written);
    this.#time.checkStoodStill(clocks, written);
    this.#commitMemory(locked, flush, written);
  }

  /** Looks until there is nothing more to look for: the clocks are taken in that very step (H4, H5). */
  async #prepare(locked: LockedReplica, group: readonly Pending[]): Promise<void> {
    const { checkAllowed } = this.#options;
    const calledMs = group.at(-1)?.calledMs ?? 0;
    let hasLooked = await this.#freshen(locked);
    const needsLook = (): boolean => this.#time.needsLook(hasLooked ? undefined : calledMs);
    for (let round = 1; round <= LOOKS_MAX; round++) {
      if (needsLook()) {
        await locked.refresh();
        hasLooked = true;
      }
      await this.#lookUp(locked, group);
      await checkAllowed(Math.max(this.#replica.view.dateMs, this.#writtenMs));
      if (!needsLook()) return;
    }
  }

  /** A stale clock would lose to what others wrote meanwhile; another's look may be stale (RECENT). */
  async #freshen(locked: LockedReplica): Promise<boolean> {
    const { runtime, settings } = this.#engine;
    const ageMsMax = Math.min(settings.refreshEveryMs, this.#lagMsMax / 2);
    const isYoung = isWithin(this.#replica.times.listedAt, momentOf(runtime), ageMsMax);
    if (isYoung && !this.#replica.mustRefresh && this.#replica.hasLooked) return false;
    await locked.refresh();
    return true;
  }

  async #lookUp(locked: LockedReplica, group: readonly Pending[]): Promise<void> {
    if (this.#options.blindWrites) return;
    const ids = group.flatMap(({ operations }) => operations.map(({ id }) => id));
    await locked.lookup(new Set(ids));
  }

  #build(group: readonly Pending[], { first }: TakenClocks): BuiltFlush<Pending> {
    const { records } = this.#replica;
    return buildFlush(group, {
      first,
      ts: new Date(this.#engine.runtime.nowMs()).toISOString(),
      durable: (id) =>
        this.#replica.isResident(id) ? { value: records.durable(id)?.value } : "unknown",
    });
  }

  /** LATE, by the medium's clock: a purge may already ignore what was written too late. */
  #checkLate({ dateMs, countsUntilMs, ref }: WrittenSegment): void {
    const lagMs = dateMs - this.#replica.view.dateMs;
    const isOwn = lagMs > this.#lagMsMax || lagMs < -DATE_SKEW_MS;
    if (!isOwn && dateMs <= countsUntilMs) return;
    const late = isOwn
      ? `${lagMs} ms after this store last looked, at most ${this.#lagMsMax} ms count`
      : `${dateMs - countsUntilMs} ms too late for a store whose flush shares it`;
    throw new WriteOutcomeUnknownError(`${ref.path} was written ${late}`, { path: ref.path });
  }

  /** How long after the date of its view a flush counts, by what the view's manifest promises. */
  get #lagMsMax(): number {
    const { settings, backend } = this.#engine;
    const { generation, tombstoneGraceMs } = this.#replica.view.manifest;
    const promisedMs = generation === 0 ? undefined : tombstoneGraceMs;
    return lagMsMax(settings, promisedMs, backend.dateSkewMs ?? DATE_SKEW_MS);
  }

  #commitMemory(
    locked: LockedReplica,
    { built }: BuiltFlush<Pending>,
    written: WrittenSegment,
  ): void {
    const { agentId: agent, schema } = this.#options;
    const committed = built.flatMap(({ write, operations }) =>
      operations.map(({ id, clock }, at) => {
        const version = { clock, agent, w: written.w };
        return { id, entry: new ResidentEntry(version, schema, write.operations[at]?.value) };
      }),
    );
    const operations = built.flatMap((one) => one.operations);
    locked.commit(committed, { agent, w: written.w, v: schema, operations }, written);
    for (const { write } of built) {
      this.unstage(write.operations);
      this.#settle(write).resolve();
    }
  }

  #settle(write: Pending): Deferred {
    if (this.#unsettled.delete(write)) {
      this.#queuedBytes -= write.bytes;
      this.#queuedOperations -= write.operations.length;
    }
    return write.done;
  }
}

function operationsIn(group: readonly Pending[]): number {
  return group.reduce((sum, { operations }) => sum + operations.length, 0);
}

function sizeOf(id: string, text: string | undefined): number {
  return Buffer.byteLength(id) + (text === undefined ? 0 : Buffer.byteLength(text)) + LINE_BYTES;
}
