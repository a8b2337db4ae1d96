/** Histories made by hand: those that are fine, and those that are broken in ways that have names. */
import { describe, expect, test } from "vitest";
import { checkRecords, checkTransactions } from "./checker.ts";
import type { Action, Made, Operation, PlainRule, Value } from "./history.ts";

type Times = readonly [calledMs: number, returnedMs: number | undefined];

function call(process: string, [calledMs, returnedMs]: Times, action: Action): Operation {
  return { process, calledMs, returnedMs, action };
}

function read(process: string, times: Times, value: Value, id = "x"): Operation {
  return call(process, times, { kind: "read", id, value });
}

function plain(process: string, times: Times, value: Value, given: Partial<Made> = {}): Operation {
  return call(process, times, { kind: "plain", id: "x", value, ...given });
}

function swap(
  process: string,
  times: Times,
  {
    expected,
    value,
    succeeded = true,
    version,
  }: { expected?: string; value: Value; succeeded?: boolean; version?: string },
): Operation {
  return call(process, times, {
    kind: "compare-and-set",
    id: "x",
    expected,
    succeeded,
    value,
    version,
  });
}

function update(process: string, times: Times, from: Value, value: Value): Operation {
  return call(process, times, { kind: "update", id: "x", from, value });
}

type Values = Readonly<Record<string, Value>>;

function transaction(process: string, times: Times, reads: Values, writes: Values): Operation {
  const list = (values: Values): Made[] =>
    Object.entries(values).map(([id, value]) => ({ id, value }));
  return call(process, times, { kind: "transaction", reads: list(reads), writes: list(writes) });
}

function records(operations: readonly Operation[], rule: PlainRule = "in time"): string {
  return checkRecords(operations, { plain: rule }).answer;
}

function transactions(operations: readonly Operation[], rule: PlainRule = "in time"): string {
  return checkTransactions(operations, { plain: rule }).answer;
}

