/** Compactions that do not fit into one invocation are gone on with by the next ones. */
import type { CompactorReport } from "opslog-serverless/lambda";
import { expect, test } from "vitest";
import { Compactor } from "../../src/compaction/compactor.ts";
import { type CompactionLimits, DEFAULT_LIMITS } from "../../src/compaction/plan.ts";
import type { CompactionReport } from "../../src/compaction/report.ts";
import { DEFAULT_SETTINGS } from "../../src/core/settings.ts";
import { encodeFilter, segmentPath, streamName } from "../../src/format/paths.ts";
import { compactOne } from "../../src/lambda/compactor.ts";
import { sdkAccess } from "../../src/lambda/sdk-access.ts";
import type { GetResult, ListOptions, ListPage } from "../../src/storage/backend.ts";
import { FsBackend } from "../../src/storage/fs/fs-backend.ts";
import { Deadline } from "../../src/storage/deadline.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { compact, type CompactOptions } from "../../src/compaction/compact.ts";
import { createEngine, type EngineOptions } from "../../src/engine/engine.ts";
import { Store } from "../../src/store/store.ts";
import { encoded } from "../log/support.ts";
import { manualRuntime, type ManualRuntime } from "../support/manual-runtime.ts";
import { tempDir } from "../support/temp-dir.ts";

const QUIET = { metrics: false, log: () => undefined } as const;

/** Memory behind a wire: what a call takes is added to a clock that nothing else moves. */
class Distant extends MemoryBackend {
  readonly #runtime: ManualRuntime;
  pageObjects = 1_000;
  pageMs = 0;
  segmentMs = 0;
  runBytesPerMs = Infinity;
  publications = 0;

  constructor(runtime: ManualRuntime) {
    super({ runtime });
    this.#runtime = runtime;
  }

  override async get(...args: Parameters<MemoryBackend["get"]>): Promise<GetResult> {
    const result = await super.get(...args);
    const bytes = result.status === "found" ? result.body.length : 0;
    if (args[0].startsWith("ops/")) await this.#take(this.segmentMs);
    if (args[0].startsWith("snapshots/")) await this.#take(Math.ceil(bytes / this.runBytesPerMs));
    return result;
  }

  override put(...args: Parameters<MemoryBackend["put"]>): ReturnType<MemoryBackend["put"]> {
    if (args[0] === "manifest.json") this.publications++;
    return super.put(...args);
  }

  override async *list(prefix: string, options?: ListOptions): AsyncGenerator<ListPage> {
    for await (const page of super.list(prefix, options)) {
      for (let at = 0; at === 0 || at < page.objects.length; at += this.pageObjects) {
        await this.#take(this.pageMs);
        const objects = page.objects.slice(at, at + this.pageObjects);
        yield {
          ...page,
          objects,
          truncated: page.truncated || at + this.pageObjects < page.objects.length,
        };
      }
    }
  }

  async #take(ms: number): Promise<void> {
    if (ms > 0) await this.#runtime.advance(ms);
  }
}

/** Flushes of one record each, as processes of their own would have left them. */
async function leaveFlushes(
  backend: MemoryBackend,
  count: number,
  from = 1,
  fields: Readonly<Record<string, string>> = {},
): Promise<void> {
  for (let n = from; n < from + count; n++) {
    const rand = n.toString(16).padStart(16, "0").split("").toReversed().join("");
    const stream = streamName({ agentId: "a", openMs: 1, rand });
    const name = { stream, n: 1, lo: n, hi: n, filter: encodeFilter([`r${n}`]) };
    const { bytes } = encoded([`r${n}`], n, { n, ...fields });
    await backend.put(segmentPath(name), bytes, { ifAbsent: true });
  }
}

