/** What a follower is told of one record. */
import { expect, test } from "vitest";
import { nextRevision, ResidentEntry, type Version } from "../../src/core/version.ts";
import type { LogRef } from "../../src/log/log.ts";
import { isByWriter, writersOf } from "../../src/session/changed-objects.ts";
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

test("a guarded operation is above its base, and below a later write that did not see it", () => {
  const [base, guarded, later] = [at(5), nextRevision(at(5)), at(6)];
  const told = (version: Version, data: unknown): NewOperation => {
    return { ...operation(version.clock, data), version };
  };
  const changes = (before: Version, after: Version, ...operations: NewOperation[]): unknown[] => {
    const had = new ResidentEntry(before, 1, before.clock);
    const has = new ResidentEntry(after, 1, operations.at(-1)?.operation.data ?? after.clock);
    return changesFor({ id: "x", before: had, after: has, operations, ts: TS }).map((change) => [
      change.version,
      change.operation.data,
    ]);
  };
  expect(changes(base, guarded, told(guarded, "guarded"))).toEqual([[guarded, "guarded"]]);
  const second = nextRevision(guarded);
  expect(changes(guarded, second, told(guarded, "guarded"), told(second, "second"))).toEqual([
    [second, "second"],
  ]);
  // It had lost when it came into view.
  expect(changes(later, later, told(guarded, 6))).toEqual([]);
});

const REF: LogRef = {
  key: "ops/x",
  path: "ops/x",
  range: undefined,
  lo: 5,
  hi: 5,
  filter: "any",
  bytes: 1,
};

test("that a flush was reported says nothing of guarded operations on what it wrote", () => {
  const { agent, writerNonce } = at(5);
  const flush = { agent, writerNonce, schemaVersion: 1 };
  const plain = { ts: TS, op: "set", id: "x", clock: 5, data: 1 } as const;
  const writers = new Set(writersOf(REF, [{ ...flush, operations: [plain] }]));
  const first = nextRevision(at(5));
  expect(isByWriter(writers, "x", at(5))).toBe(true);
  expect(isByWriter(writers, "x", { ...at(5), revision: 0 })).toBe(true);
  expect(isByWriter(writers, "x", first)).toBe(false);
  const guarded = { ...plain, base: at(5), data: 2 };
  const others = { ...flush, agent: "b", writerNonce: "1".repeat(16), operations: [guarded] };
  const both = new Set(writersOf(REF, [others]));
  expect([at(5), first, nextRevision(first)].map((one) => isByWriter(both, "x", one))).toEqual([
    false,
    true,
    false,
  ]);
  // Guarded operations on nothing have one version for all ids.
  expect(isByWriter(both, "y", first)).toBe(false);
  const other = { ...at(9), agent: "b", writerNonce: "1".repeat(16) };
  expect(isByWriter(both, "x", other), "a plain write of the same flush").toBe(false);
});