describe("one record", () => {
  const set = plain("a", [0, 10], "1");

  test("nothing is fine, and so is a record that nobody wrote", () => {
    expect(records([])).toBe("fine");
    expect(records([read("a", [0, 1], undefined)])).toBe("fine");
    expect(records([read("a", [0, 1], "1")])).toBe("violated");
  });

  test("a read beside a write gives what was before or after it", () => {
    expect(records([set, read("b", [5, 8], "1"), read("c", [9, 12], "1")])).toBe("fine");
    expect(records([set, read("b", [5, 8], undefined), read("c", [9, 12], "1")])).toBe("fine");
    // Two reads that both lie within the write: the later one goes back.
    expect(records([set, read("b", [1, 3], "1"), read("c", [5, 8], undefined)])).toBe("violated");
  });

  test("stale read", () => {
    expect(records([set, read("b", [11, 12], undefined)])).toBe("violated");
    expect(records([set, read("b", [10, 12], undefined)])).toBe("fine");
  });

  test("real time inverted", () => {
    const later = plain("b", [20, 30], "2");
    expect(records([set, later, read("c", [40, 50], "2")])).toBe("fine");
    expect(records([set, later, read("c", [40, 50], "1")])).toBe("violated");
    // At the same time, in either order, but in one.
    const beside = plain("b", [5, 15], "2");
    expect(records([set, beside, read("c", [40, 50], "1"), read("c", [60, 70], "1")])).toBe("fine");
    expect(records([set, beside, read("c", [40, 50], "1"), read("c", [60, 70], "2")])).toBe(
      "violated",
    );
  });

  test("a deletion", () => {
    const deletion = plain("b", [20, 30], undefined);
    expect(records([set, deletion, read("c", [40, 50], undefined)])).toBe("fine");
    expect(records([set, deletion, read("c", [40, 50], "1")])).toBe("violated");
  });

  test("lost update", () => {
    const start = plain("a", [0, 1], "0");
    const [one, two] = [update("b", [2, 9], "0", "1"), update("c", [3, 8], "1", "2")];
    expect(records([start, one, two, read("d", [10, 11], "2")])).toBe("fine");
    expect(records([start, one, update("c", [3, 8], "0", "1")])).toBe("violated");
    expect(records([start, one, update("c", [20, 21], "0", "2")])).toBe("violated");
  });

  test("two that both swap the same version", () => {
    const start = plain("a", [0, 1], "0", { version: "v1" });
    const one = swap("b", [2, 9], { expected: "v1", value: "1", version: "v2" });
    const refused = swap("c", [3, 8], { expected: "v1", value: "2", succeeded: false });
    expect(records([start, one, refused])).toBe("fine");
    const both = swap("c", [3, 8], { expected: "v1", value: "2", version: "v3" });
    expect(records([start, one, both])).toBe("violated");
    const next = swap("c", [3, 8], { expected: "v2", value: "2", version: "v3" });
    expect(records([start, one, next])).toBe("fine");
  });

  test("only one of two creates what is absent, and a refusal needs a reason", () => {
    const created = swap("a", [0, 10], { value: "1", version: "v1" });
    const refused = swap("b", [0, 10], { value: "2", succeeded: false });
    expect(records([created, refused])).toBe("fine");
    expect(records([created, swap("b", [0, 10], { value: "2", version: "v2" })])).toBe("violated");
    expect(records([refused])).toBe("violated");
    const right = swap("c", [20, 30], { expected: "v1", value: "3", succeeded: false });
    expect(records([created, right])).toBe("violated");
    // It is there again, at another version.
    const again = [
      plain("d", [11, 12], undefined),
      swap("d", [13, 14], { value: "1", version: "v4" }),
    ];
    expect(records([created, ...again, right])).toBe("fine");
  });

  test("a version that nobody was told may be the one that a condition names", () => {
    const set0 = plain("a", [0, 1], "0");
    const swapped = swap("b", [2, 3], { expected: "v1", value: "1" });
    expect(records([set0, swapped])).toBe("fine");
    expect(records([plain("c", [-9, -8], "9", { version: "v1" }), set0, swapped])).toBe("violated");
  });

  test("an unknown outcome takes effect later, or never, but once", () => {
    const unknown = plain("a", [0, undefined], "1");
    const [nothing, there] = [read("b", [50, 60], undefined), read("b", [70, 80], "1")];
    expect(records([unknown])).toBe("fine");
    expect(records([unknown, nothing])).toBe("fine");
    expect(records([unknown, nothing, there])).toBe("fine");
    expect(records([unknown, there, read("b", [90, 95], undefined)])).toBe("violated");
    expect(records([read("b", [-5, -1], "1"), unknown])).toBe("violated");
    const increment = update("c", [0, undefined], undefined, "1");
    expect(records([increment, update("b", [5, 9], "1", "2"), read("b", [10, 11], "2")])).toBe(
      "fine",
    );
    expect(records([increment, update("b", [5, 9], undefined, "2"), there])).toBe("violated");
  });

  test("what nobody was told counts for nothing", () => {
    expect(records([read("a", [0, undefined], "never")])).toBe("fine");
  });

  test("unknown outcomes that depend on each other", () => {
    const chain = [
      update("a", [0, undefined], undefined, "1"),
      update("b", [0, undefined], "1", "2"),
    ];
    expect(records([...chain, read("c", [5, 6], "2")])).toBe("fine");
    expect(records([...chain, read("c", [5, 6], "2"), read("c", [7, 8], "1")])).toBe("violated");
  });
});

