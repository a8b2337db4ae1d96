/**
 * What a store says it cost is what went over the wire: counted between it and a real server, with
 * repeated attempts, several stores on one backend, and a log of thousands of segments.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { CLOCKS_PER_MS } from "../../src/core/hybrid-clock.ts";
import { Deferred } from "../../src/core/deferred.ts";
import { mapParallel } from "../../src/core/parallel.ts";
import type { Cost } from "../../src/core/cost.ts";
import type { SettingOptions } from "../../src/core/settings.ts";
import { BudgetExceededError } from "../../src/core/errors.ts";
import { segmentPath } from "../../src/format/paths.ts";
import type { S3Backend } from "../../src/s3/index.ts";
import { compact } from "../../src/compaction/compact.ts";
import type { StoreOptions } from "../../src/session/options.ts";
import { Store } from "../../src/store/store.ts";
import { encoded } from "../log/support.ts";
import { liveS3Bucket, liveS3Endpoint, reachedBy } from "../support/live-s3.ts";
import type { LiveBucket } from "../support/live-s3.ts";
import { recordingProxy, roundTrips } from "../support/recording-proxy.ts";
import type { RecordedRequest, RecordingProxy } from "../support/recording-proxy.ts";
import { fillSmall, task } from "./tasks.ts";
import type { Task } from "./tasks.ts";
import { countCost } from "./cost.ts";

const DISTANCE_MS = 30;
const SEGMENTS = 3_000;

let live: LiveBucket;
let proxy: RecordingProxy;
const opened: Store<Task>[] = [];

beforeAll(async () => {
  proxy = await recordingProxy(liveS3Endpoint ?? "", { answerDelayMs: DISTANCE_MS });
  live = reachedBy(proxy.endpoint, await liveS3Bucket());
}, 120_000);

beforeEach(() => proxy.reset());

afterAll(async () => {
  await Promise.all(opened.map((store) => store.close()));
  await proxy.close();
  await live[Symbol.asyncDispose]();
});

/** Fills a store by way of the proxy, which forgets it. */
async function fill(name: string, options: SettingOptions = {}): Promise<void> {
  await fillSmall(live, name, options);
  proxy.reset();
}

async function open(name: string, options: StoreOptions<Task> = {}): Promise<Store<Task>> {
  const store = await Store.open<Task>(live.location(name), {
    backend: live.backend(),
    agentId: "metered",
    checkpointOnClose: false,
    checkpointThreshold: Infinity,
    ...options,
  });
  opened.push(store);
  return store;
}

/** The same from outside: what the proxy saw. */
function seen(requests: readonly RecordedRequest[]): Omit<Cost, "usd"> {
  const counts = { get: 0, head: 0, put: 0, list: 0, delete: 0 };
  for (const { method, query } of requests) {
    if (query.has("list-type")) counts.list++;
    else if (method === "GET") counts.get++;
    else if (method === "HEAD") counts.head++;
    else if (method === "PUT") counts.put++;
    else if (method === "DELETE" || query.has("delete")) counts.delete++;
    else throw new Error(`a request of another kind: ${method} ${query.toString()}`);
  }
  return {
    requests: counts,
    bytesIn: requests.reduce((sum, { bytesDown }) => sum + bytesDown, 0),
    bytesOut: requests.reduce((sum, { bytesUp }) => sum + bytesUp, 0),
    roundTrips: roundTrips(requests),
  };
}

function costOf(store: Store<Task>): Cost {
  return store.stats().cost;
}

