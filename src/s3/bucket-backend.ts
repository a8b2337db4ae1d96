/** A backend over objects below a prefix of an S3 bucket, whichever client sends the requests. */
import { InvalidArgumentError, NotOpenError } from "../core/errors.ts";
import type { ProofScope } from "../core/proof-scope.ts";
import type { MediumClock } from "../core/medium-clock.ts";
import { isBytes } from "../core/realm.ts";
import type {
  GetOptions,
  GetResult,
  ListOptions,
  ListPage,
  Precondition,
  PutOptions,
  PutResult,
  RequestOptions,
} from "../storage/backend.ts";
import { BaseBackend } from "../storage/base-backend.ts";
import { checkPath, checkPrefix } from "../core/relative-path.ts";
import { S3Bucket, S3Connection } from "./requests/client.ts";
import { deleteObjects } from "./objects/delete.ts";
import { getObject } from "./objects/get.ts";
import { listObjects } from "./objects/list.ts";
import { putStream } from "./objects/multipart.ts";
import { resolvePlace } from "./requests/options.ts";
import type { S3Settings } from "./requests/options.ts";
import { putObject } from "./objects/put.ts";
import type { S3Transport } from "./requests/transport.ts";

/**
 * Returns etags without quotes. `dateMs` is the `Date` header of the answer that decided; where a
 * write was settled by reading back, it is the date of that reading, which is never earlier than
 * the write. An answer without a `Date` fails with NotSupportedError, that to a write with
 * WriteOutcomeUnknownError.
 */
export class BucketBackend extends BaseBackend {
  /** How long the holder of the lock may be silent, in ms. */
  readonly lockTtlMs: number | undefined;
  /** Calls report each HTTP attempt. */
  readonly reportsRequests = true;
  readonly #connection: S3Connection;
  #bucket: S3Bucket | undefined;
  /** Between `initialize` and `shutdown`, while the place must not change. */
  #isInUse = false;

  constructor(settings: S3Settings, transport: S3Transport) {
    super();
    this.#connection = new S3Connection(settings, transport);
    this.lockTtlMs = settings.lockTtlMs;
  }

  /** Servers that speak S3 differ: some take conditions, answer 200, and ignore them. */
  get proofScope(): ProofScope {
    return this.#connection.server.scopeOf(this.#bucket?.place.bucket ?? "");
  }

  /**
   * Binds to `s3://bucket/prefix`, or to the options `bucket` and `prefix` when the location is no
   * such URL. Makes no request: a bucket that does not exist shows with the first one.
   * @throws InvalidArgumentError without a bucket, for a name or prefix that cannot be used, and
   * for another place than the one in use
   */
  override async initialize(
    location: string,
    _options: { readonly readOnly: boolean },
  ): Promise<void> {
    const place = resolvePlace(location, this.#connection.settings);
    const current = this.#bucket?.place;
    if (current?.bucket !== place.bucket || current.prefix !== place.prefix) {
      if (this.#isInUse && current !== undefined) {
        throw new InvalidArgumentError(
          `this backend is in use for s3://${current.bucket}/${current.prefix}; ` +
            `create another one for s3://${place.bucket}/${place.prefix}`,
        );
      }
      this.#bucket = new S3Bucket(this.#connection, place);
    }
    this.#isInUse = true;
  }

  /** Directory buckets list in no order. */
  get listsInOrder(): boolean {
    return !/--xa?-s3$/.test(this.#bucket?.place.bucket ?? "");
  }

  /** Learns the server's time from every answer. */
  get clock(): MediumClock {
    return this.#connection.clock;
  }

  /**
   * Closes the connections of the backend's own client; a caller's client is left alone. Blob calls
   * still work afterwards, on new connections.
   */
  override async shutdown(): Promise<void> {
    this.#isInUse = false;
    this.#connection.close();
  }

  /** Reads an object, or a part of it. */
  override async get(path: string, options: GetOptions = {}): Promise<GetResult> {
    return getObject(this.#open(options), checkPath(path), options);
  }

  /** Writes an object, under a precondition. */
  override async put(
    path: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    precondition: Precondition,
    options: PutOptions = {},
  ): Promise<PutResult> {
    checkPath(path);
    const bucket = this.#open(options);
    return isBytes(body)
      ? putObject(bucket, path, body, precondition, options)
      : putStream(bucket, path, body, precondition, options);
  }

  /** Lists objects below a prefix, page by page. */
  override list(prefix: string, options: ListOptions = {}): AsyncIterable<ListPage> {
    return listObjects(this.#open(options), checkPrefix(prefix), options.after);
  }

  /** Deletes objects; absent ones are fine. */
  override async delete(paths: readonly string[], options: RequestOptions = {}): Promise<void> {
    for (const path of paths) checkPath(path);
    await deleteObjects(this.#open(options), paths);
  }

  #open(call: RequestOptions): S3Bucket {
    if (this.#bucket === undefined) {
      throw new NotOpenError("the S3 backend is not initialized. Call initialize() first.");
    }
    return this.#bucket.forCall(call);
  }
}
