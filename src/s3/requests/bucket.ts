/** A connection together with the place it serves: what every operation works on. */
import { assert } from "../../core/assert.ts";
import type { Runtime } from "../../core/runtime.ts";
import type { EtagForm } from "./etag-form.ts";
import type { RequestOptions } from "../../storage/backend.ts";
import type { Attempt, AttemptOptions, Bodied, S3Connection, Send, WithBody } from "./client.ts";
import { toOpslogError } from "./errors.ts";
import type { Failure, S3Call } from "./errors.ts";
import { keyOf, type S3Place, type S3Settings } from "./options.ts";
import { repeatIdempotent } from "./retry.ts";
import type { S3Key, S3Transport } from "./transport.ts";

export class S3Bucket {
  readonly connection: S3Connection;
  readonly place: S3Place;
  readonly #call: RequestOptions;

  /** @param call what is called for every request, beside the backend's own, and what ends the call */
  constructor(connection: S3Connection, place: S3Place, call: RequestOptions = {}) {
    this.connection = connection;
    this.place = place;
    this.#call = call;
  }

  /** The same for one call. */
  forCall({ onRequest, signal }: RequestOptions): S3Bucket {
    if (onRequest === undefined && signal === undefined) return this;
    return new S3Bucket(this.connection, this.place, { onRequest, signal });
  }

  /** Ends the call when it aborts. */
  get signal(): AbortSignal | undefined {
    return this.#call.signal;
  }

  /** As `S3Connection.attempt`. */
  attempt<Out>(send: Send<Out>, call: S3Call, options: AttemptOptions = {}): Promise<Attempt<Out>> {
    return this.connection.attempt(send, call, { ...options, ...this.#call });
  }

  /** As `S3Connection.attemptGet`. */
  attemptGet<Out extends Bodied>(send: Send<Out>, call: S3Call): Promise<Attempt<WithBody<Out>>> {
    return this.connection.attemptGet(send, call, this.#call);
  }

  get settings(): S3Settings {
    return this.connection.settings;
  }

  /** What is known of the server, whatever the place. */
  get etags(): EtagForm {
    return this.connection.etags;
  }

  get runtime(): Runtime {
    return this.settings.runtime;
  }

  /** Names an object in a request. @throws InvalidArgumentError for a key that is too long */
  object(path: string): S3Key {
    return { bucket: this.place.bucket, key: keyOf(this.place, path) };
  }

  repeat<Out>(attempt: () => Promise<Attempt<Out>>): Promise<Attempt<Out>> {
    return repeatIdempotent(this.settings, attempt, this.signal);
  }

  error(failure: Failure, call: S3Call): Error {
    return toOpslogError(failure, call, this.place, this.settings);
  }

  /** HEAD of an object; undefined when there is none. */
  async head(path: string): Promise<Answered<Head>> {
    const call = { operation: "HeadObject", permission: "s3:GetObject", path };
    const result = await this.repeat(() =>
      this.attempt((s3, exchange) => s3.headObject(this.object(path), exchange), call),
    );
    if (result.ok) return result;
    if (result.failure.kind === "absent") return { output: undefined, dateMs: dateOf(result) };
    throw this.error(result.failure, call);
  }
}

export type Head = Awaited<ReturnType<S3Transport["headObject"]>>;

export interface Answered<Out> {
  readonly output: Out | undefined;
  readonly dateMs: number;
}

/** The date of an answer about an object; an answer without one is a failure of its own kind. */
export function dateOf(attempt: { readonly dateMs: number | undefined }): number {
  assert(attempt.dateMs !== undefined, "an answer about an object has a date");
  return attempt.dateMs;
}
