import { describe, expect, test } from "vitest";
import { goals, mediansOf, type Row, table } from "../../bench/cold/report.ts";
import { BASE, LIGHT, ORIGINAL, OURS } from "../../bench/cold/variants.ts";

function row(name: string, cpuMs: number): Row {
  const figures = { importMs: 10, answerMs: 20, cpuMs, rssBytes: 50e6 };
  return {
    node: "v24.1.0",
    major: 24,
    name,
    bytes: 500_000,
    gzipBytes: 100_000,
    importMs: 10,
    ops: { read: figures, write: { ...figures, cpuMs: 2 * cpuMs } },
  };
}

const ROWS = [row(BASE, 100), row(OURS, 120), row(LIGHT, 55), row(ORIGINAL, 200)];

describe("the report on cold starts", () => {
  test("takes the median of each figure by itself", () => {
    const samples = [1, 9, 2].map((n) => ({
      importMs: n,
      answerMs: 10 - n,
      cpuMs: n,
      rssBytes: n,
    }));
    expect(mediansOf(samples)).toEqual({ importMs: 2, answerMs: 8, cpuMs: 2, rssBytes: 2 });
  });

  test("compares CPU time with the bare SDK's, read with read and write with write", () => {
    const line = table(ROWS)
      .split("\n")
      .find((text) => text.startsWith(`| ${OURS} `));
    const cells = line?.split("|").map((cell) => cell.trim());
    expect(cells?.slice(1, -1)).toEqual([
      OURS,
      "500",
      "100",
      "10",
      "20",
      "120",
      "1.20",
      "20",
      "240",
      "1.20",
      "50",
    ]);
  });

  test("says of each goal whether it was met, and of a missing row that it was not", () => {
    expect(goals(ROWS).match(/met|missed/g)).toEqual(["missed", "met", "met"]);
    expect(goals([row(OURS, 120)]).match(/met|missed/g)).toEqual(["missed", "missed", "missed"]);
  });
});
