/**
 * Records that the library keeps beside those of its users, by their ids: users neither see nor write
 * them (PROTOCOL, "Calls that run once").
 */
import { InvalidArgumentError } from "./errors.ts";
import { checkId } from "./record.ts";

const HIDDEN = "\u0000once:";
/** Begins what follows where it is no key of `once`. */
const OTHERS = "\u0000";
/** The method of a store by which other parts of this package, also of its other build, reach them. */
export const HIDDEN_RECORDS: unique symbol = Symbol.for("opslog-serverless.hidden");
/** Above the ids that are hidden, and at or below all others that are not below them. */
export const HIDDEN_END = "\u0000once;";

/** Whether only the library knows of the record. */
export function isHidden(id: string): boolean {
  return id.startsWith(HIDDEN);
}

/** The id of the record of a call of `once`. @throws InvalidArgumentError for keys of other parts */
export function onceId(key: string): string {
  if (key.startsWith(OTHERS))
    throw new InvalidArgumentError("keys of once do not begin with U+0000");
  return `${HIDDEN}${key}`;
}

/** The id of the record of an idempotent function. */
export function idempotencyId(key: string): string {
  return `${HIDDEN}${OTHERS}${key}`;
}

/** @throws InvalidArgumentError as `checkId`, and for ids that are hidden: nobody could read them */
export function checkUserId(id: unknown): string {
  const checked = checkId(id);
  if (!isHidden(checked)) return checked;
  throw new InvalidArgumentError(
    `ids that begin with ${JSON.stringify(HIDDEN)} are those of the library, found ${JSON.stringify(checked.slice(0, 80))}`,
  );
}
