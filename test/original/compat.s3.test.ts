/** What programs of the original say to its S3 backend, on a server. */
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { ListObjectsV2Command } from "@aws-sdk/client-s3";
import { LockedError } from "../../src/core/errors.ts";
import type { Runtime } from "../../src/core/runtime.ts";
import { systemRuntime } from "../../src/core/runtime.ts";
import { S3Backend } from "../../src/s3/index.ts";
import { Store } from "../../src/store/store.ts";
import { liveS3Bucket, type LiveBucket } from "../support/live-s3.ts";

/** A busy server takes its time to make and to remove a bucket. */
const BUCKET_MS = 60_000;

let live: LiveBucket;
beforeAll(async () => {
  live = await liveS3Bucket();
}, BUCKET_MS);
afterAll(() => live[Symbol.asyncDispose](), BUCKET_MS);

const freshPrefix = (): string => `compat/${randomBytes(8).toString("hex")}`;

test.each(["", "/"])(
  'bucket and prefix of the options, "%s" in front; the location is any name',
  async (slash) => {
    const { bucket, client } = live;
    const prefix = slash + freshPrefix();
    const store = new Store<unknown>();
    await store.open("any name", {
      backend: new S3Backend({ bucket, prefix: `${prefix}//`, client }),
    });
    await store.set("a", 1);
    await store.close();
    const { Contents = [] } = await client.send(
      new ListObjectsV2Command({ Bucket: bucket, Prefix: `${prefix}/` }),
    );
    expect(Contents.map(({ Key }) => Key)).toContain(`${prefix}/manifest.json`);
    const reader = new Store<unknown>();
    const options = { backend: new S3Backend({ bucket, prefix, client }), readOnly: true };
    await reader.open("another name", options);
    expect(reader.entries()).toEqual([["a", 1]]);
    await reader.close();
  },
);

test("lockTtlMs is how long a single writer that stopped keeps others out", async () => {
  const { bucket, client } = live;
  const prefix = freshPrefix();
  const backend = (): S3Backend => new S3Backend({ bucket, prefix, client, lockTtlMs: 2_000 });
  /** Renews nothing, as a process that was killed. */
  const runtime: Runtime = { ...systemRuntime, idle: () => new Promise(() => {}) };
  const stopped = new Store<unknown>({ runtime });
  await stopped.open("", { backend: backend(), leaseTtlMs: 600_000 });
  const second = new Store<unknown>();
  onTestFinished(() => second.close());
  const opening = second.open("", { backend: backend() });
  await expect(opening).rejects.toThrow(LockedError);
  await expect(opening).rejects.toThrow(/^Store is locked by another agent\. Lock key: .* 2000 ms/);
  await expect
    .poll(() => second.open("", { backend: backend() }), { timeout: 15_000 })
    .toBeUndefined();
  await second.set("a", 1);
  expect(second.count()).toBe(1);
});
