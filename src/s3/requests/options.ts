/** Options of the S3 backends and the place (bucket and prefix) one is bound to. */
import { InvalidArgumentError } from "../../core/errors.ts";
import { systemRuntime } from "../../core/runtime.ts";
import type { Runtime } from "../../core/runtime.ts";
import { checkEndpoint } from "./endpoint.ts";
import type { S3RequestEvent } from "./exchange.ts";
import { headersFor, type OperationHeaders, type ServerSideEncryption } from "./headers.ts";
import { withoutSlashesAtEnd, wrongInKey } from "../../core/relative-path.ts";

/** Whichever client sends the requests. */
export interface CommonS3Options {
  /** Where the store lies; the location may then be any text but another `s3://` URL. */
  readonly bucket?: string | undefined;
  /** Used together with `bucket`; a "/" at its end does not count. Default: the bucket's root. */
  readonly prefix?: string | undefined;
  /** Default: AWS_REGION; what else the SDK finds (the profile) with the SDK's client. */
  readonly region?: string | undefined;
  /** URL of an S3-compatible server. Default: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, else AWS. */
  readonly endpoint?: string | undefined;
  /** Bucket in the path instead of the host name. Default: true with a custom endpoint. */
  readonly forcePathStyle?: boolean | undefined;
  /** Default 1,000. */
  readonly connectTimeoutMs?: number | undefined;
  /** An attempt is abandoned if nothing arrives for this time, in ms. Default 10,000. */
  readonly requestTimeoutMs?: number | undefined;
  /** Attempts of a request that may be repeated freely (all but PUT of an object). Default 6. */
  readonly attemptsMax?: number | undefined;
  /** Requests under way at once. Default 64. */
  readonly maxSockets?: number | undefined;
  /**
   * How long the single writer's lease may stay unrenewed before another takes over. Default: the
   * store's `leaseTtlMs`, 60,000.
   */
  readonly lockTtlMs?: number | undefined;
  /**
   * Parts of a multipart upload, until they grow with the object; streams up to it are one PUT.
   * Default 8 MiB, 5 MiB to 4 GiB.
   */
  readonly partBytes?: number | undefined;
  /**
   * Headers that the bucket, or a proxy before it, requires: `{ "x-amz-request-payer": "requester" }`.
   * Amazon's headers about objects (x-amz-tagging, x-amz-storage-class, …) go along with requests
   * that create one, all other headers with every request. Headers that the store sets itself
   * are refused.
   */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /**
   * Encryption that a policy of the bucket demands in each request: `{ algorithm: "aws:kms" }`.
   * Default: the setting of the bucket.
   */
  readonly sse?: ServerSideEncryption | undefined;
  /** Called once per HTTP attempt, for counting. Must not throw. */
  readonly onRequest?: ((event: S3RequestEvent) => void) | undefined;
  /** @internal */
  readonly runtime?: Runtime | undefined;
}

export interface S3Settings {
  /** For advice: "Check the credentials …". */
  readonly credentialsFrom: string;
  readonly bucket: string | undefined;
  readonly prefix: string | undefined;
  readonly region: string | undefined;
  readonly endpoint: string | undefined;
  readonly forcePathStyle: boolean | undefined;
  readonly connectTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly attemptsMax: number;
  readonly maxSockets: number;
  readonly lockTtlMs: number | undefined;
  readonly partBytes: number;
  readonly headers: OperationHeaders;
  readonly onRequest: ((event: S3RequestEvent) => void) | undefined;
  readonly runtime: Runtime;
}

/** Where a store lies. */
export interface S3Place {
  readonly bucket: string;
  /** "" or ends in "/". */
  readonly prefix: string;
}

const MIB = 1024 * 1024;
/** S3 refuses smaller parts, but for the last. */
const PART_BYTES_MIN = 5 * MIB;
/** S3's limit. */
export const KEY_BYTES_MAX = 1_024;
/** The longest names that a store makes by itself, those of segments, have some 350 bytes. */
const PREFIX_BYTES_MAX = KEY_BYTES_MAX - 424;

const COMMON_NAMES: readonly string[] = Object.keys({
  bucket: true,
  prefix: true,
  region: true,
  endpoint: true,
  forcePathStyle: true,
  connectTimeoutMs: true,
  requestTimeoutMs: true,
  attemptsMax: true,
  maxSockets: true,
  lockTtlMs: true,
  partBytes: true,
  headers: true,
  sse: true,
  onRequest: true,
  runtime: true,
} satisfies Record<keyof CommonS3Options, true>);

/** Where the SDK looks for them. */
const SDK_CREDENTIALS = "that the AWS SDK finds (environment, profile, the function's role)";

/**
 * @param owner the class, the option that it alone has, and where it has credentials from, for advice
 * @throws InvalidArgumentError for an unknown name or an unusable value
 */
