/**
 * Separators between blocks or partitions, in a list: of one that shares a long beginning with the
 * one before, only the rest is written, so that long ids do not make a long index or manifest.
 */
import { corrupt, Fields, type Place } from "./check.ts";

/** In code units; below, numbers in place of the text would gain little. */
const SHARED_MIN = 32;

/** `[separator]`, or `[code units shared with the one before, rest]`. */
export type SeparatorItem = readonly [string] | readonly [number, string];

/** The shortest prefix of `first` above `before`; may end within a surrogate pair. */
export function separatorOf(before: string, first: string): string {
  return first.slice(0, sharedLength(before, first) + 1);
}

/** @param before the separator before in the list, "" for the first */
export function encodeSeparator(separator: string, before: string): SeparatorItem {
  const shared = sharedLength(before, separator);
  return shared < SHARED_MIN ? [separator] : [shared, separator.slice(shared)];
}

/** Takes the separator off an item's values. @throws CorruptionError */
export function decodeSeparator(
  item: unknown,
  before: string,
  place: Place,
): { readonly separator: string; readonly values: readonly unknown[] } {
  if (!Array.isArray(item)) throw corrupt("expected an array that begins with a separator", place);
  const [first, ...values]: readonly unknown[] = item;
  if (typeof first === "string") return { separator: first, values };
  const fields = new Fields({ shared: first, rest: values[0] }, place);
  const shared = fields.integer("shared", 0, before.length);
  return {
    separator: before.slice(0, shared) + fields.string("rest"),
    values: values.slice(1),
  };
}

function sharedLength(a: string, b: string): number {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length++;
  return length;
}
