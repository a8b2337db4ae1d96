/** One compactor for several stores. */
import { FsBackend, MemoryBackend, UnavailableError } from "opslog-serverless";
import { createCompactor } from "opslog-serverless/lambda";
import { describe, expect, test } from "vitest";
import { compactFleet } from "../../src/lambda/compactor.ts";
import { sdkAccess } from "../../src/lambda/sdk-access.ts";
import { manualRuntime } from "../support/manual-runtime.ts";
import { tempDir } from "../support/temp-dir.ts";
import { capturedOutput, Meddled, minute, put } from "./compactor-support.ts";
import { lambdaContext, rejection } from "./support.ts";

const { printed, log } = capturedOutput();

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
    expect(lines.map((line) => JSON.parse(line).location)).toEqual(
      expect.arrayContaining(["a", "b", "c"]),
    );
    expect(printed.map((line) => JSON.parse(line).Store)).toEqual(
      expect.arrayContaining(["a", "b", "c"]),
    );
    expect([lines.length, printed.length]).toEqual([3, 3]);
  });

  test("one that fails does not stop the others, and fails the invocation at the end", async () => {
    const backends = await three();
    const failing = backends.get("a");
    if (failing !== undefined) failing.before = () => Promise.reject(new UnavailableError("busy"));
    const compact = createCompactor({
      locations: ["a", "b", "c"],
      backend: backendOf(backends),
      log,
    });
    const error = await rejection(compact({}, lambdaContext()));
    expect(error).toBeInstanceOf(AggregateError);
    expect(error).toMatchObject({
      message: "1 of 3 stores could not be compacted: a: UnavailableError: busy",
      errors: [expect.any(UnavailableError)],
    });
    const failures = printed
      .map((line) => JSON.parse(line))
      .map((told) => `${told.Store} ${told.Failures}`);
    expect(failures.toSorted()).toEqual(["a 1", "b 0", "c 0"]);
  });

  test("for which there is no time are the first of the next invocation", async () => {
    const runtime = { ...manualRuntime(), random: () => 0 };
    const backends = await three();
    for (const backend of backends.values()) {
      backend.before = (call) =>
        call === "put manifest.json" ? runtime.advance(25_000) : undefined;
    }
    const compact = compactFleet(
      { locations: ["a", "b", "c"], backend: backendOf(backends), log },
      sdkAccess(),
      runtime,
    );
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
    const published: string[] = [];
    for (const [name, backend] of backends) {
      backend.before = (call) => void (call === "put manifest.json" && published.push(name));
    }
    // Loses each race, which takes 8 s, and would go on.
    const busy = backends.get("a");
    if (busy === undefined) throw new Error("no a");
    busy.put = async (...args) => {
      if (args[0] !== "manifest.json") return MemoryBackend.prototype.put.apply(busy, args);
      published.push("a");
      await runtime.advance(8_000);
      return { status: "conflict", dateMs: Date.now() };
    };
    const compact = compactFleet(
      { locations: ["a", "b", "c"], backend: backendOf(backends), log },
      sdkAccess(),
      runtime,
    );
    const { stores } = await compact({}, minute(runtime));
    expect(stores).toMatchObject([
      { location: "a", report: { outcome: "lost", passes: 6, conflicts: 6 } },
      { location: "b", report: { outcome: "published" } },
      { location: "c", report: { outcome: "published" } },
    ]);
    // One pass, then the others, then what time is left: 20 s are kept for what is begun.
    expect(published).toEqual(["a", "b", "c", "a", "a", "a", "a", "a"]);
  });

  test("a new process begins with any of them", async () => {
    const backends = await three();
    const runtime = { ...manualRuntime(), random: () => 0.5 };
    const compact = compactFleet(
      { locations: ["a", "b", "c"], backend: backendOf(backends), log },
      sdkAccess(),
      runtime,
    );
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
