/** Deleting objects: a thousand with one request, or one by one where the server cannot. */
import { mapParallel } from "../../core/parallel.ts";
import { classifyFault } from "../requests/errors.ts";
import type { Failure } from "../requests/errors.ts";
import type { S3Bucket } from "../requests/client.ts";
import { backoffMs, isRepeatable, pause } from "../requests/retry.ts";
import type { FailedDelete } from "../requests/transport.ts";

/** S3 takes no more in one DeleteObjects. */
const BATCH_KEYS = 1_000;
const BATCHES_PARALLEL = 4;
const DELETES_PARALLEL = 16;

/** How servers refuse DeleteObjects, or the checksum it must carry. */
const REFUSALS: readonly string[] = [
  "NotImplemented",
  "XNotImplemented",
  "MethodNotAllowed",
  "InvalidRequest",
  "InvalidArgument",
  "BadDigest",
  "InvalidDigest",
  "MalformedXML",
  "MissingContentLength",
];

export async function deleteObjects(bucket: S3Bucket, paths: readonly string[]): Promise<void> {
  const unique = [...new Set(paths)];
  const batches: string[][] = [];
  for (let at = 0; at < unique.length; at += BATCH_KEYS) {
    batches.push(unique.slice(at, at + BATCH_KEYS));
  }
  await mapParallel(batches, BATCHES_PARALLEL, (batch) => deleteBatch(bucket, batch));
}

async function deleteBatch(bucket: S3Bucket, paths: readonly string[]): Promise<void> {
  const { deletesMany } = bucket.connection;
  if (paths.length > 1 && deletesMany && (await deleteMany(bucket, paths))) return;
  await mapParallel(paths, DELETES_PARALLEL, (path) => deleteOne(bucket, path));
}

async function deleteOne(bucket: S3Bucket, path: string): Promise<void> {
  const call = { operation: "DeleteObject", permission: "s3:DeleteObject", path };
  const result = await bucket.repeat(() =>
    bucket.attempt((s3, exchange) => s3.deleteObject(bucket.object(path), exchange), call),
  );
  if (!result.ok && result.failure.kind !== "absent") throw bucket.error(result.failure, call);
}

/** False when the server refuses the operation as such; nothing was deleted then. */
async function deleteMany(bucket: S3Bucket, paths: readonly string[]): Promise<boolean> {
  const { runtime, attemptsMax } = bucket.settings;
  const call = { operation: "DeleteObjects", permission: "s3:DeleteObject" };
  let left = paths;
  for (let failures = 1; ; failures++) {
    const keys = left.map((path) => bucket.object(path).key);
    const input = { bucket: bucket.place.bucket, keys };
    const result = await bucket.repeat(() =>
      bucket.attempt((s3, exchange) => s3.deleteObjects(input, exchange), call),
    );
    if (!result.ok) {
      if (!REFUSALS.includes(result.failure.name)) throw bucket.error(result.failure, call);
      bucket.connection.deletesMany = false;
      return false;
    }
    const failed = failedKeys(bucket, result.output);
    const [first] = failed;
    if (first === undefined) return true;
    const definite = failed.find(({ failure }) => !isRepeatable(failure));
    if (definite !== undefined || failures >= attemptsMax) {
      const { failure, path } = definite ?? first;
      throw bucket.error(failure, { ...call, path });
    }
    left = failed.map(({ path }) => path);
    await pause(runtime, backoffMs(runtime, first.failure, failures));
  }
}

interface FailedKey {
  readonly path: string;
  readonly failure: Failure;
}

/** The keys of a 200 answer that were not deleted after all. */
function failedKeys(bucket: S3Bucket, failed: readonly FailedDelete[]): FailedKey[] {
  return failed
    .map(({ key, code, message }) => ({
      path: key.slice(bucket.place.prefix.length),
      failure: classifyFault({ name: code, message }, true),
    }))
    .filter(({ failure }) => failure.kind !== "absent");
}