/** One invocation of the scheduled function. */
async function invoke(
  backend: Distant,
  runtime: ManualRuntime,
  ms: number,
  options: Pick<
    CompactOptions,
    "segmentGraceMs" | "tombstoneGraceMs" | "full" | "compression"
  > = {},
): Promise<CompactorReport> {
  const handler = compactOne(
    { location: "store", backend, ...QUIET, ...options },
    sdkAccess(),
    runtime,
  );
  const endMs = runtime.nowMs() + ms;
  const report = await handler(
    {},
    {
      awsRequestId: "one",
      getRemainingTimeInMillis: () => endMs - runtime.nowMs(),
    },
  );
  expect(runtime.nowMs(), "the function was cut off").toBeLessThan(endMs);
  await runtime.advance(Math.max(0, endMs - runtime.nowMs()));
  return report;
}

async function objectsIn(backend: MemoryBackend, prefix: string): Promise<string[]> {
  const paths: string[] = [];
  for await (const { objects } of MemoryBackend.prototype.list.call(backend, prefix)) {
    paths.push(...objects.map(({ path }) => path));
  }
  return paths;
}

async function ids(backend: MemoryBackend): Promise<number> {
  await using store = await Store.open("store", { backend, readOnly: true });
  return store.count();
}

test.each([{ segmentGraceMs: 0 }, { segmentGraceMs: 60_000 }])(
  "a backlog that takes many invocations to read and to list is worked off (%o)",
  async (graces) => {
    const runtime = manualRuntime();
    const backend = new Distant(runtime);
    await backend.initialize("store", { readOnly: false });
    await leaveFlushes(backend, 3_000);
    // To list it takes a third of an invocation, to read it seven of them.
    Object.assign(backend, { pageObjects: 50, pageMs: 300, segmentMs: 140 });
    const left: number[] = [];
    const found: CompactorReport["backlog"][] = [];
    for (let invocation = 1; invocation <= 20; invocation++) {
      // Writers go on meanwhile.
      await leaveFlushes(backend, 20, 3_000 + (invocation - 1) * 20 + 1);
      const report = await invoke(backend, runtime, 60_000, graces);
      expect(report.outcome).toBe("published");
      found.push(report.backlog);
      left.push((await objectsIn(backend, "ops/")).length);
    }
    expect(found[0]?.isCut).toBe(true);
    expect(found[0]?.segments).toBeGreaterThanOrEqual(50);
    expect(found.at(-1)).toMatchObject({ segments: 20, isCut: false });
    for (const [at, count] of left.slice(1, 8).entries()) expect(count).toBeLessThan(left[at] ?? 0);
    expect(left.at(-1)).toBeLessThanOrEqual(40);
    Object.assign(backend, { pageMs: 0, segmentMs: 0 });
    expect(await ids(backend)).toBe(3_000 + 20 * 20);
  },
  60_000,
);

