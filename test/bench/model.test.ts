import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  cutExtents,
  type Extent,
  idOf,
  mergeExtents,
  shareOf,
} from "../../bench/model/key-space.ts";
import { shapeOf } from "../../bench/model/catalogues.ts";
import { Ledger } from "../../bench/model/ledger.ts";
import { countIn, ModelLog, splitLog } from "../../bench/model/model-log.ts";
import { capacityOf, keepsUp, scenarioOf } from "../../bench/model/scenarios.ts";
import { type Outcome, simulate } from "../../bench/model/simulate.ts";
import { outcomeTable } from "../../bench/model/report.ts";
import { planLog, planUnit } from "../../src/compaction/plan.ts";

const SEED = 20_261_130;
const NO_LIMITS = { from: 0, to: 1, bytesMax: Infinity };
const MB = 1_000_000;

const bytesOf = (extents: readonly Extent[]): number =>
  extents.reduce((sum, { bytes }) => sum + bytes, 0);

const extents = fc.array(
  fc
    .tuple(
      fc.integer({ min: 0, max: 999 }),
      fc.integer({ min: 1, max: 1_000 }),
      fc.integer({ min: 1, max: MB }),
    )
    .filter(([from, width]) => from + width <= 1_000)
    .map(([from, width, bytes]) => ({ from: from / 1_000, to: (from + width) / 1_000, bytes })),
  { maxLength: 8 },
);

describe("a merge of the model", () => {
  test("of new records writes what it reads, in one go or in units", () => {
    const property = fc.property(
      extents,
      fc.integer({ min: 1, max: 3 * MB }),
      (sources, bytesMax) => {
        let [from, written] = [0, 0];
        for (let units = 0; from < 1 && units < 10_000; units++) {
          const merged = mergeExtents(
            sources,
            { from, to: 1, bytesMax: Math.max(bytesMax, MB / 10) },
            Infinity,
          );
          expect(merged.to).toBeGreaterThan(from);
          expect(bytesOf(merged.extents)).toBeCloseTo(merged.writtenBytes, 3);
          written += merged.writtenBytes;
          from = merged.to;
        }
        expect(Math.abs(written - bytesOf(sources))).toBeLessThan(1);
      },
    );
    fc.assert(property, { seed: SEED });
  });

  test("of updates writes no more than the store holds, and no more than it reads", () => {
    const property = fc.property(extents, (sources) => {
      const { readBytes, writtenBytes } = mergeExtents(sources, NO_LIMITS, 1_000 * MB);
      expect(writtenBytes).toBeLessThanOrEqual(Math.min(readBytes, 1_000 * MB) + 1);
    });
    fc.assert(property, { seed: SEED });
    const full = { from: 0, to: 1, bytes: 10 * MB };
    const update = { from: 0, to: 1, bytes: MB };
    expect(mergeExtents([full, update], NO_LIMITS, 10 * MB).writtenBytes).toBe(10 * MB);
  });

  test("cuts what it writes into runs that follow each other and lose nothing", () => {
    const property = fc.property(
      extents,
      fc.integer({ min: MB / 10, max: MB }),
      (sources, bytesMax) => {
        const { extents: merged, writtenBytes } = mergeExtents(sources, NO_LIMITS, Infinity);
        const cut = cutExtents(merged, bytesMax);
        expect(bytesOf(cut)).toBeCloseTo(writtenBytes, 3);
        for (const [at, { from, to, bytes }] of cut.entries()) {
          expect(from).toBeGreaterThanOrEqual(cut[at - 1]?.to ?? 0);
          expect(to).toBeGreaterThan(from);
          expect(bytes).toBeLessThan(bytesMax + 1);
        }
      },
    );
    fc.assert(property, { seed: SEED });
  });
});

test("ids stand for shares of the space", () => {
  for (const share of [0, 0.25, 0.5, 0.875]) expect(shareOf(idOf(share))).toBe(share);
  expect(shareOf("")).toBe(0);
  expect(idOf(0.25) < idOf(0.5)).toBe(true);
});

test("requests are counted as the engine sends them", () => {
  const ledger = new Ledger();
  expect([ledger.list(0), ledger.list(1_000), ledger.list(28_800)]).toEqual([1, 1, 6]);
  expect(ledger.requests.list).toBe(1 + 1 + 32);
  ledger.wroteRuns(MB, 1);
  expect(ledger.requests.put).toBe(2);
  ledger.wroteRuns(64 * 1_024 * 1_024, 1);
  expect([ledger.requests.put, ledger.requests.head]).toEqual([2 + 6, 1]);
  ledger.logBytes = MB;
  expect(ledger.amplification).toBeCloseTo(68.11, 2);
});

const GROWING = scenarioOf({ rate: 100, flushKb: 1, minutes: 1, days: 0.2 });
const seen = ({ samples, ledger, busy }: Outcome): string =>
  JSON.stringify({ samples, busy, requests: ledger.requests, bytes: ledger.runBytes });

