/**
 * What a medium must provide: conditional writes, ranged reads, listing, deletion. The contract is
 * written on the methods and proved by `opslog-serverless/testing`. Words of the engine (manifest,
 * segment, run) never appear in a backend.
 *
 * Paths are relative to the location, `/`-separated, without empty, `.` or `..` parts.
 */
import type { RequestKind } from "../core/cost.ts";
import type { ProofScope } from "../core/proof-scope.ts";
import type { MediumTime } from "../core/medium-clock.ts";

/** What a response shows of time, by the medium's own clock (an HTTP `Date`; FS: Date.now()). */
export interface Dated {
  /** ms since 1970; S3 returns whole seconds. */
  readonly dateMs: number;
}

/** A part of an object. */
export interface ByteRange {
  /** First byte, from 0. */
  readonly offset: number;
  /** May reach past the end: the result then holds what is there. */
  readonly length: number;
}

/** Called when a request is sent; the function it returns is called once, when the request has ended. */
export type OnRequest = (kind: RequestKind, bytesOut: number) => (bytesIn: number) => void;

/** What every call on a medium accepts. */
export interface RequestOptions {
  /**
   * Once it aborts nothing more is sent, and what is under way may be broken off; what the call
   * then returns is not used. A medium may ignore it.
   */
  readonly signal?: AbortSignal | undefined;
  /** For counting; used where `reportsRequests` is true. */
  readonly onRequest?: OnRequest | undefined;
}

/** Options of `StorageBackend.get`. */
export interface GetOptions extends RequestOptions {
  /** The part to read. Default: everything. */
  readonly range?: ByteRange | undefined;
  /** Answers `unchanged` without a body while the object still has this etag. */
  readonly ifNoneMatch?: string | undefined;
}

/** An object, or the part of it that was requested. */
export interface FoundObject extends Dated {
  /** Distinguishes it from the other results of a `get`. */
  readonly status: "found";
  /** The requested range, or everything. */
  readonly body: Uint8Array;
  /** Opaque; changes whenever the object is replaced. */
  readonly etag: string;
  /** Size of the whole object, also when a range was read. */
  readonly objectBytes: number;
  /** When the object was written, in ms since 1970 by the medium's clock. */
  readonly lastModifiedMs: number;
}

/** What a `get` found: the object, no change since `ifNoneMatch`, or no object. */
export type GetResult =
  | FoundObject
  | ({ readonly status: "unchanged" } & Dated)
  | ({ readonly status: "absent" } & Dated);

/** Options of `StorageBackend.list`. */
export interface ListOptions extends RequestOptions {
  /**
   * Lists only objects whose path is above this text, by the order of the listing. Passed only to a
   * medium with `listsInOrder`. Default: all of them.
   */
  readonly after?: string | undefined;
}

/** When a `put` may take effect: always, only as a create, or only over exactly this version. */
export type Precondition = { readonly ifAbsent: true } | { readonly ifMatch: string } | "none";

/** Default of `timeoutMs` below. */
export const PUT_TIMEOUT_MS = 20_000;

/** Options of `StorageBackend.put`. */
export interface PutOptions extends RequestOptions {
  /** How long the same request may be repeated until its outcome is known. Default 20,000. */
  readonly timeoutMs?: number | undefined;
}

/**
 * `conflict`: the precondition did not hold. After a repeated attempt it can also mean that our own
 * write took effect and has been replaced since; callers that care read back.
 */
export type PutResult =
  | ({
      readonly status: "written";
      readonly etag: string;
      /** The precondition was refused after an attempt of unknown outcome, which had landed. */
      readonly readBack?: true | undefined;
    } & Dated)
  | ({ readonly status: "conflict" } & Dated);

/** An object in a listing. */
export interface ListedObject {
  /** Path relative to the location. */
  readonly path: string;
  /** Size in bytes. */
  readonly bytes: number;
  /** When the object was written, in ms since 1970 by the medium's clock. */
  readonly lastModifiedMs: number;
}

export interface ListPage extends Dated {
  /** The objects of this page, by path. */
  readonly objects: readonly ListedObject[];
  /** More pages follow. */
  readonly truncated: boolean;
}

/** A file that only grows. */
export interface AppendFile {
  /**
   * Resolves when the bytes are as durable as the medium makes them. After a rejection the file
   * may end in part of the bytes and must not be appended to again.
   */
  append(bytes: Uint8Array): Promise<Dated>;
  /**
   * Whether its path still leads to this very file, and nothing is in it but what was appended
   * here: it was neither deleted, nor moved, nor replaced by a copy of itself, nor was its directory.
   */
  isInPlace(): Promise<boolean>;
  /** Closes the file. */
  close(): Promise<void>;
}

/** Media with real files offer this; the log is then appended to instead of written as objects. */
export interface AppendableStorage {
  /** Creates an empty file durably; `undefined` when the path is already taken. */
  create(path: string): Promise<AppendFile | undefined>;
  /** Whether there is a file at the path. */
  exists(path: string): Promise<boolean>;
}

