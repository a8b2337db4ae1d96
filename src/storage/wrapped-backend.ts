/**
 * A decorator of a medium: what it does not change passes through. It wraps the medium alone; the
 * blob calls are those of `BaseBackend`, over the decorated calls.
 */
import type { ProofScope } from "../core/proof-scope.ts";
import type { MediumTime } from "../core/medium-clock.ts";
import type { AppendableStorage, LockHandle, Medium, StorageBackend } from "./backend.ts";
import { BaseBackend } from "./base-backend.ts";

/**
 * The same backend without its budget: for what settles the outcome of a write already sent, and
 * for what releases. Refusing these would turn "nothing was written" into "unknown", and
 * leave others locked out. Decorators around the budget stay.
 */
export function beyondBudget(backend: StorageBackend): StorageBackend {
  return backend instanceof WrappedBackend ? (backend.withoutBudget() ?? backend) : backend;
}

export abstract class WrappedBackend extends BaseBackend {
  abstract readonly appendable: AppendableStorage | undefined;
  /** Present if the medium has a lock of its own. */
  abstract readonly lock?: (path: string) => Promise<LockHandle>;
  protected readonly inner: Medium;
  #unlimited: StorageBackend | undefined;

  constructor(inner: Medium) {
    super();
    this.inner = inner;
  }

  /** The same decorator around another medium. */
  protected abstract around(inner: Medium): StorageBackend;

  /** Undefined if nothing below has a budget. */
  withoutBudget(): StorageBackend | undefined {
    if (!(this.inner instanceof WrappedBackend)) return undefined;
    const inner = this.inner.withoutBudget();
    return inner && (this.#unlimited ??= this.around(inner));
  }

  get lockTtlMs(): number | undefined {
    return this.inner.lockTtlMs;
  }

  get dateSkewMs(): number | undefined {
    return this.inner.dateSkewMs;
  }

  get clock(): MediumTime | undefined {
    return this.inner.clock;
  }

  get reportsRequests(): boolean | undefined {
    return this.inner.reportsRequests;
  }

  get listsInOrder(): boolean | undefined {
    return this.inner.listsInOrder;
  }

  get proofScope(): ProofScope | undefined {
    return this.inner.proofScope;
  }

  resolveLocation(location: string): string {
    return this.inner.resolveLocation?.(location) ?? location;
  }

  override initialize(location: string, options: { readonly readOnly: boolean }): Promise<void> {
    return this.inner.initialize(location, options);
  }

  override shutdown(): Promise<void> {
    return this.inner.shutdown();
  }
}
