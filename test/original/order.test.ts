import { expect, test } from "vitest";
import { decodeLegacyOperation } from "../../src/legacy/operation.ts";
import { orderLegacy } from "../../src/legacy/order.ts";
import { type Fields, set, TS } from "./support.ts";

/** Ids with their clocks and agents, as they end up, for logs of [id, clock?, agent?]. */
function order(...logs: [string, number?, string?][][]): string[] {
  const decoded = logs.map((log) =>
    log.map(([id, clock, agent]) => {
      const stamp = clock === undefined ? {} : { clock, agent };
      return decodeLegacyOperation(JSON.stringify(set(id, 1, stamp)));
    }),
  );
  return orderLegacy(decoded, 3).map(({ agent, writerNonce: w, schemaVersion: v, operations }) => {
    expect([w, v, operations.length]).toEqual(["0".repeat(16), 3, 1]);
    return `${operations[0]?.clock} ${operations[0]?.id}${agent}`;
  });
}

test("a log without clocks keeps its order", () => {
  expect(order([["a"], ["b"], ["a"]])).toEqual(["1 a", "2 b", "3 a"]);
});

test("agents are merged by clock, then as the original compares them; no clock goes down", () => {
  const a: [string, number, string][] = [
    ["p", 1, "a"],
    ["q", 2, "a"],
    ["r", 9, "a"],
  ];
  const b: [string, number, string][] = [
    ["s", 2, "B"],
    ["t", 3, "B"],
    ["u", 9, "B"],
  ];
  expect(order(b, a)).toEqual(["1 pa", "2 qa", "3 sB", "4 tB", "9 ra", "10 uB"]);
});

test("clocks grow again after ties, and start at 1", () => {
  expect(
    order(
      [
        ["x", 0, "a"],
        ["y", 0, "a"],
      ],
      [["z", 1, "b"]],
    ),
  ).toEqual(["1 xa", "2 ya", "3 zb"]);
});

test("what a single writer wrote behind an agent follows it, before higher clocks", () => {
  const mixed: [string, number?, string?][] = [["p", 4, "a"], ["q"], ["r"]];
  expect(
    order(mixed, [
      ["s", 4, "b"],
      ["t", 5, "b"],
    ]),
  ).toEqual(["4 pa", "5 sb", "6 q", "7 r", "8 tb"]);
});

test("a log without clocks comes before all logs with clocks", () => {
  expect(order([["z", 1, "a"]], [["x"], ["y"]])).toEqual(["1 x", "2 y", "3 za"]);
});

const base = { ts: TS, op: "set", id: "a", data: 1, prev: null };

test.each<[string, Fields, Fields]>([
  ["a create", base, base],
  ["the record null", { ...base, data: null }, { ...base, data: null }],
  ["a number before", { ...base, prev: 5 }, { ...base, prev: 5 }],
  ["a text before", { ...base, prev: "x" }, { ...base, prev: "x" }],
  ["an array before", { ...base, prev: [1] }, { ...base, prev: [1] }],
  ["a whole record before", { ...base, prev: {}, encoding: "full" }, { ...base, prev: {} }],
  ["a patch", { ...base, prev: {}, encoding: "delta" }, { ...base, prev: {}, encoding: "delta" }],
  ["fields of its own", { ...base, extra: 1 }, base],
  [
    "a deleted null",
    { ts: TS, op: "delete", id: "a", prev: null },
    { ts: TS, op: "delete", id: "a", prev: null, encoding: "value" },
  ],
])("a line with %s counts", (_, line, operation) => {
  const found = decodeLegacyOperation(JSON.stringify(line));
  expect(found).toEqual({ agent: "", clock: undefined, operation });
});

test.each<[string, unknown]>([
  ["is no object", 5],
  ["is an array", [base]],
  ["is null", null],
  ["lacks ts", { ...base, ts: undefined }],
  ["has an empty ts", { ...base, ts: "" }],
  ["has another op", { ...base, op: "put" }],
  ["has an empty id", { ...base, id: "" }],
  ["has a number for an id", { ...base, id: 5 }],
  ["lacks prev", { ...base, prev: undefined }],
  ["sets nothing", { ...base, data: undefined }],
  ["deletes with data", { ...base, op: "delete", prev: {} }],
  ["has another encoding", { ...base, encoding: "zip" }],
  ["has an empty agent", { ...base, agent: "" }],
  ["has a fractional clock", { ...base, clock: 1.5 }],
  ["has a negative clock", { ...base, clock: -1 }],
  ["has a clock beyond counting", { ...base, clock: 1e300 }],
])("a line that %s is malformed", (_, line) => {
  expect(() => decodeLegacyOperation(JSON.stringify(line))).toThrow(/./);
});
