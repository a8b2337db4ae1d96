/** Finds stores below a prefix, without listing what is in them. */
import { mapParallel } from "../core/parallel.ts";
import { S3Bucket } from "./s3-bucket.ts";
import { S3Connection } from "./s3-connection.ts";
import { decodeName, PAGE_KEYS } from "./s3-list.ts";
import { resolvePlace, type S3Settings } from "./s3-options.ts";
import type { S3Transport } from "./s3-transport.ts";

const LOOKS_PARALLEL = 8;

/**
 * Locations one level below `s3://bucket/prefix` for which `isStore` admits a name right below them
 * ("manifest.json", "ops/"), in the order of the listing. One LIST, and one for each prefix found;
 * more where there are more than 1,000 names.
 * @throws InvalidArgumentError for what is no S3 location; AccessDeniedError, UnavailableError
 */
export async function listLocations(
  under: string,
  { settings, transport }: { readonly settings: S3Settings; readonly transport: S3Transport },
  isStore: (name: string) => boolean,
): Promise<string[]> {
  const place = resolvePlace(under, settings);
  const bucket = new S3Bucket(new S3Connection(settings, transport), place);
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
  const { bucket: name, key: base } = bucket.object(prefix);
  const input = { bucket: name, prefix: base, delimiter: "/", keysMax: PAGE_KEYS };
  let token: string | undefined;
  do {
    const continuationToken = token;
    const result = await bucket.repeat(() =>
      bucket.attempt(
        (s3, exchange) => s3.listObjects({ ...input, continuationToken }, exchange),
        call,
      ),
    );
    if (!result.ok) throw bucket.error(result.failure, call);
    const { prefixes, objects, encoded, truncated } = result.output;
    for (const listed of [...prefixes, ...objects.map(({ key }) => key)]) {
      const key = encoded ? decodeName(listed) : listed;
      if (key.length > base.length) yield key.slice(base.length);
    }
    token = truncated ? result.output.continuationToken : undefined;
  } while (token !== undefined);
}
