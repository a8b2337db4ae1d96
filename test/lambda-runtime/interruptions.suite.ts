/**
 * What Lambda does to processes: kills them between and during invocations, cuts them off at a
 * deadline, freezes them and thaws them when their connections are long dead.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { httpEvent } from "../functions/support.ts";
import { dice, runSeed } from "../processes/random.ts";
import { liveS3Endpoint, recordingProxy } from "../support/live-s3.ts";
import { tempDir } from "../support/temp-dir.ts";
import { relayTo } from "./relay.ts";
import { bundleFunctions, Service, statusOf } from "./service.ts";

const ROUNDS = 30;
/** A write takes 3 requests after one another, a compaction more. */
const REQUESTS_MAX = 6;
const CONCURRENT = 32;

let bundles: Awaited<ReturnType<typeof tempDir>>;

beforeAll(async () => {
  bundles = await tempDir();
  await bundleFunctions(bundles.path);
});

afterAll(() => bundles[Symbol.asyncDispose]());

const VARIANTS = ([22, 24] as const).flatMap((node) =>
  (["sdk", "light"] as const).map((client) => ({ node, client })),
);
const endpoint = liveS3Endpoint ?? "";
const get = (id: string) => httpEvent({ method: "GET", target: `/records/${id}` });

describe.each(VARIANTS)("on Node $node with the $client client", ({ node, client }) => {
  const start = (): Promise<Service> => Service.start(bundles.path, { node, client });

  test("kills between and during invocations, of the service and of the compactor", async () => {
    await using service = await start();
    await using proxy = await recordingProxy(endpoint);
    const records = await service.environment("records", { endpoint: proxy.endpoint });
    const compact = await service.environment("compact", { endpoint: proxy.endpoint });
    const seed = runSeed();
    const { below, chance } = dice(seed);
    // A store without a manifest takes more requests for a write than an invocation lives here.
    await service.put(records, "first");
    await compact.invoke({});
    const before = service.count("acknowledged");
    for (let round = 0; round < ROUNDS; round++) {
      const victim = round % 6 === 5 ? compact : records;
      let requests = 0;
      const fatal = below(REQUESTS_MAX);
      proxy.fault = async () => {
        if (requests++ !== fatal) return undefined;
        const carriedOut = chance(0.5);
        await victim.kill();
        return carriedOut ? "drop-after" : "drop-before";
      };
      if (victim === compact) await compact.invoke({});
      else if (chance(0.3)) await service.delete(records, `record-${below(8)}`);
      else await service.put(records, `record-${below(8)}`);
      proxy.fault = () => undefined;
      if (round % 5 === 0) await records.kill();
    }
    expect(service.count("acknowledged"), `SEED=${seed}`).toBeGreaterThan(before);
    expect(service.count("unknown"), `SEED=${seed}`).toBeGreaterThan(0);
    expect(records.incarnation).toBeGreaterThan(ROUNDS / 5);
    for (let n = 0; n < 8; n++) await service.put(records, `last-${n}`);
    expect(await compact.invoke({})).toMatchObject({ value: { corrupt: 0 } });
    expect(await service.violations(), `SEED=${seed}`).toEqual([]);
  });

  test("a kill with 32 invocations in one process", async () => {
    await using service = await start();
    await using proxy = await recordingProxy(endpoint);
    const concurrency = { workers: 1 };
    const records = await service.environment("records", { endpoint: proxy.endpoint, concurrency });
    const putAll = (): Promise<unknown> =>
      Promise.all(
        Array.from({ length: CONCURRENT }, (_, n) => service.put(records, `record-${n}`)),
      );
    await putAll();
    expect(service.count("acknowledged")).toBe(CONCURRENT);
    proxy.fault = async ({ method }) => {
      if (method !== "PUT") return undefined;
      await records.kill();
      return "drop-after";
    };
    await putAll();
    expect(service.count("unknown")).toBe(CONCURRENT);
    await proxy.settled();
    proxy.reset();
    for (let n = 0; n < CONCURRENT / 2; n++) await service.put(records, `record-${n}`);
    expect(records.incarnation).toBe(2);
    expect(await service.violations()).toEqual([]);
  });

  test("S3 that does not answer: the service does, before its deadline", async () => {
    await using service = await start();
    await using proxy = await recordingProxy(endpoint);
    const records = await service.environment("records", { endpoint: proxy.endpoint });
    await service.put(records, "a");
    proxy.fault = ({ method }) => (method === "PUT" ? "hang" : undefined);
    expect(statusOf(await service.put(records, "b", 2_500))).toBe(504);
    proxy.fault = () => "hang";
    expect(statusOf(await service.put(records, "c", 2_500))).toBe(503);
    proxy.reset();
    expect(statusOf(await service.put(records, "d"))).toBe(201);
    expect(records.incarnation).toBe(1);
    expect(await service.violations()).toEqual([]);
  });

  test("a thaw finds connections that were closed meanwhile", async () => {
    await using service = await start();
    await using proxy = await recordingProxy(endpoint);
    const records = await service.environment("records", { endpoint: proxy.endpoint });
    const compact = await service.environment("compact");
    const other = await service.environment();
    for (let round = 0; round < 5; round++) {
      await service.put(records, "a");
      await records.idle();
      records.freeze();
      proxy.dropConnections();
      await service.put(other, "b");
      await compact.invoke({});
      records.thaw();
      const found = await records.invoke(get("b"));
      expect(found).toEqual(await other.invoke(get("b")));
      expect(statusOf(found)).toBe(200);
    }
    expect(service.count("acknowledged")).toBe(10);
    expect(records.incarnation).toBe(1);
    expect(await service.violations()).toEqual([]);
  });

  test("a thaw finds connections that nobody answers on any more", async () => {
    await using service = await start();
    await using relay = await relayTo(endpoint);
    const records = await service.environment("records", { endpoint: relay.endpoint });
    await service.put(records, "a");
    await records.idle();
    records.freeze();
    expect(relay.silence()).toBeGreaterThan(0);
    records.thaw();
    expect(statusOf(await service.put(records, "b"))).toBe(201);
    expect(records.incarnation).toBe(1);
    expect(await service.violations()).toEqual([]);
  });

  test("a process that is frozen in the middle of a write, while others write and compact", async () => {
    await using service = await start();
    await using proxy = await recordingProxy(endpoint);
    const records = await service.environment("records", { endpoint: proxy.endpoint });
    const other = await service.environment();
    const compact = await service.environment("compact");
    await service.put(records, "a");
    for (const method of ["GET", "PUT"]) {
      let frozen = false;
      proxy.fault = async (request) => {
        if (frozen || request.method !== method) return undefined;
        frozen = true;
        records.freeze();
        for (const id of ["b", "c"]) await service.put(other, id);
        await service.delete(other, "b");
        expect(await compact.invoke({})).toMatchObject({ value: { outcome: "published" } });
        records.thaw();
        return undefined;
      };
      expect(statusOf(await service.put(records, "a"))).toBe(200);
      expect(frozen).toBe(true);
    }
    expect(await compact.invoke({})).toMatchObject({ value: { corrupt: 0 } });
    expect(await service.violations()).toEqual([]);
  });
});
