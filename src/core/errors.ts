/**
 * Every error this package throws. Codes are stable, messages are for people and may change.
 * A caller needs one decision, so each class carries an `action`.
 */

import { safeMessage } from "./describe.ts";
import { isError, isErrorNamed } from "./realm.ts";

/** What the caller can do about an error. */
export type ErrorAction =
  /** The call, an option or the setup (permissions, bucket) is wrong; nothing changed. */
  | "fix-call"
  /** Nothing was written; the same call may succeed later. */
  | "retry"
  /** The write may or may not have taken effect, now or later. Re-read, then decide. */
  | "outcome-unknown"
  /** Stored data is not what it should be; nothing was changed. Look at the object named. */
  | "stop";

/** What an error concerns, besides its message. */
export interface ErrorDetails {
  /** Object, file or bucket concerned, relative to the store where it lies inside it. */
  readonly path?: string | undefined;
  /** Record id concerned. */
  readonly id?: string | undefined;
  /** Byte offset inside `path`. */
  readonly offset?: number | undefined;
  readonly cause?: unknown;
}

/** JSON.parse quotes its input, which a log that shows causes would print. */
function safeCause(cause: unknown): unknown {
  return isErrorNamed(cause, "SyntaxError") ? new SyntaxError(safeMessage(cause.message)) : cause;
}

function hasCodeAndAction(error: object): boolean {
  return [Reflect.get(error, "code"), Reflect.get(error, "action")].every(
    (field) => typeof field === "string",
  );
}

/** The names of the classes of an error, its own first. */
function classNamesOf(error: object): string[] {
  const names: string[] = [];
  let prototype: unknown = Object.getPrototypeOf(error);
  while (typeof prototype === "object" && prototype !== null) {
    names.push(prototype.constructor.name);
    prototype = Object.getPrototypeOf(prototype);
  }
  return names;
}

/**
 * Base of all errors of this package. Each class spells out its own name, which its errors take: a
 * bundler that minifies renames classes, and logs, alarms and Lambda's errorType go by the name.
 */
export abstract class OpslogError extends Error {
  static override readonly name: string = "OpslogError";
  /** Stable, machine-readable; never reused for another meaning. */
  abstract readonly code: string;
  /** What the caller can do about the error. */
  abstract readonly action: ErrorAction;
  // Declared only: what an error does not concern is no property, and no line where it is printed.
  /** Object, file or bucket concerned, where there is one. */
  declare readonly path: string | undefined;
  /** Id of the record concerned, where there is one. */
  declare readonly id: string | undefined;
  /** Byte offset inside `path`, where it is known. */
  declare readonly offset: number | undefined;

  /**
   * An error of another copy of this package (its CommonJS build, beside its ES modules) is an
   * instance, too: such errors are recognised by `code`, `action` and the names of their classes.
   * @internal
   */
  static override [Symbol.hasInstance](value: unknown): boolean {
    if (Function.prototype[Symbol.hasInstance].call(this, value)) return true;
    return isError(value) && hasCodeAndAction(value) && classNamesOf(value).includes(this.name);
  }

  constructor(message: string, details: ErrorDetails = {}) {
    const { cause } = details;
    super(safeMessage(message), cause === undefined ? undefined : { cause: safeCause(cause) });
    this.name = new.target.name;
    if (details.path !== undefined) this.path = details.path;
    if (details.id !== undefined) this.id = details.id;
    if (details.offset !== undefined) this.offset = details.offset;
  }
}

/** An argument or option that cannot be used: wrong type, unknown name, unsafe combination. */
export class InvalidArgumentError extends OpslogError {
  static override readonly name = "InvalidArgumentError";
  override readonly code = "INVALID_ARGUMENT";
  override readonly action = "fix-call";
}

/** The store was used before `open` or after `close`. */
export class NotOpenError extends OpslogError {
  static override readonly name = "NotOpenError";
  override readonly code = "NOT_OPEN";
  override readonly action = "fix-call";
  constructor(message = "Store is not open. Call open() first.") {
    super(message);
  }
}

/** A mutation on a store opened with `readOnly`. */
export class ReadOnlyError extends OpslogError {
  static override readonly name = "ReadOnlyError";
  override readonly code = "READ_ONLY";
  override readonly action = "fix-call";
  constructor(message = "Store is read-only. Cannot perform mutations.") {
    super(message);
  }
}

/** The call is valid elsewhere but not in this mode or on this backend. */
export class NotSupportedError extends OpslogError {
  static override readonly name = "NotSupportedError";
  override readonly code = "NOT_SUPPORTED";
  override readonly action = "fix-call";
}

/** `delete` of an id that has no record. */
export class RecordNotFoundError extends OpslogError {
  static override readonly name = "RecordNotFoundError";
  override readonly code = "RECORD_NOT_FOUND";
  override readonly action = "fix-call";
  constructor(id: string) {
    super(`Record '${id}' not found`, { id });
  }
}

/** A synchronous read, under `strictHydration`, of a record that is not in memory. */
export class NotHydratedError extends OpslogError {
  static override readonly name = "NotHydratedError";
  override readonly code = "NOT_HYDRATED";
  override readonly action = "fix-call";
}

/** A call would have exceeded the option `costBudget`; nothing was sent. */
export class BudgetExceededError extends OpslogError {
  static override readonly name = "BudgetExceededError";
  override readonly code = "BUDGET_EXCEEDED";
  override readonly action = "fix-call";
}