test("runs too large for a pass hold up neither the log nor what is due, and are reported", async () => {
  const runtime = manualRuntime();
  const backend = new Distant(runtime);
  await backend.initialize("store", { readOnly: false });
  const settings = { ...DEFAULT_SETTINGS, segmentGraceMs: 0, gcGraceMs: 0 };
  const pass = async (limits: Partial<CompactionLimits>, ms: number): Promise<CompactionReport> => {
    const compactor = new Compactor({
      // What it takes to read a run is measured here by its stored bytes.
      ...createEngine({ ...given(backend, runtime), settings, compression: "none" }),
      limits: { ...DEFAULT_LIMITS, ...limits },
    });
    const endMs = runtime.nowMs() + ms;
    const deadline = new Deadline(runtime, () => endMs - runtime.nowMs());
    const { report } = await compactor.pass({
      signal: deadline.signal,
      leftMs: () => deadline.leftMs,
    });
    deadline.stop();
    await runtime.advance(1_000);
    return report;
  };
  const limits = { joinBytesMax: 0, runBytesMax: 40_000 };
  for (const from of [1, 1_351]) {
    await leaveFlushes(backend, 1_350, from, { text: "x".repeat(600) });
    const before = backend.publications;
    const compactor = new Compactor({
      ...createEngine({ ...given(backend, runtime), settings, compression: "none" }),
      limits: { ...DEFAULT_LIMITS, ...limits },
    });
    await compactor.pass({ leftMs: () => (backend.publications === before ? Infinity : 0) });
  }
  // Two levels of a minute and a half each to read, both of which are to be merged now.
  backend.runBytesPerMs = 10;
  const short = { ...limits, assumedBytesPerMs: 10, portionBytesMin: 1_000 };
  const reports: CompactionReport[] = [];
  for (let invocation = 1; (reports.at(-1)?.waiting.runs ?? 1) > 0; invocation++) {
    await leaveFlushes(backend, 1, 2_700 + invocation);
    reports.push(await pass(short, 60_000));
    expect(await objectsIn(backend, "ops/")).toEqual([]);
    expect(invocation).toBeLessThanOrEqual(25);
  }
  expect(reports.length).toBeGreaterThanOrEqual(3);
  for (const { outcome, publications, segments } of reports) {
    expect(outcome).toBe("published");
    expect(segments).toBe(1);
    expect(publications, "log, and a part of the runs").toBeGreaterThanOrEqual(2);
  }
  const waiting = reports.map((report) => report.waiting.bytes);
  expect(waiting[0]).toBeGreaterThan(500_000);
  // Each continues where the one before has ended.
  for (const [at, bytes] of waiting.slice(1).entries())
    expect(bytes).toBeLessThan(waiting[at] ?? 0);
  // Faster again, which shows after a while.
  backend.runBytesPerMs = 1_000;
  await runtime.advance(11 * 60_000);
  const written = 2_700 + reports.length + 1;
  await leaveFlushes(backend, 1, written);
  const last = await pass({ portionBytesMin: 10_000_000 }, 60_000);
  expect(last).toMatchObject({ outcome: "published", waiting: { runs: 0, bytes: 0 }, runs: 1 });
  expect(await ids(backend)).toBe(written);
});

test("a pass ends after half a minute of units: the next one takes in what was written meanwhile", async () => {
  const runtime = manualRuntime();
  const backend = new Distant(runtime);
  await backend.initialize("store", { readOnly: false });
  const settings = { ...DEFAULT_SETTINGS, segmentGraceMs: 0 };
  const pass = async (leftMs: () => number): Promise<CompactionReport> => {
    const engine = createEngine({ ...given(backend, runtime), settings, compression: "none" });
    const sizes = { joinBytesMax: 0, runBytesMax: 40_000, unitBytesMax: 100_000 };
    const limits = { ...DEFAULT_LIMITS, ...sizes, portionBytesMin: 1_000 };
    return (await new Compactor({ ...engine, limits }).pass({ leftMs })).report;
  };
  for (const from of [1, 1_351]) {
    await leaveFlushes(backend, 1_350, from, { text: "x".repeat(600) });
    const before = backend.publications;
    await pass(() => (backend.publications === before ? Infinity : 0));
  }
  // To read both levels takes three minutes.
  backend.runBytesPerMs = 10;
  const endMs = runtime.nowMs() + 900_000;
  const first = await pass(() => endMs - runtime.nowMs());
  expect(first).toMatchObject({ outcome: "published", more: true });
  expect(first.durationMs).toBeGreaterThan(30_000);
  expect(first.durationMs).toBeLessThan(60_000);
  await leaveFlushes(backend, 1, 2_701);
  expect(await pass(() => endMs - runtime.nowMs())).toMatchObject({ segments: 1, more: true });
  // One that has no end leaves nothing.
  expect(await pass(() => Infinity)).toMatchObject({ more: false, waiting: { runs: 0 } });
  expect(await ids(backend)).toBe(2_701);
});

test("a medium that is slower than assumed holds up neither the log nor what is due", async () => {
  const runtime = manualRuntime();
  const backend = new Distant(runtime);
  await backend.initialize("store", { readOnly: false });
  // What it takes to read a run is measured here by its stored bytes.
  const options = { segmentGraceMs: 60_000, full: true, compression: "none" } as const;
  const large = "x".repeat(50_000);
  await using writer = await Store.open<string>("store", { backend, agentId: "w", skipLoad: true });
  await writer.batch(() => {
    for (let n = 0; n < 80; n++) void writer.set(`r${n}`, large);
  });
  await invoke(backend, runtime, 60_000, options);
  // To read that run takes 100 s.
  backend.runBytesPerMs = 40;
  await writer.set("small", "x");
  for (let hour = 1; hour <= 2; hour++) {
    // What was measured is forgotten.
    await runtime.advance(60 * 60_000);
    expect(await invoke(backend, runtime, 60_000, options)).toMatchObject({ outcome: "published" });
  }
  expect(await objectsIn(backend, "ops/")).toEqual([]);
  expect(await ids(backend)).toBe(81);
});

