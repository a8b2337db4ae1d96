/**
 * Sees every HTTP attempt of one SDK call, from inside the SDK's own middleware: response headers,
 * also of answers the SDK turns into errors, how many attempts there were, and the bytes moved.
 */
import type { S3RequestEvent } from "./s3-options.ts";

/** The part of an S3Call that events tell. */
interface WatchedCall {
  readonly operation: string;
  readonly path?: string | undefined;
}

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
  readonly #onRequest: ((event: S3RequestEvent) => void) | undefined;
  #pending: Omit<S3RequestEvent, "bytesIn"> | undefined;

  /** `stream`: the body of a success is handed on as it arrives, and `bodyRead` ends it. */
  constructor(
    call: WatchedCall,
    stream: "body" | undefined,
    onRequest: ((event: S3RequestEvent) => void) | undefined,
  ) {
    this.#call = call;
    this.#stream = stream;
    this.#onRequest = onRequest;
  }

  /** Middleware for the innermost place; `touch` is told of every sign of life. */
  around<In extends { readonly request: unknown }, Out extends { readonly response: unknown }>(
    next: Handler<In, Out>,
    touch: () => void,
  ): Handler<In, Out> {
    return async (args) => {
      this.attempts++;
      this.dateMs = undefined;
      this.status = undefined;
      const { request } = args;
      const { path } = this.#call;
      const sent = { kind: this.#kindOf(request), path, bytesOut: bytesOf(request) };
      let out: Out;
      try {
        out = await next(args);
      } catch (error) {
        this.#onRequest?.({ ...sent, bytesIn: 0 });
        throw error;
      }
      touch();
      const { response } = out;
      const status = Number(Reflect.get(Object(response), "statusCode"));
      this.status = status;
      this.dateMs = parseDate(headerOf(response, "date"));
      if (this.#stream !== undefined && status >= 200 && status < 300) {
        this.#pending = { ...sent, status };
      } else {
        let bytesIn = 0;
        try {
          await collectBody(response, (bytesSoFar) => {
            bytesIn = bytesSoFar;
            touch();
          });
        } finally {
          this.#onRequest?.({ ...sent, status, bytesIn });
        }
      }
      return out;
    };
  }

  /** The body kept as a stream has been read, or has broken, after so many bytes. */
  bodyRead(bytesIn: number): void {
    if (this.#pending !== undefined) this.#onRequest?.({ ...this.#pending, bytesIn });
    this.#pending = undefined;
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

/** Reads a small body (XML) here, where its bytes can be counted and a stall is noticed. */
async function collectBody(
  response: unknown,
  onChunk: (bytesSoFar: number) => void,
): Promise<void> {
  if (typeof response !== "object" || response === null) return;
  const body: unknown = Reflect.get(response, "body");
  if (isByteStream(body)) Reflect.set(response, "body", await readAll(body, onChunk));
}

/** Reads a stream to its end; `onChunk` is told of each piece. */
export async function readAll(
  stream: AsyncIterable<Uint8Array>,
  onChunk: (bytesSoFar: number) => void,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let total = 0;
  for await (const chunk of stream) {
    chunks.push(chunk);
    total += chunk.byteLength;
    onChunk(total);
  }
  // A copy of its own, so that a small body kept in a cache holds no large network buffer.
  const all = new Uint8Array(total);
  let offset = 0;
  for (const chunk of chunks) {
    all.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return all;
}

export function isByteStream(value: unknown): value is AsyncIterable<Uint8Array> {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value;
}

function headerOf(message: unknown, name: string): string | undefined {
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
