/**
 * Write modes. "immediate" passes every write to the log at once; "group" and "async" buffer writes
 * in memory and flush them together, when the buffer is full or after a while. For a single writer
 * only: other writers cannot see what is buffered.
 */
import { SILENT_ABORT } from "../core/silent-abort.ts";
import type { Runtime } from "../core/runtime.ts";
import type { Flusher } from "./flusher.ts";
import type { StagedOperation } from "./memtable.ts";

/** When a write resolves: once it is durable, or once it is buffered; see `StoreOptions.writeMode`. */
export type WriteMode = "immediate" | "group" | "async";

export interface CommitQueueOptions {
  readonly writeMode: WriteMode;
  /** Operations that fill the buffer. */
  readonly groupCommitSize: number;
  /** How long the first operation of a buffer waits for others. */
  readonly groupCommitMs: number;
}

/** Above this an "async" write waits as well: memory must not outgrow what the log can take. */
const BUFFER_BYTES_MAX = 64 * 1024 * 1024;

export class CommitQueue {
  readonly #flusher: Flusher;
  readonly #runtime: Runtime;
  readonly #options: CommitQueueOptions;
  /** Operations taken in since the last flush began. */
  #buffered = 0;
  #timer: AbortController | undefined;
  /** Of writes that were acknowledged as buffered: the next call rejects with it. */
  #failure: { readonly error: unknown } | undefined;

  constructor(flusher: Flusher, runtime: Runtime, options: CommitQueueOptions) {
    this.#flusher = flusher;
    this.#runtime = runtime;
    this.#options = options;
  }

  /**
   * Takes in staged operations. Resolves as the write mode promises: when they are durable, or
   * when they are buffered.
   * @throws as `Flusher.commit`; with what an earlier, buffered write failed with
   */
  async commit(operations: readonly StagedOperation[]): Promise<void> {
    const { writeMode, groupCommitSize } = this.#options;
    if (writeMode === "immediate") return this.#flusher.commit(operations);
    if (this.#failure !== undefined) this.#flusher.unstage(operations);
    this.#throwFailure();
    const done = this.#flusher.enqueue(operations);
    this.#buffered += operations.length;
    const isFull = this.#buffered >= groupCommitSize;
    if (isFull) this.#start();
    else void this.#startLater();
    const waits = writeMode === "group" ? isFull : this.#flusher.queuedBytes > BUFFER_BYTES_MAX;
    if (waits) return done;
    this.#tellLater(done);
  }

  /** Background work that a write triggers; awaited except in "async" mode, which never waits. */
  async waitFor(work: Promise<void>): Promise<void> {
    if (this.#options.writeMode === "async") this.#tellLater(work);
    else await work;
  }

  #tellLater(work: Promise<void>): void {
    work.catch((error: unknown) => {
      this.#failure ??= { error };
    });
  }

  /** Resolves when everything taken in is durable; rejects when a part of it was lost. */
  async flush(): Promise<void> {
    this.#start();
    try {
      await this.#flusher.flush();
    } catch (error) {
      this.#failure = undefined;
      throw error;
    }
    this.#throwFailure();
  }

  #throwFailure(): void {
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure !== undefined) throw failure.error;
  }

  #start(): void {
    this.#timer?.abort(SILENT_ABORT);
    this.#timer = undefined;
    this.#buffered = 0;
    this.#flusher.start();
  }

  async #startLater(): Promise<void> {
    if (this.#timer !== undefined) return;
    const timer = new AbortController();
    this.#timer = timer;
    // Keeps the process alive: what is buffered is flushed before the process ends.
    await this.#runtime.sleep(this.#options.groupCommitMs, timer.signal);
    if (!timer.signal.aborted) this.#start();
  }
}
