import { describe, expect, test } from "vitest";
import { checkRecords } from "../histories/checker.ts";
import {
  callsOf,
  guardedOperations,
  type GuardedLine,
  type GuardedSession,
} from "../histories/guarded-journal.ts";
import { judgeCounts, judgeNames, judgeOnce } from "./contention-verdict.ts";

const session = (name: string, ...lines: GuardedLine[]): GuardedSession => ({
  session: name,
  lines,
});
const called = (n: number, atMs: number): GuardedLine => ({ kind: "called", n, atMs });
const update = (n: number, from: string | undefined, value: string): GuardedLine => ({
  kind: "tried",
  n,
  action: { kind: "update", id: "x", from, value },
});
const returned = (
  n: number,
  atMs: number,
  outcome: "done" | "nothing" | "unknown" = "done",
): GuardedLine => ({ kind: "returned", n, atMs, outcome });

const judged = (...sessions: GuardedSession[]): string =>
  checkRecords(guardedOperations(sessions), { plain: "in time" }).answer;

describe("the history of journals", () => {
  test("has of each call what it tried last, and no call that wrote nothing", () => {
    const one = session(
      "p",
      called(1, 0),
      update(1, undefined, "a"),
      update(1, "b", "a"),
      returned(1, 2),
      called(2, 3),
      update(2, "a", "c"),
      returned(2, 4, "nothing"),
      called(3, 5),
      update(3, "a", "d"),
      called(4, 6),
    );
    expect(guardedOperations([one])).toEqual([
      {
        process: "p",
        calledMs: 0,
        returnedMs: 2,
        action: { kind: "update", id: "x", from: "b", value: "a" },
      },
      {
        process: "p",
        calledMs: 5,
        returnedMs: undefined,
        action: { kind: "update", id: "x", from: "a", value: "d" },
      },
    ]);
    expect(callsOf(one).map(({ outcome }) => outcome)).toEqual([
      "done",
      "nothing",
      "unknown",
      "unknown",
    ]);
  });

  test("shows an update that was lost, and one that a kill left in force", () => {
    const first = session("p", called(1, 0), update(1, undefined, "a"), returned(1, 1));
    const onIt = session("q", called(1, 2), update(1, "a", "b"), returned(1, 3));
    const onNothing = session("q", called(1, 2), update(1, undefined, "b"), returned(1, 3));
    expect(judged(first, onIt)).toBe("fine");
    expect(judged(first, onNothing)).toBe("violated");
    const killed = session("p", called(1, 0), update(1, undefined, "a"));
    expect(judged(killed, onIt)).toBe("fine");
    expect(judged(killed, onNothing)).toBe("fine");
  });

  test("knows the version of an update by whoever read it", () => {
    const first = session("p", called(1, 0), update(1, undefined, "a"), returned(1, 1));
    const over = (version: string): GuardedSession => {
      const read = { kind: "read", id: "x", value: "a", version: "v1" } as const;
      const action = { kind: "compare-and-set", id: "x", expected: version, value: "b" } as const;
      return session(
        "q",
        called(1, 2),
        { kind: "returned", n: 1, atMs: 3, outcome: "done", action: read },
        called(2, 4),
        {
          kind: "returned",
          n: 2,
          atMs: 5,
          outcome: "done",
          action: { ...action, succeeded: true },
        },
      );
    };
    expect(judged(first, over("v1"))).toBe("fine");
    expect(judged(first, over("v2"))).toBe("violated");
  });
});

describe("counters", () => {
  const calls = (...lines: GuardedLine[]): Parameters<typeof judgeCounts>[0] =>
    new Map([["p", callsOf(session("p", ...lines))]]);
  const counter = (count: number, own = count): ReadonlyMap<string, unknown> =>
    new Map([["x", { tag: "t", count, by: { p: own } }]]);
  const done = [called(1, 0), update(1, undefined, "a"), returned(1, 1)];
  const killed = [called(2, 2), update(2, "a", "b")];

  test("have what was acknowledged, and perhaps what is unknown", () => {
    expect(judgeCounts(calls(...done), ["x"], [counter(1)])).toEqual({
      acked: 1,
      unknown: 0,
      refused: 0,
      counted: 1,
      violations: [],
    });
    for (const count of [1, 2]) {
      expect(judgeCounts(calls(...done, ...killed), ["x"], [counter(count)]).violations).toEqual(
        [],
      );
    }
  });

  test("that lost or doubled one, or differ, are wrong", () => {
    const wrong = (shown: ReadonlyMap<string, unknown>[]): readonly string[] =>
      judgeCounts(calls(...done, ...killed), ["x"], shown).violations;
    expect(wrong([new Map()])).toEqual(["x: 0 increments of p, which made 1 and perhaps 1 more"]);
    expect(wrong([counter(3)])).toEqual(["x: 3 increments of p, which made 1 and perhaps 1 more"]);
    expect(wrong([counter(2, 1)])).toEqual(["x: 2 of 1 increments"]);
    expect(wrong([counter(1), counter(2)])).toEqual(["x: readers differ"]);
  });
});

test("a name that two took, and calls of once that differ, are wrong", () => {
  const taken = (name: string): GuardedSession =>
    session(name, called(1, 0), {
      kind: "returned",
      n: 1,
      atMs: 1,
      outcome: "done",
      action: {
        kind: "compare-and-set",
        id: "n",
        expected: undefined,
        succeeded: true,
        value: name,
      },
    });
  expect(judgeNames([taken("p")], ["n"])).toEqual([]);
  expect(judgeNames([taken("p"), taken("q")], ["n"])).toEqual(["n was taken 2 times"]);

  const ran = (tag: string): GuardedLine => ({ kind: "ran", key: "k", tag });
  const gave = (tag: string): GuardedLine => ({ kind: "once", key: "k", tag });
  const once = (maySurvive: boolean, ...lines: GuardedLine[]): readonly string[] =>
    judgeOnce([session("p", ...lines)], { maySurvive }).violations;
  expect(once(false, ran("a"), gave("a"), gave("a"))).toEqual([]);
  expect(once(true, ran("a"), ran("b"), gave("b"))).toEqual([]);
  expect(once(false, ran("a"), ran("b"), gave("b"))).toEqual(["once k ran 2 times"]);
  expect(once(true, ran("a"), ran("b"), gave("a"), gave("b"))).toEqual(["once k returned a and b"]);
  expect(once(false, gave("a"))).toEqual(["once k returned a, which nobody ran"]);
});
