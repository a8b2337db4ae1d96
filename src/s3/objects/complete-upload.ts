/** The last request of a multipart upload, repeated until its outcome is known. */
import { UnavailableError, WriteOutcomeUnknownError } from "../../core/errors.ts";
import type { PutResult } from "../../storage/backend.ts";
import { normalizeEtag, type S3Bucket } from "../requests/client.ts";
import type { Failure, S3Call } from "../requests/errors.ts";
import { backoffMs, isRepeatable, pause } from "../requests/retry.ts";
import type { UploadedPart } from "../requests/transport.ts";

/** Metadata key of the random mark of an upload. */
export const UPLOAD_MARK = "opslog-upload";

export interface Upload {
  readonly path: string;
  readonly id: string;
  /** Random; in the metadata of the finished object. */
  readonly mark: string;
  readonly ifAbsent: boolean;
  /** How long the last request may be repeated. */
  readonly timeoutMs: number;
}

/** How servers refuse an If-None-Match that they do not support here. */
const HEADER_REFUSALS: readonly string[] = ["NotImplemented", "InvalidArgument", "InvalidRequest"];

export async function completeUpload(
  bucket: S3Bucket,
  upload: Upload,
  parts: readonly UploadedPart[],
): Promise<PutResult> {
  const { runtime } = bucket;
  const { path } = upload;
  const call = { operation: "CompleteMultipartUpload", permission: "s3:PutObject", path };
  const deadlineMs = runtime.steadyMs() + upload.timeoutMs;
  let ifNoneMatch = upload.ifAbsent;
  let doubt: Failure | undefined;
  for (let failures = 1; ; failures++) {
    const input = {
      ...bucket.object(path),
      uploadId: upload.id,
      parts,
      ifNoneMatch: ifNoneMatch ? "*" : undefined,
    };
    const result = await bucket.attempt((s3, exchange) => s3.completeUpload(input, exchange), call);
    if (result.ok) return await written(bucket, upload, result.output.etag, result.dateMs);
    const { failure } = result;
    if (failure.kind === "unknown" || failure.kind === "undated" || result.repeated) {
      doubt ??= failure;
    }
    if (ifNoneMatch && doubt === undefined && HEADER_REFUSALS.includes(failure.name)) {
      ifNoneMatch = false;
      continue;
    }
    // On 409 S3 requires the whole upload again: nothing was stored, and the caller repeats it.
    if (!isRepeatable(failure) || failure.kind === "contended") {
      return await settle(bucket, upload, failure, doubt);
    }
    const pauseMs = backoffMs(runtime, failure, failures);
    if (runtime.steadyMs() + pauseMs >= deadlineMs) {
      return await settle(bucket, upload, failure, doubt);
    }
    await pause(runtime, pauseMs);
  }
}

/** No further attempt: with an open outcome behind us the mark on the object decides. */
async function settle(
  bucket: S3Bucket,
  upload: Upload,
  failure: Failure,
  doubt: Failure | undefined,
): Promise<PutResult> {
  const { path } = upload;
  const call: S3Call = { operation: "CompleteMultipartUpload", permission: "s3:PutObject", path };
  if (doubt === undefined) {
    if (failure.kind === "precondition" && upload.ifAbsent) {
      return { status: "conflict", dateMs: (await bucket.head(path)).dateMs };
    }
    if (failure.kind !== "no-upload") throw bucket.error(failure, call);
    throw new UnavailableError(
      `the upload of '${path}' was aborted by another client before it was complete`,
      { path, cause: failure.cause },
    );
  }
  let cause: unknown = doubt.cause;
  try {
    const { output, dateMs } = await bucket.head(path);
    if (output?.metadata[UPLOAD_MARK] === upload.mark) {
      return { status: "written", etag: normalizeEtag(output.etag), dateMs };
    }
    if (output !== undefined && upload.ifAbsent) return { status: "conflict", dateMs };
  } catch (error) {
    cause = error;
  }
  throw new WriteOutcomeUnknownError(
    `the upload of '${path}' may or may not have been completed: ${doubt.name}: ${doubt.message}`,
    { path, cause },
  );
}

/** Ceph RGW leaves the etag out of its first answer. */
async function written(
  bucket: S3Bucket,
  upload: Upload,
  etag: string,
  dateMs: number,
): Promise<PutResult> {
  const answered = normalizeEtag(etag);
  if (answered !== "") return { status: "written", etag: answered, dateMs };
  const { output } = await bucket.head(upload.path);
  if (output?.metadata[UPLOAD_MARK] === upload.mark) {
    return { status: "written", etag: normalizeEtag(output.etag), dateMs };
  }
  throw new WriteOutcomeUnknownError(
    `'${upload.path}' was written, but it was replaced before its etag could be read`,
    { path: upload.path },
  );
}
