/** One attempt of one S3 request; its outcome is a value. Nothing that may have had an effect is repeated here. */
import { Limiter } from "../../core/limiter.ts";
import { MediumClock } from "../../core/medium-clock.ts";
import { assert } from "../../core/assert.ts";
import type { Runtime } from "../../core/runtime.ts";
import type { OnRequest, RequestOptions } from "../../storage/backend.ts";
import { EtagForm } from "./etag-form.ts";
import { HttpWatch, isByteStream, readAll } from "./http-watch.ts";
import { classifyError, toOpslogError, undatedFailure } from "./errors.ts";
import type { Failure, FailureKind, S3Call } from "./errors.ts";
import { keyOf, type S3Place, type S3Settings } from "./options.ts";
import { type Attempt, repeatIdempotent } from "./retry.ts";
import type { Exchange, S3Key, S3Transport } from "./transport.ts";
import { SeenServer } from "./seen-server.ts";
import { withWatchdog } from "./limits.ts";

/** One attempt of one operation. */
export type Send<Out> = (transport: S3Transport, exchange: Exchange) => Promise<Out>;

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

/** The answer to a GET with its body read. */
export interface WithBody<Out> {
  readonly head: Out;
  readonly body: Uint8Array;
}

type RunArguments<Out, Result> = [
  send: Send<Out>,
  call: S3Call,
  options: AttemptOptions,
  stream: "body" | undefined,
  finish: (output: Out, watch: HttpWatch, touch: () => void) => Promise<Result>,
];

/** Connections that were idle for longer are not used again. */
const IDLE_MS_MAX = 20_000;
/** Upload time granted on top of the request time-out, for slow lines: 256 KB a second. */
const UPLOAD_BYTES_PER_MS = 256;

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

  /** Sends once. `limitMs` shortens the time limit, `bytesOut` of body lengthens it. */
  attempt<Out>(send: Send<Out>, call: S3Call, options: AttemptOptions = {}): Promise<Attempt<Out>> {
    return this.#run(send, call, options, undefined, async (output) => output);
  }

  /** Sends a GetObject once and reads its body, both within the one attempt. */
  attemptGet<Out extends Bodied>(
    send: Send<Out>,
    call: S3Call,
    options: Pick<AttemptOptions, "onRequest" | "signal"> = {},
  ): Promise<Attempt<WithBody<Out>>> {
    return this.#run(send, call, options, "body", async (head, watch, touch) => ({
      head,
      body: await readBody(head, watch, touch),
    }));
  }

  /**
   * A refusal because this machine's clock is wrong contains the server's time. It did
   * nothing, so the request is sent once more, signed with that time.
   */
  async #run<Out, Result>(...request: RunArguments<Out, Result>): Promise<Attempt<Result>> {
    const first = await this.#runOnce(...request);
    return first.ok || first.failure.kind !== "clock-skew" ? first : this.#runOnce(...request);
  }

  async #runOnce<Out, Result>(
    ...[send, call, options, stream, finish]: RunArguments<Out, Result>
  ): Promise<Attempt<Result>> {
    const { runtime, onRequest, requestTimeoutMs } = this.settings;
    const uploadMs = Math.ceil((options.bytesOut ?? 0) / UPLOAD_BYTES_PER_MS);
    const limitMs = Math.min(requestTimeoutMs + uploadMs, options.limitMs ?? Infinity);
    const watch = new HttpWatch(call, stream, {
      tell: onRequest,
      count: options.onRequest,
      note: (request) => this.server.note(request),
      clock: this.clock,
    });
    const exchange = async (expiry: AbortSignal, touch: () => void): Promise<{ out: Result }> => {
      const given = options.signal;
      const signal = given === undefined ? expiry : AbortSignal.any([expiry, given]);
      const output = await send(this.#transport, { signal, watch, touch });
      return { out: await finish(output, watch, touch) };
    };
    try {
      await this.#dropOldConnections();
      const { out } = await this.#limiter.run(() => withWatchdog(runtime, limitMs, exchange));
      this.#answeredMs = runtime.nowMs();
      // A client whose `send` is a stub in a test shows no HTTP answer: then its clock is ours.
      const dateMs = watch.attempts === 0 ? runtime.nowMs() : watch.dateMs;
      if (dateMs !== undefined) return { ok: true, output: out, dateMs };
      return { ok: false, failure: undatedFailure(watch.status), dateMs, repeated: false };
    } catch (error) {
      const failure = classifyError(error, watch.attempts > 0);
      // A process that was frozen has more such connections, and the next attempt needs a new one.
      if (failure.deadSocket) await this.#transport.closeIdle();
      const dateMs = watch.attempts === 0 ? runtime.nowMs() : watch.dateMs;
      const undated = dateMs === undefined && DATED_KINDS.has(failure.kind);
      return {
        ok: false,
        failure: undated ? undatedFailure(failure.status) : failure,
        dateMs,
        repeated: Math.max(watch.attempts, failure.sdkAttempts) > 1,
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

/** A connection together with the place it serves: what every operation works on. */
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

/** Failures that are answers about an object; results made of them carry a date. */
const DATED_KINDS: ReadonlySet<FailureKind> = new Set([
  "absent",
  "unchanged",
  "precondition",
  "range",
] as const);

export interface Bodied {
  /** A byte stream; anything else is no bytes. */
  readonly body: unknown;
  readonly bodyBytes: number | undefined;
}

async function readBody(head: Bodied, watch: HttpWatch, touch: () => void): Promise<Uint8Array> {
  let bytesIn = 0;
  try {
    if (!isByteStream(head.body)) return new Uint8Array(0);
    const onChunk = (bytesSoFar: number): void => {
      bytesIn = bytesSoFar;
      touch();
    };
    return await readAll(head.body, onChunk, head.bodyBytes ?? 0);
  } finally {
    watch.bodyRead(bytesIn);
  }
}
