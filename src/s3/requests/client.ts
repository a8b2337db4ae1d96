/**
 * Requests to S3 as the operations on objects send them: one attempt, whose outcome is a value, or
 * repeated until it succeeds. What the answers show of the server is kept with the connection.
 */
import { assert } from "../../core/assert.ts";
import { InvalidArgumentError } from "../../core/errors.ts";
import { Limiter } from "../../core/limiter.ts";
import { MediumClock } from "../../core/medium-clock.ts";
import type { Runtime } from "../../core/runtime.ts";
import type { OnRequest, RequestOptions } from "../../storage/backend.ts";
import { classifyError, toOpslogError, undatedFailure } from "./errors.ts";
import type { Failure, FailureKind, S3Call } from "./errors.ts";
import { Exchange, SeenServer, SilenceLimit } from "./exchange.ts";
import { KEY_BYTES_MAX, type S3Place, type S3Settings } from "./options.ts";
import { backoffMs, isRepeatable, pause } from "./retry.ts";
import type { S3Key, S3Transport } from "./transport.ts";

/** One attempt of one operation. */
export type Send<Out> = (transport: S3Transport, exchange: Exchange) => Promise<Out>;

/** The outcome of one attempt of one operation. */
export type Attempt<Out> =
  | { readonly ok: true; readonly output: Out; readonly dateMs: number }
  | {
      readonly ok: false;
      readonly failure: Failure;
      /** Present with every failure that is an answer about an object (absent, unchanged …). */
      readonly dateMs: number | undefined;
      /** An earlier HTTP attempt of the same call, made by a caller's client, failed, too. */
      readonly repeated: boolean;
    };

export interface AttemptOptions {
  /** Shortens the time limit. */
  readonly limitMs?: number | undefined;
  /** Bytes of request body, which lengthen it. */
  readonly bytesOut?: number | undefined;
  /** Called in addition to the option `onRequest`. */
  readonly onRequest?: OnRequest | undefined;
  /** Breaks the attempt off. */
  readonly signal?: AbortSignal | undefined;
}

/** Connections that were idle for longer are not used again. */
const IDLE_MS_MAX = 20_000;
/** Upload time granted on top of the request time-out, for slow lines: 256 KB a second. */
const UPLOAD_BYTES_PER_MS = 256;

/** Failures that are answers about an object; results made of them carry a date. */
const DATED_KINDS: ReadonlySet<FailureKind> = new Set([
  "absent",
  "unchanged",
  "precondition",
  "range",
] as const);

export class S3Connection {
  readonly settings: S3Settings;
  readonly etags = new EtagForm();
  readonly server = new SeenServer();
  /** The server's time, whatever the place. */
  readonly clock: MediumClock;
  /** Whether DeleteObjects works here; some servers refuse its checksum. */
  deletesMany = true;
  /** Without it requests would wait inside the HTTP agent, where their time limits already run. */
  readonly #limiter: Limiter;
  readonly #transport: S3Transport;
  /** When an answer came last; undefined when no connection can be open. */
  #answeredMs: number | undefined;

  constructor(settings: S3Settings, transport: S3Transport) {
    this.settings = settings;
    this.clock = new MediumClock(settings.runtime);
    this.#transport = transport;
    this.#limiter = new Limiter(settings.maxSockets);
  }

  /** Gives up the connections that are our own; a later request makes new ones. */
  close(): void {
    this.#transport.close();
  }

  /**
   * Sends once. A refusal because this machine's clock is wrong contains the server's time. It did
   * nothing, so the request is sent once more, signed with that time.
   */
  async attempt<Out>(
    send: Send<Out>,
    call: S3Call,
    options: AttemptOptions = {},
  ): Promise<Attempt<Out>> {
    const first = await this.#attemptOnce(send, call, options);
    if (first.ok || first.failure.kind !== "clock-skew") return first;
    return this.#attemptOnce(send, call, options);
  }

