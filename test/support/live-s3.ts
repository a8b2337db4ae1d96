/**
 * Buckets on a live S3 server for tests. OPSLOG_TEST_S3_ENDPOINT names the server, credentials
 * come from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION (`ceph-rgw.sh start`).
 */
import { randomBytes } from "node:crypto";
import {
  AbortMultipartUploadCommand,
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  S3Client,
} from "@aws-sdk/client-s3";
import { S3Backend } from "../../src/s3/index.ts";
import type { S3BackendOptions } from "../../src/s3/index.ts";
import { mapParallel } from "../../src/core/parallel.ts";

export { recordingProxy, roundTrips } from "./recording-proxy.ts";

export const liveS3Endpoint: string | undefined =
  process.env["OPSLOG_TEST_S3_ENDPOINT"] || undefined;

export interface LiveBucket extends AsyncDisposable {
  readonly bucket: string;
  /** Goes straight to the server, for looking at it and for setting up. */
  readonly client: S3Client;
  /** A new backend, not initialized; `endpoint` in the options can name a proxy. */
  backend(options?: S3BackendOptions): S3Backend;
  location(prefix?: string): string;
}

/** A client of the live server; `endpoint` can name a proxy. */
export function liveS3Client(endpoint: string = requireEndpoint(), maxAttempts = 3): S3Client {
  return new S3Client({
    endpoint,
    maxAttempts,
    forcePathStyle: true,
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
  });
}

/** A fresh bucket, removed with all it holds on dispose. */
export async function liveS3Bucket(): Promise<LiveBucket> {
  const endpoint = requireEndpoint();
  const bucket = `opslog-test-${randomBytes(8).toString("hex")}`;
  const client = liveS3Client();
  await client.send(new CreateBucketCommand({ Bucket: bucket }));
  return {
    bucket,
    client,
    backend: (options = {}) =>
      new S3Backend(options.client === undefined ? { endpoint, ...options } : options),
    location: (prefix = "store") => `s3://${bucket}/${prefix}`,
    [Symbol.asyncDispose]: async () => {
      await removeBucket(client, bucket);
      client.destroy();
    },
  };
}

/** The same bucket at the address of a proxy: a store proves the server that it talks to. */
export function reachedBy(endpoint: string, live: LiveBucket): LiveBucket {
  return { ...live, backend: (options = {}) => live.backend({ endpoint, ...options }) };
}

async function removeBucket(client: S3Client, Bucket: string): Promise<void> {
  for (;;) {
    const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket }));
    if (Contents.length === 0) break;
    await mapParallel(Contents, 16, async ({ Key }) => {
      await client.send(new DeleteObjectCommand({ Bucket, Key }));
    });
  }
  const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket }));
  for (const { Key, UploadId } of Uploads) {
    await client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }));
  }
  await client.send(new DeleteBucketCommand({ Bucket }));
}

export function requireEndpoint(): string {
  if (liveS3Endpoint === undefined) throw new Error("OPSLOG_TEST_S3_ENDPOINT is not set");
  return liveS3Endpoint;
}
