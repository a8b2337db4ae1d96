/** Records as values: what a caller gives is copied through JSON, what it gets may be frozen. */
import { CorruptionError, InvalidArgumentError } from "./errors.ts";

const ID_BYTES_MAX = 64 * 1024;
/** Far below what exhausts the stack: whoever compacts may have less of it left than the writer. */
const DEPTH_MAX = 1_000;

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
 * it drops properties that are `undefined` and writes NaN and dates in their JSON form.
 * @throws InvalidArgumentError for what JSON cannot carry: undefined, functions, symbols, BigInt, cycles,
 *   more than 1,000 levels
 */
export function copyRecord(id: string, value: unknown): StoredRecord {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
    checkCarried(value);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new InvalidArgumentError(`Record '${id}' cannot be stored as JSON: ${reason}`, {
      id,
      cause,
    });
  }
  if (text === undefined) {
    throw new InvalidArgumentError(
      `Record '${id}' cannot be stored as JSON: found ${typeof value}`,
      { id },
    );
  }
  return { text, value: JSON.parse(text) };
}

/** JSON.stringify drops functions and symbols without a word: that would lose a part of the record. */
function checkCarried(value: unknown, depth = 1): void {
  if (typeof value === "function" || typeof value === "symbol") {
    throw new InvalidArgumentError(`found a ${typeof value}`);
  }
  if (typeof value !== "object" || value === null) return;
  if ("toJSON" in value && typeof value.toJSON === "function") return;
  if (depth > DEPTH_MAX) throw new InvalidArgumentError(`nested deeper than ${DEPTH_MAX} levels`);
  for (const child of Object.values(value)) checkCarried(child, depth + 1);
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
