/** Listing below a prefix, page by page. */
import { InvalidArgumentError, NotSupportedError, UnavailableError } from "../../core/errors.ts";
import type { ListedObject, ListPage } from "../../storage/backend.ts";
import { checkPath } from "../../core/relative-path.ts";
import type { S3Bucket } from "../requests/client.ts";
import type { ListedPage } from "../requests/transport.ts";

const PAGE_KEYS = 1_000;

/** A page with its keys as requests name them. */
interface DatedPage {
  readonly page: ListedPage;
  readonly dateMs: number;
}

/**
 * Keys below the prefix that no path can name (folder markers such as consoles make) are left out:
 * they are not the store's.
 * @param after only paths above it
 * @throws NotSupportedError for a key that cannot be read, or that is outside the prefix
 */
export async function* listObjects(
  bucket: S3Bucket,
  prefix: string,
  after?: string,
): AsyncGenerator<ListPage> {
  for await (const { page, dateMs } of pagesBelow(bucket, prefix, { after })) {
    yield { objects: toObjects(bucket, page, dateMs), truncated: page.truncated, dateMs };
  }
}

interface PartOptions {
  /** Names with it behind the prefix are listed only up to it, in `prefixes`. */
  readonly delimiter?: string | undefined;
  readonly after?: string | undefined;
}

/** @throws as `listObjects` */
export async function* pagesBelow(
  bucket: S3Bucket,
  prefix: string,
  { delimiter, after }: PartOptions = {},
): AsyncGenerator<DatedPage> {
  const call = { operation: "ListObjectsV2", permission: "s3:ListBucket", path: prefix };
  const { bucket: name, key: start } = bucket.object(prefix);
  const startAfter = after && bucket.object(after).key;
  let token: string | undefined;
  do {
    const keysMax = PAGE_KEYS;
    // A token includes where the listing began.
    const place = token === undefined ? { startAfter } : { continuationToken: token };
    const input = { bucket: name, prefix: start, delimiter, keysMax, ...place };
    const result = await bucket.repeat(() =>
      bucket.attempt((s3, exchange) => s3.listObjects(input, exchange), call),
    );
    if (!result.ok) throw bucket.error(result.failure, call);
    const { truncated } = result.output;
    token = result.output.continuationToken;
    if (truncated && (token === undefined || token === place.continuationToken)) {
      throw new UnavailableError(
        `S3 ListObjectsV2 of s3://${name}/${start} is truncated but names no next page`,
        { path: prefix },
      );
    }
    yield { page: decoded(result.output, `s3://${name}/`, start), dateMs: result.dateMs };
    if (!truncated) return;
  } while (token !== undefined);
}

function toObjects({ place }: S3Bucket, { objects }: ListedPage, dateMs: number): ListedObject[] {
  return objects.flatMap(({ key, bytes, lastModifiedMs = dateMs }) => {
    const path = ownText(key.slice(place.prefix.length));
    return isPath(path) ? [{ path, bytes, lastModifiedMs }] : [];
  });
}

/**
 * A LIST returns only keys below its prefix. Any other key shows that the server encodes
 * keys otherwise than it declares, and then objects of the store would be left out in silence.
 */
function decoded(page: ListedPage, bucketUrl: string, start: string): ListedPage {
  const decode = (listed: string): string => {
    const key = page.encoded ? decodeName(listed) : listed;
    if (key?.startsWith(start) === true) return key;
    const form = page.encoded ? "percent-encoded (EncodingType is url)" : "not encoded";
    throw new NotSupportedError(
      `S3 ListObjectsV2 of ${bucketUrl}${start} listed the key ${JSON.stringify(listed)} and declares it as ${form}: ` +
        `expected keys below ${JSON.stringify(start)}. This server encodes keys otherwise than it declares; ` +
        "a prefix of letters, digits and hyphens avoids that",
      { path: listed },
    );
  };
  return {
    ...page,
    objects: page.objects.map((object) => ({ ...object, key: decode(object.key) })),
    prefixes: page.prefixes.map(decode),
  };
}

/** Undefined for what is not percent-encoded. */
function decodeName(encoded: string): string | undefined {
  if (!/[%+]/.test(encoded)) return encoded;
  try {
    return decodeURIComponent(encoded.replaceAll("+", " "));
  } catch {
    return undefined;
  }
}

/** A copy: V8 makes a part of a text by pointing into it, which would keep the whole answer in memory. */
function ownText(text: string): string {
  return Buffer.from(text).toString();
}

/** Whether a path of a store can name it. */
function isPath(text: string): boolean {
  try {
    checkPath(text);
    return true;
  } catch (error) {
    if (error instanceof InvalidArgumentError) return false;
    throw error;
  }
}
