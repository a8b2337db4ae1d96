/** Finds stores below a prefix, without listing what is in them. */
import { mapParallel } from "../../core/parallel.ts";
import { S3Bucket, S3Connection } from "../requests/client.ts";
import { pagesBelow } from "./list.ts";
import { resolvePlace, type S3Settings } from "../requests/options.ts";
import type { S3Transport } from "../requests/transport.ts";

const LISTS_PARALLEL = 8;

/** Which prefixes are stores. */
export interface StoreCriteria {
  /** Whether a name right below a prefix shows that a store lies there. */
  isStore(name: string): boolean;
  /** What is known of a prefix already; undefined: it is listed. */
  known(prefix: string): boolean | undefined;
}

/**
 * Locations one level below `s3://bucket/prefix` for which `isStore` admits a name right below them
 * ("manifest.json", "ops/"), in the order of the listing. One LIST, and one for each prefix found of
 * which `known` has no verdict; more where there are more than 1,000 names.
 * @throws InvalidArgumentError for what is no S3 location; AccessDeniedError, UnavailableError
 */
export async function listLocations(
  under: string,
  { settings, transport }: { readonly settings: S3Settings; readonly transport: S3Transport },
  { isStore, known }: StoreCriteria,
): Promise<string[]> {
  const place = resolvePlace(under, settings);
  const bucket = new S3Bucket(new S3Connection(settings, transport), place);
  const prefixes: string[] = [];
  for await (const name of namesBelow(bucket, "")) if (name.endsWith("/")) prefixes.push(name);
  const found = await mapParallel(prefixes, LISTS_PARALLEL, async (prefix) => {
    const verdict = known(prefix.slice(0, -1));
    if (verdict !== undefined) return verdict;
    for await (const name of namesBelow(bucket, prefix)) if (isStore(name)) return true;
    return false;
  });
  const base = `s3://${place.bucket}/${place.prefix}`;
  return prefixes.filter((_, at) => found[at]).map((prefix) => base + prefix.slice(0, -1));
}

/** Names right below a prefix; those with more below them end in "/". */
async function* namesBelow(bucket: S3Bucket, prefix: string): AsyncGenerator<string> {
  const { key: base } = bucket.object(prefix);
  for await (const { page } of pagesBelow(bucket, prefix, { delimiter: "/" })) {
    for (const key of [...page.prefixes, ...page.objects.map((object) => object.key)]) {
      if (key.length > base.length) yield key.slice(base.length);
    }
  }
}
