import { Store } from "opslog-serverless";
import { createCompactor, withStore } from "opslog-serverless/lambda";
import { expect, test, vi } from "vitest";
import { liveS3Bucket, liveS3Endpoint } from "../support/live-s3.ts";
import { lambdaContext } from "./support.ts";

test("the location alone is enough on S3, for 64 invocations at once and a compactor", async () => {
  await using bucket = await liveS3Bucket();
  vi.stubEnv("AWS_ENDPOINT_URL_S3", liveS3Endpoint);
  const location = bucket.location();
  const handler = withStore<string, number>({ location }, (n, context, store) =>
    store.set(`record-${n}`, context.awsRequestId),
  );
  const compact = createCompactor({ location, log: () => undefined });
  const numbers = Array.from({ length: 64 }, (_, n) => n);
  await Promise.all([
    ...numbers.map((n) => handler(n, lambdaContext(`request-${n}`))),
    compact({}, lambdaContext()),
  ]);
  expect(await compact({}, lambdaContext())).toMatchObject({ corrupt: 0, more: false });

  await using store = await Store.open<string>(location, {
    backend: bucket.backend(),
    readOnly: true,
  });
  expect(new Map(store.entries())).toEqual(
    new Map(numbers.map((n) => [`record-${n}`, `request-${n}`])),
  );
});
