/**
 * Kinds of values, recognised by their shape instead of by `instanceof`: under Jest, vitest's vm pools
 * and `node:vm` this code has constructors of its own, and what Node's modules and other packages
 * make is of theirs.
 */
import { types } from "node:util";

/** What was thrown, in words: the message of an error, everything else as text. */
export function messageOf(thrown: unknown): string {
  return textField(thrown, "message") ?? String(thrown);
}

export function isError(thrown: unknown): thrown is Error {
  return textField(thrown, "name") !== undefined && textField(thrown, "message") !== undefined;
}

/** Whether it is an error of the language, as `SyntaxError`. */
export function isErrorNamed(thrown: unknown, name: string): thrown is Error {
  return isError(thrown) && thrown.name === name;
}

export function isBytes(value: unknown): value is Uint8Array {
  return types.isUint8Array(value);
}

export function isPromise(value: unknown): value is Promise<unknown> {
  return types.isPromise(value);
}

function textField(value: unknown, name: string): string | undefined {
  if (typeof value !== "object" || value === null || !(name in value)) return undefined;
  const field: unknown = Reflect.get(value, name);
  return typeof field === "string" ? field : undefined;
}
