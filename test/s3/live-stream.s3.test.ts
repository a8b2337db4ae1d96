/** Multipart uploads to a live server, through a proxy that loses requests and answers. */
import { randomBytes } from "node:crypto";
import { ListMultipartUploadsCommand } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { AccessDeniedError, WriteOutcomeUnknownError } from "../../src/core/errors.ts";
import type { S3Backend, S3BackendOptions } from "../../src/s3/index.ts";
import type { PutResult } from "../../src/storage/backend.ts";
import { liveS3Bucket, liveS3Endpoint } from "../support/live-s3.ts";
import type { LiveBucket } from "../support/live-s3.ts";
import { recordingProxy } from "../support/recording-proxy.ts";
import type { RecordedRequest, RecordingProxy } from "../support/recording-proxy.ts";
import { bytes, etagOf, overlapMax, rejection } from "./support.ts";

const MIB = 1024 * 1024;

describe("a stream of 20 MB to a live server", () => {
  let live: LiveBucket;
  let proxy: RecordingProxy;
  const opened: S3Backend[] = [];

  beforeAll(async () => {
    live = await liveS3Bucket();
    proxy = await recordingProxy(liveS3Endpoint ?? "");
  });
  beforeEach(() => proxy.reset());
  afterAll(async () => {
    await Promise.all(opened.map((backend) => backend.shutdown()));
    await proxy.close();
    await live[Symbol.asyncDispose]();
  });

  /** A backend behind the proxy, on a prefix of its own. */
  async function open(options: S3BackendOptions = {}): Promise<S3Backend> {
    const backend = live.backend({ endpoint: proxy.endpoint, ...options });
    const location = live.location(randomBytes(6).toString("hex"));
    await backend.initialize(location, { readOnly: false });
    opened.push(backend);
    return backend;
  }

  const body = randomBytes(20 * MIB);

  async function* stream(failAfterBytes = Infinity): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < body.length; at += 700_001) {
      if (at > failAfterBytes) throw new Error("the source broke");
      yield await Promise.resolve(body.subarray(at, at + 700_001));
    }
  }

  async function expectStored(backend: S3Backend, result: PutResult): Promise<void> {
    const found = await backend.get("big");
    if (found.status !== "found") throw new Error(found.status);
    expect(found.etag).toBe(etagOf(result));
    expect(body.equals(found.body)).toBe(true);
  }

  async function uploadsLeft(): Promise<number> {
    const command = new ListMultipartUploadsCommand({ Bucket: live.bucket });
    return (await live.client.send(command)).Uploads?.length ?? 0;
  }

  test("goes in parts, at most two at once, and only over nothing", async () => {
    await using distant = await recordingProxy(liveS3Endpoint ?? "", { answerDelayMs: 50 });
    const narrow = await open({ endpoint: distant.endpoint, partBytes: 5 * MIB });
    await expectStored(narrow, await narrow.put("big", stream(), { ifAbsent: true }));
    const parts = distant.requests.filter(({ query }) => query.has("partNumber"));
    expect(parts.map(({ bytesUp }) => bytesUp)).toEqual(Array(4).fill(5 * MIB));
    expect(overlapMax(parts)).toBe(2);
    const backend = await open();
    await backend.put("big", bytes("there"), { ifAbsent: true });
    proxy.reset();
    expect((await backend.put("big", stream(), { ifAbsent: true })).status).toBe("conflict");
    expect(proxy.requests.map(({ method }) => method)).toEqual(["HEAD"]);
  });

  test("survives a lost part, a lost answer at the end and a refused header", async () => {
    const backend = await open();
    const lost = new Set<string>();
    const once = (name: string): boolean => !lost.has(name) && lost.add(name).has(name);
    proxy.fault = (request) => {
      if (request.query.get("partNumber") === "2" && once("part")) return "drop-before";
      if (!isCompletion(request)) return undefined;
      if (request.requestHeaders["if-none-match"] !== undefined) {
        return { status: 501, body: "<Error><Code>NotImplemented</Code></Error>" };
      }
      return once("end") ? "drop-after" : undefined;
    };
    await expectStored(backend, await backend.put("big", stream(), { ifAbsent: true }));
    expect([...lost]).toEqual(["part", "end"]);
  });

  test("whose upload is gone after a lost answer is known by its mark", async () => {
    const backend = await open();
    let ends = 0;
    proxy.fault = (request) => {
      if (!isCompletion(request)) return undefined;
      const gone = { status: 404, body: "<Error><Code>NoSuchUpload</Code></Error>" };
      return ++ends === 1 ? "drop-after" : gone;
    };
    await backend.put("big", bytes("old"), "none");
    await expectStored(backend, await backend.put("big", stream(), "none"));
    ends = 0;
    proxy.fault = (request) => {
      if (!isCompletion(request)) return undefined;
      const gone = { status: 404, body: "<Error><Code>NoSuchUpload</Code></Error>" };
      return ++ends === 1 ? "drop-before" : gone;
    };
    const error = await rejection(backend.put("big", stream(), "none"));
    expect(error).toBeInstanceOf(WriteOutcomeUnknownError);
  });

  test("that breaks leaves neither an object nor parts", async () => {
    const before = await uploadsLeft();
    const backend = await open();
    const error = await rejection(backend.put("big", stream(17 * MIB), { ifAbsent: true }));
    expect(String(error)).toContain("the source broke");
    expect((await backend.get("big")).status).toBe("absent");
    proxy.fault = ({ query }) =>
      query.get("partNumber") === "2"
        ? { status: 403, body: "<Error><Code>AccessDenied</Code></Error>" }
        : undefined;
    const denied = await rejection(backend.put("big", stream(), { ifAbsent: true }));
    expect(denied).toBeInstanceOf(AccessDeniedError);
    expect(await uploadsLeft()).toBe(before);
  });
});

function isCompletion({ method, query }: RecordedRequest): boolean {
  return method === "POST" && query.has("uploadId");
}
