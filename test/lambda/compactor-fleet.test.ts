/** The compactor's time, its metrics, and several stores in one function. */
import { FsBackend, MemoryBackend, Store, UnavailableError } from "opslog-serverless";
import { createCompactor, type LambdaContext } from "opslog-serverless/lambda";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { compactFleet, compactOne } from "../../src/lambda/compactor.ts";
import type { Runtime } from "../../src/core/runtime.ts";
import { manualRuntime } from "../support/manual-runtime.ts";
import { tempDir } from "../support/temp-dir.ts";
import { lambdaContext, rejection } from "./support.ts";

/** What was written to the standard output. */
let printed: string[];

beforeEach(() => {
  printed = [];
  vi.spyOn(process.stdout, "write").mockImplementation((text) => printed.push(String(text)) > 0);
});

afterEach(() => {
  vi.restoreAllMocks();
});

const log = (): void => undefined;

async function put(
  location: string,
  backend: MemoryBackend | FsBackend,
  ...ids: string[]
): Promise<void> {
  // prettier-ignore
  await using store = await Store.open<number>(location, { backend, agentId: "w", skipLoad: true });
  for (const id of ids) await store.set(id, 1);
}

/** An invocation of a minute under a clock of its own. */
function minute(runtime: Runtime): LambdaContext {
  const endMs = runtime.nowMs() + 60_000;
  return { awsRequestId: "one", getRemainingTimeInMillis: () => endMs - runtime.nowMs() };
}

/** Does something before each call of a kind. */
class Meddled extends MemoryBackend {
  before: (call: string) => Promise<void> | void = () => undefined;

  override async get(...args: Parameters<MemoryBackend["get"]>): ReturnType<MemoryBackend["get"]> {
    await this.before(`get ${args[0]}`);
    return super.get(...args);
  }

  override async put(...args: Parameters<MemoryBackend["put"]>): ReturnType<MemoryBackend["put"]> {
    await this.before(`put ${args[0]}`);
    return super.put(...args);
  }
}

describe("the time of an invocation", () => {
  test.each(["get ops/", "put snapshots/"])(
    "a pass that is not done before its end (at %s) stops, and the next one does the work",
    async (at) => {
      const runtime = manualRuntime();
      const backend = new Meddled();
      await put("store", backend, "a", "b");
      backend.before = async (call) => {
        if (call.startsWith(at)) await runtime.advance(56_000);
      };
      const compact = compactOne({ location: "store", backend, log }, runtime);
      const stopped = await compact({}, minute(runtime));
      expect(stopped).toMatchObject({ outcome: "stopped", more: true, passes: 1, operations: 0 });
      expect(stopped.backlog.segments).toBe(2);
      backend.before = () => undefined;
      // The lease was given back: nobody has to wait for it.
      expect(await compact({}, minute(runtime))).toMatchObject({
        outcome: "published",
        records: 2,
      });
    },
  );

  test("nothing to do costs two requests", async () => {
    const backend = new MemoryBackend();
    await put("store", backend, "a");
    const compact = createCompactor({ location: "store", backend, log });
    expect(await compact({}, lambdaContext())).toMatchObject({ outcome: "published" });
    const idle = await compact({}, lambdaContext());
    expect(idle.outcome).toBe("idle");
    expect(idle.cost.requests).toEqual({ get: 1, head: 0, put: 0, list: 1, delete: 0 });
  });
});

test("the report tells what was merged, what the store consists of, and what was deleted", async () => {
  const backend = new MemoryBackend();
  const compact = createCompactor({ location: "store", backend, log, gcGraceMs: 0 });
  await put("store", backend, "a", "b", "c");
  expect(await compact({}, lambdaContext())).toMatchObject({
    backlog: { segments: 3, ageMs: expect.any(Number), lagMs: expect.any(Number) },
    segments: 3,
    operations: 3,
    records: 3,
    runs: 1,
    retired: 0,
    collected: 0,
    deleted: 3,
    conflicts: 0,
  });
  await put("store", backend, "d", "e", "f", "g");
  // A run and its index are replaced, and wait for their time.
  expect(await compact({}, lambdaContext())).toMatchObject({ runs: 1, retired: 2, collected: 0 });
  expect(await compact({}, lambdaContext())).toMatchObject({ runs: 1, retired: 0, collected: 2 });
});

