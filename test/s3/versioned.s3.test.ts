/** Ceph RGW ignores If-None-Match, and refuses every If-Match, on a bucket with versioning. */
import { ListObjectsV2Command, PutBucketVersioningCommand } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { NotSupportedError } from "../../src/core/errors.ts";
import { LightS3Backend } from "../../src/s3/light/index.ts";
import type { BucketBackend } from "../../src/s3/bucket-backend.ts";
import { compact } from "../../src/compaction/compact.ts";
import { Store } from "../../src/store/store.ts";
import { type LiveBucket, liveS3Bucket, requireEndpoint } from "../support/live-s3.ts";
import { CLIENTS, rejection } from "./support.ts";

const LAZY = { agentId: "lazy", skipLoad: true } as const;

/** What a server does there is its own affair: AWS honours both. */
type Honours = "both" | "neither";

let live: LiveBucket;
let honours: Honours;

beforeAll(async () => {
  live = await liveS3Bucket();
  await version(live, "Enabled");
  const backend = live.backend();
  await backend.initialize(live.location("asked"), { readOnly: false });
  const puts = [1, 2].map(() => backend.put("x", new Uint8Array(1), { ifAbsent: true }));
  const written = (await Promise.all(puts)).filter(({ status }) => status === "written");
  honours = written.length === 1 ? "both" : "neither";
  await backend.shutdown();
});
// A bucket that holds versions is not removed with its objects: the server is one for tests.
afterAll(() => live.client.destroy());

async function version({ client, bucket }: LiveBucket, Status: "Enabled"): Promise<void> {
  const VersioningConfiguration = { Status };
  await client.send(new PutBucketVersioningCommand({ Bucket: bucket, VersioningConfiguration }));
}

function backendOf(client: (typeof CLIENTS)[number], bucket: LiveBucket): BucketBackend {
  return client === "SDK" ? bucket.backend() : new LightS3Backend({ endpoint: requireEndpoint() });
}

async function keysBelow(prefix: string): Promise<string[]> {
  const { Contents = [] } = await live.client.send(
    new ListObjectsV2Command({ Bucket: live.bucket, Prefix: `${prefix}/` }),
  );
  return Contents.map(({ Key = "" }) => Key);
}

describe.each(CLIENTS)("a versioned bucket and the %s client:", (client) => {
  const backend = (): BucketBackend => backendOf(client, live);

  test("a store works, or says that it cannot and leaves nothing", async () => {
    const location = live.location(`born-${client}`);
    const opening = Store.open<number>(location, { backend: backend(), agentId: "a" });
    if (honours === "both") return (await opening).close();
    const error = await rejection(opening);
    expect(error).toBeInstanceOf(NotSupportedError);
    expect(String(error)).toMatch(/does not honour If-None-Match and If-Match.*not versioned/);
    expect(await keysBelow(`born-${client}`)).toEqual([]);
  });

  test("so does a lazy writer, with its first write", async () => {
    const name = `lazy-${client}`;
    const store = await Store.open<number>(live.location(name), { ...LAZY, backend: backend() });
    const writing = store.set("x", 1);
    if (honours === "both") await writing;
    else {
      expect(await rejection(writing)).toBeInstanceOf(NotSupportedError);
      expect(await keysBelow(name)).toEqual([]);
    }
    await store.close();
  });

  test("versioning that is turned on later stops compactions; nothing is lost", async () => {
    const later = await liveS3Bucket();
    const make = (): BucketBackend => backendOf(client, later);
    const onWarning = (): void => undefined;
    const location = later.location();
    const store = await Store.open<number>(location, { agentId: "a", backend: make() });
    await store.set("x", 1);
    await version(later, "Enabled");
    await store.set("x", 2);
    const compacting = compact(location, { backend: make(), onWarning });
    if (honours === "both") await compacting;
    else expect(await rejection(compacting)).toBeInstanceOf(NotSupportedError);
    const reader = await Store.open<number>(location, { backend: make(), readOnly: true });
    expect(reader.get("x")).toBe(2);
    await reader.close();
    await Promise.allSettled([store.close()]);
    later.client.destroy();
  });
});
