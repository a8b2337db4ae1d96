/** What the answers of S3 and its relatives mean: error codes first, the status if there is none. */

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

export function kindOfName(name: string): FailureKind | undefined {
  return KIND_BY_NAME.get(name);
}

export function kindOfStatus(status: number | undefined): FailureKind | undefined {
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
