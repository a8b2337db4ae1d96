/** A compactor that starts workers: which, how many, and what becomes of those that do not start. */
import { type FsBackend, MemoryBackend, Store } from "opslog-serverless";
import {
  type CompactorReport,
  createCompactor,
  type WorkerEvent,
} from "opslog-serverless/lambda/light";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Found } from "../../src/compaction/report.ts";
import { taskLeasePath } from "../../src/format/paths.ts";
import { compactOne } from "../../src/lambda/compactor.ts";
import { FanOut } from "../../src/lambda/fan-out.ts";
import { lightAccess } from "../../src/lambda/light-access.ts";
import { Lease } from "../../src/storage/lease.ts";
import { type ManualRuntime, manualRuntime } from "../support/manual-runtime.ts";
import { capturedOutput, put } from "./compactor-support.ts";
import { lambdaEndpoint } from "./lambda-endpoint.ts";
import { lambdaContext, rejection } from "./support.ts";

const { printed, log } = capturedOutput();
const SEGMENTS = 10_000;
const AGENTS = 64;
const LONG_MS = 60_000;

afterEach(() => vi.unstubAllEnvs());

/** A store that has a snapshot, and then a long log. */
async function fill(location: string, backend: MemoryBackend): Promise<void> {
  await put(location, backend, "first");
  await createCompactor({ location, backend, log, metrics: false })({}, lambdaContext());
  // The log of one agent lies in one shard.
  const stores = await Promise.all(
    Array.from({ length: AGENTS }, (_, n) => {
      const options = { backend, agentId: `agent-${n}`, skipLoad: true, blindWrites: true };
      return Store.open<number>(location, { ...options, backlogSegments: Infinity });
    }),
  );
  for (let n = 0; n < SEGMENTS; n++) await stores[n % AGENTS]?.set(`r${n}`, n);
  for (const store of stores) await store.close();
}

async function count(location: string, backend: MemoryBackend | FsBackend): Promise<number> {
  await using store = await Store.open<number>(location, { backend, readOnly: true });
  return [...store.entries()].length;
}

const kindsOf = (events: readonly WorkerEvent[]): string[] =>
  events.map(({ opslogTask: { kind, index, of } }) => `${kind} ${index}/${of}`);

