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
  S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import type {
  $Command,
  S3ClientConfig,
  S3ClientResolvedConfig,
  ServiceInputTypes,
  ServiceOutputTypes,
} from "@aws-sdk/client-s3";
import { closeIdleSockets } from "./idle-sockets.ts";
import { endpointOfEnvironment } from "../requests/endpoint.ts";
import { checksumHeader, type HeadersFor } from "../requests/headers.ts";
import type { S3Settings } from "../requests/options.ts";
import type {
  Exchange,
  Input,
  Output,
  FailedDelete,
  ListedPage,
  ObjectHead,
  S3Key,
  S3Transport,
  UploadedPart,
} from "../requests/transport.ts";

/** Innermost: sees the answer before anything of the SDK does. */
const WATCH_PLACE = {
  step: "deserialize",
  priority: "low",
  name: "opslogHttpWatch",
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
    return { ...headOf(output), contentRange: output.ContentRange, body: output.Body };
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

  async listObjects(input: Input<"listObjects">, exchange: Exchange): Promise<ListedPage> {
    const { bucket, prefix, delimiter, keysMax, continuationToken } = input;
    const command = new ListObjectsV2Command({
      Bucket: bucket,
      MaxKeys: keysMax,
      // XML cannot carry every character a key may hold.
      EncodingType: "url",
      ...(prefix === "" ? {} : { Prefix: prefix }),
      ...(delimiter === undefined ? {} : { Delimiter: delimiter }),
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

  async deleteObject(input: S3Key, exchange: Exchange): Promise<void> {
    await this.#send("deleteObject", new DeleteObjectCommand(named(input)), exchange);
  }

  async deleteObjects(
    { bucket, keys }: Input<"deleteObjects">,
    exchange: Exchange,
  ): Promise<FailedDelete[]> {
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

  async uploadPart(input: Input<"uploadPart">, exchange: Exchange): Promise<UploadedPart> {
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

  #send<In extends ServiceInputTypes, Out extends ServiceOutputTypes>(
    operation: Parameters<HeadersFor>[0],
    command: $Command<In, Out, S3ClientResolvedConfig, ServiceInputTypes, ServiceOutputTypes>,
    { signal, watch, touch }: Exchange,
  ): Promise<Out> {
    const headers = this.#settings.headersFor(operation);
    command.middlewareStack.add((next) => watch.around(next, touch), WATCH_PLACE);
    command.middlewareStack.add((next) => withHeaders(next, headers), HEADERS_PLACE);
    return this.#client.send(command, { abortSignal: signal });
  }
}

function withHeaders<In extends { readonly request: unknown }, Out>(
  next: (args: In) => Promise<Out>,
  headers: Readonly<Record<string, string>>,
): (args: In) => Promise<Out> {
  return (args) => {
    Object.assign(Object(Reflect.get(Object(args.request), "headers")), headers);
    return next(args);
  };
}

function named({ bucket, key }: S3Key): { readonly Bucket: string; readonly Key: string } {
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

/**
 * A client that sends each request once: repeating is the backend's task, which must see every
 * attempt of a conditional write. The time limit of a request, too, is the backend's, because it
 * must also hold while a body arrives and with a caller's client.
 */
export function createClient(settings: S3Settings): S3Client {
  const custom = settings.endpoint ?? endpointOfEnvironment();
  const agent = { keepAlive: true, maxSockets: settings.maxSockets };
  const config: S3ClientConfig = {
    maxAttempts: 1,
    requestHandler: {
      connectionTimeout: settings.connectTimeoutMs,
      httpAgent: agent,
      httpsAgent: agent,
    },
  };
  if (settings.region !== undefined) config.region = settings.region;
  if (settings.endpoint !== undefined) config.endpoint = settings.endpoint;
  const forcePathStyle = settings.forcePathStyle ?? (custom === undefined ? undefined : true);
  if (forcePathStyle !== undefined) config.forcePathStyle = forcePathStyle;
  if (custom !== undefined) {
    // The SDK's default CRC32 makes many S3-compatible servers answer 501 or 400.
    config.requestChecksumCalculation = "WHEN_REQUIRED";
    config.responseChecksumValidation = "WHEN_REQUIRED";
  }
  const client = new S3Client(config);
  if (custom === undefined) followConfiguredEndpoint(client, forcePathStyle);
  return client;
}

/** An `endpoint_url` of the AWS config file is known only once the SDK has read that. */
function followConfiguredEndpoint(client: S3Client, forcePathStyle: boolean | undefined): void {
  const { config } = client;
  const isConfigured = async (): Promise<boolean> =>
    (await config.serviceConfiguredEndpoint?.()) !== undefined;
  const { requestChecksumCalculation, responseChecksumValidation } = config;
  const unlessConfigured = (value: typeof requestChecksumCalculation): typeof value => {
    return async () => ((await isConfigured()) ? "WHEN_REQUIRED" : value());
  };
  Object.assign(config, {
    ...(forcePathStyle === undefined ? { forcePathStyle: isConfigured } : {}),
    requestChecksumCalculation: unlessConfigured(requestChecksumCalculation),
    responseChecksumValidation: unlessConfigured(responseChecksumValidation),
  });
}
