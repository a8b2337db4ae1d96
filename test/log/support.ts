/** Segments for the tests of logs. */
import fc from "fast-check";
import type { LogOperation } from "../../src/core/operation.ts";
import { type EncodedSegment, encodeSegment } from "../support/encode-segment.ts";
import { encodeOperation, type Segment } from "../../src/format/segment.ts";
import type { SegmentDraft } from "../../src/log/log.ts";

export const SEED = 20_261_122;
export const W = "0123456789abcdef";

/** A set of each id, with clocks from `clock` on. */
export function draft(
  ids: readonly string[],
  clock: number,
  data: unknown = { n: 1 },
): SegmentDraft {
  const operations: LogOperation[] = ids.map((id, n) => ({
    ts: "2026-11-22T00:00:00.000Z",
    op: "set",
    id,
    clock: clock + n,
    prev: null,
    data,
  }));
  const lines = operations.map((operation) =>
    encodeOperation(operation, JSON.stringify(operation.data)),
  );
  return { agent: "a", schemaVersion: 1, operations, lines, countsUntilMs: 0 };
}

export function encoded(ids: readonly string[], clock: number, data?: unknown): EncodedSegment {
  const { lines, countsUntilMs: _until, ...segment } = draft(ids, clock, data);
  return encodeSegment({ ...segment, writerNonce: W }, lines);
}

/** A value as it comes back from JSON, which has no negative zero. */
function stored(maxDepth: number): fc.Arbitrary<unknown> {
  return fc.jsonValue({ maxDepth }).map((value): unknown => JSON.parse(JSON.stringify(value)));
}

/** Whole segments of operations of every kind. */
export const segments: fc.Arbitrary<Segment> = fc
  .record({
    agent: fc.oneof(fc.constant(""), fc.string({ unit: "binary" }), fc.constant("\ud800")),
    writerNonce: fc.constantFrom(W, "ffffffffffffffff"),
    schemaVersion: fc.integer({ min: 1, max: 9 }),
    lo: fc.integer({ min: 1, max: 2 ** 40 }),
    writes: fc.array(
      fc.record({
        id: fc.oneof(
          fc.string({ unit: "binary", minLength: 1, maxLength: 20 }),
          fc.constantFrom("__proto__", "\ud800", '{"format":1', "\n"),
        ),
        gap: fc.integer({ min: 0, max: 3 }),
        data: fc.option(stored(2), { nil: undefined }),
        prev: fc.option(stored(1), { nil: undefined }),
        delta: fc.boolean(),
      }),
      { minLength: 1, maxLength: 12 },
    ),
  })
  .map(({ agent, writerNonce, schemaVersion, lo, writes }) => {
    let clock = lo;
    const operations = writes.map(({ id, gap, data, prev, delta }): LogOperation => {
      clock += 1 + gap;
      return {
        ts: "2026-11-22T00:00:00.000Z",
        op: data === undefined ? "delete" : "set",
        id,
        clock,
        ...(data === undefined ? {} : { data }),
        ...(prev === undefined ? {} : { prev: delta ? { $set: { prev }, $unset: ["x"] } : prev }),
        ...(delta && prev !== undefined ? { encoding: "delta" as const } : {}),
      };
    });
    return { agent, writerNonce, schemaVersion, operations };
  });

export function encodeAll(segment: Segment, together = 1): EncodedSegment {
  const lines = segment.operations.map((operation) =>
    encodeOperation(operation, "data" in operation ? JSON.stringify(operation.data) : undefined),
  );
  return encodeSegment(segment, lines, together);
}
