/**
 * The compactor as it is deployed, which starts workers: each in an environment of its own, by the
 * asynchronous invocation that Lambda would make of its request.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Store } from "opslog-serverless";
import { LightS3Backend } from "opslog-serverless/s3/light";
import { afterAll, beforeAll, expect, test } from "vitest";
import { requireEndpoint } from "../support/live-s3.ts";
import { writeLongLog } from "../support/long-log.ts";
import { tempDir } from "../support/temp-dir.ts";
import type { Outcome } from "./environment.ts";
import { bundleFunctions, Service } from "./service.ts";

const SEGMENTS = 10_000;
const SCHEDULED = { "detail-type": "Scheduled Event" };
/** As the environment names the function. */
const INVOKE = "/2015-03-31/functions/function/invocations";

let bundles: Awaited<ReturnType<typeof tempDir>>;

beforeAll(async () => {
  bundles = await tempDir();
  await bundleFunctions(bundles.path);
});

afterAll(() => bundles[Symbol.asyncDispose]());

/** Answers 202 to each request, and passes its event on. */
async function lambdaThat(invoke: (event: unknown) => void) {
  const refused: string[] = [];
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      const { method, url, headers } = request;
      const isEvent = headers["x-amz-invocation-type"] === "Event";
      const isInvoke = method === "POST" && url === INVOKE && isEvent;
      if (isInvoke) invoke(JSON.parse(Buffer.concat(parts).toString()));
      else refused.push(`${method} ${url}`);
      response.writeHead(isInvoke ? 202 : 400).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    refused,
    endpoint: `http://127.0.0.1:${port}`,
    [Symbol.dispose]: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

test.each([22, 24] as const)("on Node %d a backlog is shared by environments", async (node) => {
  await using service = await Service.start(bundles.path, { node, client: "sdk" });
  const { location } = service;
  const numbers = Array.from({ length: SEGMENTS }, (_, n) => n);
  const workers: Promise<Outcome>[] = [];
  using lambda = await lambdaThat((event) => workers.push(work(event)));
  const env = { OPSLOG_PARALLEL: "4", AWS_ENDPOINT_URL_LAMBDA: lambda.endpoint };
  const work = async (event: unknown): Promise<Outcome> =>
    (await service.environment("compact", { env })).invoke(event);

  const compact = await service.environment("compact", { env });
  await writeLongLog(location, numbers.slice(0, 1));
  expect(await compact.invoke(SCHEDULED)).toMatchObject({ value: { workers: 0, more: false } });
  await writeLongLog(location, numbers);
  const own = await compact.invoke(SCHEDULED);
  expect(own).toMatchObject({ value: { outcome: "published", more: true } });
  const all = [own, ...(await Promise.all(workers))];
  expect(lambda.refused).toEqual([]);
  expect(workers.length).toBeGreaterThan(0);
  expect(own).toMatchObject({ value: { workers: workers.length } });
  const merged = all.map((outcome) => (outcome.kind === "result" ? Object(outcome.value) : {}));
  expect(merged.reduce((sum: number, { segments }) => sum + segments, 0)).toBe(SEGMENTS);
  // Workers have started none.
  expect(await compact.invoke({})).toMatchObject({ value: { segments: 0, workers: 0 } });
  expect(workers).toHaveLength(all.length - 1);

  const backend = new LightS3Backend({ endpoint: requireEndpoint() });
  await using store = await Store.open<number>(location, { backend, readOnly: true });
  expect(new Map(store.entries())).toEqual(new Map(numbers.map((n) => [`r${n}`, n])));
});
