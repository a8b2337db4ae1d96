/** S3 without the AWS SDK: requests are signed here and sent by Node's own HTTP client. */
import { isBytes } from "../../core/realm.ts";
import { RequestError } from "../requests/errors.ts";
import { checksumHeader, type Exchange } from "../requests/exchange.ts";
import type { S3Settings } from "../requests/options.ts";
import type { Input, ObjectHead, Operation, Output, S3Transport } from "../requests/transport.ts";
import { addressOf, type AddressSettings } from "./address.ts";
import { type HttpAnswer, HttpClient } from "./http-client.ts";
import { encodeQuery, type S3Credentials, sign } from "./sigv4.ts";
import {
  completeBody,
  deleteBody,
  parseCompleted,
  parseDeleteResult,
  parseError,
  parseList,
  parseUploadId,
} from "./xml.ts";

interface Call {
  readonly operation: Operation;
  readonly method: string;
  readonly bucket: string;
  readonly key?: string;
  readonly query?: Readonly<Record<string, string>>;
  /** Those that are undefined are not sent. */
  readonly headers?: Readonly<Record<string, string | undefined>>;
  readonly body?: Uint8Array;
}

/** Where requests go, and in whose name. */
export interface LightAccess {
  /** @throws when they cannot be had */
  credentials(): Promise<S3Credentials>;
  readonly region: string | undefined;
  /** Of another server than AWS. */
  readonly endpoint: string | undefined;
  readonly variant: AddressSettings["variant"];
}

const META = "x-amz-meta-";
/** Servers refuse 15 minutes. */
const CLOCK_SKEW_MS = 300_000;
const NOTHING = new Uint8Array(0);

export class LightTransport implements S3Transport {
  readonly #settings: S3Settings;
  readonly #access: LightAccess;
  readonly #http: HttpClient;
  readonly #ownsHttp: boolean;
  /** What to add to this machine's clock to get the server's; 0 while its signatures are taken. */
  #clockOffsetMs = 0;

  /** @param shared connections that others use, too; `close` leaves them open */
  constructor(settings: S3Settings, access: LightAccess, shared?: HttpClient) {
    this.#settings = settings;
    this.#access = access;
    this.#http = shared ?? new HttpClient(settings);
    this.#ownsHttp = shared === undefined;
  }

  close(): void {
    if (this.#ownsHttp) this.#http.close();
  }

  async closeIdle(): Promise<void> {
    this.#http.closeIdle();
  }

  async getObject(input: Input<"getObject">, exchange: Exchange): Output<"getObject"> {
    const { range, ifNoneMatch } = input;
    const headers = { range, "if-none-match": ifNoneMatch };
    const answer = await this.#send(
      { operation: "getObject", method: "GET", ...input, headers },
      exchange,
    );
    const contentRange = answer.headers["content-range"];
    const head = headOf(answer);
    const body = await exchange.read(answer.body, head.bodyBytes);
    return { ...head, contentRange, body: body ?? NOTHING };
  }