describe("metrics", () => {
  test("are a line of JSON in CloudWatch's embedded format, by the medium's dates", async () => {
    vi.useFakeTimers({ now: 1_800_000_000_000, toFake: ["Date"] });
    try {
      const backend = new MemoryBackend();
      const compact = createCompactor({ location: "store", backend, log });
      await put("store", backend, "a");
      vi.setSystemTime(1_800_000_005_000);
      await compact({}, lambdaContext());
      vi.setSystemTime(1_800_000_010_000);
      await put("store", backend, "b", "c");
      vi.setSystemTime(1_800_000_017_000);
      await compact({}, lambdaContext());
    } finally {
      vi.useRealTimers();
    }
    expect(printed).toHaveLength(2);
    expect(printed[1]).toMatch(/^\{[^\n]*\}\n$/);
    const unit = { Count: ["BacklogSegments", "Conflicts", "Failures"] };
    const names = ["BacklogSegments", "BacklogAgeMs", "CompactionLagMs", "Conflicts", "Failures", "DurationMs"]; // prettier-ignore
    const Metrics = names.map((Name) => {
      return { Name, Unit: unit.Count.includes(Name) ? "Count" : "Milliseconds" };
    });
    expect(printed.map((line) => JSON.parse(line))).toEqual([
      expect.objectContaining({ BacklogSegments: 1, BacklogAgeMs: 5_000, CompactionLagMs: 5_000 }),
      {
        _aws: {
          Timestamp: 1_800_000_017_000,
          CloudWatchMetrics: [{ Namespace: "Opslog", Dimensions: [["Store"]], Metrics }],
        },
        Store: "store",
        BacklogSegments: 2,
        BacklogAgeMs: 7_000,
        CompactionLagMs: 12_000,
        Conflicts: 0,
        Failures: 0,
        DurationMs: 0,
      },
    ]);
  });

  test("of a failure tell that alone where nothing else is known", async () => {
    const backend = new Meddled();
    backend.before = () => {
      throw new UnavailableError("busy");
    };
    const compact = createCompactor({ location: "store", backend, log });
    await rejection(compact({}, lambdaContext()));
    const { _aws, ...values } = JSON.parse(printed[0] ?? "");
    expect(values).toEqual({ Store: "store", Failures: 1, DurationMs: expect.any(Number) });
    expect(_aws.CloudWatchMetrics[0].Metrics).toHaveLength(2);
  });

  test("count the races that were lost", async () => {
    const backend = new Meddled();
    await put("store", backend, "a");
    let races = 2;
    backend.put = async (...args) => {
      if (args[0] !== "manifest.json" || races-- <= 0) return MemoryBackend.prototype.put.apply(backend, args); // prettier-ignore
      return { status: "conflict", dateMs: Date.now() };
    };
    const compact = createCompactor({ location: "store", backend, log });
    expect(await compact({}, lambdaContext())).toMatchObject({ passes: 3, conflicts: 2 });
    expect(JSON.parse(printed[0] ?? "")).toMatchObject({ Conflicts: 2, Failures: 0 });
  });

  test("may be left out", async () => {
    const backend = new MemoryBackend();
    await createCompactor({ location: "store", backend, log, metrics: false })({}, lambdaContext());
    expect(printed).toEqual([]);
  });
});

