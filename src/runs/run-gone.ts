import { OpslogError } from "../core/errors.ts";

/**
 * A run named by a manifest is not there: a later manifest has replaced it. Whoever meets this
 * loads the manifest again; if that still names the run, the store is damaged (PROTOCOL, V4).
 */
export class RunGoneError extends OpslogError {
  static override readonly name = "RunGoneError";
  override readonly code = "RUN_GONE";
  override readonly action = "retry";
}
