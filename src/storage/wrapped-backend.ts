/** A backend around another: what a wrapper does not change passes through. */
import type { ProofScope } from "../core/proof-scope.ts";
import type { MediumTime } from "../core/medium-clock.ts";
import type {
  AppendableStorage,
  GetOptions,
  GetResult,
  ListPage,
  LockHandle,
  Precondition,
  PutOptions,
  PutResult,
  RequestOptions,
  StorageBackend,
} from "./backend.ts";

export abstract class WrappedBackend implements StorageBackend {
  abstract readonly appendable: AppendableStorage | undefined;
  abstract readonly lock?: (path: string) => Promise<LockHandle>;
  protected readonly inner: StorageBackend;

  constructor(inner: StorageBackend) {
    this.inner = inner;
  }

  abstract get(path: string, options?: GetOptions): Promise<GetResult>;
  abstract put(
    path: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    precondition: Precondition,
    options?: PutOptions,
  ): Promise<PutResult>;
  abstract list(prefix: string, options?: RequestOptions): AsyncIterable<ListPage>;
  abstract delete(paths: readonly string[], options?: RequestOptions): Promise<void>;

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

  get proofScope(): ProofScope | undefined {
    return this.inner.proofScope;
  }

  resolveLocation(location: string): string {
    return this.inner.resolveLocation?.(location) ?? location;
  }

  initialize(location: string, options: { readonly readOnly: boolean }): Promise<void> {
    return this.inner.initialize(location, options);
  }

  shutdown(): Promise<void> {
    return this.inner.shutdown();
  }

  writeBlob(path: string, content: Uint8Array | string): Promise<void> {
    return this.inner.writeBlob(path, content);
  }

  readBlob(path: string): Promise<Buffer> {
    return this.inner.readBlob(path);
  }

  readBlobRange(path: string, offset: number, length: number): Promise<Buffer> {
    return this.inner.readBlobRange(path, offset, length);
  }

  listBlobs(prefix: string): Promise<string[]> {
    return this.inner.listBlobs(prefix);
  }

  deleteBlob(path: string): Promise<void> {
    return this.inner.deleteBlob(path);
  }

  deleteBlobDir(prefix: string): Promise<void> {
    return this.inner.deleteBlobDir(prefix);
  }
}
