/**
 * Sees every HTTP attempt of one SDK call, from inside the SDK's own middleware: response headers,
 * also of answers the SDK turns into errors, how many attempts there were, and the bytes moved.
 */
import type { RequestKind } from "../../core/cost.ts";
import type { MediumClock } from "../../core/medium-clock.ts";
import type { OnRequest } from "../../storage/backend.ts";
import type { S3RequestEvent } from "./options.ts";

/** The part of an S3Call that events contain. */
interface WatchedCall {
  readonly operation: string;
  readonly path?: string | undefined;
  readonly conditions?: Readonly<Record<string, string>> | undefined;
}

/** What is called for each attempt: the listener of the backend, and the cost meter of this call. */
interface Listeners {
  readonly tell: ((event: S3RequestEvent) => void) | undefined;
  readonly count: OnRequest | undefined;
  /** Told of each request as it leaves. */
  readonly note?: ((request: unknown) => void) | undefined;
  /** Given the date of every answer. */
  readonly clock: MediumClock;
}

/** To be called once, when an attempt has ended. */
type End = (bytesIn: number, status?: number) => void;

export const CONDITION_DROPPED = "ConditionDropped";

type Handler<In, Out> = (args: In) => Promise<Out>;

export class HttpWatch {
  /** HTTP attempts sent so far; 0 with a client whose `send` is a stub. */
  attempts = 0;
  /** Of the last answer; undefined when there was none, or it had no Date. */
  dateMs: number | undefined;
  /** Of the last answer. */
  status: number | undefined;

  readonly #call: WatchedCall;
  readonly #stream: "body" | undefined;
  readonly #listeners: Listeners;
  #pending: ((bytesIn: number) => void) | undefined;

  /** `stream`: the body of a success is handed on as it arrives, and `bodyRead` ends it. */
  constructor(call: WatchedCall, stream: "body" | undefined, listeners: Listeners) {
    this.#call = call;
    this.#stream = stream;
    this.#listeners = listeners;
  }

  /** Middleware for the innermost place; `touch` is called at every sign of life. */
  around<In extends { readonly request: unknown }, Out extends { readonly response: unknown }>(
    next: Handler<In, Out>,
    touch: () => void,
  ): Handler<In, Out> {
    return async (args) => {
      checkConditions(args.request, this.#call.conditions);
      this.#listeners.note?.(args.request);
      this.attempts++;
      this.dateMs = undefined;
      this.status = undefined;
      const end = this.#begin(args.request);
      const { clock } = this.#listeners;
      const sent = clock.now();
      let out: Out;
      try {
        out = await next(args);
      } catch (error) {
        end(0);
        throw error;
      }
      touch();
      const { response } = out;
      const status = Number(Reflect.get(Object(response), "statusCode"));
      this.status = status;
      this.dateMs = parseDate(headerOf(response, "date"));
      if (this.dateMs !== undefined) clock.observe(this.dateMs, sent, clock.now());
      if (this.#stream !== undefined && status >= 200 && status < 300) {
        this.#pending = (bytesIn) => end(bytesIn, status);
      } else {
        let bytesIn = 0;
        try {
          await collectBody(response, (bytesSoFar) => {
            bytesIn = bytesSoFar;
            touch();
          });
        } finally {
          end(bytesIn, status);
        }
      }
      return out;
    };
  }

  /** The body kept as a stream has been read, or has broken, after so many bytes. */
  bodyRead(bytesIn: number): void {
    this.#pending?.(bytesIn);
    this.#pending = undefined;
  }

  #begin(request: unknown): End {
    const { tell, count } = this.#listeners;
    const { path, operation } = this.#call;
    const kind = this.#kindOf(request);
    const bytesOut = bytesOf(request);
    const ended = count?.(billedAs(kind, operation), bytesOut);
    return (bytesIn, status) => {
      tell?.({ kind, path, bytesOut, status, bytesIn });
      ended?.(bytesIn);
    };
  }

  #kindOf(request: unknown): S3RequestEvent["kind"] {
    const method: unknown = Reflect.get(Object(request), "method");
    switch (method) {
      case "PUT":
      case "POST":
      case "DELETE":
      case "HEAD":
        return method;
      default:
        return this.#call.operation === "ListObjectsV2" ? "LIST" : "GET";
    }
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

/** Reads a small body (XML) here, where its bytes can be counted and a stall is noticed. */
async function collectBody(
  response: unknown,
  onChunk: (bytesSoFar: number) => void,
): Promise<void> {
  if (typeof response !== "object" || response === null) return;
  const body: unknown = Reflect.get(response, "body");
  if (isByteStream(body)) Reflect.set(response, "body", await readAll(body, onChunk));
}

/** Allocated before any of it has arrived, at most. */
const EXPECTED_BYTES_MAX = 16 * 1024 * 1024;

/**
 * Reads a stream to its end; `onChunk` is called with each piece. The result is a copy of its own, so
 * that a small body kept in a cache holds no large network buffer, and made as the pieces arrive,
 * so that these are released at once.
 * @param expectedBytes the length in its header, 0 when unknown; the stream decides
 */
export async function readAll(
  stream: AsyncIterable<Uint8Array>,
  onChunk: (bytesSoFar: number) => void,
  expectedBytes = 0,
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

export function isByteStream(value: unknown): value is AsyncIterable<Uint8Array> {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value;
}

/**
 * Older SDKs silently drop unknown fields of a command. Nothing is sent then.
 * @throws an error by the name of `CONDITION_DROPPED`
 */
function checkConditions(
  request: unknown,
  conditions: Readonly<Record<string, string>> = {},
): void {
  for (const [name, value] of Object.entries(conditions)) {
    if (headerOf(request, name) === value) continue;
    const client = headerOf(request, "user-agent")?.split(" ")[0] ?? "the client";
    const message =
      `${client} left the header ${name} out of the request, which would replace what others have ` +
      "written: use @aws-sdk/client-s3 3.701 or later, bundled with the program where the runtime " +
      "brings an older one, or LightS3Backend";
    throw Object.assign(new Error(message), { name: CONDITION_DROPPED });
  }
}

export function headerOf(message: unknown, name: string): string | undefined {
  const headers: unknown = Reflect.get(Object(message), "headers");
  for (const [key, value] of Object.entries(Object(headers))) {
    if (key.toLowerCase() === name) return String(value);
  }
  return undefined;
}

function parseDate(text: string | undefined): number | undefined {
  const ms = Date.parse(text ?? "");
  return Number.isNaN(ms) ? undefined : ms;
}

function bytesOf(request: unknown): number {
  return Number(headerOf(request, "content-length") ?? 0);
}