describe("a simulation", () => {
  test("keeps every byte of a store that grows", () => {
    const { store, ledger, log } = simulate(GROWING);
    expect(ledger.segments).toBe(log.taken);
    expect(ledger.logBytes).toBe(log.taken * 1_000);
    expect(ledger.logBytes).toBeGreaterThan(1_000 * MB);
    expect(Math.abs(store.bytes - ledger.logBytes)).toBeLessThan(1);
  });

  test("of updates ends with no more than its levels can hold, and with no less than it had", () => {
    const scenario = scenarioOf({ rate: 100, flushKb: 1, storeGb: 10, minutes: 1, days: 0.1 });
    const { store } = simulate(scenario);
    expect(store.bytes).toBeGreaterThan(9_999 * MB);
    expect(store.bytes).toBeLessThan(store.levels * 10_000 * MB);
  });

  test("is the same for the same seed, and not for another", () => {
    const short = { ...GROWING, days: 0.1 };
    expect(seen(simulate(short))).toBe(seen(simulate(short)));
    expect(seen(simulate({ ...short, seed: SEED + 1 }))).not.toBe(seen(simulate(short)));
  });

  test("depends on the planner of the engine", () => {
    const real = simulate(GROWING);
    expect(seen(simulate(GROWING, { planLog, planUnit }))).toBe(seen(real));
    const alone = simulate(
      { ...GROWING, days: 0.15 },
      {
        planLog: (input) => ({ ...planLog(input), taken: [] }),
        planUnit: () => ({ step: undefined, waiting: [] }),
      },
    );
    expect(alone.levelsMax).toBeGreaterThan(200);
    expect(alone.ledger.amplification).toBeLessThan(1.01);
    expect(real.levelsMax).toBeLessThan(10);
    expect(real.ledger.amplification).toBeGreaterThan(4);
  });

  test("shows where one worker does not keep up, and that eight do", () => {
    const busy = scenarioOf({ rate: 3_500, flushKb: 1, storeGb: 10, minutes: 5, days: 0.06 });
    const [one, eight] = [simulate(busy), simulate({ ...busy, workers: 8 })];
    expect([keepsUp(one), keepsUp(eight)]).toEqual([false, true]);
    expect(one.busy).toBeGreaterThan(0.9);
    expect(outcomeTable([one])).toContain("| 3,500 | 1 | 10 GB, updated | 5 | 1 | 0.06 | no");
    expect(eight.ledger.conflicts).toBeGreaterThan(0);
    expect(eight.ledger.segments).toBe(eight.log.taken);
  });

  test("finds the rate at which workers no longer keep up", () => {
    const { keptUp, fellBehind, outcome } = capacityOf(1, "light", 1, 0.03);
    expect(keptUp).toBeLessThan(fellBehind);
    expect(keptUp).toBeGreaterThan(1_000);
    expect(outcome?.scenario.flushesPerSecond).toBe(keptUp);
  });
});

describe("levels stay few", () => {
  test("where one worker is nearly busy: what drains has its turn although log keeps coming", () => {
    const busy = scenarioOf({ rate: 1_500, flushKb: 1, storeGb: 10, minutes: 15, days: 0.1 });
    const { busy: share, levelsMax } = simulate(busy);
    expect(share).toBeGreaterThan(0.8);
    expect(levelsMax).toBeLessThan(20);
  });

  test("where several workers merge parts of the ids: the first goes on with all of them", () => {
    const busy = scenarioOf({ rate: 3_500, flushKb: 1, storeGb: 10, minutes: 5, days: 0.04 });
    // A worker that finds more of them leaves the log to later.
    expect(simulate({ ...busy, workers: 8 }).levelsMax).toBeLessThan(32);
  });
});

describe("the log of the model", () => {
  test("is taken by shards, each segment once, whoever merges it", () => {
    const log = new ModelLog(100, 0, () => 0.5);
    const all = log.list(10_000);
    expect(countIn(all)).toBe(1_000);
    expect(log.waiting(10_000, [0, 8])).toBe(125);
    const { first, rest } = splitLog(all, 100);
    expect([countIn(first), countIn(rest)]).toEqual([100, 900]);
    expect([log.take(first), log.take(first), log.waiting(10_000)]).toEqual([100, 0, 900]);
    expect(log.take(all)).toBe(900);
    expect(() => log.take([{ shard: 0, from: 1_000, to: 1_001 }])).toThrow("gap");
  });
});

test("a manifest stays small where its oldest levels are in catalogues", () => {
  const small = shapeOf([20], 0);
  expect([small.catalogues, small.foldedLevels]).toEqual([0, 0]);
  const large = shapeOf([15_000, 30, 20], 100);
  expect(large.foldedLevels).toBe(2);
  expect(large.bytes).toBeLessThan(120_000);
  expect(large.catalogueBytes).toBe(15_030 * 560);
});