describe("the cost of a store", () => {
  test("opening, reading, writing and looking again: as the proxy saw it", async () => {
    await fill("plain");
    const store = await open("plain", { skipLoad: true });
    expect(costOf(store)).toMatchObject({ ...seen(proxy.requests), roundTrips: 1 });
    await store.read("old-7");
    expect(costOf(store)).toMatchObject({ ...seen(proxy.requests), roundTrips: 3 });
    await store.set("old-7", task(7));
    expect(costOf(store)).toMatchObject({ ...seen(proxy.requests), roundTrips: 4 });
    await store.refresh();
    expect(costOf(store)).toMatchObject({ ...seen(proxy.requests), roundTrips: 5 });
    await store.compact();
    const { requests } = costOf(store);
    expect(costOf(store)).toMatchObject(seen(proxy.requests));
    const paid = (requests.get + requests.head) * 0.4 + (requests.put + requests.list) * 5;
    expect(costOf(store).usd).toBeCloseTo(paid / 1e6, 12);
  });

  test("repeated attempts and a write settled by reading back count", async () => {
    await fill("faulty");
    const store = await open("faulty");
    let puts = 0;
    proxy.fault = ({ method }) => (method === "PUT" && ++puts === 1 ? "drop-after" : undefined);
    const before = proxy.requests.length;
    await store.set("old-1", task(1));
    const methods = proxy.requests.slice(before).map(({ method }) => method);
    expect(methods).toEqual(["PUT", "PUT", "GET"]);
    let lists = 0;
    proxy.fault = ({ query }) =>
      query.has("list-type") && ++lists <= 2 ? { status: 503, body: "" } : undefined;
    await store.refresh();
    expect(lists).toBe(3);
    const { bytesIn, ...rest } = seen(proxy.requests);
    expect(costOf(store)).toMatchObject({ ...rest, requests: { list: 4 } });
    // A dropped answer has a body that never arrived.
    expect(costOf(store).bytesIn).toBeLessThanOrEqual(bytesIn);
  });

  test("an upload in parts and a deletion of many are counted as what they do", async () => {
    await fill("large", { segmentGraceMs: 0 });
    const backend = live.backend({ partBytes: 5 * 1024 * 1024 });
    const writer = await open("large", { backend, skipLoad: true, blindWrites: true });
    for (let n = 0; n < 3; n++) {
      await writer.batch(() => {
        for (let m = 0; m < 25; m++) {
          void writer.set(`${n}-${m}`, { title: "", text: "x".repeat(100_000) });
        }
      });
    }
    proxy.reset();
    const { cost, outcome } = await compact(live.location("large"), {
      backend,
      segmentGraceMs: 0,
      compression: "none",
    });
    expect(outcome).toBe("published");
    const requests = proxy.requests.map(({ method, query }) => {
      if (query.has("uploads") || query.has("uploadId")) return "put";
      if (query.has("list-type")) return "list";
      return query.has("delete") ? "delete" : method.toLowerCase();
    });
    expect(requests.filter((kind) => kind === "put").length).toBeGreaterThan(5);
    for (const [kind, count] of Object.entries(cost.requests)) {
      expect([kind, count]).toEqual([kind, requests.filter((one) => one === kind).length]);
    }
    expect(cost.requests.delete).toBe(1);
  });

  test("two stores on one backend add up to what the proxy saw", async () => {
    await fill("shared");
    const backend: S3Backend = live.backend();
    const stores = [
      await open("shared", { backend, agentId: "one", skipLoad: true }),
      await open("shared", { backend, agentId: "two", skipLoad: true }),
    ];
    proxy.fault = ({ method, startOrdinal }) =>
      method === "GET" && startOrdinal % 3 === 0 ? "drop-before" : undefined;
    await Promise.all(
      stores.map(async (store, at) => {
        // Records of lanes of their own: where two write in one, somebody is refused and puts again.
        for (let n = 0; n < 5 + at; n++) await store.update(`old-${20 * at + n}`, () => task(n));
        await store.refresh();
      }),
    );
    const [one, two] = stores.map(costOf);
    const total = seen(proxy.requests).requests;
    for (const kind of ["get", "put", "list"] as const) {
      expect((one?.requests[kind] ?? 0) + (two?.requests[kind] ?? 0)).toBe(total[kind]);
    }
    expect([one?.requests.put, two?.requests.put]).toEqual([5, 6]);
    expect(await backend.listBlobs("ops")).toEqual([]);
    expect(stores.map(costOf)).toEqual([one, two]);
  });

  test("a budget that is used up lets nothing through, not even many calls at once", async () => {
    await fill("bounded");
    const costBudget = { requests: 5, onBreach: "throw" } as const;
    const store = await open("bounded", { skipLoad: true, blindWrites: true, costBudget });
    proxy.reset();
    const looks = await Promise.allSettled([
      store.refresh(),
      store.read("old-1"),
      store.set("n", task(1)),
    ]);
    expect(looks.some(({ status }) => status === "rejected")).toBe(true);
    for (const look of looks) {
      if (look.status === "rejected") expect(look.reason).toBeInstanceOf(BudgetExceededError);
    }
    expect(proxy.requests.length).toBeLessThanOrEqual(3);
  });
});

