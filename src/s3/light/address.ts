/** Where a request for an object goes. Pure. */
import { withoutSlashesAtEnd } from "../../core/relative-path.ts";
import { isHostName } from "../requests/options.ts";
import { encodeKey } from "./sigv4.ts";

export interface AddressSettings {
  readonly region: string;
  /** Of another server than AWS. */
  readonly endpoint: string | undefined;
  readonly forcePathStyle: boolean | undefined;
  /** Of AWS's own endpoints ("Amazon S3 endpoints and quotas", AWS General Reference). */
  readonly variant: { readonly fips: boolean; readonly dualStack: boolean };
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
  { region, endpoint, forcePathStyle, variant }: AddressSettings,
): Address {
  if (bucket.startsWith("arn:")) throw new Error("access points need S3Backend");
  const origin = new URL(endpoint ?? `https://${awsHost(region, variant)}`);
  const isPathStyle =
    forcePathStyle ?? (endpoint !== undefined || bucket.includes(".") || !isHostName(bucket));
  const base = withoutSlashesAtEnd(origin.pathname);
  if (!isPathStyle) origin.hostname = `${bucket}.${origin.hostname}`;
  const path = `${base}/${isPathStyle ? `${bucket}/` : ""}${encodeKey(key)}`;
  return { origin, host: origin.host, path };
}

function awsHost(region: string, { fips, dualStack }: AddressSettings["variant"]): string {
  const domain = region.startsWith("cn-") ? "amazonaws.com.cn" : "amazonaws.com";
  return `s3${fips ? "-fips" : ""}${dualStack ? ".dualstack" : ""}.${region}.${domain}`;
}
