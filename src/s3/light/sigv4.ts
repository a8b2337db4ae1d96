/**
 * Signature Version 4 for S3 and Lambda, with the body's SHA-256 signed ("Authenticating Requests:
 * Using the Authorization Header", Amazon S3 API Reference).
 */
import { createHash, createHmac } from "node:crypto";

/** Credentials of AWS Signature Version 4. */
export interface S3Credentials {
  /** As `AWS_ACCESS_KEY_ID`. */
  readonly accessKeyId: string;
  /** As `AWS_SECRET_ACCESS_KEY`. */
  readonly secretAccessKey: string;
  /** Of temporary credentials. */
  readonly sessionToken?: string | undefined;
}

export interface Signable {
  readonly method: string;
  /** Percent-encoded, as it is sent; for other services than S3 encoded once more. */
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  /** Names in lower case, "host" among them; all are signed. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

const ALGORITHM = "AWS4-HMAC-SHA256";

/** The headers to be sent: those given, and the ones that authenticate them. */
export function sign(
  { method, path, query, headers, body }: Signable,
  { accessKeyId, secretAccessKey, sessionToken }: S3Credentials,
  region: string,
  nowMs: number,
  service = "s3",
): Record<string, string> {
  const time = new Date(nowMs).toISOString().replace(/\.\d+|[-:]/g, "");
  const date = time.slice(0, 8);
  const scope = `${date}/${region}/${service}/aws4_request`;
  const bodyHash = hash(body);
  const signed: Record<string, string> = {
    ...headers,
    "x-amz-content-sha256": bodyHash,
    "x-amz-date": time,
    ...(sessionToken === undefined ? {} : { "x-amz-security-token": sessionToken }),
  };
  const names = Object.keys(signed).toSorted();
  const canonical = [
    method,
    path,
    encodeQuery(query),
    ...names.map((name) => `${name}:${signed[name]?.trim().replace(/ +/g, " ")}`),
    "",
    names.join(";"),
    bodyHash,
  ].join("\n");
  const toSign = [ALGORITHM, time, scope, hash(canonical)].join("\n");
  const signature = hmac(signingKey(secretAccessKey, scope), toSign).toString("hex");
  const parts = [
    `Credential=${accessKeyId}/${scope}`,
    `SignedHeaders=${names.join(";")}`,
    `Signature=${signature}`,
  ];
  return { ...signed, authorization: `${ALGORITHM} ${parts.join(", ")}` };
}

/** In the order of names by code unit, which is that of their encoded bytes here. */
export function encodeQuery(query: Readonly<Record<string, string>>): string {
  return Object.entries(query)
    .map(([name, value]) => `${encodeText(name)}=${encodeText(value)}`)
    .toSorted()
    .join("&");
}

export function encodeKey(key: string): string {
  return key.split("/").map(encodeText).join("/");
}

/** RFC 3986: everything but letters, digits, "-", ".", "_" and "~". */
function encodeText(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function signingKey(secret: string, scope: string): string | Buffer {
  return scope.split("/").reduce<string | Buffer>(hmac, `AWS4${secret}`);
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}

function hash(content: string | Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}
