/** Every rule over histories made by hand: each is kept once, and broken once. */
import { describe, expect, test } from "vitest";
import { checkRegister } from "./checker.ts";
import type { ClockPromise, History, ReadCall, SentWrite } from "./history.ts";

const EPOCH_MS = 1_767_225_600_000;
const HONEST: ClockPromise = { aheadMs: 5, behindMs: 5, hasLies: false, epochMs: EPOCH_MS };
const LYING: ClockPromise = { ...HONEST, hasLies: true };
const PLAIN: ClockPromise = { ...HONEST, aheadMs: Infinity, behindMs: Infinity };

/** A clock of this moment of the history, and some more. */
function clockAt(ms: number, more = 0): number {
  return (EPOCH_MS + ms) * 1_024 + more;
}

type Given = Partial<SentWrite> & { readonly clock: number };

/** By default acknowledged within 10 ms, each by a store and a process of its own. */
function write(invokedMs: number, { clock, ...given }: Given): SentWrite {
  const name = given.session ?? `store of ${invokedMs}`;
  return {
    id: "x",
    version: { clock, agent: name, w: "0" },
    isDeletion: false,
    session: name,
    medium: name,
    invokedMs,
    endedMs: invokedMs + 10,
    outcome: "acknowledged",
    viewMs: -Infinity,
    sentMs: invokedMs,
    estimateErrorMs: 0,
    operations: 1,
    ...given,
  };
}

function read(
  invokedMs: number,
  gave: readonly SentWrite[],
  given: Partial<ReadCall> = {},
): ReadCall {
  const session = `reader of ${invokedMs}`;
  const returnedMs = invokedMs + 10;
  return { id: "x", session, invokedMs, returnedMs, viewMs: invokedMs, gave, ...given };
}

function rules(
  { writes = [], reads = [] }: Partial<History>,
  promise: ClockPromise = HONEST,
): string[] {
  return checkRegister({ writes, reads }, promise).map(({ rule }) => rule);
}

describe("Q1 ORDER", () => {
  const a = write(0, { clock: clockAt(0, 5) });

  test("a later write that orders above", () => {
    expect(rules({ writes: [a, write(100, { clock: clockAt(100) })] })).toEqual([]);
  });

  test("a later write that orders below, also one of unknown outcome", () => {
    const b = { clock: clockAt(0, 2) };
    expect(rules({ writes: [a, write(100, b)] })).toEqual(["Q1 ORDER"]);
    const unknown = { ...b, outcome: "unknown", endedMs: Infinity } as const;
    expect(rules({ writes: [a, write(100, unknown)] })).toEqual(["Q1 ORDER"]);
  });

  test("the findings say who lost to whom", () => {
    const b = write(100, { clock: clockAt(0, 2), session: "B" });
    const [finding] = checkRegister({ writes: [a, b], reads: [] }, HONEST);
    expect(finding?.message).toContain(
      "(B, called 100.000 to 110.000, acknowledged) orders below x",
    );
  });

  test("clocks reach as far as their error, and a flush runs ahead by its operations", () => {
    // Acknowledged at 10: errors of 5 on both sides, a millisecond of rounding.
    const b = { clock: clockAt(0) };
    expect(rules({ writes: [a, write(20, b)] })).toEqual([]);
    expect(rules({ writes: [a, write(22, b)] })).toEqual(["Q1 ORDER"]);
    const bulk = { ...a, operations: 102_400 };
    expect(rules({ writes: [bulk, write(100, b)] })).toEqual([]);
    expect(rules({ writes: [bulk, write(122, b)] })).toEqual(["Q1 ORDER"]);
  });

  test("a batch of 100,000 outruns a write that is called within 98 ms of it", () => {
    const last = { clock: clockAt(0, 99_999), endedMs: 20 };
    const bulk = write(0, { ...last, operations: 100_000 });
    const b = write(60, { clock: clockAt(60) });
    expect(rules({ writes: [bulk, b] })).toEqual([]);
    expect(rules({ writes: [{ ...bulk, operations: 1 }, b] })).toEqual(["Q1 ORDER"]);
    expect(rules({ writes: [bulk, write(130, { clock: clockAt(97) })] })).toEqual(["Q1 ORDER"]);
  });

  test("one process needs no clock", () => {
    const [first, second] = [5, 4].map((more, n) =>
      write(n * 10.5, { clock: clockAt(0, more), medium: "one", endedMs: n * 10.5 + 10 }),
    ) as [SentWrite, SentWrite];
    expect(rules({ writes: [first, second] })).toEqual(["Q1 ORDER, within one process"]);
    expect(rules({ writes: [first, { ...second, medium: "another" }] })).toEqual([]);
  });

  test("of other records, of what was not acknowledged, and of concurrent calls nothing is required", () => {
    const b = write(100, { clock: clockAt(0, 2) });
    expect(rules({ writes: [a, { ...b, id: "y" }] })).toEqual([]);
    expect(rules({ writes: [{ ...a, outcome: "unknown", endedMs: Infinity }, b] })).toEqual([]);
    expect(rules({ writes: [a, { ...b, outcome: "nothing" }] })).toEqual([]);
    expect(rules({ writes: [{ ...a, endedMs: 101 }, b] })).toEqual([]);
  });

  test("a guarded write has the clock of its base, which is the newest acknowledged", () => {
    const guarded = { isGuarded: true, isDeletion: true };
    expect(
      rules({ writes: [a, { ...write(11, { clock: 1, ...guarded }), version: a.version }] }),
    ).toEqual([]);
    const stale = write(11, { clock: clockAt(0, 4), ...guarded });
    expect(rules({ writes: [a, stale] })).toEqual(["Q1 ORDER, guarded"]);
  });

  test("a plain Lamport clock orders nothing by time", () => {
    expect(rules({ writes: [a, write(100, { clock: clockAt(0, 2) })] }, PLAIN)).toEqual([]);
  });
});

