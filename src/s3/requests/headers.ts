/** Headers that a bucket requires, and which requests they belong to ("API operations", Amazon S3 API Reference). */
import { createHash } from "node:crypto";
import { InvalidArgumentError } from "../../core/errors.ts";
import type { Operation } from "./transport.ts";

/** Encryption that a bucket demands in the request; what it does by default needs no option. */
export type ServerSideEncryption =
  | {
      /** "AES256": keys of S3 (SSE-S3). "aws:kms", "aws:kms:dsse": keys of AWS KMS. */
      readonly algorithm: "AES256" | "aws:kms" | "aws:kms:dsse";
      /** Id, ARN or alias ARN of the KMS key. Default: the account's key for S3. */
      readonly kmsKeyId?: string | undefined;
      /** Fewer calls of KMS, as the bucket's own setting. Default: the bucket's setting. */
      readonly bucketKey?: boolean | undefined;
    }
  | {
      /** 32 bytes, sent with every request that reads or writes an object (SSE-C); S3 keeps none. */
      readonly customerKey: Uint8Array;
    };

export interface HeaderOptions {
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly sse?: ServerSideEncryption | undefined;
}

/** What to send in addition to an operation's own headers; names in lower case. */
export type OperationHeaders = Readonly<Record<Operation, Readonly<Record<string, string>>>>;

const SSE = "x-amz-server-side-encryption";
const SSE_CUSTOMER = `${SSE}-customer-`;

/** Of Amazon's own headers. */
const OF_EVERY_REQUEST: readonly string[] = ["x-amz-request-payer", "x-amz-expected-bucket-owner"];

/** The store and the signature set these. */
const RESERVED =
  /^(?:host|authorization|connection|date|expect|range|te|trailer|transfer-encoding|upgrade|content-.*|if-.*|x-amz-(?:date|content-.*|security-token|checksum-.*|sdk-.*|copy-.*|meta-opslog-.*))$/;
/** RFC 9110: a token, and what a field value may hold. */
const NAME = /^[!#$%&'*+.^_`|~\dA-Za-z-]+$/;
const VALUE = /^[\t\u0020-\u007e\u0080-\u00ff]*$/;

/**
 * @throws InvalidArgumentError for a header that the store sets itself or that cannot be sent,
 * and for unusable settings of encryption
 */
export function headersFor({ headers = {}, sse }: HeaderOptions): OperationHeaders {
  const creating = { ...checkHeaders(headers), ...(sse === undefined ? {} : sseHeaders(sse)) };
  const only = (belongs: (name: string) => boolean): Record<string, string> =>
    Object.fromEntries(Object.entries(creating).filter(([name]) => belongs(name)));
  const every = only(isOfEveryRequest);
  const withKey = only((name) => isOfEveryRequest(name) || name.startsWith(SSE_CUSTOMER));
  return {
    putObject: creating,
    createUpload: creating,
    uploadPart: withKey,
    getObject: withKey,
    headObject: withKey,
    listObjects: every,
    deleteObject: every,
    deleteObjects: every,
    completeUpload: every,
    abortUpload: every,
  };
}

/** The others describe the object that is made. */
function isOfEveryRequest(name: string): boolean {
  return !name.startsWith("x-amz-") || OF_EVERY_REQUEST.includes(name);
}

function checkHeaders(headers: Readonly<Record<string, string>>): Record<string, string> {
  const checked = Object.entries(headers).map(([given, value]) => {
    const name = given.toLowerCase();
    if (!NAME.test(name) || typeof value !== "string" || !VALUE.test(value)) {
      throw new InvalidArgumentError(
        `headers: expected names and texts that HTTP can represent, found ${JSON.stringify(given)}` +
          (typeof value === "string" ? " with a text that it cannot" : `: ${typeof value}`),
      );
    }
    if (RESERVED.test(name)) {
      throw new InvalidArgumentError(`headers: the store itself sets ${JSON.stringify(name)}`);
    }
    return [name, value] as const;
  });
  return Object.fromEntries(checked);
}

function sseHeaders(sse: ServerSideEncryption): Record<string, string> {
  if ("customerKey" in sse) return customerHeaders(sse.customerKey);
  const { algorithm, kmsKeyId, bucketKey } = sse;
  if (!["AES256", "aws:kms", "aws:kms:dsse"].includes(algorithm)) {
    throw new InvalidArgumentError(
      `sse.algorithm must be "AES256", "aws:kms" or "aws:kms:dsse", found ${JSON.stringify(algorithm)}`,
    );
  }
  if (algorithm === "AES256" && (kmsKeyId ?? bucketKey) !== undefined) {
    throw new InvalidArgumentError("sse: kmsKeyId and bucketKey need a KMS algorithm");
  }
  return {
    [SSE]: algorithm,
    ...checkHeaders(kmsKeyId === undefined ? {} : { [`${SSE}-aws-kms-key-id`]: kmsKeyId }),
    ...(bucketKey === undefined ? {} : { [`${SSE}-bucket-key-enabled`]: String(bucketKey) }),
  };
}

function customerHeaders(key: Uint8Array): Record<string, string> {
  if (!ArrayBuffer.isView(key) || key.byteLength !== 32) {
    throw new InvalidArgumentError("sse.customerKey must be 32 bytes");
  }
  return {
    [`${SSE_CUSTOMER}algorithm`]: "AES256",
    [`${SSE_CUSTOMER}key`]: Buffer.from(key).toString("base64"),
    [`${SSE_CUSTOMER}key-md5`]: createHash("md5").update(key).digest("base64"),
  };
}
