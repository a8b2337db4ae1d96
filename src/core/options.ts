/** Checks that the options of every public call share, and where warnings go. */
import { describeValue, safeMessage } from "./describe.ts";
import { InvalidArgumentError } from "./errors.ts";
import { isPromise } from "./realm.ts";

/** @throws InvalidArgumentError for a name that is not an option: a typing error must not pass */
export function checkNames(options: object, names: ReadonlySet<string>): void {
  if (typeof options !== "object" || options === null) throw wrong("options", "an object", options);
  const unknown = Object.keys(options).find((name) => !names.has(name));
  if (unknown === undefined) return;
  throw new InvalidArgumentError(
    `unknown option ${JSON.stringify(unknown)}; known are ${[...names].toSorted().join(", ")}`,
  );
}

/** @throws InvalidArgumentError unless the value is a boolean or left out */
export function checkFlag(found: unknown, name: string, byDefault: boolean): boolean {
  const value = found ?? byDefault;
  if (typeof value !== "boolean") throw wrong(name, "true or false", value);
  return value;
}

/** @param most what can be stored, of a number that is */
export function positive(value: unknown, name: string, byDefault: number, most = Infinity): number {
  if (value === undefined) return byDefault;
  const isWhole = Number.isInteger(value) || value === Infinity;
  if (typeof value === "number" && isWhole && value >= 1 && value <= most) return value;
  throw wrong(name, `a positive integer${most === Infinity ? "" : ` up to ${most}`}`, value);
}

/** @throws InvalidArgumentError unless the value is a function or left out */
export function callback<F extends (...args: never[]) => unknown>(
  value: F | undefined,
  name: string,
): F | undefined {
  if (value !== undefined && typeof value !== "function") throw wrong(name, "a function", value);
  return value;
}

export function wrong(name: string, expected: string, found: unknown): InvalidArgumentError {
  return new InvalidArgumentError(
    `option ${name}: expected ${expected}, found ${describeValue(found)}`,
  );
}

/** The option `onWarning`, called with one safe line each, whatever names and ids contain. */
export function warningsTo(
  value: ((message: string) => void) | undefined,
): (message: string) => void {
  const onWarning = callback(value, "onWarning") ?? warnOnStderr;
  return (message) => {
    const outcome: unknown = onWarning(safeMessage(message));
    if (!isPromise(outcome)) return; // An async function: nothing awaits it.
    outcome.catch((error: unknown) => {
      warnOnStderr(`onWarning failed: ${String(error)}; its warning was: ${message}`);
    });
  };
}

/** One line, whatever the message holds. */
export function warnOnStderr(message: string): void {
  // Not process.stderr: Lambda adds its request id to what the console writes.
  console.error(`opslog-serverless: ${safeMessage(message)}`);
}
