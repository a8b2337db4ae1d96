/** `tail` and `watch`: looks at intervals, never two at once, and continues whatever fails. */
import { describeValue } from "../core/describe.ts";
import { InvalidArgumentError } from "../core/errors.ts";
import type { Fields, Operation } from "../core/operation.ts";
import { isPromise, messageOf } from "../core/realm.ts";
import { deepFreeze } from "../core/record.ts";
import type { Runtime } from "../core/runtime.ts";
import { RunGoneError } from "../runs/run-gone.ts";
import type { TakeChanges } from "../session/change-feed.ts";
import type { LockedReplica, Replica } from "../session/replica.ts";
import type { Session } from "../session/session.ts";
import { ViewLimit } from "../view/view.ts";

export type WatchCallback<T = Fields> = (operations: Operation<T>[]) => void;

/** Timers cannot wait longer. */
const INTERVAL_MAX_MS = 2 ** 31 - 1;

export class Watch<T> {
  readonly #session: Session;
  readonly #runtime: Runtime;
  #stopped: AbortController | undefined;
  /** Of all watches so far: a look under way ends before the next one begins. */
  #looking: Promise<void> = Promise.resolve();

  constructor(session: Session, runtime: Runtime) {
    this.#session = session;
    this.#runtime = runtime;
  }

  /** Looks once. */
  async tail(): Promise<Operation<T>[]> {
    let changes: Operation<T>[] = [];
    await this.#look(
      (operations) => (changes = this.#handOut(operations)),
      () => true,
    );
    return changes;
  }

  /** Takes the place of the watch there is. @throws InvalidArgumentError */
  start(callback: WatchCallback<T>, intervalMs: number): void {
    checkArguments(callback, intervalMs);
    this.stop();
    this.#session.replica.follow();
    const stopped = new AbortController();
    this.#stopped = stopped;
    const before = this.#looking;
    this.#looking = this.#run(before, callback, intervalMs, stopped.signal);
    this.#looking.catch(() => undefined); // What `onWarning` throws: `close` rejects with it.
  }

  /** No callback begins after this. */
  stop(): void {
    this.#stopped?.abort();
  }

  /** Stops, and waits for a look under way. */
  async close(): Promise<void> {
    this.stop();
    await this.#looking;
  }

  async #run(
    before: Promise<void>,
    callback: WatchCallback<T>,
    intervalMs: number,
    signal: AbortSignal,
  ): Promise<void> {
    const { onWarning } = this.#session.options;
    const looks = new WarnOnce("watch", onWarning);
    const callbacks = new WarnOnce("the callback of watch", onWarning);
    const deliver = (operations: Operation<unknown>[]): void => {
      if (operations.length === 0) return;
      callbacks.run(() => {
        const result: unknown = callback(this.#handOut(operations));
        // An async function: its failure is reported here.
        if (isPromise(result)) result.catch((error: unknown) => callbacks.failed(error));
      });
    };
    await before;
    for (;;) {
      // Keeps the process alive: a program that watches waits for something.
      await this.#runtime.sleep(intervalMs, signal);
      if (signal.aborted) return;
      try {
        await this.#look(deliver, () => !signal.aborted);
        looks.succeeded();
      } catch (error) {
        looks.failed(error);
      }
    }
  }

  /** Refreshes, and returns what others changed; nothing is marked delivered unless it is used. */
  async #look(
    deliver: (changes: Operation<unknown>[]) => void,
    isWanted: () => boolean,
  ): Promise<void> {
    const { replica } = this.#session;
    await replica.withLock(async (locked) => {
      replica.follow();
      const take = await pendingChanges(replica, locked);
      if (isWanted()) deliver(take());
    });
  }

  /** Stored JSON becomes the caller's type: its word for what it wrote. */
  #handOut(operations: Operation<unknown>[]): Operation<T>[] {
    const { freezeRecords } = this.#session.options;
    return (freezeRecords ? operations.map(deepFreeze) : operations) as Operation<T>[];
  }
}

/** Refreshes until nothing is deleted that the report of changes needs. */
async function pendingChanges(replica: Replica, locked: LockedReplica): Promise<TakeChanges> {
  const limit = new ViewLimit();
  let gone: { readonly etag: string | undefined } | undefined;
  for (;;) {
    limit.begin();
    await locked.refresh();
    const { etag } = replica.view.loaded;
    try {
      const take = await replica.pendingChanges();
      if (take !== undefined) return take;
    } catch (error) {
      if (!(error instanceof RunGoneError)) throw error;
      if (gone !== undefined && gone.etag === etag) throw error.asDamage();
      gone = { etag };
    }
  }
}

/** Reports the same failure only once while it lasts. */
class WarnOnce {
  readonly #what: string;
  readonly #onWarning: (message: string) => void;
  #last: string | undefined;

  constructor(what: string, onWarning: (message: string) => void) {
    this.#what = what;
    this.#onWarning = onWarning;
  }

  run(work: () => void): void {
    try {
      work();
      this.succeeded();
    } catch (error) {
      this.failed(error);
    }
  }

  succeeded(): void {
    this.#last = undefined;
  }

  failed(error: unknown): void {
    const text = `${this.#what} failed: ${messageOf(error)}`;
    if (text === this.#last) return;
    this.#last = text;
    this.#onWarning(text);
  }
}

function checkArguments(callback: unknown, intervalMs: unknown): void {
  if (typeof callback !== "function") {
    throw new InvalidArgumentError(
      `watch: expected a callback function, found ${describeValue(callback)}`,
    );
  }
  if (typeof intervalMs === "number" && intervalMs > 0 && intervalMs <= INTERVAL_MAX_MS) return;
  throw new InvalidArgumentError(
    `watch: expected intervalMs above 0 and up to ${INTERVAL_MAX_MS}, found ${describeValue(intervalMs)}`,
  );
}
