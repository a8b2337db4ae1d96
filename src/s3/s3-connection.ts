/** One attempt of one S3 request; its outcome is a value. Nothing is repeated here. */
import type {
  $Command,
  S3Client,
  S3ClientResolvedConfig,
  ServiceInputTypes,
  ServiceOutputTypes,
} from "@aws-sdk/client-s3";
import type { OnRequest } from "../storage/backend.ts";
import { EtagForm } from "./etag-form.ts";
import { HttpWatch, isByteStream, readAll } from "./http-watch.ts";
import { closeIdleSockets } from "./idle-sockets.ts";
import { Limiter } from "./limiter.ts";
import { createClient } from "./s3-client.ts";
import { classifyError, undatedFailure } from "./s3-errors.ts";
import type { Failure, S3Call } from "./s3-errors.ts";
import type { FailureKind } from "./s3-failure-kinds.ts";
import type { S3Settings } from "./s3-options.ts";
import { withWatchdog } from "./watchdog.ts";

export type S3Command<In extends ServiceInputTypes, Out extends ServiceOutputTypes> = $Command<
  In,
  Out,
  S3ClientResolvedConfig,
  ServiceInputTypes,
  ServiceOutputTypes
>;

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
  /** Told beside the option `onRequest`. */
  readonly onRequest?: OnRequest | undefined;
  /** Breaks the attempt off. */
  readonly signal?: AbortSignal | undefined;
}

/** The output of a GET with its body read. */
export interface WithBody<Out> {
  readonly head: Out;
  readonly body: Uint8Array;
}

/** Upload time granted on top of the request time-out, for slow lines: 256 KB a second. */
const UPLOAD_BYTES_PER_MS = 256;

export class S3Connection {
  readonly settings: S3Settings;
  readonly etags = new EtagForm();
  /** Whether DeleteObjects works here; some servers refuse its checksum. */
  deletesMany = true;
  readonly #limiter: Limiter;
  #ownClient: S3Client | undefined;

  constructor(settings: S3Settings) {
    this.settings = settings;
    this.#limiter = new Limiter(settings.maxSockets);
  }

  get client(): S3Client {
    return this.settings.client ?? (this.#ownClient ??= createClient(this.settings));
  }

  /** Destroys the client if it is our own; a later request makes a new one. */
  close(): void {
    this.#ownClient?.destroy();
    this.#ownClient = undefined;
  }

  /** Sends once. `limitMs` shortens the time limit, `bytesOut` of body lengthens it. */
  attempt<In extends ServiceInputTypes, Out extends ServiceOutputTypes>(
    command: S3Command<In, Out>,
    call: S3Call,
    options: AttemptOptions = {},
  ): Promise<Attempt<Out>> {
    return this.#run(command, call, options, undefined, async (output) => output);
  }

  /** Sends a GetObject once and reads its body, both within the one attempt. */
  attemptGet<In extends ServiceInputTypes, Out extends ServiceOutputTypes & Bodied>(
    command: S3Command<In, Out>,
    call: S3Call,
    options: Pick<AttemptOptions, "onRequest" | "signal"> = {},
  ): Promise<Attempt<WithBody<Out>>> {
    return this.#run(command, call, options, "body", async (head, watch, touch) => ({
      head,
      body: await readBody(head, watch, touch),
    }));
  }

  async #run<In extends ServiceInputTypes, Out extends ServiceOutputTypes, Result>(
    command: S3Command<In, Out>,
    call: S3Call,
    options: AttemptOptions,
    stream: "body" | undefined,
    finish: (output: Out, watch: HttpWatch, touch: () => void) => Promise<Result>,
  ): Promise<Attempt<Result>> {
    const { runtime, onRequest, requestTimeoutMs } = this.settings;
    const uploadMs = Math.ceil((options.bytesOut ?? 0) / UPLOAD_BYTES_PER_MS);
    const limitMs = Math.min(requestTimeoutMs + uploadMs, options.limitMs ?? Infinity);
    const watch = new HttpWatch(call, stream, { tell: onRequest, count: options.onRequest });
    const send = (expiry: AbortSignal, touch: () => void): Promise<{ out: Result }> => {
      command.middlewareStack.add((next) => watch.around(next, touch), WATCH_PLACE);
      const given = options.signal;
      const abortSignal = given === undefined ? expiry : AbortSignal.any([expiry, given]);
      const output = this.client.send(command, { abortSignal });
      return output.then(async (head) => ({ out: await finish(head, watch, touch) }));
    };
    try {
      const { out } = await this.#limiter.run(() => withWatchdog(runtime, limitMs, send));
      // A client whose `send` is a stub in a test shows no HTTP answer: then its clock is ours.
      const dateMs = watch.attempts === 0 ? runtime.nowMs() : watch.dateMs;
      if (dateMs !== undefined) return { ok: true, output: out, dateMs };
      return { ok: false, failure: undatedFailure(watch.status), dateMs, repeated: false };
    } catch (error) {
      const failure = classifyError(error, watch.attempts > 0);
      // A process that was frozen has more such connections, and the next attempt needs a new one.
      if (failure.deadSocket) await closeIdleSockets(this.client);
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
}

/** Innermost: sees the answer before anything of the SDK does. */
const WATCH_PLACE = {
  step: "deserialize",
  priority: "low",
  name: "opslogHttpWatch",
  override: true,
} as const;

/** Failures that are answers about an object; results made of them carry a date. */
const DATED_KINDS: ReadonlySet<FailureKind> = new Set([
  "absent",
  "unchanged",
  "precondition",
  "range",
] as const);

export interface Bodied {
  readonly Body?: unknown;
  readonly ContentLength?: number | undefined;
}

async function readBody(head: Bodied, watch: HttpWatch, touch: () => void): Promise<Uint8Array> {
  let bytesIn = 0;
  try {
    if (!isByteStream(head.Body)) return new Uint8Array(0);
    const onChunk = (bytesSoFar: number): void => {
      bytesIn = bytesSoFar;
      touch();
    };
    return await readAll(head.Body, onChunk, head.ContentLength ?? 0);
  } finally {
    watch.bodyRead(bytesIn);
  }
}
