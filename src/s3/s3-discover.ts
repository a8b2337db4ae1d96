/** Finds stores below a prefix, without listing what is in them. */
import { ListObjectsV2Command, type S3Client } from "@aws-sdk/client-s3";
import { mapParallel } from "../core/parallel.ts";
import { S3Bucket } from "./s3-bucket.ts";
import { createClient } from "./s3-client.ts";
import { S3Connection } from "./s3-connection.ts";
import { resolveOptions, resolvePlace } from "./s3-options.ts";

const LOOKS_PARALLEL = 8;

/** A client as `S3Backend` makes one for itself, for several backends to share. */
export function createSharedClient(): S3Client {
  return createClient(resolveOptions({}));
}

/**
 * Locations one level below `s3://bucket/prefix` for which `isStore` admits a name right below them
 * ("manifest.json", "ops/"), in the order of the listing. One LIST, and one for each prefix found;
 * more where there are more than 1,000 names.
 * @throws InvalidArgumentError for what is no S3 location; AccessDeniedError, UnavailableError
 */
export async function listLocations(
  under: string,
  client: S3Client,
  isStore: (name: string) => boolean,
): Promise<string[]> {
  const settings = resolveOptions({ client });
  const place = resolvePlace(under, settings);
  const bucket = new S3Bucket(new S3Connection(settings), place);
  const prefixes: string[] = [];
  for await (const name of namesBelow(bucket, "")) if (name.endsWith("/")) prefixes.push(name);
  const found = await mapParallel(prefixes, LOOKS_PARALLEL, async (prefix) => {
    for await (const name of namesBelow(bucket, prefix)) if (isStore(name)) return true;
    return false;
  });
  const base = `s3://${place.bucket}/${place.prefix}`;
  return prefixes.filter((_, at) => found[at]).map((prefix) => base + prefix.slice(0, -1));
}

/** Names right below a prefix; those with more below them end in "/". */
async function* namesBelow(bucket: S3Bucket, prefix: string): AsyncGenerator<string> {
  const call = { operation: "ListObjectsV2", permission: "s3:ListBucket", path: prefix };
  const { Bucket, Key } = bucket.object(prefix);
  let token: string | undefined;
  do {
    const page = token === undefined ? {} : { ContinuationToken: token };
    const input = { Bucket, Prefix: Key, Delimiter: "/", EncodingType: "url" as const, ...page };
    const result = await bucket.repeat(() => bucket.attempt(new ListObjectsV2Command(input), call));
    if (!result.ok) throw bucket.error(result.failure, call);
    const { CommonPrefixes = [], Contents = [], IsTruncated, EncodingType } = result.output;
    const listed = [
      ...CommonPrefixes.map(({ Prefix }) => Prefix),
      ...Contents.map((one) => one.Key),
    ];
    for (const name of listed) {
      if (name === undefined) continue;
      const key = EncodingType === "url" ? decodeURIComponent(name.replaceAll("+", " ")) : name;
      if (key.length > Key.length) yield key.slice(Key.length);
    }
    token = IsTruncated === true ? result.output.NextContinuationToken : undefined;
  } while (token !== undefined);
}
