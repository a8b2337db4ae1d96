/** What a single writer can undo when a checkpoint took a later operation than one it left. */
import { expect, test } from "vitest";
import { type Segment, versionOf } from "../../src/format/segment.ts";
import { History } from "../../src/session/known-log.ts";

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
