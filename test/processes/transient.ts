import { OpslogError } from "../../src/core/errors.ts";

/** Nothing was written, or nobody knows. */
export function isTransient(error: unknown): boolean {
  return error instanceof OpslogError && /^(retry|outcome-unknown)$/.test(error.action);
}
