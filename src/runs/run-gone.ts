import { CorruptionError, type ErrorDetails, OpslogError } from "../core/errors.ts";

/**
 * A run named by a manifest is not there: a later manifest has replaced it. Whoever meets this
 * loads the manifest again; if that still names the run, the store is damaged (PROTOCOL, V4).
 */
export class RunGoneError extends OpslogError {
  static override readonly name = "RunGoneError";
  override readonly code = "RUN_GONE";
  override readonly action = "retry";
  readonly #damage: string | undefined;

  /** @param damage what it is called when the manifest still names the run. Default: just that */
  constructor(message: string, details: ErrorDetails = {}, damage?: string) {
    super(message, details);
    this.#damage = damage;
  }

  /** What it means when the current manifest still names the run. */
  asDamage(): CorruptionError {
    const { path } = this;
    const damage = this.#damage ?? `the manifest names ${path}, which is not there`;
    return new CorruptionError(damage, { path, cause: this });
  }
}
