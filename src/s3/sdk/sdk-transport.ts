/** S3 through the AWS SDK: the backend's own client, or a caller's. */
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import type {
  $Command,
  S3Client,
  S3ClientResolvedConfig,
  ServiceInputTypes,
  ServiceOutputTypes,
} from "@aws-sdk/client-s3";
import { faultOf, RequestError } from "../requests/errors.ts";
import { checksumHeader, type Exchange, type HttpHeaders } from "../requests/exchange.ts";
import type { S3Settings } from "../requests/options.ts";
import type { Input, ObjectHead, Operation, Output, S3Transport } from "../requests/transport.ts";
import { closeIdleSockets, createClient } from "./own-client.ts";

/** Innermost: sees the answer before anything of the SDK does. */
const REPORT_PLACE = {
  step: "deserialize",
  priority: "low",
  name: "opslogReport",
  override: true,
} as const;

/** Before the request is signed. */
const HEADERS_PLACE = { step: "build", name: "opslogHeaders", override: true } as const;

export class SdkTransport implements S3Transport {
  readonly #settings: S3Settings;
  readonly #given: S3Client | undefined;
  #own: S3Client | undefined;

  /** @param client a caller's, never destroyed here */
  constructor(settings: S3Settings, client: S3Client | undefined) {
    this.#settings = settings;
    this.#given = client;
  }

