/**
 * The one place where failures of S3 are classified. A client reports a `RequestFault`;
 * `classifyError` returns what it means, and `toOpslogError` words it for people. The name of a fault
 * decides; the status only where the answer had no name (HEAD, 304), because an error inside a 200
 * surfaces with a made-up 503.
 */
import { safeMessage } from "../../core/describe.ts";
import {
  AccessDeniedError,
  ConflictError,
  InvalidArgumentError,
  NotSupportedError,
  StoreNotFoundError,
  UnavailableError,
} from "../../core/errors.ts";
import type { OpslogError } from "../../core/errors.ts";

/** What a client reports of an attempt that failed, in the words of HTTP. */
export interface RequestFault {
  /** The S3 error code of the answer ("NoSuchKey"), or the name of a local error. */
  readonly name: string;
  readonly message: string;
  /** HTTP status; none without an answer. */
  readonly status?: number | undefined;
  /** As the server names the request. */
  readonly requestId?: string | undefined;
  /** Node's code of a local error ("ECONNRESET"), and the system call that failed. */
  readonly code?: string | undefined;
  readonly systemCall?: string | undefined;
  /** The answer's date made the client correct the time that it signs with. */
  readonly clockCorrected?: boolean | undefined;
  /** HTTP attempts; more than one with a client that repeats requests itself. Default 1. */
  readonly attempts?: number | undefined;
}

/** What clients throw; errors of Node itself may pass through as they are. */
export class RequestError extends Error {
  readonly fault: RequestFault;

  constructor(fault: RequestFault) {
    super(fault.message);
    this.name = fault.name;
    this.fault = fault;
  }
}

/** Name of the fault of a request that lacks a condition; it was not sent. */
export const CONDITION_DROPPED = "ConditionDropped";

/** What a failed attempt means. */
export type FailureKind =
  /** No such object. */
  | "absent"
  /** 304. */
  | "unchanged"
  /** 412: the precondition did not hold. */
  | "precondition"
  /** 416: the range begins past the end. */
  | "range"
  /** No such multipart upload. */
  | "no-upload"
  /** 409: a race was lost before anything landed; the same request may be repeated. */
  | "contended"
  /** Nothing was done (throttled, no connection); the same request may be repeated. */
  | "refused"
  /** May or may not have been done (5xx, time-out, reset); the same request may be repeated. */
  | "unknown"
  | "no-bucket"
  | "credentials"
  | "clock-skew"
  | "denied"
  | "region"
  /** The server does not support the operation. */
  | "unsupported"
  /** Answered without a Date header; the request may have been carried out. */
  | "undated"
  /** Any other definite refusal. */
  | "rejected";

export interface Failure {
  readonly kind: FailureKind;
  /** The S3 error code, or the name of a local error. */
  readonly name: string;
  readonly status: number | undefined;
  readonly message: string;
  /** The connection broke, as it does when it was idle too long: a new one may well work. */
  readonly deadSocket: boolean;
  /** As in `RequestFault`. */
  readonly attempts: number;
  /** A copy without the other fields of an error: S3 echoes session tokens and signed headers in some. */
  readonly cause: Error;
}

/** The request, for messages. */
export interface S3Call {
  /** As in the S3 API, "GetObject". */
  readonly operation: string;
  /** IAM action needed, "s3:GetObject". */
  readonly permission: string;
  /** Relative to the location. */
  readonly path?: string | undefined;
  /** Headers, in lower case, without which the request must not leave. */
  readonly conditions?: Readonly<Record<string, string>> | undefined;
}

/** Error codes decide; the status only where there is none. */
const NAMES_BY_KIND: readonly (readonly [FailureKind, readonly string[]])[] = [
  ["absent", ["NoSuchKey", "NotFound"]],
  ["unchanged", ["NotModified"]],
  ["precondition", ["PreconditionFailed"]],
  ["range", ["InvalidRange"]],
  ["no-upload", ["NoSuchUpload"]],
  ["contended", ["ConditionalRequestConflict", "OperationAborted"]],
  ["refused", ["SlowDown", "SlowDownRead", "SlowDownWrite", "RequestLimitExceeded"]],
  ["refused", ["Throttling", "ThrottlingException", "BandwidthLimitExceeded"]],
  ["refused", ["TooManyRequests", "TooManyRequestsException"]],
  ["unknown", ["InternalError", "ServiceUnavailable", "RequestTimeout"]],
  ["unknown", ["TimeoutError", "AbortError"]],
  ["no-bucket", ["NoSuchBucket"]],
  ["credentials", ["InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidSecurity"]],
  ["credentials", ["ExpiredToken", "ExpiredTokenException", "InvalidToken"]],
  ["credentials", ["TokenRefreshRequired", "CredentialsProviderError", "TokenProviderError"]],
  ["clock-skew", ["RequestTimeTooSkewed", "RequestExpired"]],
  ["denied", ["AccessDenied", "Forbidden", "AllAccessDisabled", "AccountProblem"]],
  ["region", ["PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed"]],
  ["region", ["IllegalLocationConstraintException"]],
  ["unsupported", ["NotImplemented", "XNotImplemented", "MethodNotAllowed"]],
  ["rejected", ["InvalidArgument", "InvalidRequest", "InvalidBucketName", "KeyTooLongError"]],
  ["rejected", ["InvalidPart", "InvalidPartOrder", "EntityTooSmall", "EntityTooLarge"]],
  ["rejected", ["MalformedXML", "BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch"]],
  ["rejected", ["MissingContentLength", "InvalidObjectState", "QuotaExceeded"]],
];

