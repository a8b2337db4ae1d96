/**
 * The only way into the log: writes are staged, queued, flushed together and settled (PROTOCOL, W1
 * and W6). The write mode decides when: "immediate" starts a flush at once; "group" and "async"
 * buffer writes in memory, until the buffer is full or for a while. These two are for a single
 * writer only: other writers cannot see what is buffered.
 */
import { Deferred } from "../core/deferred.ts";
import { InvalidArgumentError } from "../core/errors.ts";
import type { Runtime } from "../core/runtime.ts";
import { SILENT_ABORT } from "../core/silent-abort.ts";
import type { Version } from "../core/version.ts";
import type { Flusher, QueuedWrite } from "./flusher.ts";
import type { StagedOperation } from "./memtable.ts";
import type { LockedReplica, Replica } from "./replica.ts";

/** When a write resolves: once it is durable, or once it is buffered; see `StoreOptions.writeMode`. */
export type WriteMode = "immediate" | "group" | "async";

export interface CommitQueueOptions {
  readonly writeMode: WriteMode;
  /** Operations that fill the buffer. */
  readonly groupCommitSize: number;
  /** How long the first operation of a buffer waits for others. */
  readonly groupCommitMs: number;
}

/** A batch above this is refused before anything is written. */
export const BATCH_BYTES_MAX = 64 * 1024 * 1024;
/** Above this an "async" write waits as well: memory must not outgrow what the log can take. */
const BUFFER_BYTES_MAX = 64 * 1024 * 1024;
/** Writes of several callers share a flush up to here. */
const FLUSH_BYTES_MAX = 8 * 1024 * 1024;
/** JSON around a record in its line, roughly. */
const LINE_BYTES = 200;

interface Pending extends QueuedWrite {
  readonly bytes: number;
  /** Settled as the write is. */
  readonly promise: Promise<readonly Version[]>;
}

export class CommitQueue {
  readonly #flusher: Flusher;
  readonly #replica: Replica;
  readonly #runtime: Runtime;
  readonly #options: CommitQueueOptions;
  #queue: Pending[] = [];
  /** Queued or being written. */
  readonly #unsettled = new Set<Pending>();
  #queuedBytes = 0;
  #queuedOperations = 0;
  #flushing = false;
  /** Operations taken in since the last flush began. */
  #buffered = 0;
  #timer: AbortController | undefined;
  /** Of writes that were acknowledged as buffered: the next call rejects with it. */
  #failure: { readonly error: unknown } | undefined;

  constructor(flusher: Flusher, replica: Replica, runtime: Runtime, options: CommitQueueOptions) {
    this.#flusher = flusher;
    this.#replica = replica;
    this.#runtime = runtime;
    this.#options = options;
  }

  /** Operations accepted but not durable yet. */
  get queuedOperations(): number {
    return this.#queuedOperations;
  }

  /** Shows an operation to readers at once; `commit` or `unstage` must follow. */
  stage(operation: StagedOperation): void {
    this.#replica.records.stage(operation);
  }

  unstage(operations: readonly StagedOperation[]): void {
    this.#replica.records.unstage(operations);
  }

  /**
   * Makes staged operations durable, all or nothing. Resolves as the write mode promises: when they
   * are durable, or when they are buffered.
   * @returns the versions of the operations, where they are durable
   * @throws InvalidArgumentError above 64 MiB, RecordNotFoundError for a delete of nothing,
   *   UnavailableError when nothing was written, WriteOutcomeUnknownError when it may have been;
   *   in each case memory is as without them; with what an earlier, buffered write failed with
   */
  async commit(operations: readonly StagedOperation[]): Promise<readonly Version[] | undefined> {
    const { writeMode, groupCommitSize } = this.#options;
    if (writeMode === "immediate") {
      const durable = this.#enqueue(operations);
      this.#startFlush();
      return durable;
    }
    if (this.#failure !== undefined) this.unstage(operations);
    this.#throwFailure();
    const durable = this.#enqueue(operations);
    this.#buffered += operations.length;
    const isFull = this.#buffered >= groupCommitSize;
    if (isFull) this.#start();
    else void this.#startLater();
    const waits = writeMode === "group" ? isFull : this.#queuedBytes > BUFFER_BYTES_MAX;
    if (waits) return durable;
    this.#reportLater(durable);
    return undefined;
  }

  /** Background work that a write triggers; awaited except in "async" mode, which never waits. */
  async waitFor(work: Promise<void>): Promise<void> {
    if (this.#options.writeMode === "async") this.#reportLater(work);
    else await work;
  }

  /** Resolves when everything taken in is durable; rejects when a part of it was lost. */
  async flush(): Promise<void> {
    this.#start();
    try {
      await Promise.all([...this.#unsettled].map(({ promise }) => promise));
    } catch (error) {
      this.#failure = undefined;
      throw error;
    }
    this.#throwFailure();
  }

  /** To be called once, after `flush`. */
  async close(): Promise<void> {
    await this.#flusher.close();
  }

  #reportLater(work: Promise<unknown>): void {
    work.catch((error: unknown) => {
      this.#failure ??= { error };
    });
  }

  #throwFailure(): void {
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure !== undefined) throw failure.error;
  }

  async #startLater(): Promise<void> {
    if (this.#timer !== undefined) return;
    const timer = new AbortController();
    this.#timer = timer;
    // Keeps the process alive: what is buffered is flushed before the process ends.
    await this.#runtime.sleep(this.#options.groupCommitMs, timer.signal);
    if (!timer.signal.aborted) this.#start();
  }

  #start(): void {
    this.#timer?.abort(SILENT_ABORT);
    this.#timer = undefined;
    this.#buffered = 0;
    this.#startFlush();
  }

  /** @returns settled when the operations are durable, or not */
  #enqueue(operations: readonly StagedOperation[]): Promise<readonly Version[]> {
    const bytes = operations.reduce((sum, { id, text }) => sum + sizeOf(id, text), 0);
    if (bytes > BATCH_BYTES_MAX) {
      this.unstage(operations);
      const found = `found ${bytes} bytes in ${operations.length} operations`;
      throw new InvalidArgumentError(`one write holds at most ${BATCH_BYTES_MAX} bytes, ${found}`);
    }
    const done = new Deferred<readonly Version[]>();
    const write: Pending = {
      operations,
      bytes,
      calledMs: this.#runtime.steadyMs(),
      promise: done.promise,
      resolve: (versions) => {
        if (this.#settle(write)) done.resolve(versions);
      },
      reject: (error) => {
        if (this.#settle(write)) done.reject(error);
      },
    };
    this.#queue.push(write);
    this.#unsettled.add(write);
    this.#queuedBytes += bytes;
    this.#queuedOperations += operations.length;
    return done.promise;
  }

  /** @returns false: it was settled before */
  #settle(write: Pending): boolean {
    if (!this.#unsettled.delete(write)) return false;
    this.unstage(write.operations);
    this.#queuedBytes -= write.bytes;
    this.#queuedOperations -= write.operations.length;
    return true;
  }

  /** Writes what is queued, unless that is under way. */
  #startFlush(): void {
    if (!this.#flushing && this.#queue.length > 0) void this.#flushAll();
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
      await this.#flusher.write(locked, group);
    } catch (error) {
      // What is queued behind was built on values that are rolled back now: it fails as well.
      const failed = [...group, ...this.#queue.splice(0)];
      locked.distrust();
      for (const write of failed) write.reject(error);
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
}

function sizeOf(id: string, text: string | undefined): number {
  return Buffer.byteLength(id) + (text === undefined ? 0 : Buffer.byteLength(text)) + LINE_BYTES;
}
