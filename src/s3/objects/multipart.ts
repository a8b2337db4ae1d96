/**
 * Writing a stream: one PUT when it fits into a part, a multipart upload otherwise. Each upload
 * carries a random mark in its metadata, which shows whether an upload whose last answer was lost was
 * completed.
 */
import { InvalidArgumentError, WriteOutcomeUnknownError } from "../../core/errors.ts";
import {
  type Precondition,
  PUT_TIMEOUT_MS,
  type PutOptions,
  type PutResult,
} from "../../storage/backend.ts";
import type { S3Bucket } from "../requests/client.ts";
import { completeUpload, UPLOAD_MARK } from "./complete-upload.ts";
import type { Upload } from "./complete-upload.ts";
import { putObject } from "./put.ts";
import type { UploadedPart } from "../requests/transport.ts";

const MIB = 1024 * 1024;
/** S3 takes no larger object, no more parts of one, and no larger part. */
export const OBJECT_BYTES_MAX = 5 * MIB * MIB;
export const PARTS_MAX = 10_000;
export const PART_BYTES_MAX = 5 * 1024 * MIB;

/** A part is at most this share of the bytes before it, so that parts grow late. */
const GROWTH = 1 / 1_300;

/** Each holds a part in memory, as the next one does, which is put together meanwhile. */
const PARTS_PARALLEL = 2;
/** Of the parts under way: parts that have grown are sent one at a time. */
const UNDER_WAY_BYTES_MAX = 64 * 1024 * 1024;

export async function putStream(
  bucket: S3Bucket,
  path: string,
  stream: AsyncIterable<Uint8Array>,
  precondition: Precondition,
  options: PutOptions,
): Promise<PutResult> {
  if (precondition !== "none" && "ifMatch" in precondition) {
    throw new InvalidArgumentError("a stream can be put with ifAbsent or none, not with ifMatch", {
      path,
    });
  }
  const parts = cutParts(stream, bucket.settings.partBytes);
  try {
    const first = await parts.next();
    const second = await parts.next();
    if (first.done === true || second.done === true) {
      const body = first.done === true ? new Uint8Array(0) : first.value;
      return await putObject(bucket, path, body, precondition, options);
    }
    const ifAbsent = precondition !== "none";
    // Not every server honours If-None-Match at the end of an upload. Names of objects that are only
    // created hold 64 random bits, so that two uploads of one name do not race.
    if (ifAbsent) {
      const { output, dateMs } = await bucket.head(path);
      if (output !== undefined) return { status: "conflict", dateMs };
    }
    const upload = await beginUpload(bucket, path, ifAbsent, options.timeoutMs ?? PUT_TIMEOUT_MS);
    return await finishUpload(bucket, upload, joined([first.value, second.value], parts));
  } finally {
    // The source can clean up when it was not read to its end.
    await parts.return();
  }
}

async function* joined(
  begun: readonly Uint8Array[],
  rest: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  yield* begun;
  yield* rest;
}

async function beginUpload(
  bucket: S3Bucket,
  path: string,
  ifAbsent: boolean,
  timeoutMs: number,
): Promise<Upload> {
  const call = { operation: "CreateMultipartUpload", permission: "s3:PutObject", path };
  const mark = bucket.runtime.randomHex(16);
  const input = { ...bucket.object(path), metadata: { [UPLOAD_MARK]: mark } };
  const result = await bucket.repeat(() =>
    bucket.attempt((s3, exchange) => s3.createUpload(input, exchange), call),
  );
  if (!result.ok) throw bucket.error(result.failure, call);
  return { path, mark, ifAbsent, timeoutMs, id: result.output.uploadId };
}

async function finishUpload(
  bucket: S3Bucket,
  upload: Upload,
  parts: AsyncIterable<Uint8Array>,
): Promise<PutResult> {
  try {
    const done = await uploadParts(bucket, upload, parts);
    const result = await completeUpload(bucket, upload, done);
    if (result.status === "conflict") await abortUpload(bucket, upload);
    return result;
  } catch (error) {
    // An upload that may yet be completed by a request under way is left alone.
    if (!(error instanceof WriteOutcomeUnknownError)) await abortUpload(bucket, upload);
    throw error;
  }
}