describe("a long backlog", { timeout: LONG_MS }, () => {
  test("is shared: each worker does its part, and nothing is left or lost", async () => {
    const backend = new MemoryBackend();
    await fill("store", backend);
    const events: WorkerEvent[] = [];
    const lines: string[] = [];
    const compact = createCompactor({
      location: "store",
      backend,
      parallel: 4,
      log: (line) => lines.push(line),
      startWorker: (event) => void events.push(event),
    });
    const first = await compact({}, lambdaContext());
    expect(first).toMatchObject({ outcome: "published", workers: 2, more: true });
    expect(kindsOf(events)).toEqual(["log 1/2", "units 0/1"]);
    expect(first.segments).toBeGreaterThan(SEGMENTS / 4);
    expect(first.segments).toBeLessThan((SEGMENTS * 3) / 4);
    const others = await Promise.all(events.map((event) => compact(event, lambdaContext())));
    expect(others.map(({ workers }) => workers)).toEqual([0, 0]);
    expect(first.segments + (others[0]?.segments ?? 0)).toBe(SEGMENTS);
    expect(await compact({}, lambdaContext())).toMatchObject({ workers: 0, more: false });
    expect(await count("store", backend)).toBe(SEGMENTS + 1);
    // No worker has started another one.
    expect(events).toHaveLength(2);
    const tasks = lines.map((line) => JSON.parse(line).task);
    expect(tasks).toContainEqual({ kind: "log", index: 1, of: 2 });
    expect([tasks[0], tasks.at(-1)]).toEqual([undefined, undefined]);
    const [own, worker] = printed.map((line) => JSON.parse(line));
    expect(own).toMatchObject({ Workers: 2, BacklogSegments: SEGMENTS });
    expect(Object.keys(worker)).toEqual([
      "_aws",
      "Store",
      "LogBytes",
      "WrittenBytes",
      "Conflicts",
      "Failures",
      "DurationMs",
    ]);
  });

  test("is shared by workers that are at it at the same time", async () => {
    const backend = new MemoryBackend();
    await fill("store", backend);
    const workers: Promise<CompactorReport>[] = [];
    const compact = createCompactor({
      location: "store",
      backend,
      parallel: 16,
      log,
      startWorker: (event) => void workers.push(compact(event, lambdaContext())),
    });
    const own = await compact({}, lambdaContext());
    const reports = [own, ...(await Promise.all(workers))];
    expect(own.workers).toBe(workers.length);
    expect(reports.reduce((sum, { segments }) => sum + segments, 0)).toBe(SEGMENTS);
    expect(await compact({}, lambdaContext())).toMatchObject({ segments: 0, workers: 0 });
    expect(await count("store", backend)).toBe(SEGMENTS + 1);
  });

  test("is worked off by one, with warnings, where no worker can be started", async () => {
    const backend = new MemoryBackend();
    await fill("store", backend);
    const warnings: string[] = [];
    const compact = createCompactor({
      location: "store",
      backend,
      parallel: 4,
      log,
      onWarning: (message) => warnings.push(message),
    });
    expect(await compact({}, lambdaContext())).toMatchObject({
      segments: SEGMENTS,
      workers: 0,
      more: false,
    });
    expect(warnings).toHaveLength(2);
    expect(warnings[0]).toBe(
      "worker log 1 of 2 of store was not started, and its work is left to this compactor: " +
        "InvalidArgumentError: outside Lambda workers need the option startWorker",
    );
    expect(await count("store", backend)).toBe(SEGMENTS + 1);
  });

  test("of which some workers do not start is gone on with by the one that is there", async () => {
    const backend = new MemoryBackend();
    await fill("store", backend);
    const warnings: string[] = [];
    const compact = createCompactor({
      location: "store",
      backend,
      parallel: 4,
      log,
      onWarning: (message) => warnings.push(message),
      startWorker: async ({ opslogTask }) => {
        if (opslogTask.kind === "log") throw new Error("throttled");
      },
    });
    const report = await compact({}, lambdaContext());
    expect(report).toMatchObject({ segments: SEGMENTS, workers: 1, more: false });
    expect(report.passes).toBeGreaterThan(1);
    expect(warnings).toEqual([expect.stringMatching(/log 1 of 2 of store .* Error: throttled/)]);
  });

  test("starts nothing by default", async () => {
    const backend = new MemoryBackend();
    await fill("store", backend);
    let started = 0;
    const startWorker = (): void => void started++;
    const compact = createCompactor({ location: "store", backend, log, startWorker });
    expect(await compact({}, lambdaContext())).toMatchObject({ segments: SEGMENTS, workers: 0 });
    expect(started).toBe(0);
  });

  test("of several stores starts no more workers than one", async () => {
    const backends = new Map(["a", "b", "c"].map((name) => [name, new MemoryBackend()]));
    for (const [name, backend] of backends) await fill(name, backend);
    const events: WorkerEvent[] = [];
    const compact = createCompactor({
      locations: [...backends.keys()],
      backend: (name) => backends.get(name) ?? expect.fail(name),
      parallel: 4,
      log,
      startWorker: (event) => void events.push(event),
    });
    const { stores } = await compact({}, lambdaContext());
    const workers = stores.map((store) => (store.outcome === "done" ? store.report.workers : -1));
    expect(workers.toSorted((a, b) => a - b)).toEqual([0, 1, 2]);
    // Its workers find their store, and end.
    for (const event of events) {
      const { stores: done } = await compact(event, lambdaContext());
      expect(done).toMatchObject([{ location: event.opslogTask.location, outcome: "done" }]);
    }
    expect(events).toHaveLength(3);
    for (const [name, backend] of backends) expect(await count(name, backend)).toBe(SEGMENTS + 1);
  });
});