const KIND_BY_NAME: ReadonlyMap<string, FailureKind> = new Map(
  NAMES_BY_KIND.flatMap(([kind, names]) => names.map((name) => [name, kind] as const)),
);

function kindOfStatus(status: number | undefined): FailureKind | undefined {
  if (status === undefined) return undefined;
  if (status >= 500) return status === 501 ? "unsupported" : "unknown";
  switch (status) {
    case 301:
    case 307:
      return "region";
    case 304:
      return "unchanged";
    case 401:
    case 403:
      return "denied";
    case 404:
      return "absent";
    case 405:
      return "unsupported";
    case 408:
      return "unknown";
    case 409:
      return "contended";
    case 412:
      return "precondition";
    case 416:
      return "range";
    case 429:
      return "refused";
    default:
      // A 2xx or 3xx that could not be understood may well have been carried out.
      return status >= 400 ? "rejected" : "unknown";
  }
}

/** No connection came about, so nothing was sent. */
const UNCONNECTED_CODES = ["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH"];
/** System calls that come before anything is sent: then any code means that. */
const CONNECTING_CALLS = ["connect", "socket", "getaddrinfo"];
const RESET_CODES = ["ECONNRESET", "EPIPE", "ECONNABORTED"];

/**
 * What the failed attempt means. `sent` says whether a request left this process: an error from
 * before that (no credentials, no region) is definite.
 * @param error what a client threw
 */
export function classifyError(error: unknown, sent: boolean): Failure {
  return classifyFault(error instanceof RequestError ? error.fault : faultOf(error), sent);
}

/** As `classifyError`, of a fault that was reported otherwise. */
export function classifyFault(fault: RequestFault, sent: boolean): Failure {
  const { name, code, status, requestId, attempts = 1 } = fault;
  const message = redact(fault.message);
  const deadSocket =
    status === undefined && (RESET_CODES.includes(code ?? "") || /socket hang up/.test(message));
  const known =
    (fault.clockCorrected === true && status === 403 ? "clock-skew" : undefined) ??
    localKind({ ...fault, message }) ??
    KIND_BY_NAME.get(name) ??
    kindOfStatus(status);
  const fields = Object.entries({ name, message, code, status, requestId });
  const kept = fields.filter(([, value]) => value !== undefined);
  return {
    kind: known ?? (sent || deadSocket ? "unknown" : "rejected"),
    name: code ?? name,
    status,
    message,
    deadSocket,
    attempts,
    cause: Object.assign(new Error(message), Object.fromEntries(kept)),
  };
}

/**
 * Of an error of Node, or of a function of the caller: one that returns credentials may throw what
 * the AWS SDK throws, with the status of its own request in `$metadata`.
 */
export function faultOf(error: unknown): RequestFault {
  const metadata: unknown = Reflect.get(Object(error), "$metadata");
  const status: unknown = Reflect.get(Object(metadata), "httpStatusCode");
  return {
    name: textField(error, "name") ?? "Error",
    message: textField(error, "message") ?? String(error),
    code: textField(error, "code"),
    systemCall: textField(error, "syscall"),
    status: typeof status === "number" ? status : undefined,
    requestId: textField(metadata, "requestId"),
  };
}

/** An answer without a Date: the store's safety rests on the server's clock, not on ours. */
export function undatedFailure(status: number | undefined): Failure {
  const message =
    "the answer has no Date header (does a proxy remove it?); " +
    "the store compares the server's dates to keep late writes out";
  return {
    kind: "undated",
    name: "UndatedAnswer",
    status,
    message,
    deadSocket: false,
    attempts: 1,
    cause: new Error(message),
  };
}

