import { Store } from "opslog-serverless";
import { createCompactor, startCompactor, withStore } from "opslog-serverless/lambda";
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
  const compact = createCompactor({ location, metrics: false, log: () => undefined });
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

test("a compactor finds the stores below a prefix, and compacts each", async () => {
  await using bucket = await liveS3Bucket();
  vi.stubEnv("AWS_ENDPOINT_URL_S3", liveS3Endpoint);
  const under = bucket.location();
  for (const name of ["one", "two ü+"]) {
    const handler = withStore<number>({ location: `${under}/${name}` }, (_event, _context, store) =>
      store.set("a", 1),
    );
    await handler({}, lambdaContext());
  }
  const other = bucket.backend();
  await other.initialize(`${under}/no-store`, { readOnly: false });
  await other.writeBlob("notes/readme.txt", "x");
  const compact = createCompactor({ discover: { under }, log: () => undefined, metrics: false });
  const { stores } = await compact({}, lambdaContext());
  expect(stores.map(({ location }) => location).toSorted()).toEqual([
    `${under}/one`,
    `${under}/two ü+`,
  ]);
  expect(stores).toMatchObject([
    { outcome: "done", report: { outcome: "published", records: 1 } },
    { outcome: "done", report: { outcome: "published", records: 1 } },
  ]);
});

test("in a Lambda function it does so through the light client, and finds what is new", async () => {
  await using bucket = await liveS3Bucket();
  vi.stubEnv("AWS_ENDPOINT_URL_S3", liveS3Endpoint);
  vi.stubEnv("AWS_LAMBDA_FUNCTION_NAME", "compactor");
  const under = bucket.location();
  const write = async (name: string): Promise<void> => {
    const options = { location: `${under}/${name}` };
    await withStore<number>(options, (_event, _context, store) => store.set("a", 1))(
      {},
      lambdaContext(),
    );
  };
  await write("one");
  const compact = createCompactor({ discover: { under }, log: () => undefined, metrics: false });
  const invoke = async (event: unknown): Promise<string[]> => {
    const { stores } = await compact(event, lambdaContext());
    return stores.map((store) => {
      const outcome = store.outcome === "done" ? store.report.outcome : store.outcome;
      return `${store.location.slice(under.length + 1)} ${outcome}`;
    });
  };
  const scheduled = { "detail-type": "Scheduled Event" };
  expect(await invoke(scheduled)).toEqual(["one published"]);
  await write("two");
  const [, name = ""] = under.split("s3://");
  const key = `${name.slice(name.indexOf("/") + 1)}/two/ops/6/x/1-1-1-0.jsonl`;
  const object = { bucket: { name: name.split("/")[0] }, object: { key } };
  expect(await invoke({ "detail-type": "Object Created", detail: object })).toEqual([
    "two published",
  ]);
  expect((await invoke({})).toSorted()).toEqual(["one idle", "two idle"]);
});

test("many processes that see one backlog start the compactor once", async () => {
  await using bucket = await liveS3Bucket();
  vi.stubEnv("AWS_ENDPOINT_URL_S3", liveS3Endpoint);
  const backlog = { location: bucket.location("store"), segments: 1_001 };
  let started = 0;
  const start = (): void => void started++;
  const processes = Array.from({ length: 50 }, () => startCompactor({ start }));
  await Promise.all(processes.map((onBacklog) => onBacklog(backlog)));
  expect(started).toBe(1);
  // One that is new sees that it was started a moment ago.
  await startCompactor({ start })(backlog);
  expect(started).toBe(1);
});