describe("several records", () => {
  const start = transaction("s", [0, 1], {}, { x: "0", y: "0" });

  test("each record may be in order while no order is one of all", () => {
    const sees = transaction("b", [10, 20], { x: "1", y: "0" }, {});
    const broken = [start, transaction("a", [5, 15], { x: "0", y: "0" }, { x: "1", y: "1" }), sees];
    expect(records(broken)).toBe("fine");
    expect(transactions(broken)).toBe("violated");
  });

  test("write skew", () => {
    const one = transaction("a", [5, 15], { x: "0", y: "0" }, { x: "1" });
    expect(
      transactions([start, one, transaction("b", [6, 14], { x: "1", y: "0" }, { y: "1" })]),
    ).toBe("fine");
    const skewed = [start, one, transaction("b", [6, 14], { x: "0", y: "0" }, { y: "1" })];
    expect(records(skewed)).toBe("fine");
    expect(transactions(skewed)).toBe("violated");
  });

  test("long fork: two readers see two writes in two orders", () => {
    const writes = [
      transaction("a", [5, 95], {}, { x: "1" }),
      transaction("b", [5, 95], {}, { y: "1" }),
    ];
    const first = transaction("c", [10, 90], { x: "1", y: "0" }, {});
    expect(
      transactions([start, ...writes, first, transaction("d", [10, 90], { x: "1", y: "1" }, {})]),
    ).toBe("fine");
    expect(
      transactions([start, ...writes, first, transaction("d", [10, 90], { x: "0", y: "1" }, {})]),
    ).toBe("violated");
  });

  test("a transfer is there as a whole, also of unknown outcome", () => {
    const transfer = transaction("a", [5, undefined], { x: "0", y: "0" }, { x: "-5", y: "5" });
    const [before, after] = [
      { x: "0", y: "0" },
      { x: "-5", y: "5" },
    ];
    expect(
      transactions([
        start,
        transfer,
        transaction("b", [10, 20], before, {}),
        transaction("b", [30, 40], after, {}),
      ]),
    ).toBe("fine");
    expect(
      transactions([
        start,
        transfer,
        transaction("b", [10, 20], after, {}),
        transaction("b", [30, 40], before, {}),
      ]),
    ).toBe("violated");
    expect(
      transactions([start, transfer, transaction("b", [10, 20], { x: "-5", y: "0" }, {})]),
    ).toBe("violated");
    // Of each record alone both are in time.
    expect(
      transactions([start, transfer, read("b", [10, 20], "5", "y"), read("b", [30, 40], "0", "x")]),
    ).toBe("violated");
  });

  test("strict: what had returned is before", () => {
    const one = transaction("a", [5, 9], {}, { x: "1" });
    const stale = transaction("b", [10, 20], { x: "0" }, { y: "1" });
    expect(transactions([start, one, stale])).toBe("violated");
    expect(transactions([start, { ...one, returnedMs: 10 }, stale])).toBe("fine");
  });

  test("records that nothing connects are judged apart", () => {
    const of = (id: string): Operation[] => [
      plain("a", [0, 1], "1", { id }),
      read("b", [2, 3], "1", id),
    ];
    const verdict = checkTransactions([...of("x"), ...of("y")], { plain: "in time" });
    expect(verdict).toMatchObject({ answer: "fine", orders: [of("x"), of("y")] });
  });
});