/** What a compactor works with. */
function given(backend: MemoryBackend, runtime: ManualRuntime): EngineOptions {
  const onWarning = (message: string): never => {
    throw new Error(message);
  };
  return { backend, location: "store", runtime, settings: DEFAULT_SETTINGS, onWarning };
}

test("a purge waits until all that was listed is merged, in however many portions", async () => {
  const runtime = manualRuntime();
  const backend = new Distant(runtime);
  await backend.initialize("store", { readOnly: false });
  const writer = await Store.open<number>("store", { backend, agentId: "w", skipLoad: true });
  for (const id of ["a", "b", "c", "gone"]) await writer.set(id, 1);
  await writer.delete("gone");
  const graces = { segmentGraceMs: 0, tombstoneGraceMs: 2_000, writerLagMs: 1_000 };
  const settings = { ...DEFAULT_SETTINGS, ...graces };
  const limits: CompactionLimits = { ...DEFAULT_LIMITS, logSegmentsMax: 1 };
  const pass = async (full: boolean, leftMs: number): Promise<CompactionReport> => {
    const engine = createEngine({ ...given(backend, runtime), settings });
    const { log } = engine;
    const offer = log.offer.bind(log);
    // The newest first: the manifest's clock, and so the floor, is above what still waits.
    log.offer = async function* () {
      for await (const part of offer()) {
        const newestFirst = part.units.toSorted((x, y) => clockOf(y) - clockOf(x));
        yield { ...part, units: newestFirst };
      }
    };
    return (await new Compactor({ ...engine, limits }).pass({ full, leftMs: () => leftMs })).report;
  };
  const clockOf = (unit: { readonly segments: readonly { readonly hi: number }[] }): number =>
    unit.segments[0]?.hi ?? 0;
  expect(await pass(false, 0)).toMatchObject({ publications: 1, segments: 1, more: true });
  await runtime.advance(10 * 60_000);
  expect(await pass(true, Infinity)).toMatchObject({ segments: 4, runs: 1, more: false });
  const text = Buffer.from(
    ((await backend.get("manifest.json")) as { body: Uint8Array }).body,
  ).toString();
  const { clock, ...manifest } = JSON.parse(text);
  expect(manifest).toMatchObject({ purgeFloor: clock, runs: [{ records: 3, tombstones: 0 }] });
  expect(await ids(backend)).toBe(3);
});

test("on a directory, too, the log is merged in portions, file by file", async () => {
  await using directory = await tempDir();
  const backend = new FsBackend();
  const { path: location } = directory;
  for (let n = 0; n < 5; n++) {
    await using store = await Store.open<number>(location, {
      backend,
      agentId: `w${n}`,
      skipLoad: true,
    });
    await store.set(`r${n}`, n);
    await store.set(`s${n}`, n);
  }
  await backend.initialize(location, { readOnly: false });
  const runtime = manualRuntime();
  const engine = createEngine({ ...given(new MemoryBackend(), runtime), backend, location });
  const limits = { ...DEFAULT_LIMITS, logSegmentsMax: 2 };
  const compactor = new Compactor({ ...engine, limits });
  const cutOff = await compactor.pass({ leftMs: () => 0 });
  expect(cutOff.report).toMatchObject({ publications: 1, segments: 2, more: true });
  const rest = await compactor.pass();
  expect(rest.report).toMatchObject({ publications: 4, segments: 8, more: false, runs: 1 });
  expect((await compact(location, { backend })).outcome).toBe("idle");
  await using reader = await Store.open(location, { backend, readOnly: true });
  expect(reader.count()).toBe(10);
});
