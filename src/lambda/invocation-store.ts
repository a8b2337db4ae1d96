/**
 * A store for one invocation: it records every write that was begun, so that none can fail unnoticed
 * because the handler did not await it.
 */
import type {
  DeleteOptions,
  SetOptions,
  UpdateOptions,
  WrittenVersion,
} from "../store/conditions.ts";
import type { OnceOptions } from "../store/once.ts";
import { Store } from "../store/store.ts";
import type { TransactionFunction, TransactionOptions } from "../store/transactions.ts";

export class InvocationStore<T> extends Store<T> {
  readonly #begun = new Set<Write<unknown>>();

  override set(id: string, value: T, options: SetOptions): Promise<WrittenVersion>;
  override set(id: string, value: T): Promise<void>;
  override set(id: string, value: T, options?: SetOptions): Promise<WrittenVersion | void> {
    const written = options === undefined ? super.set(id, value) : super.set(id, value, options);
    return this.#track<WrittenVersion | void>(written);
  }

  override delete(id: string, options?: DeleteOptions): Promise<void> {
    return this.#track(super.delete(id, options));
  }

  override update(
    id: string,
    change: (current: T | undefined) => T | undefined,
    options?: UpdateOptions,
  ): Promise<T | undefined> {
    return this.#track(super.update(id, change, options));
  }

  override once<R>(key: string, fn: () => R | Promise<R>, options?: OnceOptions): Promise<R> {
    return this.#track(super.once(key, fn, options));
  }

  override batch(fn: () => void): Promise<void> {
    return this.#track(super.batch(fn));
  }

  override transaction<R>(fn: TransactionFunction<T, R>, options?: TransactionOptions): Promise<R> {
    return this.#track(super.transaction(fn, options));
  }

  override undo(): Promise<boolean> {
    return this.#track(super.undo());
  }

  override archive(
    predicate: (value: T, id: string) => boolean,
    segment?: string,
  ): Promise<number> {
    return this.#track(super.archive(predicate, segment));
  }

  override compact(): Promise<void> {
    return this.#track(super.compact());
  }

  /**
   * Resolves when every write is durable or has failed, with the failures that no
   * caller has awaited. A failure that the handler caught is not among them.
   */
  async settle(): Promise<unknown[]> {
    const failures = new Set<unknown>();
    while (this.#begun.size > 0) {
      const writes = [...this.#begun];
      // Of the outcome, not the write itself: that would count as having looked at it.
      const outcomes = await Promise.all(writes.map(({ outcome }) => outcome));
      for (const [at, write] of writes.entries()) {
        this.#begun.delete(write);
        const outcome = outcomes[at];
        if (outcome?.status === "rejected" && !write.observed) failures.add(outcome.reason);
      }
    }
    return [...failures];
  }

  #track<V>(result: Promise<V>): Promise<V> {
    // Inside a batch, `set` and `delete` give no promise: the batch is what is awaited.
    if (result === undefined) return result;
    const write = new Write<V>((resolve) => resolve(result));
    this.#begun.add(write);
    return write;
  }
}

/** A promise that records whether a caller has awaited it. */
class Write<V> extends Promise<V> {
  observed = false;
  readonly outcome: Promise<PromiseSettledResult<V>>;

  /** What `then` returns is an ordinary promise. */
  static override get [Symbol.species](): PromiseConstructor {
    return Promise;
  }

  constructor(executor: (resolve: (value: PromiseLike<V>) => void) => void) {
    super(executor);
    this.outcome = super.then(
      (value) => ({ status: "fulfilled", value }),
      (reason: unknown) => ({ status: "rejected", reason }),
    );
  }

  // oxlint-disable-next-line unicorn/no-thenable -- it is a promise that records its callers
  override then<A = V, B = never>(
    onFulfilled?: ((value: V) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.observed = true;
    return super.then(onFulfilled, onRejected);
  }
}
