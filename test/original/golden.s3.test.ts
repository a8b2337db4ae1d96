/** The golden stores that were written to S3, on a server. */
import { afterAll, beforeAll, describe } from "vitest";
import { s3Medium } from "../store/media.ts";
import { liveS3Bucket, type LiveBucket } from "../support/live-s3.ts";
import { goldenSuite, type Place } from "./golden-suite.ts";
import { goldenNames, readGolden, REPOSITORY } from "./golden/golden-store.ts";

/** A busy server takes its time to make and to remove a bucket. */
const BUCKET_MS = 60_000;

let live: LiveBucket;
beforeAll(async () => {
  live = await liveS3Bucket();
}, BUCKET_MS);
afterAll(() => live[Symbol.asyncDispose](), BUCKET_MS);

const place: Place = async (_layout, files) => {
  const { location, contents } = s3Medium(live);
  const backend = live.backend();
  await backend.initialize(location, { readOnly: false });
  for (const [path, content] of files) await backend.writeBlob(path, content);
  await backend.shutdown();
  return { location, backend: () => live.backend(), contents };
};

const objects: string[] = [];
for (const name of await goldenNames(REPOSITORY)) {
  const { golden } = await readGolden(REPOSITORY, name);
  if (golden.layout === "objects") objects.push(name);
}

describe.each(objects)("golden store %s", (name) => goldenSuite(name, place));
