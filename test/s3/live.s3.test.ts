/** Against a live server, where needed through a proxy that loses answers and counts requests. */
import { randomBytes } from "node:crypto";
import { S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { AccessDeniedError, StoreNotFoundError } from "../../src/core/errors.ts";
import type { S3Backend, S3BackendOptions } from "../../src/s3/index.ts";
import { liveS3Bucket, liveS3Client, liveS3Endpoint } from "../support/live-s3.ts";
import type { LiveBucket } from "../support/live-s3.ts";
import { recordingProxy, roundTrips } from "../support/recording-proxy.ts";
import type { RecordingProxy } from "../support/recording-proxy.ts";
import { bytes, etagOf, overlapMax, rejection } from "./support.ts";

describe("S3Backend on a live server", () => {
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

  /** A backend behind the proxy, on a prefix of its own unless one is given. */
  async function open(
    options: S3BackendOptions = {},
    prefix = randomBytes(6).toString("hex"),
  ): Promise<S3Backend> {
    const backend = live.backend({ endpoint: proxy.endpoint, ...options });
    await backend.initialize(live.location(prefix), { readOnly: false });
    opened.push(backend);
    return backend;
  }

  const seen = (): string => proxy.requests.map(({ method }) => method).join(" ");

  test("initialize makes no request, every other call one", async () => {
    const backend = await open();
    expect(proxy.requests).toEqual([]);
    const created = await backend.put("x", bytes("1"), { ifAbsent: true });
    if (created.status !== "written") throw new Error(created.status);
    await backend.put("x", bytes("2"), { ifMatch: created.etag });
    await backend.get("x", { ifNoneMatch: created.etag });
    await backend.delete(["x", "y"]);
    expect(seen()).toBe("PUT PUT GET POST");
  });

  test("requests in parallel are one round trip, up to maxSockets of them", async () => {
    await using distant = await recordingProxy(liveS3Endpoint ?? "", { answerDelayMs: 50 });
    const backend = await open({ endpoint: distant.endpoint });
    await Promise.all(Array.from({ length: 20 }, (_, n) => backend.get(`absent-${n}`)));
    expect(roundTrips(distant.requests)).toBe(1);
    await backend.get("one-more");
    expect(roundTrips(distant.requests)).toBe(2);
    distant.reset();
    // A caller's client has limits of its own; ours holds all the same.
    const client = liveS3Client(distant.endpoint);
    const narrow = await open({ client, maxSockets: 4 });
    await Promise.all(Array.from({ length: 10 }, (_, n) => narrow.get(`absent-${n}`)));
    expect(overlapMax(distant.requests)).toBe(4);
    expect(roundTrips(distant.requests)).toBe(3);
    client.destroy();
  });

  test.each([1, 2])("a create whose first %i answers are lost is written once", async (losses) => {
    const backend = await open();
    let lost = 0;
    proxy.fault = ({ method }) => (method === "PUT" && lost++ < losses ? "drop-after" : undefined);
    const result = await backend.put("x", bytes("ours"), { ifAbsent: true });
    expect(result.status).toBe("written");
    expect(await backend.get("x")).toMatchObject({ etag: etagOf(result), objectBytes: 4 });
    expect(seen()).toBe(`${"PUT ".repeat(losses + 1)}GET GET`);
  });

  test("a swap whose answer is lost is written, one overtaken meanwhile a conflict", async () => {
    const backend = await open();
    const one = await backend.put("x", bytes("1"), { ifAbsent: true });
    loseFirst("drop-after");
    const two = await backend.put("x", bytes("2"), { ifMatch: etagOf(one) });
    expect(two.status).toBe("written");
    proxy.reset();
    loseFirst("drop-before", () => backend.put("x", bytes("theirs"), "none"));
    const three = await backend.put("x", bytes("3"), { ifMatch: etagOf(two) });
    expect(three.status).toBe("conflict");
  });

  test("with a caller's client that repeats by itself every write happens once", async () => {
    const client = liveS3Client(proxy.endpoint);
    const backend = await open({ client });
    loseFirst("drop-after");
    const created = await backend.put("x", bytes("1"), { ifAbsent: true });
    expect(created.status).toBe("written");
    proxy.reset();
    loseFirst("drop-after");
    const swapped = await backend.put("x", bytes("2"), { ifMatch: etagOf(created) });
    expect(swapped.status).toBe("written");
    expect((await backend.put("x", bytes("3"), { ifMatch: etagOf(created) })).status).toBe(
      "conflict",
    );
    client.destroy();
  });

  test("of 30 racing swaps exactly one wins, in every round", async () => {
    const prefix = randomBytes(6).toString("hex");
    const racers = await Promise.all(Array.from({ length: 30 }, () => open({}, prefix)));
    const first = await racers[0]?.put("x", bytes("start"), { ifAbsent: true });
    let etag = first === undefined ? "" : etagOf(first);
    for (let round = 1; round <= 3; round++) {
      const results = await Promise.all(
        racers.map((racer, n) => racer.put("x", bytes(`${round}/${n}`), { ifMatch: etag })),
      );
      const winners = results.flatMap((result, n) => (result.status === "written" ? [n] : []));
      expect(winners, `round ${round}`).toHaveLength(1);
      const found = await racers[0]?.get("x");
      if (found?.status !== "found") throw new Error(found?.status);
      expect(Buffer.from(found.body).toString()).toBe(`${round}/${winners[0]}`);
      etag = found.etag;
    }
  });

  test("2,500 keys are listed in three pages and deleted in three requests", async () => {
    const backend = await open();
    const paths = Array.from({ length: 2_500 }, (_, n) => `ops/${n % 16}/${n}`);
    await Promise.all(paths.map((path) => backend.put(path, bytes("x"), "none")));
    proxy.reset();
    const listed: string[] = [];
    for await (const { objects } of backend.list("ops/")) {
      listed.push(...objects.map(({ path }) => path));
    }
    expect(proxy.requests).toHaveLength(3);
    expect(listed.toSorted()).toEqual(paths.toSorted());
    await backend.delete(paths);
    expect(proxy.requests).toHaveLength(6);
    for await (const { objects } of backend.list("")) expect(objects).toEqual([]);
  });

  test("a bucket that does not exist is named by every operation", async () => {
    const backend = live.backend();
    await backend.initialize(`s3://${live.bucket}-not/store`, { readOnly: false });
    const drain = async (): Promise<void> => {
      for await (const page of backend.list("")) expect(page).toBeDefined();
    };
    const errors = await Promise.all(
      [
        backend.get("x"),
        backend.put("x", bytes("1"), { ifAbsent: true }),
        backend.put("x", bytes("1"), { ifMatch: "abc" }),
        backend.delete(["x", "y"]),
        drain(),
      ].map(rejection),
    );
    for (const error of errors) {
      expect(error).toBeInstanceOf(StoreNotFoundError);
      expect(String(error)).toContain(`'${live.bucket}-not' does not exist`);
    }
    await backend.shutdown();
  });

  test.each(["test", "nobody"])("wrong credentials of '%s' are reported as such", async (user) => {
    const client = new S3Client({
      endpoint: proxy.endpoint,
      forcePathStyle: true,
      credentials: { accessKeyId: user, secretAccessKey: "not-the-secret" },
    });
    const backend = await open({ client });
    const calls = [backend.get("x"), backend.put("x", bytes("1"), { ifAbsent: true })];
    for (const error of await Promise.all(calls.map(rejection))) {
      expect(error).toBeInstanceOf(AccessDeniedError);
      expect(String(error)).toContain("Check the credentials");
      expect(String(error)).not.toContain("not-the-secret");
    }
    client.destroy();
  });

  /** Loses the first PUT, or its answer, after doing something else. */
  function loseFirst(how: "drop-before" | "drop-after", before?: () => Promise<unknown>): void {
    let first = true;
    proxy.fault = async ({ method }) => {
      if (method !== "PUT" || !first) return undefined;
      first = false;
      await before?.();
      return how;
    };
  }
});
