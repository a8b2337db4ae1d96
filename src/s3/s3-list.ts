/** Listing below a prefix, page by page. */
import { ListObjectsV2Command } from "@aws-sdk/client-s3";
import type { ListObjectsV2CommandOutput } from "@aws-sdk/client-s3";
import { UnavailableError } from "../core/errors.ts";
import type { ListedObject, ListPage } from "../storage/backend.ts";
import { isPath } from "./s3-path.ts";
import type { S3Bucket } from "./s3-bucket.ts";

const PAGE_KEYS = 1_000;

/**
 * Keys that no path can name (folder markers such as consoles make) are left out: they are not the
 * store's.
 */
export async function* listObjects(bucket: S3Bucket, prefix: string): AsyncGenerator<ListPage> {
  const call = { operation: "ListObjectsV2", permission: "s3:ListBucket", path: prefix };
  const { Bucket, Key } = bucket.object(prefix);
  let token: string | undefined;
  do {
    const ContinuationToken = token;
    const result = await bucket.repeat(() =>
      bucket.attempt(
        new ListObjectsV2Command({
          Bucket,
          MaxKeys: PAGE_KEYS,
          // XML cannot carry every character a key may hold.
          EncodingType: "url",
          ...(Key === "" ? {} : { Prefix: Key }),
          ...(ContinuationToken === undefined ? {} : { ContinuationToken }),
        }),
        call,
      ),
    );
    if (!result.ok) throw bucket.error(result.failure, call);
    const truncated = result.output.IsTruncated === true;
    token = result.output.NextContinuationToken;
    if (truncated && (token === undefined || token === ContinuationToken)) {
      throw new UnavailableError(
        `S3 ListObjectsV2 of s3://${Bucket}/${Key} is truncated but names no next page`,
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
  { Contents = [], EncodingType }: ListObjectsV2CommandOutput,
  dateMs: number,
): ListedObject[] {
  const start = bucket.place.prefix;
  return Contents.flatMap(({ Key, Size, LastModified }) => {
    const key = EncodingType === "url" ? decodeKey(Key ?? "") : (Key ?? "");
    const path = key.slice(start.length);
    if (!key.startsWith(start) || !isPath(path)) return [];
    return [{ path, bytes: Size ?? 0, lastModifiedMs: LastModified?.getTime() ?? dateMs }];
  });
}

function decodeKey(encoded: string): string {
  try {
    return decodeURIComponent(encoded.replaceAll("+", " "));
  } catch (cause) {
    throw new UnavailableError(`the server listed a key that cannot be decoded: ${encoded}`, {
      cause,
    });
  }
}
