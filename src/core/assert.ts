import { AssertionError } from "./errors.ts";

/** Throws when an invariant of this package does not hold: a defect, never bad input. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}
