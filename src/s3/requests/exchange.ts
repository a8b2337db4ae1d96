/**
 * One attempt of a request as the client that sends it reports it, in the words of HTTP: the request
 * as it leaves, the head of the answer, the pieces of its body. From these follow the event of
 * `onRequest`, the cost, the server's time, and the time limit.
 */
import { createHash, getFips } from "node:crypto";
import { crc32 } from "node:zlib";
import type { RequestKind } from "../../core/cost.ts";
import type { MediumClock } from "../../core/medium-clock.ts";
import type { ProofScope } from "../../core/proof-scope.ts";
import type { Runtime } from "../../core/runtime.ts";
import { SILENT_ABORT } from "../../core/silent-abort.ts";
import type { OnRequest } from "../../storage/backend.ts";
import { CONDITION_DROPPED, RequestError, type S3Call } from "./errors.ts";

/** One HTTP attempt, also a failed one; repeats are events of their own. */
export interface S3RequestEvent {
  /** Kind of the request, by which it is billed. */
  readonly kind: "GET" | "HEAD" | "PUT" | "LIST" | "DELETE" | "POST";
  /** Relative to the location; of a LIST the prefix; none for requests about many objects. */
  readonly path?: string | undefined;
  /** Bytes of the response body that arrived. */
  readonly bytesIn: number;
  /** Bytes of the request body. */
  readonly bytesOut: number;
  /** HTTP status; none when no answer arrived. */
  readonly status?: number | undefined;
}

/** Names in lower case. */
export type HttpHeaders = Readonly<Record<string, string | undefined>>;

/** A request as it leaves, without its body. */
export interface RequestHead {
  readonly method: string;
  /** Scheme, host and port; "" where the client does not show them. */
  readonly origin: string;
  /** Percent-encoded; a query may follow. */
  readonly path: string;
  readonly headers: HttpHeaders;
}

/** An answer without its body. */
export interface AnswerHead {
  readonly status: number;
  readonly headers: HttpHeaders;
}

/** What receives the reports of an exchange. */
interface Listeners {
  /** The option `onRequest` of the backend. */
  readonly onEvent: ((event: S3RequestEvent) => void) | undefined;
  /** The cost meter of this call. */
  readonly onRequest: OnRequest | undefined;
  /** Receives the date of every answer. */
  readonly clock: MediumClock;
  /** Receives every request. */
  readonly server: SeenServer;
}

/**
 * A client calls `sent`, then `answered` and `read`, or `unanswered`. A client that repeats requests
 * itself does so for each HTTP attempt.
 */
export class Exchange {
  /** Breaks the exchange off. */
  readonly signal: AbortSignal;
  /** HTTP attempts sent so far; 0 with a client whose `send` is a stub. */
  attempts = 0;
  /** Of the last answer; undefined when there was none, or it had no Date. */
  dateMs: number | undefined;
  /** Of the last answer. */
  status: number | undefined;

  readonly #call: S3Call;
  readonly #listeners: Listeners;
  readonly #silence: SilenceLimit;
  #sentAt: ReturnType<MediumClock["now"]> | undefined;
  /** To be called once, when the HTTP attempt has ended. */
  #end: ((bytesIn: number) => void) | undefined;

  /** @param signal the caller's own, beside that of the time limit */
  constructor(
    call: S3Call,
    listeners: Listeners,
    silence: SilenceLimit,
    signal: AbortSignal | undefined,
  ) {
    this.#call = call;
    this.#listeners = listeners;
    this.#silence = silence;
    this.signal = signal === undefined ? silence.signal : AbortSignal.any([silence.signal, signal]);
  }

  /**
   * To be called right before a request leaves.
   * @throws RequestError when it lacks a condition; the request must not leave then
   */
  sent(request: RequestHead): void {
    checkConditions(request, this.#call.conditions);
    const { onEvent, onRequest, clock, server } = this.#listeners;
    server.note(request);
    this.attempts++;
    this.dateMs = undefined;
    this.status = undefined;
    const { path, operation } = this.#call;
    const kind = kindOf(request.method, operation);
    const bytesOut = Number(request.headers["content-length"] ?? 0);
    const ended = onRequest?.(billedAs(kind, operation), bytesOut);
    this.#end = (bytesIn) => {
      onEvent?.({ kind, path, bytesOut, status: this.status, bytesIn });
      ended?.(bytesIn);
    };
    this.#sentAt = clock.now();
  }

  /** The request failed without an answer. */
  unanswered(): void {
    this.#ended(0);
  }

  /** The head of the answer has arrived. */
  answered({ status, headers }: AnswerHead): void {
    this.#silence.touch();
    this.status = status;
    this.dateMs = parseDate(headers["date"]);
    const { clock } = this.#listeners;
    const sentAt = this.#sentAt;
    // Whoever stopped waiting may do so long before an answer, of which a date then tells little.
    if (this.dateMs === undefined || sentAt === undefined || this.signal.aborted) return;
    clock.observe(this.dateMs, sentAt, clock.now());
  }

  /**
   * Reads the body of the answer to its end.
   * @param expectedBytes the length in its header, if known; the body decides
   * @returns undefined for what is no stream of bytes
   */
  async read(body: unknown, expectedBytes = 0): Promise<Uint8Array | undefined> {
    let bytesIn = 0;
    try {
      if (!isByteStream(body)) return undefined;
      const onChunk = (bytesSoFar: number): void => {
        bytesIn = bytesSoFar;
        this.#silence.touch();
      };
      return await readAll(body, onChunk, expectedBytes);
    } finally {
      this.#ended(bytesIn);
    }
  }

  #ended(bytesIn: number): void {
    this.#end?.(bytesIn);
    this.#end = undefined;
  }
}