  async headObject(input: Input<"headObject">, exchange: Exchange): Output<"headObject"> {
    const answer = await this.#send(
      { operation: "headObject", method: "HEAD", ...input },
      exchange,
    );
    const metadata = Object.entries(answer.headers)
      .filter(([name]) => name.startsWith(META))
      .map(([name, value]) => [name.slice(META.length), value ?? ""]);
    return { ...headOf(answer), metadata: Object.fromEntries(metadata) };
  }

  async putObject(input: Input<"putObject">, exchange: Exchange): Output<"putObject"> {
    const { body, ifMatch, ifNoneMatch } = input;
    const [checksum, sum] = checksumHeader(body);
    const headers = { "if-match": ifMatch, "if-none-match": ifNoneMatch, [checksum]: sum };
    const call = { operation: "putObject", method: "PUT", ...input, headers, body } as const;
    const answer = await this.#send(call, exchange);
    return { etag: answer.headers["etag"] ?? "" };
  }

  async listObjects(input: Input<"listObjects">, exchange: Exchange): Output<"listObjects"> {
    const { bucket, prefix, delimiter, keysMax, startAfter, continuationToken } = input;
    const query = {
      "list-type": "2",
      "max-keys": String(keysMax),
      // XML cannot carry every character a key may hold.
      "encoding-type": "url",
      ...(prefix === "" ? {} : { prefix }),
      ...(delimiter === undefined ? {} : { delimiter }),
      ...(startAfter === undefined ? {} : { "start-after": startAfter }),
      ...(continuationToken === undefined ? {} : { "continuation-token": continuationToken }),
    };
    const call = { operation: "listObjects", method: "GET", bucket, query } as const;
    return parseList(textOf(await this.#send(call, exchange)));
  }

  async deleteObject(input: Input<"deleteObject">, exchange: Exchange): Promise<void> {
    await this.#send({ operation: "deleteObject", method: "DELETE", ...input }, exchange);
  }

  async deleteObjects(
    { bucket, keys }: Input<"deleteObjects">,
    exchange: Exchange,
  ): Output<"deleteObjects"> {
    const body = Buffer.from(deleteBody(keys));
    const [checksum, sum] = checksumHeader(body);
    const headers = { [checksum]: sum, "content-type": "application/xml" };
    const request = { method: "POST", bucket, query: { delete: "" }, headers, body };
    const call = { operation: "deleteObjects", ...request } as const;
    return parseDeleteResult(textOf(await this.#send(call, exchange)));
  }

  async createUpload(input: Input<"createUpload">, exchange: Exchange): Output<"createUpload"> {
    const headers = Object.fromEntries(
      Object.entries(input.metadata).map(([name, value]) => [META + name, value]),
    );
    const request = { method: "POST", ...input, query: { uploads: "" }, headers };
    const call = { operation: "createUpload", ...request } as const;
    return { uploadId: parseUploadId(textOf(await this.#send(call, exchange))) };
  }

  async uploadPart(input: Input<"uploadPart">, exchange: Exchange): Output<"uploadPart"> {
    const { uploadId, partNumber, body } = input;
    const query = { uploadId, partNumber: String(partNumber) };
    const [checksum, sum] = checksumHeader(body);
    const request = { method: "PUT", ...input, query, headers: { [checksum]: sum }, body };
    const answer = await this.#send({ operation: "uploadPart", ...request }, exchange);
    return { partNumber, etag: answer.headers["etag"], crc32: undefined };
  }

  async completeUpload(
    input: Input<"completeUpload">,
    exchange: Exchange,
  ): Output<"completeUpload"> {
    const { uploadId, parts, ifNoneMatch } = input;
    const headers = { "if-none-match": ifNoneMatch, "content-type": "application/xml" };
    const body = Buffer.from(completeBody(parts));
    const request = { method: "POST", ...input, query: { uploadId }, headers, body };
    const call = { operation: "completeUpload", ...request } as const;
    return parseCompleted(textOf(await this.#send(call, exchange)));
  }

  async abortUpload(input: Input<"abortUpload">, exchange: Exchange): Promise<void> {
    const { uploadId } = input;
    const request = { method: "DELETE", ...input, query: { uploadId } };
    await this.#send({ operation: "abortUpload", ...request }, exchange);
  }

  /**
   * Sends once, and reads the body of the answer unless that is an object.
   * @throws RequestError for what is not a success, also inside an answer with status 200
   */
  async #send(call: Call, exchange: Exchange): Promise<HttpAnswer> {
    const { signedMs, ...request } = await this.#request(call);
    const { method, origin, target: path, headers } = request;
    exchange.sent({ method, origin: origin.origin, path, headers });
    let answer: HttpAnswer;
    try {
      answer = await this.#http.send(request, exchange.signal);
    } catch (error) {
      exchange.unanswered();
      throw error;
    }
    exchange.answered(answer);
    const { status } = answer;
    const isSuccess = status >= 200 && status < 300;
    if (isSuccess && call.operation === "getObject") return answer;
    const whole = { ...answer, body: await exchange.read(answer.body) };
    const error = parseError(textOf(whole));
    if (isSuccess && error === undefined) return whole;
    throw new RequestError({
      name: error?.code ?? (status === 304 ? "NotModified" : "UnknownError"),
      message: error?.message ?? "",
      status,
      requestId: answer.headers["x-amz-request-id"],
      clockCorrected: status === 403 && this.#correctClock(exchange.dateMs, signedMs),
    });
  }

  /** As the AWS SDK does. Returns whether the request was signed with a time that is far off. */
  #correctClock(dateMs: number | undefined, signedMs: number): boolean {
    if (dateMs === undefined || Math.abs(dateMs - signedMs) < CLOCK_SKEW_MS) return false;
    this.#clockOffsetMs = dateMs - this.#settings.runtime.nowMs();
    return true;
  }

  async #request(call: Call) {
    const { operation, method, bucket, key = "", query = {}, headers = {}, body = NOTHING } = call;
    const region = this.#region;
    const { forcePathStyle, runtime, headers: required } = this.#settings;
    const access = { ...this.#access, region, forcePathStyle };
    const { origin, host, path } = addressOf(bucket, key, access);
    const sent = Object.entries({ host, ...required[operation], ...headers }).flatMap(
      ([name, value]) => (value === undefined ? [] : [[name, value] as const]),
    );
    const credentials = await this.#access.credentials();
    const signedMs = runtime.nowMs() + this.#clockOffsetMs;
    const signable = { method, path, query, headers: Object.fromEntries(sent), body };
    const signed = sign(signable, credentials, region, signedMs);
    const search = encodeQuery(query);
    const target = path + (search === "" ? "" : `?${search}`);
    const hasBody = method === "PUT" || method === "POST";
    const length = hasBody ? { "content-length": String(body.byteLength) } : {};
    return { method, origin, target, headers: { ...signed, ...length }, body, signedMs };
  }

  get #region(): string {
    const { region } = this.#access;
    if (region === undefined) throw new Error("Region is missing");
    return region;
  }
}

function headOf({ headers }: HttpAnswer): ObjectHead {
  const length = headers["content-length"];
  const lastModifiedMs = Date.parse(headers["last-modified"] ?? "");
  return {
    etag: headers["etag"] ?? "",
    bodyBytes: length === undefined ? undefined : Number(length),
    lastModifiedMs: Number.isNaN(lastModifiedMs) ? undefined : lastModifiedMs,
  };
}

/** Of a body that was read already. */
function textOf({ body }: HttpAnswer): string {
  return isBytes(body) ? Buffer.from(body).toString() : "";
}
