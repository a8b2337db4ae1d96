/** What a report tells of levels, amplification, pace and what is to come. */
import { describe, expect, test } from "vitest";
import {
  amplificationOf,
  expectedWrites,
  forecastOf,
  paceOf,
} from "../../src/compaction/measures.ts";
import { DEFAULT_LIMITS } from "../../src/compaction/plan.ts";
import { Arrivals } from "../../src/engine/arrivals.ts";
import { ids, KB, Scene, text, twoLevels, UNITS } from "./units-support.ts";

const found = (segments: number, ageMs = 60_000, isCut = false) => ({ segments, ageMs, isCut });

describe("what is written in a second", () => {
  test("follows from the age of what waits at first, then from look to look", () => {
    const arrivals = new Arrivals();
    expect(arrivals.looked(found(600), 0)).toBe(10);
    arrivals.merged(500);
    // 100 were left, 1,500 wait: 1,400 in 20 s.
    expect(arrivals.looked(found(1_500), 20_000)).toBe(70);
    arrivals.merged(1_500);
    expect(arrivals.looked(found(0, 0), 40_000)).toBe(0);
  });

  test("is no less than nothing where others merge", () => {
    const arrivals = new Arrivals();
    arrivals.looked(found(600), 0);
    expect(arrivals.looked(found(100), 20_000)).toBe(0);
  });

  test("is not taken from looks that are close, or cut, or from a clock that was set back", () => {
    const arrivals = new Arrivals();
    arrivals.looked(found(600), 0);
    arrivals.merged(600);
    expect(arrivals.looked(found(60), 5_000)).toBe(1);
    // 5 s later there is a rate since the first look.
    expect(arrivals.looked(found(120), 12_000)).toBe(10);
    expect(arrivals.looked(found(240, 60_000, true), 30_000)).toBe(4);
    expect(arrivals.looked(found(60), 60_000)).toBe(1);
    expect(arrivals.looked(found(60), 30_000)).toBe(1);
  });

  test("is not without bound where what waits was just written", () => {
    expect(new Arrivals().looked(found(5, 0), 0)).toBe(5);
  });
});

describe("a forecast", () => {
  const pace = { segments: 100, bytes: 1 };

  test.each([
    ["done", 0, 500, { outlook: "done", doneInMs: 0 }],
    ["catching up", 1_000, 50, { outlook: "catchingUp", doneInMs: 20_000 }],
    ["falling behind", 1_000, 100, { outlook: "fallingBehind" }],
  ] as const)("of a store that is %s", (_, waiting, arriving, expected) => {
    expect(forecastOf(waiting, arriving, pace, "published")).toEqual({
      waiting,
      arriving,
      ...expected,
    });
  });

  test("is unknown where another compactor was at work, but not where all the time was not enough", () => {
    const none = { segments: 0, bytes: 0 };
    expect(forecastOf(10, 1, none, "busy").outlook).toBe("unknown");
    expect(forecastOf(10, 1, none, "lost").outlook).toBe("unknown");
    expect(forecastOf(10, 1, none, "stopped").outlook).toBe("fallingBehind");
  });
});

test("pace is of the time that each took, and amplification of what was merged", () => {
  const done = {
    segments: 300,
    lineBytes: 8_000,
    logBytes: 1_000,
    durationMs: 4_000,
    unitsMs: 1_000,
  };
  expect(paceOf(done)).toEqual({ segments: 100, bytes: 2_000 });
  expect(amplificationOf(done)).toBe(8);
  expect(amplificationOf({ ...done, logBytes: 0 })).toBe(0);
});

test("the expected amplification grows with the logarithm of the store", () => {
  const MB = 1024 * 1024;
  const expected = (storeBytes: number): number => {
    const level = { runs: 1, storedBytes: 0, tombstones: 0, isDraining: false };
    const perLevel = [{ ...level, bytes: storeBytes }];
    return expectedWrites({ perLevel }, { logBytes: 4 * MB, portions: 4 }, DEFAULT_LIMITS);
  };
  expect(expected(MB)).toBe(1);
  const writes = [100, 10_000, 1_000_000].map((times) => expected(times * MB));
  for (const each of writes) expect(each).toBeLessThan(16);
  expect(writes).toEqual(writes.toSorted((a, b) => a - b));
});

test("a report tells of each level, of what was written, and of what waits", async () => {
  const { scene } = await twoLevels();
  await scene.runtime.advance(5_000);
  await scene.write([["zz", text("last")]]);
  const report = await scene.pass(UNITS, { steps: 1 });
  expect(report).toMatchObject({ publications: 1, segments: 1, levels: 3, more: true });
  const { perLevel, runs, logBytes, lineBytes } = report;
  expect(perLevel).toHaveLength(3);
  expect(perLevel.reduce((sum, level) => sum + level.runs, 0)).toBe(runs);
  const [newest, second, oldest] = perLevel;
  expect(newest).toMatchObject({ runs: 1, tombstones: 0, ageMs: 0 });
  expect(newest?.bytes).toBe(lineBytes);
  expect(second?.ageMs).toBe(5_000);
  expect(second?.bytes).toBeGreaterThan(150 * KB);
  expect(oldest).not.toHaveProperty("ageMs");
  expect(oldest?.bytes).toBeGreaterThan(300 * KB);
  expect(oldest?.storedBytes).toBeLessThan(100 * KB);
  expect(logBytes).toBeGreaterThan(KB);
  expect(report.amplification).toBeCloseTo(lineBytes / logBytes, 1);
  expect(report.forecast).toMatchObject({ waiting: 0, outlook: "done", doneInMs: 0 });
  // What is taken over by a unit counts no more in the levels that drain.
  const later = await scene.pass(UNITS, { steps: 1 });
  const sizes = later.perLevel.map(({ bytes }) => bytes);
  expect(later).toMatchObject({ segments: 0, amplification: 0, expectedAmplification: 0 });
  expect(later.lineBytes).toBeGreaterThan(0);
  expect(later.perLevel.some(({ isDraining }) => isDraining)).toBe(true);
  expect(sizes.reduce((sum, bytes) => sum + bytes, 0)).toBeLessThan(
    perLevel.reduce((sum, { bytes }) => sum + bytes, 0),
  );
});

test("what a pass has no time for waits, and the next pass has a forecast of it", async () => {
  const scene = new Scene();
  await scene.backend.initialize("store", { readOnly: false });
  for (const id of ids(30)) await scene.write([[id, text("new")]]);
  await scene.runtime.advance(60_000);
  const limits = { ...UNITS, logSegmentsMax: 10 };
  const first = await scene.pass(limits, { steps: 1 });
  expect(first).toMatchObject({ segments: 10, backlog: { segments: 30 } });
  expect(first.forecast).toMatchObject({ waiting: 20, outlook: "catchingUp" });
  const { arriving } = first.forecast;
  expect(arriving).toBeCloseTo(0.5, 1);
  const last = await scene.pass(limits);
  expect(last.forecast).toMatchObject({ waiting: 0, outlook: "done" });
});

test("an open store shows what its snapshot consists of", async () => {
  const { scene } = await twoLevels();
  const { runs } = await scene.backend.manifest();
  const store = await scene.reader({ skipLoad: true });
  expect(store.stats()).toMatchObject({
    runs: runs.length,
    levels: 2,
    runBytes: runs.reduce((sum, { bytes }) => sum + bytes, 0),
  });
});