describe("Q1 ORDER in a world of lies", () => {
  const ahead = write(0, { clock: clockAt(60_000) });

  test("who does not know of a version that lies ahead may lose to it", () => {
    const b = write(100, { clock: clockAt(100) });
    expect(rules({ writes: [ahead, b] })).toEqual(["Q1 ORDER"]);
    expect(rules({ writes: [ahead, b] }, LYING)).toEqual([]);
  });

  test("a store that detected it may not", () => {
    const b = write(100, { clock: clockAt(59_999) });
    expect(rules({ writes: [ahead, b] }, LYING)).toEqual(["Q1 ORDER, dragged and known"]);
  });

  test("who is behind, and does not know, may lose to anybody", () => {
    const a = write(0, { clock: clockAt(0) });
    const behind = write(100, { clock: clockAt(-400), estimateErrorMs: -500 });
    expect(rules({ writes: [a, behind] }, LYING)).toEqual([]);
    expect(rules({ writes: [a, { ...behind, estimateErrorMs: 0 }] }, LYING)).toEqual(["Q1 ORDER"]);
  });
});

describe("Q2 RECENT", () => {
  test("what was acknowledged before the view orders below, whatever the clocks do", () => {
    const a = write(0, { clock: clockAt(60_000) });
    const b = write(30, { clock: clockAt(30), viewMs: 11 });
    expect(rules({ writes: [a, b] }, LYING)).toEqual(["Q2 RECENT"]);
    expect(rules({ writes: [a, b] }, PLAIN)).toEqual(["Q2 RECENT"]);
    expect(rules({ writes: [a, { ...b, viewMs: 10 }] }, PLAIN)).toEqual([]);
  });
});

