/** Segments as tests write them: of a `w` that is known already. */
import { encodeBody, sealSegment, type Segment } from "../../src/format/segment.ts";

export interface EncodedSegment {
  readonly bytes: Buffer;
  readonly lo: number;
  readonly hi: number;
  /** The filter as a name carries it. */
  readonly filter: string;
}

/** A segment whose `w` is known already; the parameters are those of the two steps above. */
export function encodeSegment(
  segment: Segment,
  lines: readonly string[],
  together = 1,
): EncodedSegment {
  const body = encodeBody(segment.operations, lines);
  const { lo, hi, filter } = body;
  return { bytes: sealSegment(segment, body, together), lo, hi, filter };
}