  get #client(): S3Client {
    return this.#given ?? (this.#own ??= createClient(this.#settings));
  }

  close(): void {
    this.#own?.destroy();
    this.#own = undefined;
  }

  closeIdle(): Promise<void> {
    return closeIdleSockets(this.#client);
  }

  async getObject(input: Input<"getObject">, exchange: Exchange): Output<"getObject"> {
    const { range, ifNoneMatch } = input;
    const command = new GetObjectCommand({
      ...named(input),
      ...(range === undefined ? {} : { Range: range }),
      ...(ifNoneMatch === undefined ? {} : { IfNoneMatch: ifNoneMatch }),
    });
    const output = await this.#send("getObject", command, exchange);
    const body = await exchange.read(output.Body, output.ContentLength);
    return {
      ...headOf(output),
      contentRange: output.ContentRange,
      body: body ?? new Uint8Array(0),
    };
  }

  async headObject(input: Input<"headObject">, exchange: Exchange): Output<"headObject"> {
    const output = await this.#send("headObject", new HeadObjectCommand(named(input)), exchange);
    return { ...headOf(output), metadata: output.Metadata ?? {} };
  }

  async putObject(input: Input<"putObject">, exchange: Exchange): Output<"putObject"> {
    const { body, ifMatch, ifNoneMatch } = input;
    const command = new PutObjectCommand({
      ...named(input),
      Body: body,
      ...(await this.#checksum(body)),
      ...(ifNoneMatch === undefined ? {} : { IfNoneMatch: ifNoneMatch }),
      ...(ifMatch === undefined ? {} : { IfMatch: ifMatch }),
    });
    return { etag: (await this.#send("putObject", command, exchange)).ETag ?? "" };
  }

  async listObjects(input: Input<"listObjects">, exchange: Exchange): Output<"listObjects"> {
    const { bucket, prefix, delimiter, keysMax, startAfter, continuationToken } = input;
    const command = new ListObjectsV2Command({
      Bucket: bucket,
      MaxKeys: keysMax,
      // XML cannot carry every character a key may hold.
      EncodingType: "url",
      ...(prefix === "" ? {} : { Prefix: prefix }),
      ...(delimiter === undefined ? {} : { Delimiter: delimiter }),
      ...(startAfter === undefined ? {} : { StartAfter: startAfter }),
      ...(continuationToken === undefined ? {} : { ContinuationToken: continuationToken }),
    });
    const output = await this.#send("listObjects", command, exchange);
    return {
      objects: (output.Contents ?? []).map(({ Key, Size, LastModified }) => ({
        key: Key ?? "",
        bytes: Size ?? 0,
        lastModifiedMs: LastModified?.getTime(),
      })),
      prefixes: (output.CommonPrefixes ?? []).map(({ Prefix }) => Prefix ?? ""),
      encoded: output.EncodingType === "url",
      truncated: output.IsTruncated === true,
      continuationToken: output.NextContinuationToken,
    };
  }

  async deleteObject(input: Input<"deleteObject">, exchange: Exchange): Promise<void> {
    await this.#send("deleteObject", new DeleteObjectCommand(named(input)), exchange);
  }

  async deleteObjects(
    { bucket, keys }: Input<"deleteObjects">,
    exchange: Exchange,
  ): Output<"deleteObjects"> {
    const Objects = keys.map((Key) => ({ Key }));
    const command = new DeleteObjectsCommand({ Bucket: bucket, Delete: { Quiet: true, Objects } });
    const { Errors = [] } = await this.#send("deleteObjects", command, exchange);
    return Errors.map(({ Key = "", Code = "Error", Message = "" }) => ({
      key: Key,
      code: Code,
      message: Message,
    }));
  }

  async createUpload(input: Input<"createUpload">, exchange: Exchange): Output<"createUpload"> {
    const isSummed = await this.#makesChecksums();
    const command = new CreateMultipartUploadCommand({
      ...named(input),
      Metadata: { ...input.metadata },
      // The parts will carry the SDK's default checksum, and S3 must be informed beforehand.
      ...(isSummed ? { ChecksumAlgorithm: "CRC32" } : {}),
    });
    return { uploadId: (await this.#send("createUpload", command, exchange)).UploadId ?? "" };
  }

  async uploadPart(input: Input<"uploadPart">, exchange: Exchange): Output<"uploadPart"> {
    const { uploadId, partNumber, body } = input;
    const command = new UploadPartCommand({
      ...named(input),
      UploadId: uploadId,
      PartNumber: partNumber,
      Body: body,
      ...(await this.#checksum(body)),
    });
    const sent = this.#send("uploadPart", command, exchange);
    const { ETag: etag, ChecksumCRC32: crc32 } = await sent;
    return { partNumber, etag, crc32 };
  }

  async completeUpload(
    input: Input<"completeUpload">,
    exchange: Exchange,
  ): Output<"completeUpload"> {
    const { uploadId, parts, ifNoneMatch } = input;
    const command = new CompleteMultipartUploadCommand({
      ...named(input),
      UploadId: uploadId,
      MultipartUpload: {
        Parts: parts.map(({ partNumber, etag, crc32 }) => ({
          PartNumber: partNumber,
          ...(etag === undefined ? {} : { ETag: etag }),
          ...(crc32 === undefined ? {} : { ChecksumCRC32: crc32 }),
        })),
      },
      ...(ifNoneMatch === undefined ? {} : { IfNoneMatch: ifNoneMatch }),
    });
    return { etag: (await this.#send("completeUpload", command, exchange)).ETag ?? "" };
  }

  async abortUpload(input: Input<"abortUpload">, exchange: Exchange): Promise<void> {
    const command = new AbortMultipartUploadCommand({ ...named(input), UploadId: input.uploadId });
    await this.#send("abortUpload", command, exchange);
  }

  /** Whether the SDK adds a checksum to what it sends; clients before 3.701 did not. */
  async #makesChecksums(): Promise<boolean> {
    const configured: unknown = Reflect.get(this.#client.config, "requestChecksumCalculation");
    return typeof configured === "function" && (await configured()) === "WHEN_SUPPORTED";
  }

  /** Where the SDK adds none. */
  async #checksum(body: Uint8Array): Promise<{ ContentMD5?: string; ChecksumCRC32?: string }> {
    if (await this.#makesChecksums()) return {};
    const [name, sum] = checksumHeader(body);
    return name === "content-md5" ? { ContentMD5: sum } : { ChecksumCRC32: sum };
  }

  /** @throws RequestError, and errors of Node as they are */
  async #send<In extends ServiceInputTypes, Out extends ServiceOutputTypes>(
    operation: Operation,
    command: $Command<In, Out, S3ClientResolvedConfig, ServiceInputTypes, ServiceOutputTypes>,
    exchange: Exchange,
  ): Promise<Out> {
    const headers = this.#settings.headers[operation];
    // The body of an object is read where the SDK has checked the answer.
    const isStream = operation === "getObject";
    command.middlewareStack.add((next) => reporting(next, exchange, isStream), REPORT_PLACE);
    command.middlewareStack.add((next) => withHeaders(next, headers), HEADERS_PLACE);
    try {
      return await this.#client.send(command, { abortSignal: exchange.signal });
    } catch (error) {
      throw toRequestError(error);
    }
  }
}

type Handler<In, Out> = (args: In) => Promise<Out>;

function withHeaders<In extends { readonly request: unknown }, Out>(
  next: Handler<In, Out>,
  headers: Readonly<Record<string, string>>,
): Handler<In, Out> {
  return (args) => {
    Object.assign(Object(field(args.request, "headers")), headers);
    return next(args);
  };
}

/** Reports each HTTP attempt to the exchange, and reads its body (XML) unless that is an object. */
function reporting<
  In extends { readonly request: unknown },
  Out extends { readonly response: unknown },
>(next: Handler<In, Out>, exchange: Exchange, isStream: boolean): Handler<In, Out> {
  return async (args) => {
    const { request } = args;
    exchange.sent({
      method: textField(request, "method") ?? "",
      origin: originOf(request),
      path: textField(request, "path") ?? "",
      headers: headersOf(request),
    });
    let out: Out;
    try {
      out = await next(args);
    } catch (error) {
      exchange.unanswered();
      throw error;
    }
    const response = Object(out.response);
    const status = Number(field(response, "statusCode"));
    exchange.answered({ status, headers: headersOf(response) });
    if (isStream && status >= 200 && status < 300) return out;
    const body = await exchange.read(field(response, "body"));
    if (body !== undefined) Reflect.set(response, "body", body);
    return out;
  };
}

/** "" when a handler does not name the server. */
function originOf(request: unknown): string {
  const { protocol, hostname, port } = Object(request);
  if (typeof hostname !== "string") return "";
  const text = `${protocol}//${hostname}${port ? `:${port}` : ""}`;
  return URL.canParse(text) ? new URL(text).origin : text;
}

function headersOf(message: unknown): HttpHeaders {
  const headers = Object.entries(Object(field(message, "headers")));
  return Object.fromEntries(headers.map(([name, value]) => [name.toLowerCase(), String(value)]));
}

/** What the SDK reports in `$metadata`, in the words of HTTP. */
function toRequestError(error: unknown): unknown {
  const metadata = field(error, "$metadata");
  if (metadata === undefined || error instanceof RequestError) return error;
  return new RequestError({
    ...faultOf(error),
    attempts: numberField(metadata, "attempts"),
    clockCorrected: field(metadata, "clockSkewCorrected") === true,
  });
}

function textField(value: unknown, name: string): string | undefined {
  const found = field(value, name);
  return typeof found === "string" ? found : undefined;
}

function numberField(value: unknown, name: string): number | undefined {
  const found = field(value, name);
  return typeof found === "number" ? found : undefined;
}

function field(value: unknown, name: string): unknown {
  return Reflect.get(Object(value), name);
}

function named({ bucket, key }: Input<"headObject">): {
  readonly Bucket: string;
  readonly Key: string;
} {
  return { Bucket: bucket, Key: key };
}

function headOf(output: {
  readonly ETag?: string | undefined;
  readonly ContentLength?: number | undefined;
  readonly LastModified?: Date | undefined;
}): ObjectHead {
  return {
    etag: output.ETag ?? "",
    bodyBytes: output.ContentLength,
    lastModifiedMs: output.LastModified?.getTime(),
  };
}
