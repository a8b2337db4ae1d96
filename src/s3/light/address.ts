/** Where a request for an object goes. Pure. */
import { withoutSlashesAtEnd } from "../../storage/paths.ts";
import { isHostName } from "../s3-options.ts";
import { encodeKey } from "./sigv4.ts";

export interface AddressSettings {
  readonly region: string;
  /** Of another server than AWS. */
  readonly endpoint: string | undefined;
  readonly forcePathStyle: boolean | undefined;
}

export interface Address {
  /** Scheme, host and port. */
  readonly origin: URL;
  /** For the Host header. */
  readonly host: string;
  /** Percent-encoded. */
  readonly path: string;
}

/**
 * The bucket stands in the host name on AWS, unless it is no host name or a dot in it would break
 * the certificate, and in the path elsewhere; `forcePathStyle` overrules both.
 * @param key "" for the bucket itself
 */
export function addressOf(
  bucket: string,
  key: string,
  { region, endpoint, forcePathStyle }: AddressSettings,
): Address {
  if (bucket.startsWith("arn:")) throw new Error("access points need S3Backend");
  const domain = region.startsWith("cn-") ? "amazonaws.com.cn" : "amazonaws.com";
  const origin = new URL(endpoint ?? `https://s3.${region}.${domain}`);
  const isPathStyle =
    forcePathStyle ?? (endpoint !== undefined || bucket.includes(".") || !isHostName(bucket));
  const base = withoutSlashesAtEnd(origin.pathname);
  if (!isPathStyle) origin.hostname = `${bucket}.${origin.hostname}`;
  const path = `${base}/${isPathStyle ? `${bucket}/` : ""}${encodeKey(key)}`;
  return { origin, host: origin.host, path };
}
