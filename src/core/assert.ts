import { AssertionError } from "./errors.ts";

/** Throws when an invariant of this package does not hold: a defect, never bad input. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** The default branch of a switch that has no hole. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable value: ${String(value)}`);
}