describe("several stores", () => {
  /** Stores a, b and c in memory with two records each. */
  async function three(): Promise<Map<string, Meddled>> {
    const backends = new Map(["a", "b", "c"].map((name) => [name, new Meddled()]));
    for (const [name, backend] of backends) await put(name, backend, "x", "y");
    return backends;
  }

  const backendOf = (backends: ReadonlyMap<string, Meddled>) => (location: string) => {
    const backend = backends.get(location);
    if (backend === undefined) throw new Error(`no store ${location}`);
    return backend;
  };

  test("each have a report, a line and metrics of their own", async () => {
    const backends = await three();
    const lines: string[] = [];
    const compact = createCompactor({
      locations: ["a", "b", "c", "a"],
      backend: backendOf(backends),
      log: (line) => lines.push(line),
    });
    const { stores } = await compact({}, lambdaContext());
    const told = stores.toSorted((one, other) => (one.location < other.location ? -1 : 1));
    expect(told).toMatchObject(
      ["a", "b", "c"].map((location) => ({
        location,
        outcome: "done",
        report: { outcome: "published", records: 2 },
      })),
    );
    expect(lines.map((line) => JSON.parse(line).location).toSorted()).toEqual(["a", "b", "c"]);
    expect(printed.map((line) => JSON.parse(line).Store).toSorted()).toEqual(["a", "b", "c"]);
  });

  test("one that fails does not stop the others, and fails the invocation at the end", async () => {
    const backends = await three();
    const failing = backends.get("a");
    if (failing !== undefined) failing.before = () => Promise.reject(new UnavailableError("busy"));
    const compact = createCompactor({ locations: ["a", "b", "c"], backend: backendOf(backends), log }); // prettier-ignore
    const error = await rejection(compact({}, lambdaContext()));
    expect(error).toBeInstanceOf(AggregateError);
    expect(error).toMatchObject({
      message: "1 of 3 stores could not be compacted: a: UnavailableError: busy",
      errors: [expect.any(UnavailableError)],
    });
    const failures = printed.map((line) => JSON.parse(line)).map((told) => `${told.Store} ${told.Failures}`); // prettier-ignore
    expect(failures.toSorted()).toEqual(["a 1", "b 0", "c 0"]);
  });

  test("for which there is no time are the first of the next invocation", async () => {
    const runtime = { ...manualRuntime(), random: () => 0 };
    const backends = await three();
    for (const backend of backends.values()) {
      backend.before = (call) =>
        call === "put manifest.json" ? runtime.advance(25_000) : undefined;
    }
    const compact = compactFleet({ locations: ["a", "b", "c"], backend: backendOf(backends), log }, runtime); // prettier-ignore
    const outcomes = async (): Promise<string[]> => {
      const { stores } = await compact({}, minute(runtime));
      return stores.map((store) => {
        return `${store.location} ${store.outcome === "done" ? store.report.outcome : store.outcome}`;
      });
    };
    expect(await outcomes()).toEqual(["a published", "b published", "c skipped"]);
    expect(await outcomes()).toEqual(["c published", "a idle", "b idle"]);
  });

  test("share the time: one with much to do leaves the others theirs", async () => {
    const runtime = { ...manualRuntime(), random: () => 0 };
    const backends = await three();
    // Loses each race, which takes 8 s, and would go on.
    const busy = backends.get("a");
    if (busy === undefined) throw new Error("no a");
    busy.put = async (...args) => {
      if (args[0] !== "manifest.json") return MemoryBackend.prototype.put.apply(busy, args);
      await runtime.advance(8_000);
      return { status: "conflict", dateMs: Date.now() };
    };
    const compact = compactFleet({ locations: ["a", "b", "c"], backend: backendOf(backends), log }, runtime); // prettier-ignore
    const { stores } = await compact({}, minute(runtime));
    expect(stores).toMatchObject([
      { location: "a", report: { outcome: "lost", passes: 1 } },
      { location: "b", report: { outcome: "published" } },
      { location: "c", report: { outcome: "published" } },
    ]);
  });

  test("a new process begins with any of them", async () => {
    const backends = await three();
    const runtime = { ...manualRuntime(), random: () => 0.5 };
    const compact = compactFleet({ locations: ["a", "b", "c"], backend: backendOf(backends), log }, runtime); // prettier-ignore
    const { stores } = await compact({}, minute(runtime));
    expect(stores.map(({ location }) => location)).toEqual(["b", "c", "a"]);
  });

  test("are found in a directory by their manifest or log", async () => {
    await using directory = await tempDir();
    for (const name of ["one", "two"]) await put(`${directory.path}/${name}`, new FsBackend(), "x");
    await using notes = await tempDir();
    await new FsBackend().initialize(`${directory.path}/no-store`, { readOnly: false });
    const compact = createCompactor({ discover: { under: `${directory.path}/` }, log });
    const found = async (): Promise<string[]> => {
      const { stores } = await compact({}, lambdaContext());
      return stores.map(({ location }) => location).toSorted();
    };
    expect(await found()).toEqual([`${directory.path}/one`, `${directory.path}/two`]);
    await put(`${directory.path}/three`, new FsBackend(), "x");
    expect(await found()).toHaveLength(3);
    const none = createCompactor({ discover: { under: notes.path }, log });
    expect(await none({}, lambdaContext())).toEqual({ stores: [] });
  });

  test.each([
    [{ locations: ["a"], location: "b" }, /exactly one/],
    [{ locations: ["a"], discover: { under: "b" } }, /exactly one/],
    [{}, /exactly one/],
    [{ discover: { under: undefined } }, /discover\.under is missing/],
  ])("%j is refused", async (options, message) => {
    const run = async (): Promise<unknown> => {
      const compact: unknown = Reflect.apply(createCompactor, undefined, [{ ...options, log }]);
      return typeof compact === "function" ? compact({}, lambdaContext()) : undefined;
    };
    expect(String(await rejection(run()))).toMatch(message);
  });
});
