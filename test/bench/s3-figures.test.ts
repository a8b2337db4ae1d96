import { describe, expect, test } from "vitest";
import { dollarsOf, median, medians, type Row, table, wallRatio } from "../../bench/s3/figures.ts";
import {
  expectRecord,
  idOf,
  PREFIX_RECORDS,
  prefixOf,
  recordOf,
  scattered,
  WrongAnswer,
} from "../../bench/s3/records.ts";

function row(parts: Partial<Row>): Row {
  return { scenario: "cold read", engine: "ours", operations: 1, rounds: 3, ...parts };
}

describe("medians", () => {
  test("are the middle value, or the mean of the two in the middle", () => {
    expect(median([])).toBe(0);
    expect(median([7])).toBe(7);
    expect(median([100, 1, 3])).toBe(3);
    expect(median([4, 1, 100, 2])).toBe(3);
  });

  test("are taken figure by figure; one that a round lacks counts as 0", () => {
    const rounds = [{ wallMs: 10, PUT: 1 }, { wallMs: 30, PUT: 1 }, { wallMs: 20 }];
    expect(medians(rounds)).toEqual({ wallMs: 20, PUT: 1 });
  });
});

describe("rows", () => {
  test("cost dollars for a million of the operations that one measurement did", () => {
    expect(dollarsOf(row({ operations: 50, figures: { PUT: 50, GET: 100 } }))).toBeCloseTo(5.8);
  });

  test("are compared with ours of the same scenario", () => {
    const rows = [
      row({ figures: { wallMs: 50 } }),
      row({ engine: "original", figures: { wallMs: 200 } }),
      row({ scenario: "scan", engine: "original", figures: { wallMs: 900 } }),
    ];
    expect(wallRatio(rows, "cold read")).toBe(4);
    expect(wallRatio(rows, "scan")).toBeUndefined();
  });

  test("tell in the table what was lost, and why a figure is missing", () => {
    const text = table([
      row({ engine: "original", figures: { GET: 2, LIST: 1, trips: 3, lostWrites: 49 } }),
      row({ scenario: "scan", reason: "no scan yet" }),
    ]);
    expect(text).toContain("2 GET, 1 LIST");
    expect(text).toContain("49 acknowledged writes lost");
    expect(text).toMatch(/\| scan .*n\/a: no scan yet/);
    expect(
      new Set(
        text
          .trimEnd()
          .split("\n")
          .map((line) => line.length),
      ).size,
    ).toBe(1);
  });
});

describe("records", () => {
  test("have about 300 bytes with their id, and differ from one another", () => {
    for (const n of [0, 1, 999_999]) {
      const bytes = JSON.stringify({ id: idOf(n), data: recordOf(n) }).length;
      expect(bytes).toBeGreaterThan(280);
      expect(bytes).toBeLessThan(320);
    }
    expect(recordOf(1)).not.toEqual(recordOf(2));
  });

  test("have ids in the order of their numbers, a thousand to a prefix", () => {
    expect(idOf(999) < idOf(1_000)).toBe(true);
    const all = Array.from({ length: 3_000 }, (_, n) => idOf(n));
    expect(all.filter((id) => id.startsWith(prefixOf(1_234)))).toHaveLength(PREFIX_RECORDS);
  });

  test("scattered ones are distinct and lie all over the store", () => {
    const numbers = scattered(1_000, 100);
    expect(new Set(numbers).size).toBe(100);
    expect(Math.max(...numbers)).toBeGreaterThan(990);
    expect(Math.max(...numbers)).toBeLessThan(1_000);
  });

  test("that are not what was written fail the run", () => {
    expect(() => expectRecord(idOf(5), recordOf(5), 5)).not.toThrow();
    expect(() => expectRecord(idOf(5), { ...recordOf(5), priority: 9 }, 5)).toThrow(WrongAnswer);
    expect(() => expectRecord(idOf(5), undefined, 5)).toThrow(/task-000000005: found undefined/);
  });
});
