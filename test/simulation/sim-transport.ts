/**
 * HTTP as `src/s3` meets it, over the simulated object store: answers of every kind, errors with and
 * without an effect, bodies that break or stall, connections that are reset. What is made of these
 * is the real code's affair.
 */
import type { Exchange } from "../../src/s3/requests/exchange.ts";
import type {
  FailedDelete,
  ListedPage,
  ObjectHead,
  S3Transport,
  UploadedPart,
} from "../../src/s3/requests/transport.ts";
import type { Precondition } from "../../src/storage/backend.ts";
import { byName, shuffledBy } from "./object-server.ts";
import { failed, type Reply, reset, SimHttp, type SimHttpOptions } from "./sim-http.ts";

export interface SimTransportOptions extends SimHttpOptions {
  /** Told of each write before it is sent. */
  readonly onAttempt: (process: string, path: string, body: Uint8Array) => void;
  readonly isListUnordered: boolean;
  /** The forms of an etag that the server understands. */
  readonly etagForms: EtagForms;
}

/** Servers differ: in If-Match of a PUT, and in If-None-Match of a GET. */
export interface EtagForms {
  readonly put: "any" | "bare" | "quoted";
  readonly read: "any" | "bare" | "quoted";
}

type Body = AsyncGenerator<Uint8Array>;
export class SimTransport implements S3Transport {
  readonly #options: SimTransportOptions;
  readonly #http: SimHttp;
  #listings = 0;

  constructor(options: SimTransportOptions) {
    this.#options = options;
    this.#http = new SimHttp(options);
  }

