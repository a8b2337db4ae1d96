/** Conditions of writes: what callers pass, and how it is decided (PROTOCOL, G3). */
import { describeValue } from "../core/describe.ts";
import { ConditionFailedError, InvalidArgumentError } from "../core/errors.ts";
import { checkFlag, checkNames, positive } from "../core/options.ts";
import { isPromise } from "../core/realm.ts";
import { compareVersions, type Version } from "../core/version.ts";
import type { VersionToken } from "../format/version-token.ts";
import type { ConditionalCall } from "../session/conditional-writes.ts";
import type { FoundRecord } from "../session/claim-draft.ts";
import type { StagedOperation } from "../session/memtable.ts";

/** Options of a `set` with a condition: one of `ifVersion` and `ifAbsent`. */
export interface SetOptions {
  /** Only over this version of the record (`versionOf`). */
  readonly ifVersion?: VersionToken | undefined;
  /** Only where there is no record. */
  readonly ifAbsent?: boolean | undefined;
  /**
   * Decided in a view that began after the call; false: in the store's own, where it is at most 10 s
   * old, which saves the look. Either is exact: what others wrote in between is never overwritten. Default true.
   */
  readonly fresh?: boolean | undefined;
}

/** Options of a `delete` with a condition. */
export type DeleteOptions = Omit<SetOptions, "ifAbsent">;

/** Options of `update`. */
export interface UpdateOptions {
  /** Exact also beside other processes. Default: where the store has an `agentId`. */
  readonly atomic?: boolean | undefined;
  /** As in `SetOptions`. Default true. */
  readonly fresh?: boolean | undefined;
  /** How long it is tried again while others are faster. Default 10,000. */
  readonly deadlineMs?: number | undefined;
}

/** What a `set` returns that has a condition. */
export interface WrittenVersion {
  /** Of the record as it is now: for the next condition. */
  readonly version: VersionToken;
}

/** Versions of the record as callers hold them. */
export interface Tokens {
  encode(version: Version): VersionToken;
  /** @throws InvalidArgumentError for what is no version of this record */
  decode(token: unknown): Version;
}

/** How long a conditional `set` or `delete` is tried again while others write records of the lane. */
export const DEADLINE_MS = 10_000;

const SET_NAMES = new Set(["ifVersion", "ifAbsent", "fresh"]);
const DELETE_NAMES = new Set(["ifVersion", "fresh"]);
const UPDATE_NAMES = new Set(["atomic", "fresh", "deadlineMs"]);

/**
 * A write of `operation` where the condition holds.
 * @param handOut the record as the caller gets it, for the error
 * @throws InvalidArgumentError
 */
export function conditionalCall(
  operation: StagedOperation,
  options: SetOptions,
  tokens: Tokens,
  handOut: (value: unknown) => unknown,
): ConditionalCall {
  checkNames(options, operation.op === "set" ? SET_NAMES : DELETE_NAMES);
  const { id } = operation;
  const { ifVersion } = options;
  const ifAbsent = checkFlag(options.ifAbsent, "ifAbsent", false);
  const fresh = checkFlag(options.fresh, "fresh", true);
  // A version of a record that is not there must not make the write an unconditional one.
  if ((ifVersion === undefined) !== ifAbsent) {
    const orAbsent = operation.op === "set" ? ", or ifAbsent: true where there is no record" : "";
    const found = describeValue(ifVersion);
    throw new InvalidArgumentError(
      `options: expected ifVersion, a version of record '${id}'${orAbsent}; found ifVersion: ${found}` +
        (ifAbsent ? " and ifAbsent: true" : ""),
    );
  }
  const expected = ifVersion === undefined ? undefined : tokens.decode(ifVersion);
  const decide = ({ value, version }: FoundRecord): StagedOperation => {
    const isPresent = value !== undefined;
    const holds =
      expected === undefined ? !isPresent : isPresent && compareVersions(version, expected) === 0;
    if (holds) return operation;
    const found = isPresent ? tokens.encode(version) : undefined;
    throw new ConditionFailedError(id, { expected: ifVersion, found, value: handOut(value) });
  };
  return { id, decide, fresh, deadlineMs: DEADLINE_MS };
}

/** @throws InvalidArgumentError */
export function checkUpdate(
  options: UpdateOptions = {},
  isShared: boolean,
): Pick<ConditionalCall, "fresh" | "deadlineMs"> & { readonly atomic: boolean } {
  checkNames(options, UPDATE_NAMES);
  return {
    atomic: checkFlag(options.atomic, "atomic", isShared),
    fresh: checkFlag(options.fresh, "fresh", true),
    deadlineMs: positive(options.deadlineMs, "deadlineMs", DEADLINE_MS),
  };
}

/** What a caller's function makes of a record. @throws InvalidArgumentError for an async one; what it throws */
export function changed(change: (current: unknown) => unknown, current: unknown): unknown {
  const next = change(current);
  if (!isPromise(next)) return next;
  next.catch(() => undefined); // Its own rejection would hide the reason given here.
  throw new InvalidArgumentError("update needs a synchronous function");
}