export function resolveOptions(
  options: CommonS3Options,
  owner: { readonly name: string; readonly option: string; readonly credentials?: string },
): S3Settings {
  const known = [owner.option, ...COMMON_NAMES];
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) {
      throw new InvalidArgumentError(
        `unknown option of ${owner.name}: ${JSON.stringify(name)}; known are ${known.join(", ")}`,
      );
    }
  }
  return {
    bucket: options.bucket === undefined ? undefined : checkBucket(options.bucket),
    prefix: options.prefix === undefined ? undefined : checkGivenPrefix(options.prefix),
    region: options.region,
    endpoint:
      options.endpoint === undefined ? undefined : checkEndpoint(options.endpoint, "endpoint"),
    forcePathStyle: options.forcePathStyle,
    connectTimeoutMs: integer("connectTimeoutMs", options.connectTimeoutMs, 1_000),
    requestTimeoutMs: integer("requestTimeoutMs", options.requestTimeoutMs, 10_000),
    attemptsMax: integer("attemptsMax", options.attemptsMax, 6),
    maxSockets: integer("maxSockets", options.maxSockets, 64),
    lockTtlMs:
      options.lockTtlMs === undefined ? undefined : integer("lockTtlMs", options.lockTtlMs, 1),
    partBytes: integer("partBytes", options.partBytes, 8 * MIB, PART_BYTES_MIN, 4096 * MIB),
    headers: headersFor(options),
    credentialsFrom: owner.credentials ?? SDK_CREDENTIALS,
    onRequest: options.onRequest,
    runtime: options.runtime ?? systemRuntime,
  };
}

/**
 * `s3://bucket/prefix`; where the options name a bucket, what they say, and then the location may
 * be any text.
 * @throws InvalidArgumentError when neither names a bucket, both name different places, or bucket
 *   or prefix cannot be used
 */
export function resolvePlace(location: string, settings: S3Settings): S3Place {
  const url = /^s3:\/\/([^/]*)(?:\/(.*))?$/is.exec(location);
  const place = url && { bucket: checkBucket(url[1] ?? ""), prefix: checkUrlPrefix(url[2] ?? "") };
  if (settings.bucket === undefined) {
    if (place !== null) return place;
    throw new InvalidArgumentError(
      `no bucket: open "s3://bucket/prefix", or pass the option bucket to S3Backend; ` +
        `found location ${JSON.stringify(location)}`,
    );
  }
  const given = { bucket: settings.bucket, prefix: settings.prefix ?? "" };
  if (place !== null && (place.bucket !== given.bucket || place.prefix !== given.prefix)) {
    // Whichever were taken, some caller would find an empty store where its data should be.
    throw new InvalidArgumentError(
      `location ${location} and the options of S3Backend (bucket ${JSON.stringify(given.bucket)}, ` +
        `prefix ${JSON.stringify(given.prefix)}) name different places: pass one of them`,
    );
  }
  return given;
}

function integer(
  name: string,
  value: number | undefined,
  fallback: number,
  least = 1,
  most = Number.MAX_SAFE_INTEGER,
): number {
  if (value === undefined) return fallback;
  if (!Number.isSafeInteger(value) || value < least || value > most) {
    const range = most === Number.MAX_SAFE_INTEGER ? `at least ${least}` : `${least} to ${most}`;
    throw new InvalidArgumentError(`${name} must be an integer of ${range}, found ${value}`);
  }
  return value;
}

/** Which names a server takes is its own affair; what is no name at all is refused here. */
function checkBucket(bucket: string): string {
  const plain = /^[A-Za-z0-9._-]{1,255}$/.test(bucket) && !/^\.{1,2}$/.test(bucket);
  // An access point is addressed by its ARN, which only the option can carry (it holds a "/").
  if (plain || /^arn:[a-z0-9-]+:s3[a-z0-9-]*:[^\s]+$/.test(bucket)) return bucket;
  throw new InvalidArgumentError(
    `bucket must be letters, digits, ".", "_" and "-", or an access point ARN; ` +
      `found ${JSON.stringify(bucket.replace(/^[^]*@/, "…@"))}`,
  );
}

/** Whether the bucket can stand in a host name ("Bucket naming rules", Amazon S3 User Guide). */
export function isHostName(bucket: string): boolean {
  return /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket) && !bucket.includes("..");
}

function checkUrlPrefix(prefix: string): string {
  const trimmed = withoutSlashesAtEnd(prefix);
  return checkPlacePrefix(trimmed.slice(slashesInFront(trimmed).length));
}

/** A "/" in front is kept: the original's keys begin with it then. */
function checkGivenPrefix(prefix: string): string {
  const trimmed = withoutSlashesAtEnd(prefix);
  const slashes = slashesInFront(trimmed);
  return slashes + checkPlacePrefix(trimmed.slice(slashes.length));
}

function slashesInFront(text: string): string {
  return /^\/*/.exec(text)?.[0] ?? "";
}

/** Parts may be empty ("a//b"): S3 has no directories. */
function checkPlacePrefix(trimmed: string): string {
  if (trimmed === "") return "";
  const wrong = wrongInKey(trimmed);
  if (wrong !== undefined) {
    throw new InvalidArgumentError(`prefix must not hold ${wrong}: ${JSON.stringify(trimmed)}`);
  }
  const bytes = Buffer.byteLength(trimmed) + 1;
  if (bytes > PREFIX_BYTES_MAX) {
    throw new InvalidArgumentError(
      `prefix has ${bytes} bytes with a "/" at its end, at most ${PREFIX_BYTES_MAX} are allowed: ` +
        `a key has at most ${KEY_BYTES_MAX}, and names in a store need the rest`,
    );
  }
  return `${trimmed}/`;
}