  async #attemptOnce<Out>(
    send: Send<Out>,
    call: S3Call,
    { bytesOut = 0, limitMs = Infinity, onRequest, signal }: AttemptOptions,
  ): Promise<Attempt<Out>> {
    const { runtime, onRequest: onEvent, requestTimeoutMs } = this.settings;
    const uploadMs = Math.ceil(bytesOut / UPLOAD_BYTES_PER_MS);
    const silence = new SilenceLimit(runtime, Math.min(requestTimeoutMs + uploadMs, limitMs));
    const listeners = { onEvent, onRequest, clock: this.clock, server: this.server };
    const exchange = new Exchange(call, listeners, silence, signal);
    // A client whose `send` is a stub (in a test) reports no HTTP answer: then our own clock counts.
    const dateOfAnswer = (): number | undefined =>
      exchange.attempts === 0 ? runtime.nowMs() : exchange.dateMs;
    try {
      await this.#dropOldConnections();
      const sent = (): Promise<Out> => send(this.#transport, exchange);
      const output = await this.#limiter.run(() => silence.run(sent));
      this.#answeredMs = runtime.nowMs();
      const dateMs = dateOfAnswer();
      if (dateMs !== undefined) return { ok: true, output, dateMs };
      return { ok: false, failure: undatedFailure(exchange.status), dateMs, repeated: false };
    } catch (error) {
      const failure = classifyError(error, exchange.attempts > 0);
      // A process that was frozen has more such connections, and the next attempt needs a new one.
      if (failure.deadSocket) await this.#transport.closeIdle();
      const dateMs = dateOfAnswer();
      const undated = dateMs === undefined && DATED_KINDS.has(failure.kind);
      return {
        ok: false,
        failure: undated ? undatedFailure(failure.status) : failure,
        dateMs,
        repeated: Math.max(exchange.attempts, failure.attempts) > 1,
      };
    }
  }

  /**
   * A process that was frozen (Lambda) may hold connections that no server answers any more: the first
   * request would wait for its whole time limit.
   */
  async #dropOldConnections(): Promise<void> {
    const answeredMs = this.#answeredMs;
    if (answeredMs === undefined) return;
    if (this.settings.runtime.nowMs() - answeredMs <= IDLE_MS_MAX) return;
    this.#answeredMs = undefined;
    await this.#transport.closeIdle();
  }
}

/** A connection together with the place it serves, for one call; every operation works on one. */
export class S3Bucket {
  readonly connection: S3Connection;
  readonly place: S3Place;
  readonly #call: RequestOptions;

  /** @param call the listener and the signal of one call of the backend */
  constructor(connection: S3Connection, place: S3Place, call: RequestOptions = {}) {
    this.connection = connection;
    this.place = place;
    this.#call = call;
  }

  /** The same place with the listener and the signal of one call. */
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

  /**
   * Repeats a request that may be carried out any number of times. Returns the first success or
   * definite failure, or the last of `attemptsMax` failures; none follows once `signal` has aborted.
   */
  async repeat<Out>(attempt: () => Promise<Attempt<Out>>): Promise<Attempt<Out>> {
    const { settings, runtime, signal } = this;
    for (let failures = 1; ; failures++) {
      const result = await attempt();
      const isLast = failures >= settings.attemptsMax || signal?.aborted === true;
      if (result.ok || !isRepeatable(result.failure) || isLast) return result;
      await pause(runtime, backoffMs(runtime, result.failure, failures), signal);
    }
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

/** @throws InvalidArgumentError for a key that is longer than S3 allows */
export function keyOf({ prefix }: S3Place, path: string): string {
  const key = prefix + path;
  // No character has more than three bytes for each of its code units.
  if (key.length * 3 <= KEY_BYTES_MAX) return key;
  const bytes = Buffer.byteLength(key);
  if (bytes <= KEY_BYTES_MAX) return key;
  throw new InvalidArgumentError(
    `the key of '${path}' has ${bytes} bytes with the store's prefix, at most ${KEY_BYTES_MAX} are allowed`,
    { path },
  );
}

/** The form in which the backend returns and compares etags: no quotes, no weakness mark. */
export function normalizeEtag(etag: string): string {
  return etag.replace(/^W\//, "").replace(/^"(.*)"$/s, "$1");
}

/** An etag as a header carries it. */
export interface EtagHeader {
  readonly value: string;
  readonly quoted: boolean;
}

/**
 * Which form of an etag a server requires. Ceph RGW and DigitalOcean Spaces answer 412 to a quoted
 * If-Match on PUT, R2 requires quotes on reads, AWS and MinIO take both. The first guess suits all of
 * them; what a server answers corrects it, once for the life of the backend.
 */
export class EtagForm {
  #readQuoted = true;
  #putQuoted = false;
  #putSettled = false;

  /** For If-None-Match on GET. */
  forRead(etag: string): EtagHeader {
    return etagHeader(etag, this.#readQuoted);
  }

  /** For If-Match on PUT. */
  forPut(etag: string): EtagHeader {
    return etagHeader(etag, this.#putQuoted);
  }

  /** A PUT with the form was accepted: from now on a 412 means a mismatch and nothing else. */
  get putSettled(): boolean {
    return this.#putSettled;
  }

  putAccepted(sent: EtagHeader): void {
    this.#putSettled ||= sent.quoted === this.#putQuoted;
  }

  /** 412 although the etag sent is the current one. A parallel request may have flipped already. */
  putRefused(sent: EtagHeader): void {
    if (sent.quoted === this.#putQuoted) {
      this.#putQuoted = !sent.quoted;
      this.#putSettled = false;
    }
  }

  /** The whole object came although the etag sent is the current one. */
  readIgnored(sent: EtagHeader): void {
    if (sent.quoted === this.#readQuoted) this.#readQuoted = !sent.quoted;
  }
}

function etagHeader(etag: string, quoted: boolean): EtagHeader {
  const bare = normalizeEtag(etag);
  return { value: quoted ? `"${bare}"` : bare, quoted };
}