function kindOf(method: string, operation: string): S3RequestEvent["kind"] {
  switch (method) {
    case "PUT":
    case "POST":
    case "DELETE":
    case "HEAD":
      return method;
    default:
      return operation === "ListObjectsV2" ? "LIST" : "GET";
  }
}

function billedAs(kind: S3RequestEvent["kind"], operation: string): RequestKind {
  switch (kind) {
    case "GET":
      return "get";
    case "HEAD":
      return "head";
    case "LIST":
      return "list";
    case "DELETE":
      return "delete";
    case "PUT":
      return "put";
    case "POST":
      // The others begin and complete an upload.
      return operation === "DeleteObjects" ? "delete" : "put";
  }
}

/** Older SDKs drop unknown fields of a command without a word. */
function checkConditions({ headers }: RequestHead, conditions: HttpHeaders = {}): void {
  for (const [name, value] of Object.entries(conditions)) {
    if (headers[name] === value) continue;
    const client = headers["user-agent"]?.split(" ")[0] ?? "the client";
    const message =
      `${client} left the header ${name} out of the request, which would replace what others have ` +
      "written: use @aws-sdk/client-s3 3.701 or later, bundled with the program where the runtime " +
      "brings an older one, or LightS3Backend";
    throw new RequestError({ name: CONDITION_DROPPED, message });
  }
}

function parseDate(text: string | undefined): number | undefined {
  const ms = Date.parse(text ?? "");
  return Number.isNaN(ms) ? undefined : ms;
}

/** Allocated before any of it has arrived, at most. */
const EXPECTED_BYTES_MAX = 16 * 1024 * 1024;

/**
 * `onChunk` is called with each piece. The result is a copy of its own, so that a small body kept
 * in a cache holds no large network buffer, and made as the pieces arrive, so that these are
 * released at once.
 */
async function readAll(
  stream: AsyncIterable<Uint8Array>,
  onChunk: (bytesSoFar: number) => void,
  expectedBytes: number,
): Promise<Uint8Array> {
  let all = new Uint8Array(Math.max(0, Math.min(expectedBytes, EXPECTED_BYTES_MAX)));
  let total = 0;
  for await (const chunk of stream) {
    const end = total + chunk.byteLength;
    if (end > all.byteLength) {
      const larger = new Uint8Array(Math.max(end, 2 * all.byteLength));
      larger.set(all.subarray(0, total));
      all = larger;
    }
    all.set(chunk, total);
    total = end;
    onChunk(total);
  }
  return total === all.byteLength ? all : all.slice(0, total);
}

function isByteStream(value: unknown): value is AsyncIterable<Uint8Array> {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value;
}

/**
 * The header with a checksum of a body that is sent. Buckets with Object Lock require one, and
 * every server supports this one; where OpenSSL may use approved algorithms only (FIPS), S3's
 * newer one takes its place.
 */
export function checksumHeader(body: Uint8Array): readonly [name: string, value: string] {
  if (getFips() === 0) return ["content-md5", createHash("md5").update(body).digest("base64")];
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(body));
  return ["x-amz-checksum-crc32", sum.toString("base64")];
}

/** A time limit that runs from the last sign of life instead of from the beginning. */
export class SilenceLimit {
  readonly #runtime: Runtime;
  readonly #limitMs: number;
  readonly #abort = new AbortController();
  #aliveMs = 0;

  constructor(runtime: Runtime, limitMs: number) {
    this.#runtime = runtime;
    this.#limitMs = limitMs;
  }

  /** Aborts when the limit has passed. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** To be called at every sign of life. */
  touch(): void {
    this.#aliveMs = this.#runtime.steadyMs();
  }

  /**
   * Runs `work`, and abandons it when the limit passes without a call of `touch`: the result is then
   * a rejection with an error named TimeoutError.
   */
  async run<T>(work: () => Promise<T>): Promise<T> {
    const [runtime, limitMs] = [this.#runtime, this.#limitMs];
    const done = new AbortController();
    this.touch();
    const expiry = async (): Promise<never> => {
      for (
        let leftMs = limitMs;
        leftMs > 0;
        leftMs = this.#aliveMs + limitMs - runtime.steadyMs()
      ) {
        await runtime.sleep(leftMs, done.signal);
        // The work is over: its result stands, and this promise is left behind unsettled.
        if (done.signal.aborted) return new Promise<never>(() => {});
      }
      this.#abort.abort();
      throw new RequestError({
        name: "TimeoutError",
        message: `nothing arrived for ${limitMs} ms`,
      });
    };
    try {
      return await Promise.race([work(), expiry()]);
    } finally {
      done.abort(SILENT_ABORT);
    }
  }
}

/** Of the client that signs requests itself. */
const OWN_CLIENT = "opslog-serverless";

/** What the requests of a connection show of the server they go to, and of the client. */
export class SeenServer {
  #origin = "";
  #path = "";
  #client = OWN_CLIENT;

  note({ origin, path, headers }: RequestHead): void {
    if (origin !== "") this.#origin = origin;
    this.#path = path;
    this.#client = /aws-sdk-js\/[\w.-]+/.exec(headers["user-agent"] ?? "")?.[0] ?? OWN_CLIENT;
  }

  /** The bucket stands in the name of the host, or in the path behind that of the endpoint. */
  scopeOf(bucket: string): ProofScope {
    const inHost = `//${bucket}.`;
    const client = this.#client;
    if (this.#origin.includes(inHost)) {
      return { endpoint: this.#origin.replace(inHost, "//"), bucket, client };
    }
    const base = this.#path.slice(0, Math.max(0, this.#path.indexOf(`/${bucket}`)));
    return { endpoint: this.#origin + base, bucket, client };
  }
}
