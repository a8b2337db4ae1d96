/** Records as values: what a caller passes is copied through JSON, what it receives may be frozen. */
import { CorruptionError, InvalidArgumentError } from "./errors.ts";
import { findLoss } from "./loss.ts";
import { messageOf } from "./realm.ts";

const ID_BYTES_MAX = 64 * 1024;

/** @throws InvalidArgumentError unless `id` is a non-empty string of at most 64 KiB */
export function checkId(id: unknown): string {
  if (typeof id !== "string" || id === "") {
    throw new InvalidArgumentError(`a record id must be a non-empty string, found ${describe(id)}`);
  }
  if (id.length > ID_BYTES_MAX) {
    throw new InvalidArgumentError(
      `a record id has at most ${ID_BYTES_MAX} characters, found ${id.length}`,
    );
  }
  return id;
}

function describe(value: unknown): string {
  return value === ""
    ? "an empty string"
    : value === null
      ? "null"
      : `a value of type ${typeof value}`;
}

/** A record in its stored form, and the store's own copy of it. */
export interface StoredRecord {
  readonly text: string;
  readonly value: unknown;
}

/**
 * Copies a value through JSON, so that memory holds what a reopened store will hold. As JSON does,
 * it drops properties that are `undefined`, and replaces an object with `toJSON` (dates) by its result.
 * @throws InvalidArgumentError for what JSON cannot carry, and for what it would change without a
 *   word: undefined, functions, symbols, BigInt, cycles, NaN and Infinity, Map, Set, RegExp, Error,
 *   typed arrays and the like; and for more than 1,000 levels
 */
export function copyRecord(id: string, value: unknown): StoredRecord {
  let text: string | undefined;
  let reason: string | undefined;
  let cause: unknown;
  try {
    // First, because JSON.stringify does not name the place of a BigInt in the value.
    reason = findLoss(value);
    if (reason === undefined) text = JSON.stringify(value);
  } catch (error) {
    cause = error;
    reason = messageOf(error);
  }
  if (text !== undefined) return { text, value: JSON.parse(text) };
  const message = `Record '${id}' cannot be stored as JSON: ${reason ?? `found ${typeof value}`}`;
  throw new InvalidArgumentError(message, { id, cause });
}

/** Freezes a JSON value and all it holds; children first, so that a frozen root means all is. */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  for (const child of Object.values(value)) deepFreeze(child);
  return Object.freeze(value);
}

/**
 * The stored JSON of a record as a value.
 * @param path of the object that holds it, where it is known
 * @throws CorruptionError
 */
export function parseRecord(id: string, text: string, path?: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const message = `${path ?? "the snapshot"}: record '${id}' is not JSON`;
    throw new CorruptionError(message, { path, id, cause });
  }
}
