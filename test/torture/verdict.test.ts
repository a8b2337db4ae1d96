import { expect, test } from "vitest";
import type { JournaledCall } from "../processes/journal.ts";
import { judge } from "./verdict.ts";

const call = (n: number, op: "set" | "delete", ...ids: string[]): JournaledCall => ({
  incarnation: 1,
  n,
  operations: ids.map((id) => ({ id, op })),
  outcome: "acknowledged",
});
const IDS = ["a", "b"];

function verdict(calls: readonly JournaledCall[], ...readers: Record<string, string>[]): object {
  const shown = readers.map((reader) => new Map(Object.entries(reader)));
  const { violations: _, ...counts } = judge([{ ids: IDS, calls }], shown);
  return counts;
}

const NOTHING = { lost: 0, resurrected: 0, torn: 0, divergent: 0 };

test("nothing is wrong where every reader shows what was acknowledged", () => {
  const calls = [call(1, "set", "a", "b"), call(2, "delete", "b")];
  expect(verdict(calls, { a: "1.1" }, { a: "1.1" })).toEqual(NOTHING);
});

test("each kind of damage is counted once, however many readers show it", () => {
  const set = [call(1, "set", "a")];
  expect(verdict(set, {}, {})).toEqual({ ...NOTHING, lost: 1 });
  expect(verdict(set, { a: "1.1" }, {})).toEqual({ ...NOTHING, lost: 1, divergent: 1 });
  expect(verdict(set, { a: "1.1", x: "9.9" })).toEqual({ ...NOTHING, resurrected: 1 });
  const deleted = [...set, call(2, "delete", "a")];
  expect(verdict(deleted, { a: "1.1" })).toEqual({ ...NOTHING, resurrected: 1 });
  const batch: JournaledCall[] = [{ ...call(1, "set", "a", "b"), outcome: "unknown" }];
  expect(verdict(batch, { a: "1.1" })).toEqual({ ...NOTHING, torn: 1 });
});