describe(`${SEGMENTS} segments that wait for a compaction`, () => {
  beforeAll(async () => {
    await fill("backlog");
    const backend = live.backend();
    await backend.initialize(live.location("backlog"), { readOnly: false });
    const numbers = Array.from({ length: SEGMENTS }, (_, n) => n + 1_000);
    // As of a moment after the compaction: what is below it could be in its lists.
    const clock = (Date.now() + 1_000) * CLOCKS_PER_MS;
    await mapParallel(numbers, 32, async (n) => {
      const stream = `ops-1-${(n % 16).toString(16)}123456789abcdef`;
      const { bytes, lo, hi, filter } = encoded([`logged-${n}`], clock + n, task(n));
      await backend.put(segmentPath({ stream, n, lo, hi, filter }), bytes, { ifAbsent: true });
    });
    await backend.shutdown();
  }, 120_000);

  const onBacklog = (): void => undefined;

  test("are listed in two parts once the first page says there are more", async () => {
    const told: number[] = [];
    // Whatever the machine is busy with: those that must be sent together are answered together.
    const begin = meeting(2);
    const parts = meeting(2);
    proxy.reset();
    proxy.fault = async ({ query, requestHeaders }) => {
      if (requestHeaders["if-none-match"] !== undefined) return undefined;
      const isLater = query.has("start-after") || query.has("continuation-token");
      await (isLater ? parts : begin).arrive();
      return undefined;
    };
    const store = await open("backlog", {
      skipLoad: true,
      onBacklog: ({ segments }) => void told.push(segments),
    });
    // The first page beside the manifest, then two parts of the rest, then what one of them leaves.
    const { requests } = seen(proxy.requests);
    expect(requests).toMatchObject({ list: 4, get: 1, put: 0, head: 0 });
    const trips = roundTrips(proxy.requests);
    expect(trips).toBeLessThanOrEqual(3);
    expect(costOf(store)).toMatchObject({ requests, roundTrips: trips });
    expect(told).toEqual([SEGMENTS]);
  });

  test("cost a point read nothing but what the runs do when none holds the id", async () => {
    const store = await open("backlog", { skipLoad: true, onBacklog });
    const { requests, trips } = await countCost(proxy, () => store.read("old-5"));
    expect(requests).toEqual(["GET 206", "GET 206"]);
    expect(trips).toBe(2);
    expect(proxy.requests.some(({ path }) => path.includes("/ops/"))).toBe(false);
    const held = await countCost(proxy, () => store.read("logged-1234"));
    expect(held.requests.filter((request) => request === "GET 200")).toHaveLength(1);
    expect(held.trips).toBeLessThanOrEqual(2);
  });

  test("are loaded with bounded parallelism, each by one GET", async () => {
    const store = await open("backlog", { skipLoad: true, onBacklog });
    proxy.reset();
    await store.hydrate();
    const reads = proxy.requests.filter(({ path }) => path.includes("/ops/"));
    expect([reads.length, new Set(reads.map(({ path }) => path)).size]).toEqual([
      SEGMENTS,
      SEGMENTS,
    ]);
    expect(mostAtOnce(reads)).toBeLessThanOrEqual(32);
    expect(mostAtOnce(reads)).toBeGreaterThan(8);
    expect(roundTrips(reads)).toBeLessThan(SEGMENTS / 8);
    expect(store.count()).toBe(SEGMENTS + 100);
  }, 60_000);
});

/** Whoever arrives waits until so many have. */
function meeting(size: number): { arrive(): Promise<void> } {
  const all = new Deferred();
  let arrived = 0;
  return {
    arrive: () => {
      if (++arrived === size) all.resolve();
      return all.promise;
    },
  };
}

function mostAtOnce(requests: readonly RecordedRequest[]): number {
  const steps = requests.flatMap(({ startOrdinal, endOrdinal = Infinity }) => [
    { at: startOrdinal, by: 1 },
    { at: endOrdinal, by: -1 },
  ]);
  let [now, most] = [0, 0];
  for (const { by } of steps.toSorted((a, b) => a.at - b.at)) most = Math.max(most, (now += by));
  return most;
}
