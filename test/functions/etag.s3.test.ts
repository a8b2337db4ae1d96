import { describe } from "vitest";
import { bucketMedium } from "../processes/bucket.ts";
import { requireEndpoint } from "../support/live-s3.ts";
import { etagSuite } from "./etag-suite.ts";

describe("on S3", () => etagSuite(bucketMedium, environment));

/** What the SDK reads, and nothing else of this process. */
function environment(): Record<string, string> {
  const names = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"];
  const found = names.map((name) => [name, process.env[name] ?? ""] as const);
  return { ...Object.fromEntries(found), AWS_ENDPOINT_URL_S3: requireEndpoint() };
}
