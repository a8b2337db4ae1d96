/** What an operation records of the record before it, so that it can be undone. Pure. */
import { createDelta, isDeltaSmaller } from "../core/delta.ts";
import type { LogOperation } from "../core/operation.ts";

/** The record before; undefined: there was none; "unknown": it was not looked up. */
export type Before = { readonly value: unknown } | "unknown";

/**
 * `prev`: the record before, null for a create, a reverse patch where that is shorter.
 * @param next undefined: the operation deletes
 */
export function previous(before: Before, next: unknown): Pick<LogOperation, "prev" | "encoding"> {
  if (before === "unknown") return {};
  if (before.value === undefined) return { prev: null };
  if (before.value === null) return { prev: null, encoding: "value" };
  const delta = next === undefined ? null : createDelta(before.value, next);
  if (delta === null || !isDeltaSmaller(delta, before.value)) return { prev: before.value };
  return { prev: delta, encoding: "delta" };
}
