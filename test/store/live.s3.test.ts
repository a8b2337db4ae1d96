import { afterAll, beforeAll, describe } from "vitest";
import { liveS3Bucket } from "../support/live-s3.ts";
import type { LiveBucket } from "../support/live-s3.ts";
import { s3Medium } from "./media.ts";
import { storeSuite } from "./store-suite.ts";

/** A busy server takes its time to make and to remove a bucket. */
const BUCKET_MS = 60_000;

describe("live server", () => {
  let live: LiveBucket;
  beforeAll(async () => {
    live = await liveS3Bucket();
  }, BUCKET_MS);
  afterAll(() => live[Symbol.asyncDispose](), BUCKET_MS);

  storeSuite("S3", () => Promise.resolve(s3Medium(live)));
});
