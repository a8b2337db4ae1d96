/** Which errors and warnings the faults explain; every other one is a violation. */
import {
  ConditionFailedError,
  ConflictError,
  FollowerExpiredError,
  LockedError,
  NotSupportedError,
  OpslogError,
  RecordNotFoundError,
  SchemaTooNewError,
  UnavailableError,
  WriteOutcomeUnknownError,
} from "../../src/core/errors.ts";
import type { SimProcess } from "./sim-process.ts";
import type { World } from "./world.ts";

/** Nothing here damages objects, so nothing may be found damaged. */
export function checkWarning(world: World, message: string): void {
  if (message.includes("cannot be read")) world.oracle.fail("CORRUPT", message);
}

/** Errors that faults explain; every other one is a violation. */
export function checkExpected(
  world: World,
  process: SimProcess,
  what: string,
  error: unknown,
): void {
  const code = error instanceof OpslogError ? error.code : String(error);
  world.kernel.trace(`${process.name} ${what} failed: ${code}`);
  const isTooNew = error instanceof SchemaTooNewError && process.schema === 1 && world.hasNewCode;
  if (isTooNew) world.oracle.counts.tooNew++;
  if (what === "stream" && error instanceof Error && /purged since/.test(error.message)) {
    world.oracle.counts.streamsPurged++;
  }
  const isExpired = error instanceof FollowerExpiredError && what === "tail of a lazy store";
  if (isExpired) world.oracle.counts.followersExpired++;
  const isEarly =
    error instanceof NotSupportedError &&
    what === "write" &&
    /needs? a store with lanes/.test(error.message);
  const isExpected =
    isTooNew ||
    isEarly ||
    isExpired ||
    error instanceof UnavailableError ||
    error instanceof WriteOutcomeUnknownError ||
    error instanceof LockedError ||
    // Others may be faster until the deadline, a claim of a stopped process may be answered after it.
    (error instanceof ConflictError && (what === "write" || what === "undo")) ||
    (error instanceof ConditionFailedError && what === "write") ||
    error instanceof RecordNotFoundError;
  if (isExpected) return;
  const detail = error instanceof Error ? `${error.message} ${error.stack ?? ""}` : String(error);
  world.oracle.fail("ERROR", `${process.name} ${what}: ${code}: ${detail}`);
}