/** Errors that arise here or on the way, without an answer from the server. */
function localKind({ name, code, message, systemCall }: RequestFault): FailureKind | undefined {
  if (name === "TimeoutError" && /did not establish a connection/.test(message)) return "refused";
  if (name === "Error" && message.startsWith("Region is missing")) return "region";
  if (name === CONDITION_DROPPED) return "unsupported";
  if (code === undefined) return undefined;
  // Thrown by Node before it sends: credentials read from a file often end in a line break.
  if (code === "ERR_INVALID_CHAR" && CREDENTIAL_HEADER.test(message)) return "credentials";
  if (UNSENDABLE.test(code)) return "rejected";
  if (UNCONNECTED_CODES.includes(code) || CONNECTING_CALLS.includes(systemCall ?? "")) {
    return "refused";
  }
  if (RESET_CODES.includes(code) || code === "ETIMEDOUT") return "unknown";
  return /CERT|SELF_SIGNED|^ERR_(TLS|SSL)/.test(code) ? "rejected" : undefined;
}

const CREDENTIAL_HEADER = /"(authorization|x-amz-security-token)"/i;
/** Node's names of arguments that cannot be sent. */
const UNSENDABLE =
  /^ERR_(INVALID_(CHAR|URL|ARG|PROTOCOL|HTTP_TOKEN)|UNESCAPED_CHARACTERS|HTTP_INVALID_HEADER_VALUE)/;

/** Words a failure for the caller; for writes the caller has made sure that nothing landed. */
export function toOpslogError(
  failure: Failure,
  call: S3Call,
  place: { readonly bucket: string; readonly prefix: string },
  { credentialsFrom }: { readonly credentialsFrom: string },
): OpslogError {
  const object = `s3://${place.bucket}/${place.prefix}${call.path ?? ""}`;
  const answer = `${failure.name}${failure.status === undefined ? "" : ` (${failure.status})`}`;
  const silent = failure.message === "" || failure.message === "UnknownError";
  const detail = silent ? "" : `: ${failure.message}`;
  const what = `S3 ${call.operation} of ${object} failed with ${answer}${detail}`;
  const details = { path: call.path, cause: failure.cause };
  const advice = ADVICE[failure.kind] ?? "";
  switch (failure.kind) {
    case "no-bucket":
      return new StoreNotFoundError(`bucket '${place.bucket}' does not exist. ${advice}. ${what}`, {
        ...details,
        path: place.bucket,
      });
    case "absent":
    case "no-upload":
      return new StoreNotFoundError(what, details);
    case "credentials":
      return new AccessDeniedError(
        `${what}. Check the credentials ${credentialsFrom}: they are missing, wrong or expired, ` +
          "or contain what no header can (a line break at the end)",
        details,
      );
    case "clock-skew":
      return new AccessDeniedError(`${what}. ${advice}`, details);
    case "denied":
      return new AccessDeniedError(`${what}. ${deniedAdvice(call)}`, details);
    case "region":
    case "rejected":
    case "range":
      return new InvalidArgumentError(advice === "" ? what : `${what}. ${advice}`, details);
    case "unsupported":
    case "undated":
      return new NotSupportedError(what, details);
    case "unchanged":
    case "precondition":
      return new ConflictError(what, details);
    case "contended":
    case "refused":
    case "unknown":
      return new UnavailableError(what, details);
  }
}

const ADVICE: Readonly<Partial<Record<FailureKind, string>>> = {
  "no-bucket": "Create it, or correct the location, the region or the endpoint",
  "clock-skew":
    "S3 refuses signatures more than 15 minutes off, also those made with the time of its last answer: " +
    "set this machine's clock",
  region:
    "Set the region of the bucket (option region, or AWS_REGION); " +
    "servers other than AWS take any, us-east-1 for example",
};

function deniedAdvice({ operation, permission }: S3Call): string {
  const grant = `Allow ${permission} on it (and its KMS key, if the bucket has one)`;
  if (operation !== "GetObject" && operation !== "HeadObject") return grant;
  return (
    `${grant}, and s3:ListBucket on the bucket: ` +
    "without that an object that does not exist is answered with 403, too"
  );
}

function redact(message: string): string {
  return safeMessage(message).replace(/\b(A[A-Z]IA)[A-Z0-9]{12,}\b/g, "$1…");
}

function textField(value: unknown, name: string): string | undefined {
  const found: unknown = Reflect.get(Object(value), name);
  return typeof found === "string" ? found : undefined;
}
