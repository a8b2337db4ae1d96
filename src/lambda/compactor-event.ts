/** Which stores a compactor looks at because of an event, and whether at once. Pure. */
import { field, messagesOf, recordsOf, textAt } from "./event-fields.ts";

/**
 * `scheduled`: all stores that are due; `now`: all stores; otherwise the stores at or above these
 * URLs, each `s3://bucket/prefix` of a store or `s3://bucket/key` of an object.
 */
export type Wanted = "scheduled" | "now" | ReadonlySet<string>;

/**
 * Understands what EventBridge sends for a schedule and for an object of S3, notifications of S3,
 * either of them in messages of SQS or SNS, and `{ location }`. Anything else means all stores, now.
 */
export function wantedBy(event: unknown): Wanted {
  if (textAt(event, "detail-type") === "Scheduled Event") return "scheduled";
  const urls = new Set<string>();
  collect(event, urls);
  return urls.size === 0 ? "now" : urls;
}

function collect(event: unknown, urls: Set<string>): void {
  const location = textAt(event, "location") ?? objectUrl(field(event, "detail"), false);
  if (location !== undefined) urls.add(location);
  for (const record of recordsOf(event)) {
    const url = objectUrl(field(record, "s3"), true);
    if (url !== undefined) urls.add(url);
  }
  for (const message of messagesOf(event)) collect(message, urls);
}

/** @param isEncoded as keys are in notifications of S3: percent-encoded, and "+" for a space */
function objectUrl(part: unknown, isEncoded: boolean): string | undefined {
  const bucket = textAt(field(part, "bucket"), "name");
  const key = textAt(field(part, "object"), "key");
  if (bucket === undefined || key === undefined) return undefined;
  try {
    return `s3://${bucket}/${isEncoded ? decodeURIComponent(key.replaceAll("+", " ")) : key}`;
  } catch {
    return undefined; // No key that S3 sends.
  }
}
