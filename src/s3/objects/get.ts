/** Reading one object, whole or in part. */
import { InvalidArgumentError, UnavailableError } from "../../core/errors.ts";
import type { ByteRange, GetOptions, GetResult } from "../../storage/backend.ts";
import { dateOf, normalizeEtag, type S3Bucket } from "../requests/client.ts";
import type { Output } from "../requests/transport.ts";

/** How often a range that begins past the end is read again while the object is being replaced. */
const READS_MAX = 3;

export async function getObject(
  bucket: S3Bucket,
  path: string,
  options: GetOptions,
): Promise<GetResult> {
  const { range } = options;
  if (range !== undefined) checkRange(range);
  for (let read = 1; read <= READS_MAX; read++) {
    const result = await getOnce(bucket, path, options);
    if (result !== "past-end") return result;
    const end = await getPastEnd(bucket, path, options);
    if (end !== undefined) return end;
  }
  throw new UnavailableError(`'${path}' kept changing while a range of it was read`, { path });
}

async function getOnce(
  bucket: S3Bucket,
  path: string,
  { range, ifNoneMatch }: GetOptions,
): Promise<GetResult | "past-end"> {
  const call = { operation: "GetObject", permission: "s3:GetObject", path };
  const sent = ifNoneMatch === undefined ? undefined : bucket.etags.forRead(ifNoneMatch);
  const input = {
    ...bucket.object(path),
    range: range && rangeHeader(range),
    ifNoneMatch: sent?.value,
  };
  const result = await bucket.repeat(() =>
    bucket.attempt((s3, exchange) => s3.getObject(input, exchange), call),
  );
  if (result.ok) {
    const found = toFound(result.output, range, result.dateMs);
    if (sent === undefined || ifNoneMatch === undefined) return found;
    if (found.etag !== normalizeEtag(ifNoneMatch)) return found;
    bucket.etags.readIgnored(sent);
    return { status: "unchanged", dateMs: result.dateMs };
  }
  switch (result.failure.kind) {
    case "absent":
      return { status: "absent", dateMs: dateOf(result) };
    case "unchanged":
      return { status: "unchanged", dateMs: dateOf(result) };
    case "range":
      return "past-end";
    default:
      throw bucket.error(result.failure, call);
  }
}

/**
 * The answer 416 contains neither etag nor, everywhere, the size: HEAD does. Undefined when the object
 * has meanwhile become longer than that.
 */
async function getPastEnd(
  bucket: S3Bucket,
  path: string,
  { range, ifNoneMatch }: GetOptions,
): Promise<GetResult | undefined> {
  const { output, dateMs } = await bucket.head(path);
  if (output === undefined) return { status: "absent", dateMs };
  const etag = normalizeEtag(output.etag);
  if (ifNoneMatch !== undefined && etag === normalizeEtag(ifNoneMatch)) {
    return { status: "unchanged", dateMs };
  }
  const objectBytes = output.bodyBytes ?? 0;
  if (range !== undefined && range.offset < objectBytes) return undefined;
  const lastModifiedMs = output.lastModifiedMs ?? dateMs;
  return { status: "found", body: new Uint8Array(0), etag, objectBytes, lastModifiedMs, dateMs };
}

function toFound(
  { body, contentRange, etag, lastModifiedMs }: Awaited<Output<"getObject">>,
  range: ByteRange | undefined,
  dateMs: number,
): GetResult & { readonly status: "found" } {
  const size = /\/(\d+)$/.exec(contentRange ?? "")?.[1];
  // Without a Content-Range the server has sent everything, requested or not.
  const begin = size === undefined ? (range?.offset ?? 0) : 0;
  const end = range === undefined ? undefined : begin + range.length;
  return {
    status: "found",
    body: body.subarray(begin, end),
    etag: normalizeEtag(etag),
    objectBytes: size === undefined ? body.byteLength : Number(size),
    lastModifiedMs: lastModifiedMs ?? dateMs,
    dateMs,
  };
}

/** A header cannot express a range of no bytes: one byte is requested and dropped. */
function rangeHeader({ offset, length }: ByteRange): string {
  return `bytes=${offset}-${offset + Math.max(length, 1) - 1}`;
}

function checkRange({ offset, length }: ByteRange): void {
  for (const [name, value] of Object.entries({ offset, length })) {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw new InvalidArgumentError(
        `range ${name} must be a non-negative integer, found ${value}`,
      );
    }
  }
}
