/** Listing below a prefix, page by page. */
import { UnavailableError } from "../core/errors.ts";
import type { ListedObject, ListPage } from "../storage/backend.ts";
import { isPath } from "./s3-path.ts";
import type { S3Bucket } from "./s3-bucket.ts";
import type { ListedPage } from "./s3-transport.ts";

export const PAGE_KEYS = 1_000;

/**
 * Keys that no path can name (folder markers such as consoles make) are left out: they are not the
 * store's.
 */
export async function* listObjects(bucket: S3Bucket, prefix: string): AsyncGenerator<ListPage> {
  const call = { operation: "ListObjectsV2", permission: "s3:ListBucket", path: prefix };
  const { bucket: name, key } = bucket.object(prefix);
  let token: string | undefined;
  do {
    const input = { bucket: name, prefix: key, keysMax: PAGE_KEYS, continuationToken: token };
    const result = await bucket.repeat(() =>
      bucket.attempt((s3, exchange) => s3.listObjects(input, exchange), call),
    );
    if (!result.ok) throw bucket.error(result.failure, call);
    const { truncated } = result.output;
    token = result.output.continuationToken;
    if (truncated && (token === undefined || token === input.continuationToken)) {
      throw new UnavailableError(
        `S3 ListObjectsV2 of s3://${name}/${key} is truncated but names no next page`,
        { path: prefix },
      );
    }
    const { dateMs } = result;
    yield { objects: toObjects(bucket, result.output, dateMs), truncated, dateMs };
    if (!truncated) return;
  } while (token !== undefined);
}

function toObjects(
  bucket: S3Bucket,
  { objects, encoded }: ListedPage,
  dateMs: number,
): ListedObject[] {
  const start = bucket.place.prefix;
  return objects.flatMap((listed) => {
    const key = encoded ? decodeName(listed.key) : listed.key;
    const path = key.slice(start.length);
    if (!key.startsWith(start) || !isPath(path)) return [];
    return [{ path, bytes: listed.bytes, lastModifiedMs: listed.lastModifiedMs ?? dateMs }];
  });
}

export function decodeName(encoded: string): string {
  try {
    return decodeURIComponent(encoded.replaceAll("+", " "));
  } catch (cause) {
    throw new UnavailableError(`the server listed a key that cannot be decoded: ${encoded}`, {
      cause,
    });
  }
}
