/** A segment in two steps: its lines, and then, once its name is known, the header with its `w`. */
import { assert } from "../core/assert.ts";
import type { LogOperation } from "../core/operation.ts";
import { FORMAT } from "./check.ts";
import { clocksPlausible, encodeFilter } from "./paths.ts";
import { sealLine } from "./sealed-line.ts";
import type { Segment } from "./segment-codec.ts";

/** What a flush holds, before it has a name: the same under every name that it may get. */
export interface SegmentBody {
  /** The operation lines. */
  readonly bytes: Buffer;
  readonly count: number;
  readonly lo: number;
  readonly hi: number;
  /** The filter as a name carries it. */
  readonly filter: string;
}

/** @param lines operation lines made by `encodeOperation`, in the order of `operations` */
export function encodeBody(
  operations: readonly LogOperation[],
  lines: readonly string[],
): SegmentBody {
  const [first, last] = [operations[0], operations.at(-1)];
  assert(first !== undefined && last !== undefined, "a segment holds at least one operation");
  assert(lines.length === operations.length, "one line per operation");
  const bytes = Buffer.from(`${lines.join("\n")}\n`);
  const filter = encodeFilter(new Set(operations.map(({ id }) => id)));
  return { bytes, count: operations.length, lo: first.clock, hi: last.clock, filter };
}

/**
 * Header and lines of a segment.
 * @param together how many segments share the object
 */
export function sealSegment(
  { agent, w, v }: Pick<Segment, "agent" | "w" | "v">,
  { bytes: body, count, lo, hi, filter }: SegmentBody,
  together = 1,
): Buffer {
  // The decoder's rules: what no decoder can read must not be acknowledged.
  assert(Number.isSafeInteger(v) && v >= 1, `schema version ${v}`);
  assert(/^[0-9a-f]{16}$/.test(w), `w must be 16 hex digits, found ${w}`);
  assert(clocksPlausible({ lo, hi }), `clocks ${lo}..${hi}`);
  const header = {
    format: FORMAT,
    kind: "segment",
    agent,
    w,
    v,
    count,
    lo,
    hi,
    bytes: body.length,
    filter,
    ...(together === 1 ? {} : { together }),
  };
  return Buffer.concat([Buffer.from(`${sealLine(JSON.stringify(header), body)}\n`), body]);
}