/** Uploads parts as they come, a few at once, and yields them in order. */
async function uploadParts(
  bucket: S3Bucket,
  upload: Upload,
  parts: AsyncIterable<Uint8Array>,
): Promise<UploadedPart[]> {
  const done: UploadedPart[] = [];
  const running = new Set<Promise<void>>();
  const failures: unknown[] = [];
  let [number, bytes] = [0, 0];
  try {
    for await (const part of parts) {
      const partNumber = ++number;
      bytes += part.byteLength;
      if (partNumber > PARTS_MAX || bytes > OBJECT_BYTES_MAX) {
        throw new InvalidArgumentError(
          `'${upload.path}' is larger than S3 accepts: at most ${OBJECT_BYTES_MAX} bytes`,
          { path: upload.path },
        );
      }
      const task = uploadPart(bucket, upload, partNumber, part)
        .then((uploaded) => void (done[partNumber - 1] = uploaded))
        .catch((error: unknown) => void failures.push(error))
        .finally(() => running.delete(task));
      running.add(task);
      const isFull = (): boolean =>
        running.size >= PARTS_PARALLEL || running.size * part.byteLength > UNDER_WAY_BYTES_MAX;
      while (running.size > 0 && isFull()) await Promise.race(running);
      if (failures.length > 0) break;
    }
  } finally {
    // Nothing of this upload may still be sent once it is aborted.
    await Promise.all(running);
  }
  if (failures.length > 0) throw failures[0];
  return done;
}

async function uploadPart(
  bucket: S3Bucket,
  upload: Upload,
  partNumber: number,
  body: Uint8Array,
): Promise<UploadedPart> {
  const { path } = upload;
  const call = { operation: "UploadPart", permission: "s3:PutObject", path };
  const input = { ...bucket.object(path), uploadId: upload.id, partNumber, body };
  const result = await bucket.repeat(() =>
    bucket.attempt((s3, exchange) => s3.uploadPart(input, exchange), call, {
      bytesOut: body.byteLength,
    }),
  );
  if (!result.ok) throw bucket.error(result.failure, call);
  return result.output;
}

/**
 * Frees the parts. What the put came to is known already and is what the caller receives; parts
 * that stay because this fails are invisible, and a lifecycle rule of the bucket removes them.
 */
async function abortUpload(bucket: S3Bucket, upload: Upload): Promise<void> {
  const call = { operation: "AbortMultipartUpload", permission: "s3:AbortMultipartUpload" };
  const input = { ...bucket.object(upload.path), uploadId: upload.id };
  await bucket.repeat(() =>
    bucket.attempt((s3, exchange) => s3.abortUpload(input, exchange), {
      ...call,
      path: upload.path,
    }),
  );
}

/**
 * The length of the next part. Parts of the least length that S3 takes come to more than the largest
 * object in 10,000 parts; up to 6 GiB they stay as they are, of 100 GiB the last has 79 MiB.
 * @param sentBytes of the parts before
 */
export function nextPartBytes(partBytes: number, sentBytes: number): number {
  const grown = Math.ceil((sentBytes * GROWTH) / MIB) * MIB;
  return Math.min(Math.max(partBytes, grown), PART_BYTES_MAX);
}

/** Parts of exactly `nextPartBytes`, but for the last; none for a stream without bytes. */
export async function* cutParts(
  stream: AsyncIterable<Uint8Array>,
  partBytes: number,
): AsyncGenerator<Uint8Array, void> {
  let part: Buffer | undefined;
  let [filled, sent] = [0, 0];
  let wanted = partBytes;
  for await (const chunk of stream) {
    for (let at = 0; at < chunk.byteLength;) {
      // Pages of it that are not filled take no memory. Pieces are copied as they come, and let go of.
      part ??= Buffer.allocUnsafeSlow(wanted);
      const piece = chunk.subarray(at, at + wanted - filled);
      part.set(piece, filled);
      filled += piece.byteLength;
      at += piece.byteLength;
      if (filled === wanted) {
        yield part;
        part = undefined;
        sent += filled;
        filled = 0;
        wanted = nextPartBytes(partBytes, sent);
      }
    }
  }
  if (part !== undefined) yield part.subarray(0, filled);
}
