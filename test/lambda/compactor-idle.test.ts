/** What a store costs that nobody writes to, and how soon one that is written again is compacted. */
import { DEFAULT_PRICES, MemoryBackend } from "opslog-serverless";
import type { CompactorReport } from "opslog-serverless/lambda";
import { describe, expect, test } from "vitest";
import { type CompactorOptions, compactOne } from "../../src/lambda/compactor.ts";
import { sdkAccess } from "../../src/lambda/sdk-access.ts";
import { type ManualRuntime, manualRuntime } from "../support/manual-runtime.ts";
import { capturedOutput, minute, put } from "./compactor-support.ts";
import { rejection } from "./support.ts";

const { printed, log } = capturedOutput();

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** The bound of `idleMaxMs`, and the minute until the next invocation. */
const WAIT_MS_MAX = 16 * MINUTE_MS;
const SCHEDULED = { "detail-type": "Scheduled Event", source: "aws.scheduler" };

/** A store under a clock of its own, and the scheduled function. */
class Scheduled {
  readonly runtime: ManualRuntime = manualRuntime();
  readonly backend = new MemoryBackend({ runtime: this.runtime });
  readonly options: Partial<CompactorOptions>;
  invoke!: (event?: unknown) => Promise<CompactorReport>;

  constructor(options: Partial<CompactorOptions> = {}) {
    this.options = options;
    this.startProcess();
  }

  startProcess(): void {
    const options = { location: "store", backend: this.backend, log, ...this.options };
    const handler = compactOne(options, sdkAccess(), this.runtime);
    this.invoke = (event = SCHEDULED) => handler(event, minute(this.runtime));
  }

  /** Writes, and has the compactor work until there is nothing to do. */
  async fill(): Promise<void> {
    await put("store", this.backend, "a", "b");
    await this.invoke({});
    await this.runtime.advance(2 * HOUR_MS);
    while ((await this.invoke({})).outcome !== "idle");
    await this.runtime.advance(10 * MINUTE_MS);
    await this.invoke({});
  }

  /** Minutes at which invocations looked, of those of a time. */
  async looks(minutes: number): Promise<number[]> {
    const at: number[] = [];
    for (let n = 1; n <= minutes; n++) {
      await this.runtime.advance(MINUTE_MS);
      if ((await this.invoke()).passes > 0) at.push(n);
    }
    return at;
  }
}

describe("an idle store", () => {
  test("costs at most $0.03 a month, also where Lambda starts a new process every two hours", async () => {
    const scheduled = new Scheduled({ metrics: false });
    await scheduled.fill();
    await scheduled.runtime.advance(DAY_MS);
    let usd = 0;
    let looks = 0;
    // Time moves without giving anything a turn: nothing waits.
    let nowMs = scheduled.runtime.nowMs();
    Object.assign(scheduled.runtime, { nowMs: () => nowMs, wallMs: () => nowMs });
    for (let minutes = 0; minutes < 30 * 24 * 60; minutes++) {
      nowMs += MINUTE_MS;
      if (minutes % 120 === 0) scheduled.startProcess();
      const { passes, cost } = await scheduled.invoke();
      looks += passes;
      usd += cost.usd;
    }
    expect(DEFAULT_PRICES).toMatchObject({ getPerMillion: 0.4, listPerMillion: 5 });
    // One every 15 minutes: a new process knows from the manifest for how long it was quiet.
    expect(looks).toBe(2_880);
    expect(usd).toBeCloseTo(0.0156, 4);
    expect(usd).toBeLessThanOrEqual(0.03);
  });

  test("is looked at after as long as it was quiet, at most after 15 minutes", async () => {
    const scheduled = new Scheduled();
    await put("store", scheduled.backend, "a");
    expect(await scheduled.invoke()).toMatchObject({ outcome: "published", passes: 1 });
    const looks = await scheduled.looks(120);
    const gaps = looks.map((at, n) => at - (looks[n - 1] ?? 0));
    expect(gaps).toEqual([1, 1, 1, 2, 4, 8, 15, 15, 15, 15, 15, 15]);
  });

  test("rests without a request, and reports what the last look found", async () => {
    const scheduled = new Scheduled();
    await scheduled.fill();
    await scheduled.runtime.advance(MINUTE_MS);
    const lines = printed.length;
    const resting = await scheduled.invoke();
    expect(resting).toMatchObject({ outcome: "idle", passes: 0, runs: 1, durationMs: 0 });
    expect(resting.cost).toMatchObject({ usd: 0, roundTrips: 0, requests: { get: 0, list: 0 } });
    expect(printed).toHaveLength(lines);
  });

  test("is looked at by each invocation with idleMaxMs: 0, and by each that no schedule made", async () => {
    const eager = new Scheduled({ idleMaxMs: 0 });
    await eager.fill();
    expect(await eager.looks(20)).toHaveLength(20);
    const scheduled = new Scheduled();
    await scheduled.fill();
    for (const event of [{}, null, { location: "store" }, { Records: [] }]) {
      expect(await scheduled.invoke(event)).toMatchObject({ passes: 1 });
      expect(await scheduled.invoke()).toMatchObject({ passes: 0 });
    }
  });

  test.each([-1, NaN, "1"])("idleMaxMs: %s is refused", async (idleMaxMs) => {
    const scheduled = new Scheduled();
    Object.assign(scheduled.options, { idleMaxMs });
    scheduled.startProcess();
    expect(String(await rejection(scheduled.invoke()))).toMatch(/idleMaxMs: expected a non-neg/);
  });
});

describe("a store that is written again", () => {
  test.each([HOUR_MS, DAY_MS, 30 * DAY_MS])(
    "after %d ms of quiet is compacted within 16 minutes, and then every minute",
    async (quietMs) => {
      const scheduled = new Scheduled();
      await scheduled.fill();
      await scheduled.runtime.advance(quietMs);
      await scheduled.looks(40);
      for (let n = 0; n < 20; n++) {
        const writtenMs = scheduled.runtime.nowMs();
        await put("store", scheduled.backend, `x${n}`);
        let report;
        do {
          await scheduled.runtime.advance(MINUTE_MS);
          report = await scheduled.invoke();
        } while (report.segments === 0);
        const waitedMs = scheduled.runtime.nowMs() - writtenMs;
        expect(waitedMs).toBeLessThanOrEqual(n === 0 ? WAIT_MS_MAX : MINUTE_MS);
      }
    },
  );

  test("does not wait for a clock that was set back", async () => {
    const scheduled = new Scheduled();
    await scheduled.fill();
    await put("store", scheduled.backend, "x");
    await scheduled.runtime.advance(-DAY_MS);
    expect(await scheduled.invoke()).toMatchObject({ outcome: "published" });
  });
});

test("metrics end four days after the last publication, and begin again with the next", async () => {
  const scheduled = new Scheduled();
  await scheduled.fill();
  const linesAfter = async (ms: number): Promise<unknown[]> => {
    await scheduled.runtime.advance(ms);
    printed.length = 0;
    expect(await scheduled.invoke()).toMatchObject({ passes: 1 });
    return printed.map((line) => JSON.parse(line).BacklogSegments);
  };
  expect(await linesAfter(DAY_MS)).toEqual([0]);
  expect(await linesAfter(2 * DAY_MS)).toEqual([0]);
  expect(await linesAfter(2 * DAY_MS)).toEqual([]);
  await put("store", scheduled.backend, "x");
  expect(await linesAfter(DAY_MS)).toEqual([1]);
});