describe("plain writes by version", () => {
  const one = plain("a", [0, 10], "1", { version: "5" });
  const guarded = swap("b", [20, 30], { expected: "5", value: "2", version: "5+1" });

  test("one that saw nothing may order below what was there", () => {
    const below = plain("c", [40, 50], "3", { version: "4" });
    expect(records([one, below, guarded, read("d", [60, 70], "2")], "by version")).toBe("fine");
    expect(records([one, below, guarded, read("d", [60, 70], "3")], "by version")).toBe("violated");
    expect(records([one, below, guarded, read("d", [60, 70], "2")])).toBe("violated");
  });

  test("not below what it had seen", () => {
    const action = { kind: "plain", id: "x", value: "3", version: "4", sinceMs: 35 } as const;
    const below = call("c", [40, 50], action);
    expect(records([one, guarded, below], "by version")).toBe("violated");
    expect(
      records([one, guarded, { ...below, action: { ...action, sinceMs: 5 } }], "by version"),
    ).toBe("fine");
  });

  test("one with a higher version covers a guarded one that did not see it", () => {
    const above = plain("c", [40, 50], "3", { version: "6" });
    expect(records([one, guarded, above, read("d", [60, 70], "3")], "by version")).toBe("fine");
    const late = swap("d", [60, 70], { expected: "5+1", value: "4", version: "5+2" });
    expect(records([one, guarded, above, late], "by version")).toBe("violated");
  });

  test("guarded ones keep their order in time", () => {
    const stale = read("d", [40, 50], "1");
    expect(records([one, guarded, stale], "by version")).toBe("violated");
    const twice = swap("c", [22, 28], { expected: "5", value: "9", version: "5+1" });
    expect(records([one, guarded, twice], "by version")).toBe("violated");
  });

  test("one of unknown outcome is seen, vanishes, and what was made of it stays", () => {
    const unknown = plain("c", [12, undefined], "?", { version: "7" });
    const [seen, gone] = [read("d", [13, 14], "?"), read("d", [15, 16], "1")];
    expect(records([one, unknown, seen, gone], "by version")).toBe("fine");
    const based = swap("b", [20, 30], { expected: "7", value: "2", version: "7+1" });
    expect(records([one, unknown, based, read("d", [40, 50], "2")], "by version")).toBe("fine");
    expect(records([one, unknown, based, read("d", [40, 50], "?")], "by version")).toBe("violated");
    expect(records([one, read("d", [8, 9], "?"), unknown], "by version")).toBe("violated");
  });

  test("nobody sees what is called later, whatever its version", () => {
    const later = plain("c", [40, 50], "3", { version: "4" });
    expect(records([read("d", [0, 9], "3"), later, one], "by version")).toBe("violated");
  });

  /** A transaction that read y took effect after a plain write of y that it did not see. */
  test("across records they are in no order", () => {
    const start = [
      plain("s", [0, 1], "0", { version: "1" }),
      plain("s", [0, 1], "0", { id: "y", version: "1" }),
    ];
    const own = {
      kind: "transaction",
      reads: [{ id: "y", value: "0" }],
      writes: [{ id: "x", value: "1", version: "1+1" }],
    } as const;
    const between = [
      plain("p", [20, 30], "9", { id: "y", version: "8" }),
      transaction("r", [40, 50], { y: "9", x: "0" }, {}),
    ];
    const history = [...start, call("t", [10, 60], own), ...between];
    expect(transactions(history, "by version")).toBe("fine");
    expect(transactions(history)).toBe("violated");
    expect(records(history, "by version")).toBe("fine");
  });

  test("write skew is one nevertheless", () => {
    const made = (id: string): Made => ({ id, value: `new ${id}`, version: "1+1" });
    const start = ["x", "y"].map((id) => plain("s", [0, 1], "0", { id, version: "1" }));
    const reads = [
      { id: "x", value: "0" },
      { id: "y", value: "0" },
    ];
    const skewed = ["x", "y"].map((id) =>
      call(id, [10, 20], { kind: "transaction", reads, writes: [made(id)] }),
    );
    expect(transactions([...start, ...skewed], "by version")).toBe("violated");
  });

  test("every write needs a version", () => {
    expect(() => records([plain("a", [0, 1], "1")], "by version")).toThrow(
      "a write of x: 1 has no version to be ordered by",
    );
  });
});

describe("answers", () => {
  test("what is violated is shown by as few operations as possible", () => {
    const noise = Array.from({ length: 40 }, (_, at) => [
      plain("n", [100 * at, 100 * at + 10], `${at}`),
      read("m", [100 * at + 20, 100 * at + 30], `${at}`),
    ]).flat();
    const stale = read("d", [2_040, 2_050], "7");
    const verdict = checkRecords([...noise, stale], { plain: "in time" });
    expect(verdict.answer === "violated" ? verdict.message : "").toMatchInlineSnapshot(`
      "no order explains these operations, whether those of unknown outcome took effect or not:
        n called 700, outcome unknown: writes x: "7"
        m called 720, returned 730: reads x: "7"
        n called 1800, outcome unknown: writes x: "18"
        m called 1820, returned 1830: reads x: "18"
        d called 2040, returned 2050: reads x: "7""
    `);
  });

  test("a search that is given too few steps says so", () => {
    const writes = Array.from({ length: 12 }, (_, at) => plain(`p${at}`, [0, 100], `${at}`));
    const reads = writes.map((_, at) => read("r", [200 + at, 200 + at], `${at}`));
    expect(checkRecords([...writes, ...reads], { plain: "in time", budget: 50 })).toEqual({
      answer: "undecided",
      ids: ["x"],
    });
  });

  test("long histories take no long time", () => {
    const history = Array.from({ length: 1_000 }, (_, at) => [
      update(`p${at % 7}`, [10 * at, 10 * at + 25], at === 0 ? undefined : `${at - 1}`, `${at}`),
      plain(`u${at % 3}`, [10 * at, undefined], `unknown ${at}`),
    ]).flat();
    const startedMs = performance.now();
    expect(records(history)).toBe("fine");
    expect(performance.now() - startedMs).toBeLessThan(20_000);
  });
});
