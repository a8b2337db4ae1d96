/** Lanes: each holds the guarded writes of its records, one after the other (PROTOCOL, "Guarded writes"). */
import { hashId } from "./hash.ts";

export const LANES = 256;

/**
 * The lane of a record: the first 8 bits of the hash of its id, or of its tag, so that records with one
 * tag share a lane.
 */
export function laneOf(id: string): number {
  return hashId(tagOf(id) ?? id)[0] ?? 0;
}

/** The text between the first `{` and the next `}`; undefined where there is none, or it is empty. */
function tagOf(id: string): string | undefined {
  const start = id.indexOf("{") + 1;
  const end = start === 0 ? -1 : id.indexOf("}", start);
  return end > start ? id.slice(start, end) : undefined;
}
