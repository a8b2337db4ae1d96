/** The compactor's time, its report and its metrics. */
import { MemoryBackend, UnavailableError } from "opslog-serverless";
import { createCompactor } from "opslog-serverless/lambda";
import { describe, expect, test, vi } from "vitest";
import { compactOne } from "../../src/lambda/compactor.ts";
import { sdkAccess } from "../../src/lambda/sdk-access.ts";
import { manualRuntime } from "../support/manual-runtime.ts";
import { capturedOutput, Meddled, minute, put } from "./compactor-support.ts";
import { lambdaContext, rejection } from "./support.ts";

const { printed, log } = capturedOutput();

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
      const compact = compactOne({ location: "store", backend, log }, sdkAccess(), runtime);
      const stopped = await compact({}, minute(runtime));
      expect(stopped).toMatchObject({ outcome: "stopped", more: true, passes: 1, operations: 0 });
      expect(stopped.backlog.segments).toBe(2);
      expect(stopped.forecast).toMatchObject({ waiting: 2, outlook: "fallingBehind" });
      const line: Record<string, unknown> = JSON.parse(printed[0] ?? "");
      expect(line).toMatchObject({ BacklogSegments: 2, FallingBehind: 1 });
      expect(line).not.toHaveProperty("ForecastMs");
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

test("the report reports what was merged, what the store consists of, and what was deleted", async () => {
  const backend = new MemoryBackend();
  const compact = createCompactor({
    location: "store",
    backend,
    log,
    gcGraceMs: 0,
    segmentGraceMs: 0,
  });
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
    const units = {
      BacklogSegments: "Count",
      BacklogAgeMs: "Milliseconds",
      CompactionLagMs: "Milliseconds",
      FallingBehind: "Count",
      ForecastMs: "Milliseconds",
      Runs: "Count",
      Levels: "Count",
      LogBytes: "Bytes",
      WrittenBytes: "Bytes",
      WaitingRunBytes: "Bytes",
      Conflicts: "Count",
      Failures: "Count",
      DurationMs: "Milliseconds",
    };
    const Metrics = Object.entries(units).map(([Name, Unit]) => ({ Name, Unit }));
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
        FallingBehind: 0,
        ForecastMs: 0,
        Runs: 1,
        Levels: 1,
        LogBytes: expect.any(Number),
        WrittenBytes: expect.any(Number),
        WaitingRunBytes: 0,
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
      if (args[0] !== "manifest.json" || races-- <= 0)
        return MemoryBackend.prototype.put.apply(backend, args);
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
