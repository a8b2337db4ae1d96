/** A bucket that is not there, credentials and permissions that do not suffice, a server that is off. */
import { PutBucketPolicyCommand, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  AccessDeniedError,
  type OpslogError,
  StoreNotFoundError,
  UnavailableError,
} from "../../src/core/errors.ts";
import { S3Backend, type S3BackendOptions } from "../../src/s3/index.ts";
import { compact } from "../../src/compaction/compact.ts";
import { Store } from "../../src/store/store.ts";
import { liveS3Bucket, liveS3Endpoint, recordingProxy } from "../support/live-s3.ts";
import type { LiveBucket } from "../support/live-s3.ts";
import type { RecordingProxy } from "../support/recording-proxy.ts";
import { s3Medium } from "./media.ts";

/** A busy server takes its time to make and to remove a bucket. */
const BUCKET_MS = 60_000;

describe("live server", () => {
  let live: LiveBucket;
  let proxy: RecordingProxy;

  beforeAll(async () => {
    live = await liveS3Bucket();
    proxy = await recordingProxy(liveS3Endpoint ?? "");
  }, BUCKET_MS);
  beforeEach(() => proxy.reset());
  afterAll(async () => {
    await proxy.close();
    await live[Symbol.asyncDispose]();
  }, BUCKET_MS);

  /** Every way into a store fails with such an error, and writes nothing. */
  async function expectRefused(
    location: string,
    options: S3BackendOptions,
    type: new (message: string) => OpslogError,
    message: RegExp,
  ): Promise<void> {
    const backend = () => live.backend({ endpoint: proxy.endpoint, ...options });
    const entrances = [
      () => Store.open<unknown>(location, { backend: backend() }),
      () => Store.open<unknown>(location, { backend: backend(), agentId: "a", skipLoad: true }),
      () => Store.open<unknown>(location, { backend: backend(), readOnly: true }),
      () => compact(location, { backend: backend() }),
    ];
    for (const enter of entrances) {
      const error: unknown = await enter().then(
        () => "it was accepted",
        (thrown: unknown) => thrown,
      );
      expect(error, String(error)).toBeInstanceOf(type);
      expect(String(error)).toMatch(message);
    }
  }

  test("a bucket that does not exist is named, and what to do", async () => {
    const message = new RegExp(`'${live.bucket}-not' does not exist\\. Create it, or correct`);
    await expectRefused(`s3://${live.bucket}-not/x`, {}, StoreNotFoundError, message);
  });

  test("wrong credentials are reported as such, without the secret", async () => {
    const client = new S3Client({
      endpoint: proxy.endpoint,
      forcePathStyle: true,
      region: "us-east-1",
      credentials: { accessKeyId: "test", secretAccessKey: "not-the-secret" },
    });
    const message = /^(?!.*not-the-secret).*Check the credentials/;
    await expectRefused(live.location(), { client }, AccessDeniedError, message);
    client.destroy();
  });

  test("without permission to list, an error names it; nothing is taken for empty", async () => {
    const medium = s3Medium(live);
    const store = await Store.open<unknown>(medium.location, { backend: medium.backend() });
    await store.set("a", 1);
    await store.close();
    const before = await medium.contents();
    proxy.fault = ({ method, query }) =>
      method === "GET" && query.has("list-type")
        ? { status: 403, body: "<Error><Code>AccessDenied</Code></Error>" }
        : undefined;
    await expectRefused(medium.location, {}, AccessDeniedError, /Allow s3:ListBucket/);
    proxy.fault = ({ method, query }) =>
      method === "GET" && !query.has("list-type")
        ? { status: 403, body: "<Error><Code>AccessDenied</Code></Error>" }
        : undefined;
    await expectRefused(medium.location, {}, AccessDeniedError, /Allow s3:GetObject/);
    const after = new Map(
      [...(await medium.contents())].filter(([name]) => !name.endsWith(".lease")),
    );
    expect(new Map([...before].filter(([name]) => !name.endsWith(".lease")))).toEqual(after);
    await using again = await Store.open<unknown>(medium.location, { backend: medium.backend() });
    expect(again.entries()).toEqual([["a", 1]]);
  });

  test("without permission to write, a write is refused and rolled back", async () => {
    const medium = s3Medium(live);
    const backend = live.backend({ endpoint: proxy.endpoint });
    const store = await Store.open<unknown>(medium.location, { backend, agentId: "a" });
    await store.set("a", 1);
    proxy.fault = ({ method }) =>
      method === "PUT"
        ? { status: 403, body: "<Error><Code>AccessDenied</Code></Error>" }
        : undefined;
    await expect(store.set("a", 2)).rejects.toThrow(AccessDeniedError);
    await expect(store.set("b", 2)).rejects.toThrow("Allow s3:PutObject");
    expect(store.entries()).toEqual([["a", 1]]);
    proxy.reset();
    await store.set("b", 3);
    await store.close();
    await using again = await Store.open<unknown>(medium.location, { backend: medium.backend() });
    expect(again.entries()).toEqual([
      ["a", 1],
      ["b", 3],
    ]);
  });

  /** Whoever signs nothing may read and list this bucket from now on, and nothing else. */
  async function letAnyoneRead(): Promise<S3Client> {
    const [bucket, objects] = [`arn:aws:s3:::${live.bucket}`, `arn:aws:s3:::${live.bucket}/*`];
    const allow = (Action: string, Resource: string): object => ({
      Effect: "Allow",
      Principal: "*",
      Action,
      Resource,
    });
    const Statement = [allow("s3:ListBucket", bucket), allow("s3:GetObject", objects)];
    const Policy = JSON.stringify({ Version: "2012-10-17", Statement });
    await live.client.send(new PutBucketPolicyCommand({ Bucket: live.bucket, Policy }));
    return new S3Client({
      endpoint: proxy.endpoint,
      forcePathStyle: true,
      region: "us-east-1",
      credentials: { accessKeyId: "none", secretAccessKey: "none" },
      signer: { sign: (request) => Promise.resolve(request) },
    });
  }

  test("credentials that may only read follow a writer; no other request is sent", async () => {
    const medium = s3Medium(live);
    const client = await letAnyoneRead();
    await using writer = await Store.open<unknown>(medium.location, {
      backend: medium.backend(),
      checkpointThreshold: 3,
    });
    await writer.set("a", 1);
    const backends = [1, 2].map(() => new S3Backend({ client }));
    const readers = await Promise.all(
      backends.map((backend) => Store.open<unknown>(medium.location, { backend, readOnly: true })),
    );
    const copies = readers.map((reader) => new Map(reader.entries()));
    for (let n = 1; n <= 6; n++) {
      await writer.set(`r${n % 4}`, n);
      for (const [at, reader] of readers.entries()) {
        for (const { id, data } of await reader.tail()) copies[at]?.set(id, data);
        expect(copies[at]).toEqual(new Map(reader.entries()));
        expect(copies[at]).toEqual(new Map(writer.entries()));
      }
    }
    const [watching] = readers;
    const told = new Promise((resolve) => watching?.watch(([first]) => resolve(first?.id), 10));
    await writer.set("watched", 1);
    expect(await told).toBe("watched");
    for (const reader of readers) await reader.close();
    expect(proxy.requests.length).toBeGreaterThan(10);
    expect(proxy.requests.filter(({ method }) => !["GET", "HEAD"].includes(method))).toEqual([]);
    const agent = await Store.open<unknown>(medium.location, {
      backend: new S3Backend({ client }),
      agentId: "a",
      checkpointOnClose: false,
    });
    await expect(agent.set("x", 1), "they really may not write").rejects.toThrow(AccessDeniedError);
    await agent.close();
    client.destroy();
  });

  test("a server that cannot be reached is unavailable, which may be tried again", async () => {
    const options = { endpoint: "http://127.0.0.1:9", attemptsMax: 2 };
    await expectRefused(live.location(), options, UnavailableError, /ECONNREFUSED/);
  });
});
