/** What a single writer can undo when a checkpoint took a later operation than one it left. */
import { expect, test } from "vitest";
import { type Segment, versionOf } from "../../src/format/segment.ts";
import { History } from "../../src/session/known-log.ts";
import type { LogOperation } from "../../src/core/operation.ts";
import { nextRevision, type Version } from "../../src/core/version.ts";

function flush(id: string, clock: number): Segment {
  const operation = { ts: "", op: "set", id, clock, prev: null, data: clock } as const;
  return { agent: "", writerNonce: "0123456789abcdef", schemaVersion: 1, operations: [operation] };
}

test("an operation before the last one is not undone, also where it stayed in the log", () => {
  const history = new History({ agentId: "", schema: 1 });
  const [earlier, later] = [flush("a", 65), flush("b", 70)];
  history.add("earlier", earlier, () => undefined);
  history.add("later", later, () => undefined);
  const winners = new Map(
    [earlier, later].map((segment) => {
      const [operation] = segment.operations;
      if (operation === undefined) throw new Error("a flush of nothing");
      return [operation.id, { value: operation.data, version: versionOf(segment, operation) }];
    }),
  );
  const current = (id: string) => {
    const found = winners.get(id);
    if (found === undefined) throw new Error(`no record ${id}`);
    return found;
  };
  expect(history.undoLast(current)?.id).toBe("b");
  // The earlier one lies in a file that was appended to behind a seal, and merged by its copy.
  history.retain(["earlier"], new Map());
  expect(history.undoLast(current)).toBeUndefined();
});

test("of two guarded operations on one write the last is undone, then the one before", () => {
  const history = new History({ agentId: "b", schema: 1 });
  const base = { clock: 5, agent: "a", writerNonce: "0".repeat(16) };
  const guarded = [base, nextRevision(base)].map((on, n): Segment => {
    const operation = { ts: "", op: "set", id: "x", clock: 5, base: on, prev: n, data: n + 1 };
    const operations = [operation as LogOperation];
    return { agent: "b", writerNonce: String(n + 1).repeat(16), schemaVersion: 1, operations };
  });
  let version: Version = base;
  for (const [n, segment] of guarded.entries()) {
    const before = version;
    history.add(`ops/${n}`, segment, () => before);
    version = nextRevision(version);
  }
  const first = nextRevision(base);
  expect(history.undoLast(() => ({ value: 2, version }))).toEqual({
    id: "x",
    value: 1,
    undoes: version,
    current: version,
  });
  expect(history.undoLast(() => ({ value: 1, version: first }))).toBeUndefined();
  const undo = { ts: "", op: "set", id: "x", clock: 7, undoes: version, data: 1 } as const;
  const undoing = { agent: "b", writerNonce: "3".repeat(16), schemaVersion: 1, operations: [undo] };
  history.add("ops/2", undoing, () => version);
  const current = { value: 1, version: versionOf(undoing, undo) };
  expect(history.undoLast(() => current)).toEqual({
    id: "x",
    value: 0,
    undoes: first,
    current: current.version,
  });
});
