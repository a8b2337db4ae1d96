/** A backend that is bound once and stays open for the stores that use it one after the other. */
import type {
  AppendableStorage,
  GetOptions,
  GetResult,
  ListOptions,
  ListPage,
  LockHandle,
  Medium,
  Precondition,
  PutOptions,
  PutResult,
  RequestOptions,
  StorageBackend,
} from "./backend.ts";
import { WrappedBackend } from "./wrapped-backend.ts";

export class KeptOpenBackend extends WrappedBackend {
  override readonly appendable: AppendableStorage | undefined;
  override readonly lock?: (path: string) => Promise<LockHandle>;
  #bound: Promise<void> | undefined;

  constructor(inner: Medium) {
    super(inner);
    this.appendable = inner.appendable;
    const take = inner.lock?.bind(inner);
    // Its presence shows that the medium has one.
    if (take !== undefined) this.lock = take;
  }

  protected override around(inner: Medium): StorageBackend {
    return new KeptOpenBackend(inner);
  }

  /** Binds at the first call. */
  override initialize(location: string, options: { readonly readOnly: boolean }): Promise<void> {
    this.#bound ??= this.inner.initialize(location, options).catch((error: unknown) => {
      this.#bound = undefined; // The next call may find the permission granted.
      throw error;
    });
    return this.#bound;
  }

  /** Leaves the medium open. */
  override async shutdown(): Promise<void> {}

  override get(path: string, options?: GetOptions): Promise<GetResult> {
    return this.inner.get(path, options);
  }

  override put(
    path: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    precondition: Precondition,
    options?: PutOptions,
  ): Promise<PutResult> {
    return this.inner.put(path, body, precondition, options);
  }

  override list(prefix: string, options?: ListOptions): AsyncIterable<ListPage> {
    return this.inner.list(prefix, options);
  }

  override delete(paths: readonly string[], options?: RequestOptions): Promise<void> {
    return this.inner.delete(paths, options);
  }
}
