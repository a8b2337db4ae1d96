import { expect, test } from "vitest";
import type { History, ReadCall, SentWrite } from "../register/history.ts";
import { judgePlain, operationsOf, versionText } from "./from-register.ts";

function write(invokedMs: number, clock: number, given: Partial<SentWrite> = {}): SentWrite {
  return {
    id: "x",
    version: { clock, agent: "a", w: "0" },
    isDeletion: false,
    session: `store of ${invokedMs}`,
    medium: "m",
    invokedMs,
    endedMs: invokedMs + 10,
    outcome: "acknowledged",
    viewMs: -Infinity,
    sentMs: invokedMs,
    operations: 1,
    ...given,
  };
}

function read(viewMs: number, gave: readonly SentWrite[]): ReadCall {
  const times = { invokedMs: viewMs, returnedMs: viewMs + 10, viewMs };
  return { id: "x", session: `reader of ${viewMs}`, ...times, gave };
}

function answer(history: History, aheadMs = Infinity): string {
  return judgePlain(history, { aheadMs, behindMs: 0, hasLies: false, epochMs: 0 }).answer;
}

const one = write(0, 5);

test("versions are ordered as texts", () => {
  const version = { clock: 5, agent: "a", w: "0" };
  const above = [
    { ...version, w: "00" },
    { ...version, agent: "a " },
    { ...version, agent: "b", w: "" },
    { ...version, clock: 10 },
  ];
  const texts = [version, ...above].map(versionText);
  expect(texts.toSorted()).toEqual(texts);
});

test("a view that is older than a write may lack it, a later one may not", () => {
  expect(answer({ writes: [one], reads: [read(5, []), read(20, [one])] })).toBe("fine");
  expect(answer({ writes: [one], reads: [read(20, [])] })).toBe("violated");
});

test("a write orders above its view, and as clocks promise", () => {
  const below = write(30, 4);
  expect(answer({ writes: [one, below], reads: [read(50, [one])] })).toBe("fine");
  expect(answer({ writes: [one, below], reads: [read(50, [below])] })).toBe("violated");
  expect(answer({ writes: [one, below], reads: [] }, 5)).toBe("violated");
  expect(answer({ writes: [one, write(30, 4, { viewMs: 15 })], reads: [] })).toBe("violated");
  expect(answer({ writes: [one, write(12, 4)], reads: [] }, 5)).toBe("fine");
});

test("a deletion, what nobody wrote after all, and an outcome that nobody knows", () => {
  const deletion = write(20, 6, { isDeletion: true });
  expect(answer({ writes: [one, deletion], reads: [read(40, [])] })).toBe("fine");
  const nothing = write(20, 6, { outcome: "nothing" });
  expect(answer({ writes: [one, nothing], reads: [read(40, [nothing])] })).toBe("violated");
  const unknown = write(20, 6, { outcome: "unknown" });
  expect(answer({ writes: [one, unknown], reads: [read(40, [unknown]), read(60, [one])] })).toBe(
    "fine",
  );
});

test("equal content is given for whichever wrote it", () => {
  const again = write(20, 6);
  const reads = [read(5, [one]), read(40, [one, again])];
  expect(answer({ writes: [one, again], reads })).toBe("fine");
  const values = operationsOf({ writes: [one, again], reads }).map(({ action }) => action);
  expect(new Set(values.map((action) => ("value" in action ? action.value : undefined))).size).toBe(
    1,
  );
});

test("what was appended behind a seal may vanish until it is acknowledged", () => {
  const frame = write(20, 6, { isRevocable: true, endedMs: 80 });
  const reads = [read(25, [frame]), read(40, [one])];
  expect(answer({ writes: [one, frame], reads })).toBe("fine");
  expect(answer({ writes: [one, { ...frame, endedMs: 30 }], reads })).toBe("violated");
});