describe("a worker", () => {
  const event = (location: string, index = 0): WorkerEvent => ({
    opslogTask: { location, kind: "log", index, of: 2 },
  });

  test("whose share another does ends at once", async () => {
    const runtime = manualRuntime();
    const backend = new MemoryBackend({ runtime });
    await put("store", backend, "a", "b");
    const compact = compactOne({ location: "store", backend, log }, lightAccess(), runtime);
    await compact({}, lambdaContext());
    for (let n = 0; n < 40; n++) await put("store", backend, `r${n}`);
    const path = taskLeasePath("log", 0, 2);
    const lease = await Lease.take(backend, runtime, { path, ttlMs: 60_000 });
    const held = await compact(event("store"), lambdaContext());
    expect(held).toMatchObject({ outcome: "busy", passes: 1, segments: 0 });
    const other = await compact(event("store", 1), lambdaContext());
    expect(other).toMatchObject({ outcome: "published" });
    await lease?.release();
    const own = await compact(event("store"), lambdaContext());
    expect(own.segments + other.segments).toBe(40);
  });

  test("that has nothing to do says nothing of the store: the schedule looks all the same", async () => {
    const runtime = manualRuntime();
    const backend = new MemoryBackend({ runtime });
    await put("store", backend, "a");
    const compact = compactOne({ location: "store", backend, log }, lightAccess(), runtime);
    const scheduled = { "detail-type": "Scheduled Event" };
    await compact(scheduled, lambdaContext());
    await runtime.advance(600_000);
    expect(await compact(event("store"), lambdaContext())).toMatchObject({ outcome: "idle" });
    expect(await compact(scheduled, lambdaContext())).toMatchObject({ passes: 1 });
  });

  test("does all the tasks of a batch of messages, and fails with the first that fails", async () => {
    const backend = new MemoryBackend();
    await put("store", backend, "a");
    const compact = createCompactor({ location: "store", backend, log });
    await compact({}, lambdaContext());
    for (let n = 0; n < 40; n++) await put("store", backend, `r${n}`);
    const bodies = [event("store"), event("store", 1)].map((each) => JSON.stringify(each));
    const Records = bodies.map((body) => ({ eventSource: "aws:sqs", body }));
    expect(await compact({ Records }, lambdaContext())).toMatchObject({ segments: 40, passes: 2 });
    backend.get = () => Promise.reject(new Error("gone"));
    expect(String(await rejection(compact({ Records }, lambdaContext())))).toMatch(/gone/);
  });

  test.each([
    ["a store", { location: "s3://bucket/a" }, "s3://bucket/b"],
    ["some stores", { locations: ["s3://bucket/a", "s3://bucket/c"] }, "s3://bucket/b"],
    ["some stores", { locations: ["s3://bucket/a"] }, "s3://bucket/a/ops/x"],
    ["what is found", { discover: { under: "s3://bucket/stores" } }, "s3://bucket/b"],
    ["what is found", { discover: { under: "s3://bucket/stores" } }, "s3://bucket/stores/a/b"],
  ])("of another store is refused by a compactor of %s", async (_, stores, location) => {
    const options = { ...stores, backend: () => expect.fail("opened"), log };
    const compact: unknown = Reflect.apply(createCompactor, undefined, [options]);
    if (typeof compact !== "function") throw new Error("no compactor");
    const refused = await rejection(compact(event(location), lambdaContext()));
    expect(refused).toMatchObject({
      code: "INVALID_ARGUMENT",
      message: `the event's opslogTask.location "${location}" is no store of this compactor`,
    });
  });

  test("is refused where its event has another shape", async () => {
    const compact = createCompactor({ location: "store", backend: new MemoryBackend(), log });
    const refused = rejection(compact({ opslogTask: { location: "store" } }, lambdaContext()));
    expect(await refused).toMatchObject({ code: "INVALID_ARGUMENT" });
  });
});

describe("in a Lambda function", { timeout: LONG_MS }, () => {
  const endpoint = lambdaEndpoint();

  async function compacted() {
    const backend = new MemoryBackend();
    await fill("store", backend);
    const warnings: string[] = [];
    const onWarning = (message: string): void => void warnings.push(message);
    const compact = createCompactor({ location: "store", backend, parallel: 4, log, onWarning });
    const report = await compact({}, lambdaContext());
    return { report, warnings };
  }

  test("workers are asynchronous invocations of itself", async () => {
    vi.stubEnv("AWS_LAMBDA_FUNCTION_NAME", "tasks-compactor");
    vi.stubEnv("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST");
    const { report, warnings } = await compacted();
    expect(warnings).toEqual([]);
    expect(report.workers).toBe(endpoint.received.length);
    expect(endpoint.received[0]).toMatchObject({
      method: "POST",
      url: "/2015-03-31/functions/tasks-compactor/invocations",
      headers: { "x-amz-invocation-type": "Event" },
    });
    const bodies = endpoint.received.map(({ body }) => JSON.parse(body));
    expect(bodies).toContainEqual({
      opslogTask: { location: "store", kind: "log", index: 1, of: 2 },
    });
  });

  test("workers of a published version have the same code", async () => {
    vi.stubEnv("AWS_LAMBDA_FUNCTION_NAME", "tasks-compactor");
    vi.stubEnv("AWS_LAMBDA_FUNCTION_VERSION", "7");
    await compacted();
    expect(endpoint.received[0]?.url).toBe("/2015-03-31/functions/tasks-compactor%3A7/invocations");
  });

  test("that may not invoke itself, one invocation does everything", async () => {
    vi.stubEnv("AWS_LAMBDA_FUNCTION_NAME", "tasks-compactor");
    endpoint.status = 403;
    const { report, warnings } = await compacted();
    expect(report).toMatchObject({ segments: SEGMENTS, workers: 0, more: false });
    expect(warnings.length).toBeGreaterThan(0);
    expect(warnings[0]).toMatch(
      /AccessDeniedError: the function tasks-compactor may not be started/,
    );
  });
});