  async getObject(
    input: Parameters<S3Transport["getObject"]>[0],
    exchange: Exchange,
  ): ReturnType<S3Transport["getObject"]> {
    const { server, etagForms } = this.#options;
    const { key, range, ifNoneMatch } = input;
    const act = (): Reply<ObjectHead & { contentRange: string | undefined; body: Body }> => {
      const object = server.objects.get(key);
      if (object === undefined) return failed("NoSuchKey", 404);
      const { body, etag, lastModifiedMs } = object;
      if (isSame(ifNoneMatch, etag, etagForms.read)) return failed("NotModified", 304);
      const [first, last] =
        /^bytes=(\d+)-(\d+)$/
          .exec(range ?? "")
          ?.slice(1)
          .map(Number) ?? [];
      if (first !== undefined && first >= body.length) return failed("InvalidRange", 416);
      const part = new Uint8Array(body.subarray(first ?? 0, (last ?? body.length) + 1));
      const contentRange =
        first === undefined
          ? undefined
          : `bytes ${first}-${first + part.length - 1}/${body.length}`;
      const head = { etag, bodyBytes: part.length, lastModifiedMs, contentRange };
      return { value: { ...head, body: this.#bodyOf(part) } };
    };
    const request = { label: `GET ${key}`, method: "GET", isStream: true, act } as const;
    const { body, ...head } = await this.#http.exchange(request, exchange);
    const whole = await exchange.read(body, head.bodyBytes);
    return { ...head, body: whole ?? new Uint8Array(0) };
  }

  async headObject(
    { key }: { readonly key: string },
    exchange: Exchange,
  ): ReturnType<S3Transport["headObject"]> {
    const act = (): Reply<ObjectHead & { metadata: Record<string, string> }> => {
      const object = this.#options.server.objects.get(key);
      if (object === undefined) return failed("NotFound", 404);
      const { body, etag, lastModifiedMs } = object;
      return { value: { etag, bodyBytes: body.length, lastModifiedMs, metadata: {} } };
    };
    return this.#http.exchange({ label: `HEAD ${key}`, method: "HEAD", act }, exchange);
  }

  async putObject(
    input: Parameters<S3Transport["putObject"]>[0],
    exchange: Exchange,
  ): Promise<{ readonly etag: string }> {
    const { process, server, onAttempt, etagForms, count } = this.#options;
    const { key, ifMatch, ifNoneMatch } = input;
    const body = new Uint8Array(input.body);
    onAttempt(process.name, key, body);
    const act = (): Reply<{ readonly etag: string }> => {
      const current = server.objects.get(key)?.etag;
      let precondition: Precondition = ifNoneMatch === "*" ? { ifAbsent: true } : "none";
      if (ifMatch !== undefined) {
        const isCurrent = current !== undefined && isSame(ifMatch, current, etagForms.put);
        precondition = { ifMatch: isCurrent ? current : "none such" };
      }
      const put = server.put(key, body, precondition);
      if (put.status === "written") return { value: { etag: put.etag } };
      count("conflicts");
      return failed("PreconditionFailed", 412);
    };
    const conditions = {
      ...(ifMatch === undefined ? {} : { "if-match": ifMatch }),
      ...(ifNoneMatch === undefined ? {} : { "if-none-match": ifNoneMatch }),
    };
    return this.#http.exchange({ label: `PUT ${key}`, method: "PUT", conditions, act }, exchange);
  }

  async listObjects(
    input: Parameters<S3Transport["listObjects"]>[0],
    exchange: Exchange,
  ): Promise<ListedPage> {
    const { server, process, isListUnordered, count } = this.#options;
    const { prefix, startAfter = "", continuationToken } = input;
    if (startAfter !== "") count("partedLists");
    const [listing, ...rest] = (continuationToken ?? `${++this.#listings} ${startAfter}`).split(
      " ",
    );
    const after = rest.join(" ");
    const rank = isListUnordered ? shuffledBy(`${process.name} ${listing} `) : byName;
    const act = (): Reply<ListedPage> => {
      const { paths, truncated } = server.page(prefix, rank, after);
      const last = paths.at(-1);
      const objects = paths.map((key) => {
        const { body, lastModifiedMs } = server.objects.get(key) ?? {};
        return { key, bytes: body?.length ?? 0, lastModifiedMs };
      });
      const next = truncated && last !== undefined ? `${listing} ${rank(last)}` : undefined;
      const page = { objects, prefixes: [], encoded: false, truncated };
      return { value: { ...page, continuationToken: next } };
    };
    return this.#http.exchange({ label: `LIST ${prefix}`, method: "GET", act }, exchange);
  }

  async deleteObject({ key }: { readonly key: string }, exchange: Exchange): Promise<void> {
    const act = (): Reply<void> => ({ value: this.#options.server.delete(key) });
    return this.#http.exchange({ label: `DELETE ${key}`, method: "DELETE", act }, exchange);
  }

  /** Some of the keys may fail in an answer of status 200. */
  async deleteObjects(
    { keys }: { readonly keys: readonly string[] },
    exchange: Exchange,
  ): Promise<readonly FailedDelete[]> {
    const { process, server, network, count } = this.#options;
    const { prng } = process;
    const { refused } = network();
    const kept = new Set(keys.filter(() => prng.chance(refused)));
    const order = prng.sample(keys, keys.length);
    if (kept.size > 0) count("partialDeletes");
    const act = (): Reply<readonly FailedDelete[]> => {
      for (const key of order) if (!kept.has(key)) server.delete(key);
      return { value: [...kept].map((key) => ({ key, code: "InternalError", message: "again" })) };
    };
    return this.#http.exchange({ label: `DELETE ${keys.length}`, method: "POST", act }, exchange);
  }

  createUpload(): Promise<{ readonly uploadId: string }> {
    return noUploads();
  }

  uploadPart(): Promise<UploadedPart> {
    return noUploads();
  }

  completeUpload(): Promise<{ readonly etag: string }> {
    return noUploads();
  }

  abortUpload(): Promise<void> {
    return noUploads();
  }

  async closeIdle(): Promise<void> {
    await Promise.resolve();
  }

  close(): void {}

  /** Breaks or stalls now and then, after a part of it. */
  async *#bodyOf(bytes: Uint8Array): Body {
    const { process, network, count } = this.#options;
    const { prng } = process;
    const half = prng.below(bytes.length + 1);
    if (!prng.chance(network().answerLost)) return yield bytes;
    yield bytes.subarray(0, half);
    if (prng.chance(0.5)) {
      count("brokenBodies");
      throw reset();
    }
    count("stalledBodies");
    await new Promise<never>(() => {});
  }
}

/** Nothing that is written here is as large as a part. */
function noUploads(): Promise<never> {
  return Promise.reject(new Error("multipart uploads are not simulated"));
}

function isSame(
  given: string | undefined,
  quoted: string,
  form: "any" | "bare" | "quoted",
): boolean {
  if (given === undefined) return false;
  const bare = quoted.slice(1, -1);
  return (form !== "bare" && given === quoted) || (form !== "quoted" && given === bare);
}