/** Held until `release()`; a crashed holder's lock is recovered by the next `lock`. */
export interface LockHandle {
  /**
   * Called by the holder before each flush; should cost nothing while the lock is surely held.
   * @throws LockedError once another may hold it; UnavailableError when that cannot be determined
   */
  confirm?(): Promise<void>;
  /** Releases the lock, so that another process can take it. */
  release(): Promise<void>;
}

/** What differs from medium to medium. */
export interface Medium {
  /**
   * The location, written so that it means the same place whatever the process does afterwards (a
   * relative directory depends on the working directory). Called once per opening, and what it returns
   * goes to `initialize`. Default: the location as it is.
   * @throws InvalidArgumentError for what is no location of this medium
   */
  resolveLocation?(location: string): string;
  /**
   * Binds the backend to a location. Creates what must exist (a directory) unless `readOnly`.
   * @throws AccessDeniedError, StoreNotFoundError, InvalidArgumentError
   */
  initialize(location: string, options: { readonly readOnly: boolean }): Promise<void>;
  /** Releases what the backend itself created (sockets, handles); idempotent. */
  shutdown(): Promise<void>;

  /** Reflects every `put` and `delete` that completed before the call. */
  get(path: string, options?: GetOptions): Promise<GetResult>;
  /**
   * Atomic: readers see the old object or the new, never a part. Repeats the same request on
   * transient failures until the outcome is known or `timeoutMs` has passed.
   * A stream body is for large objects; with it only `ifAbsent` and `none` are used.
   * @throws WriteOutcomeUnknownError when it may have landed; UnavailableError when it surely has not
   */
  put(
    path: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    precondition: Precondition,
    options?: PutOptions,
  ): Promise<PutResult>;
  /**
   * Every object whose path starts with `prefix` (which ends in `/`), in pages, in no order that
   * may be relied on unless `listsInOrder`. Holds every object whose `put` completed before the call
   * and that was not deleted until the last page.
   */
  list(prefix: string, options?: ListOptions): AsyncIterable<ListPage>;
  /** Deletes each path; absent paths are fine; no order between the paths. */
  delete(paths: readonly string[], options?: RequestOptions): Promise<void>;

  /**
   * Whether the four calls above report every request they send to `onRequest`, repeated ones
   * included. Otherwise a call, and each page of a list, counts as one request.
   */
  readonly reportsRequests?: boolean | undefined;

  /**
   * Whether `list` returns objects by path, across pages, in an order that is JavaScript's `<` for
   * paths of ASCII, and honours `after`. A long log is then listed with fewer requests. Read after
   * `initialize`. Default: no.
   */
  readonly listsInOrder?: boolean | undefined;

  /**
   * Set by a medium that could answer `written` without having looked at the precondition, as some
   * S3-compatible servers do. A store then acknowledges nothing before it has seen the opposite
   * (PROTOCOL, "Proof of the conditions"). Read after the first request. Default: none needed.
   */
  readonly proofScope?: ProofScope | undefined;

  /**
   * What is known of the medium's own time, if its answers show it: it orders writes of processes
   * whose clocks differ. Absent: the medium's time is the wall clock of this process.
   */
  readonly clock?: MediumTime | undefined;

  /** Present where files can grow in place. */
  readonly appendable?: AppendableStorage | undefined;
  /** Advisory lock among processes, where the medium has one of its own. @throws LockedError */
  lock?(path: string): Promise<LockHandle>;
  /**
   * How long a single writer's lock or lease may be silent before another may take it. Default:
   * `leaseTtlMs`, or the medium's own.
   */
  readonly lockTtlMs?: number | undefined;
  /** How far any of its dates may be from the true time, in ms. Default 60,000. */
  readonly dateSkewMs?: number | undefined;
}

/** Calls for files of the application's own; `BaseBackend` writes them once, over any medium. */
export interface BlobCalls {
  /** Writes a file of the application's own at a relative path, replacing what is there. */
  writeBlob(path: string, content: Uint8Array | string): Promise<void>;
  /** @throws StoreNotFoundError when there is no such blob */
  readBlob(path: string): Promise<Buffer>;
  /** Fewer bytes at the end of the blob, none past it. @throws when absent or negative */
  readBlobRange(path: string, offset: number, length: number): Promise<Buffer>;
  /**
   * Base names of the direct children of `prefix`; empty when there are none. A medium that has
   * directories names these too.
   */
  listBlobs(prefix: string): Promise<string[]>;
  /** An absent path is fine. */
  deleteBlob(path: string): Promise<void>;
  /** Deletes every blob below `prefix`. */
  deleteBlobDir(prefix: string): Promise<void>;
}

/** A medium together with the blob calls over it. */
export interface StorageBackend extends Medium, BlobCalls {}