describe("reads", () => {
  const a = write(0, { clock: 1 });
  const b = write(20, { clock: 2 });
  const deletion = write(40, { clock: 3, isDeletion: true });

  test("Q3: a strong one returns what was acknowledged before it looked", () => {
    const writes = [a, b];
    expect(rules({ writes, reads: [read(31, [b])] }, PLAIN)).toEqual([]);
    expect(rules({ writes, reads: [read(31, [a])] }, PLAIN)).toEqual(["Q3 STRONG"]);
    expect(rules({ writes, reads: [read(31, [])] }, PLAIN)).toEqual(["Q3 STRONG"]);
    expect(rules({ writes, reads: [read(31, [a], { viewMs: 30 })] }, PLAIN)).toEqual([]);
  });

  test("Q3: absent is the highest deletion that was sent, purged or not", () => {
    const writes = [a, b, deletion];
    expect(rules({ writes, reads: [read(51, [])] }, PLAIN)).toEqual([]);
    expect(rules({ writes, reads: [read(51, [b])] }, PLAIN)).toEqual(["Q3 STRONG"]);
    const unknown = { ...deletion, outcome: "unknown", endedMs: Infinity } as const;
    expect(rules({ writes: [a, b, unknown], reads: [read(51, [])] }, PLAIN)).toEqual([]);
    const above = write(60, { clock: 4 });
    expect(rules({ writes: [...writes, above], reads: [read(71, [])] }, PLAIN)).toEqual([
      "Q3 STRONG",
    ]);
  });

  test("Q4: a strong one never goes back behind what another was given", () => {
    const slow = { ...b, endedMs: 500 };
    const first = read(30, [slow]);
    expect(rules({ writes: [a, slow], reads: [first, read(41, [slow])] }, PLAIN)).toEqual([]);
    expect(rules({ writes: [a, slow], reads: [first, read(41, [a])] }, PLAIN)).toEqual([
      "Q4 BACKWARDS",
    ]);
    // What was never acknowledged may vanish.
    const unknown = { ...b, outcome: "unknown", endedMs: Infinity } as const;
    expect(
      rules({ writes: [a, unknown], reads: [read(30, [unknown]), read(41, [a])] }, PLAIN),
    ).toEqual([]);
  });

  test("Q4: what was appended behind a seal may vanish until it is acknowledged", () => {
    const frame = { ...b, endedMs: 500, isRevocable: true };
    const reads = [read(30, [frame]), read(41, [a])];
    expect(rules({ writes: [a, frame], reads }, PLAIN)).toEqual([]);
    expect(rules({ writes: [a, frame], reads: [read(501, [a])] }, PLAIN)).toEqual(["Q3 STRONG"]);
  });

  test("Q4: one store never goes back, however old its views are", () => {
    const old = { session: "one", viewMs: -Infinity };
    const reads = [read(31, [b], old), read(51, [a], old)];
    expect(rules({ writes: [a, b], reads }, PLAIN)).toEqual(["Q4 BACKWARDS"]);
    const others = [read(31, [b], old), read(51, [a], { ...old, session: "two" })];
    expect(rules({ writes: [a, b], reads: others }, PLAIN)).toEqual([]);
    const own = { ...b, session: "one" };
    expect(rules({ writes: [a, own], reads: [read(51, [a], old)] }, PLAIN)).toEqual([
      "Q4 BACKWARDS",
    ]);
  });

  test("Q5: nothing is read before it is written, or that was not", () => {
    expect(rules({ writes: [a], reads: [read(-20, [a])] }, PLAIN)).toEqual(["Q5 FUTURE"]);
    const nothing = { ...a, outcome: "nothing" } as const;
    expect(rules({ writes: [nothing], reads: [read(31, [nothing])] }, PLAIN)).toEqual([
      "Q5 NOTHING",
    ]);
    // The same content, written once more, and this time in earnest.
    expect(rules({ writes: [nothing, b], reads: [read(31, [nothing, b])] }, PLAIN)).toEqual([]);
  });

  test("Q6: what a reader was given counts from then on", () => {
    const slow = write(0, { clock: clockAt(0, 5), endedMs: 500 });
    const late = write(100, { clock: clockAt(0, 2) });
    expect(rules({ writes: [slow, late] })).toEqual([]);
    expect(rules({ writes: [slow, late], reads: [read(20, [slow])] })).toEqual(["Q1 ORDER"]);
  });
});

test("Q7 PROGRAM-ORDER: calls of one store ascend, whatever became of them, over all records", () => {
  const one = { session: "one", outcome: "unknown" } as const;
  const a = write(0, { clock: 5, ...one });
  const b = write(20, { clock: 4, ...one, id: "y" });
  expect(rules({ writes: [a, b] }, PLAIN)).toEqual(["Q7 PROGRAM-ORDER"]);
  expect(rules({ writes: [a, { ...b, invokedMs: 10 }] }, PLAIN)).toEqual([]);
});

test("Q8 ESTIMATE: is off by no more than was promised, where no clock is wrong", () => {
  const writes = [write(0, { clock: clockAt(0), estimateErrorMs: -7 })];
  expect(rules({ writes })).toEqual(["Q8 ESTIMATE"]);
  expect(rules({ writes: writes.map((one) => ({ ...one, isGuarded: true })) })).toEqual([]);
  expect(rules({ writes: [write(0, { clock: clockAt(0), estimateErrorMs: 7 })] })).toEqual([
    "Q8 ESTIMATE",
  ]);
  expect(rules({ writes: [write(0, { clock: clockAt(0), estimateErrorMs: 5 })] })).toEqual([]);
  expect(rules({ writes }, LYING)).toEqual([]);
});

test("a long history takes no more than a sort", () => {
  const writes = Array.from({ length: 20_000 }, (_, n) =>
    write(n * 20, { clock: clockAt(n * 20) }),
  );
  const reads = writes.map((one) => read(one.endedMs + 1, [one]));
  expect(rules({ writes, reads })).toEqual([]);
});
