/**
 * Records that the library keeps beside those of its users, by their ids: users neither see nor write
 * them (PROTOCOL, "Calls that run once").
 */
import { InvalidArgumentError } from "./errors.ts";
import { checkId } from "./record.ts";

const HIDDEN = "\u0000once:";
/** Above the ids that are hidden, and at or below all others that are not below them. */
export const HIDDEN_END = "\u0000once;";

/** Whether only the library knows of the record. */
export function isHidden(id: string): boolean {
  return id.startsWith(HIDDEN);
}

/** The id of the record that tells of a call by its key. */
export function hiddenId(key: string): string {
  return `${HIDDEN}${key}`;
}

/** @throws InvalidArgumentError as `checkId`, and for ids that are hidden: nobody could read them */
export function checkUserId(id: unknown): string {
  const checked = checkId(id);
  if (!isHidden(checked)) return checked;
  throw new InvalidArgumentError(
    `ids that begin with ${JSON.stringify(HIDDEN)} are those of the library, found ${JSON.stringify(checked.slice(0, 80))}`,
  );
}