/** The location holds no store, or the bucket does not exist. */
export class StoreNotFoundError extends OpslogError {
  static override readonly name = "StoreNotFoundError";
  override readonly code = "STORE_NOT_FOUND";
  override readonly action = "fix-call";
}

/** The credentials or file permissions do not allow what was tried. */
export class AccessDeniedError extends OpslogError {
  static override readonly name = "AccessDeniedError";
  override readonly code = "ACCESS_DENIED";
  override readonly action = "fix-call";
}

/** Another single writer has the store open. */
export class LockedError extends OpslogError {
  static override readonly name = "LockedError";
  override readonly code = "LOCKED";
  override readonly action = "retry";
}

/**
 * `tail` or `watch` of a store whose records are not all in memory: what changed since the last look
 * was collected or purged meanwhile. Read again what is followed, then continue: changes after this
 * error are reported again.
 */
export class FollowerExpiredError extends OpslogError {
  static override readonly name = "FollowerExpiredError";
  override readonly code = "FOLLOWER_EXPIRED";
  override readonly action = "retry";
}

/** What `ConditionFailedError` tells. */
export interface FailedCondition {
  readonly expected: string | undefined;
  readonly found: string | undefined;
  readonly value: unknown;
}

/**
 * `ifVersion` or `ifAbsent` does not hold: another has written the record. Nothing was written. The
 * error holds what a read at this moment returned: decide by that, or read again.
 */
export class ConditionFailedError extends OpslogError {
  static override readonly name = "ConditionFailedError";
  override readonly code = "CONDITION_FAILED";
  override readonly action = "fix-call";
  /** The version that the call required; undefined: that there is no record. */
  declare readonly expected: string | undefined;
  /** The version of the record; undefined: there is none. */
  declare readonly found: string | undefined;
  /** The record; undefined: there is none. Not enumerable: logs do not show it. */
  declare readonly value: unknown;

  constructor(id: string, { expected, found, value }: FailedCondition) {
    const name = (token: string | undefined): string =>
      token === undefined ? "no record" : `version ${token}`;
    super(`Record '${id}': expected ${name(expected)}, found ${name(found)}`, { id });
    if (expected !== undefined) this.expected = expected;
    if (found !== undefined) this.found = found;
    Object.defineProperty(this, "value", { value });
  }
}

/** `once` of a key whose function another call runs, perhaps of this program. Nothing was run. */
export class OnceInProgressError extends OpslogError {
  static override readonly name = "OnceInProgressError";
  override readonly code = "ONCE_IN_PROGRESS";
  override readonly action = "retry";
  /** After so long the other's lease is over, unless it was renewed: the same call may succeed then. */
  readonly retryAfterMs: number;

  constructor(key: string, retryAfterMs: number, id: string) {
    super(`once '${key}': another call runs it, for ${retryAfterMs} ms at least or until it ends`, {
      id,
    });
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * `once` ran its function to the end, but it lasted beyond its lease, and another call took the key
 * over: the result was not kept. The same call returns what the other completes.
 */
export class OnceLostError extends OpslogError {
  static override readonly name = "OnceLostError";
  override readonly code = "ONCE_LOST";
  override readonly action = "retry";

  constructor(key: string, id: string) {
    super(`once '${key}': another call took it over, because its lease was over before it ended`, {
      id,
    });
  }
}

/** Lost a race that is decided by compare-and-swap; nothing of this attempt took effect. */
export class ConflictError extends OpslogError {
  static override readonly name = "ConflictError";
  override readonly code = "CONFLICT";
  override readonly action = "retry";
}

/** The medium did not carry it out (busy, unreachable, full disk); nothing was written. */
export class UnavailableError extends OpslogError {
  static override readonly name = "UnavailableError";
  override readonly code = "UNAVAILABLE";
  override readonly action = "retry";
}

/** How `WriteOutcomeUnknownError` may still be decided. */
export type SettleOutcome = () => Promise<"written" | "nothing">;

/** A write without a known outcome: it may have landed, or may still land. */
export class WriteOutcomeUnknownError extends OpslogError {
  static override readonly name = "WriteOutcomeUnknownError";
  override readonly code = "OUTCOME_UNKNOWN";
  override readonly action = "outcome-unknown";
  /**
   * Of a conditional write: sends the same bytes once more, which tells whether it was written, or never
   * will be. Rejects with this class while that cannot be told. Undefined: read the record instead.
   */
  declare readonly settle: SettleOutcome | undefined;

  constructor(message: string, details: ErrorDetails & { readonly settle?: SettleOutcome } = {}) {
    super(message, details);
    const { settle } = details;
    if (settle !== undefined) Object.defineProperty(this, "settle", { value: settle });
  }
}

/** Stored bytes that no version of this package writes. */
export class CorruptionError extends OpslogError {
  static override readonly name = "CorruptionError";
  override readonly code = "CORRUPTION";
  override readonly action = "stop";
}

/** Stored bytes of a newer format than this code reads. */
export class FormatVersionError extends OpslogError {
  static override readonly name = "FormatVersionError";
  override readonly code = "FORMAT_VERSION";
  override readonly action = "stop";
}

/** A record written under a newer schema `version` than this store was opened with. */
export class SchemaTooNewError extends OpslogError {
  static override readonly name = "SchemaTooNewError";
  override readonly code = "SCHEMA_TOO_NEW";
  override readonly action = "fix-call";
}

/** A defect of this package: please report it. */
export class AssertionError extends OpslogError {
  static override readonly name = "AssertionError";
  override readonly code = "ASSERTION";
  override readonly action = "stop";
}
