/** What a follower is told of one record. */
import { expect, test } from "vitest";
import { ResidentEntry, type Version } from "../../src/core/version.ts";
import { type NewOperation, changesFor } from "../../src/session/pending-changes.ts";

const TS = "2026-01-02T03:04:05.678Z";
const at = (clock: number): Version => ({ clock, agent: "a", writerNonce: "0".repeat(16) });

function operation(clock: number, data: unknown, undoes?: Version): NewOperation {
  const op: "set" | "delete" = data === undefined ? "delete" : "set";
  const told = { ts: TS, op, id: "x", agent: "a", clock, ...(data === undefined ? {} : { data }) };
  return { version: at(clock), undoes, operation: told };
}

/** Deleted, restored by an undo under version 3, and what stands there now. */
function afterUndo(value: unknown): unknown[] {
  const told = changesFor({
    id: "x",
    before: new ResidentEntry(at(1), 1, 1),
    after: new ResidentEntry(at(3), 1, value),
    operations: [operation(2, undefined), operation(3, 1, at(2))],
    ts: TS,
  });
  return told.map(({ operation: { op, data } }) => [op, data]);
}

test("a deletion that was undone is not reported", () => {
  expect(afterUndo(1)).toEqual([]);
});

test("what an undo restored and an archive removed is reported as gone", () => {
  // The tombstone of an archive has the version of what it stands for: here, of the undo.
  expect(afterUndo(undefined)).toEqual([["delete", undefined]]);
});
