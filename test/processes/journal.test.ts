import { expect, test } from "vitest";
import { findViolations } from "./journal.ts";
import type { JournaledCall } from "./journal.ts";

/** `1.2 set a b` with the outcome after it: "+" acknowledged, "?" unknown, "-" refused. */
function calls(...lines: string[]): JournaledCall[] {
  return lines.map((line) => {
    const [tag = "", op, outcome, ...ids] = line.split(" ");
    const [incarnation, n] = tag.split(".").map(Number);
    return {
      incarnation: incarnation ?? 0,
      n: n ?? 0,
      operations: ids.map((id) => ({ id, op: op === "set" ? "set" : "delete" })),
      outcome: outcome === "+" ? "acknowledged" : outcome === "?" ? "unknown" : "refused",
    };
  });
}

function violations(shown: Record<string, string>, ...lines: string[]): string[] {
  const byId = new Map(Object.entries(shown));
  return findViolations(calls(...lines), byId, { mayLandLate: true });
}

test("an acknowledged record must be shown", () => {
  expect(violations({ a: "1.1" }, "1.1 set + a")).toEqual([]);
  expect(violations({}, "1.1 set + a")).toEqual(["a: found absent, expected 1.1"]);
});

test("an older value in place of an acknowledged one is a loss", () => {
  const lines = ["1.1 set + a", "1.2 set + a"];
  expect(violations({ a: "1.1" }, ...lines)).toEqual(["a: found 1.1, expected 1.2"]);
});

test("a record that is back after its acknowledged deletion is reported", () => {
  const lines = ["1.1 set + a", "1.2 delete + a"];
  expect(violations({}, ...lines)).toEqual([]);
  expect(violations({ a: "1.1" }, ...lines)).toEqual(["a: found 1.1, expected absent"]);
});

test("what was under way at the kill may be there or not", () => {
  const lines = ["1.1 set + a", "1.2 set ? a", "1.3 delete ? a"];
  for (const shown of [{ a: "1.1" }, { a: "1.2" }, {}]) {
    expect(violations(shown, ...lines)).toEqual([]);
  }
  expect(violations({ a: "9.9" }, ...lines)).toHaveLength(1);
});

test("a request of a dead process may land late, one of the same process only in order", () => {
  expect(violations({ a: "1.1" }, "1.1 set ? a", "2.1 set + a")).toEqual([]);
  expect(violations({ a: "1.1" }, "1.1 set ? a", "1.2 set + a")).toHaveLength(1);
});

test("on a directory nothing lands after its process is gone", () => {
  const both = calls("1.1 set ? a", "2.1 set + a");
  const late = findViolations(both, new Map([["a", "1.1"]]), { mayLandLate: false });
  expect(late).toEqual(["a: found 1.1, expected 2.1"]);
});

test("a refused call must not be seen, nor what nobody wrote", () => {
  expect(violations({ a: "1.2" }, "1.1 set + a", "1.2 set - a")).toHaveLength(1);
  expect(violations({ b: "1.1" }, "1.1 set + a")).toHaveLength(2);
});

test("a batch under way must be there whole or not at all", () => {
  const lines = ["1.1 set + a", "1.2 set + b", "1.3 set ? a b c"];
  expect(violations({ a: "1.1", b: "1.2" }, ...lines)).toEqual([]);
  expect(violations({ a: "1.3", b: "1.3", c: "1.3" }, ...lines)).toEqual([]);
  const torn = ["batch 1.3 is there in part"];
  expect(violations({ a: "1.3", b: "1.2" }, ...lines)).toEqual(torn);
  expect(violations({ a: "1.1", b: "1.2", c: "1.3" }, ...lines)).toEqual(torn);
});

test("a batch is judged by the ids that no other call can explain", () => {
  const lines = ["1.1 set + a", "1.2 set ? a b c", "1.3 set ? a"];
  expect(violations({ a: "1.3", b: "1.2", c: "1.2" }, ...lines)).toEqual([]);
  expect(violations({ a: "1.3", b: "1.2" }, ...lines)).toEqual(["batch 1.2 is there in part"]);
});

test("an absence that two calls explain proves nothing about either", () => {
  const lines = ["1.1 set + b", "1.2 set ? a", "1.3 delete ? a b"];
  expect(violations({ b: "1.1" }, ...lines)).toEqual([]);
  expect(violations({}, ...lines)).toEqual([]);
});

test("a batch that landed may be overwritten in part by a later process", () => {
  const lines = ["1.1 set ? a b", "2.1 delete + a"];
  expect(violations({ b: "1.1" }, ...lines)).toEqual([]);
  expect(violations({}, ...lines)).toEqual([]);
});