test.each([
  [{ parallel: 0 }, /option parallel: expected a positive integer up to 16, found 0/],
  [{ parallel: 17 }, /option parallel/],
  [{ parallel: 1.5 }, /option parallel/],
  [{ parallel: Number.NaN }, /option parallel/],
  [{ parallel: "4" }, /option parallel: .* found "4"/],
  [{ startWorker: "fork" }, /option startWorker: expected a function, found "fork"/],
])("%j is refused", async (options, message) => {
  const given = { location: "store", backend: new MemoryBackend(), log, ...options };
  const compact: unknown = Reflect.apply(createCompactor, undefined, [given]);
  if (typeof compact !== "function") throw new Error("no compactor");
  expect(String(await rejection(compact({}, lambdaContext())))).toMatch(message);
});

describe("a division", () => {
  const found = (segments: number): Found => ({
    generation: 1,
    runs: 1,
    levels: 1,
    perLevel: [],
    retired: 0,
    backlog: { segments, claims: 0, isCut: false, ageMs: 0, lagMs: 0 },
    quietMs: 0,
    waiting: { runs: 0, bytes: 0 },
  });
  let runtime: ManualRuntime;
  let events: WorkerEvent[];
  let fails: boolean;
  const startWorker = (event: WorkerEvent): void => {
    if (fails) throw new Error("throttled");
    events.push(event);
  };
  const fanOut = (parallel: number): FanOut =>
    new FanOut({ parallel, startWorker, onWarning: () => undefined }, runtime);

  beforeEach(() => {
    [runtime, events, fails] = [manualRuntime(), [], false];
  });

  test.each(Array.from({ length: 16 }, (_, n) => n + 1))(
    "for %d at most starts one less, each for a share of its own",
    async (parallel) => {
      const share = await fanOut(parallel).divide("a", found(1_000_000));
      const own = share && { opslogTask: { location: "a", ...share.task } };
      const all = kindsOf(own === undefined ? events : [own, ...events]);
      expect(all.length).toBeLessThanOrEqual(parallel);
      expect(new Set(all).size).toBe(all.length);
      expect(share?.started ?? 0).toBe(events.length);
      expect(share === undefined).toBe(parallel === 1);
    },
  );

  test("is kept for a minute, then made anew, and ends when the backlog does", async () => {
    const out = fanOut(4);
    const first = await out.divide("a", found(50_000));
    expect(first).toMatchObject({ task: { kind: "log", index: 0 }, started: 2 });
    await runtime.advance(59_000);
    expect(await out.divide("a", found(40_000))).toMatchObject({ ...first, started: 0 });
    expect(await out.divide("a", found(100))).toBeUndefined();
    expect(events).toHaveLength(2);
    await runtime.advance(2_000);
    expect(await out.divide("a", found(40_000))).toMatchObject({ started: 2 });
    expect(events).toHaveLength(4);
  });

  test("of a second store takes what the first one has left", async () => {
    const out = fanOut(16);
    const first = await out.divide("a", found(10_000));
    const second = await out.divide("b", found(1_000_000));
    expect((first?.started ?? 0) + (second?.started ?? 0)).toBeLessThanOrEqual(15);
    expect(second?.started).toBeGreaterThan(2);
    expect(await fanOut(4).divide("c", found(100))).toBeUndefined();
  });

  test("whose workers cannot be started is tried again a minute later", async () => {
    const out = fanOut(4);
    fails = true;
    expect(await out.divide("a", found(50_000))).toBeUndefined();
    fails = false;
    expect(await out.divide("a", found(50_000))).toBeUndefined();
    await runtime.advance(61_000);
    expect(await out.divide("a", found(50_000))).toMatchObject({ started: 2, lacks: false });
  });
});
