/** The protocol settings: one set of names everywhere, defaults, and which sets cannot be safe. */
import { describeValue } from "./describe.ts";
import { InvalidArgumentError } from "./errors.ts";

export interface ProtocolSettings {
  /** How long a holder of a lease may be silent. Default 60,000. */
  readonly leaseTtlMs: number;
  /** How long replaced runs stay for slow readers; comfort, not safety. Default 3,600,000. */
  readonly gcGraceMs: number;
  /**
   * How long merged segments stay on an object store, so that a look there takes one round trip.
   * The longest that any process of a store was given counts, and is never shortened again. 0: they
   * are deleted at once, and every look takes two. Without effect on directories. Default 60,000.
   */
  readonly segmentGraceMs: number;
  /** How long a deletion is remembered; at least twice `writerLagMs`. Default 86,400,000. */
  readonly tombstoneGraceMs: number;
  /** A write is acknowledged only this long after its store's last look. Default 3,600,000. */
  readonly writerLagMs: number;
  /** How long one write is retried before its outcome counts as unknown. Default 20,000. */
  readonly writeTimeoutMs: number;
  /** A writer looks for other writers again when its view is older. Default 60,000. */
  readonly refreshEveryMs: number;
}

/** The settings as options: all may be left out, or be `undefined`. */
export type SettingOptions = { readonly [Name in keyof ProtocolSettings]?: number | undefined };

export const DEFAULT_SETTINGS: ProtocolSettings = {
  leaseTtlMs: 60_000,
  gcGraceMs: 3_600_000,
  segmentGraceMs: 60_000,
  tombstoneGraceMs: 86_400_000,
  writerLagMs: 3_600_000,
  writeTimeoutMs: 20_000,
  refreshEveryMs: 60_000,
};

/**
 * Fills in defaults; `undefined` means the default.
 * @throws InvalidArgumentError for a value that is no duration, or a set that cannot be safe
 */
export function resolveSettings(options: Readonly<Record<string, unknown>>): ProtocolSettings {
  const settings: Record<keyof ProtocolSettings, number> = { ...DEFAULT_SETTINGS };
  for (const name of SETTING_NAMES) {
    const value = options[name] ?? DEFAULT_SETTINGS[name];
    if (typeof value !== "number" || !Number.isFinite(value) || value < 0) {
      throw new InvalidArgumentError(
        `option ${name} must be a non-negative number of ms, found ${describeValue(value)}`,
      );
    }
    settings[name] = value;
  }
  const { tombstoneGraceMs, writerLagMs } = settings;
  if (tombstoneGraceMs < 2 * writerLagMs) {
    throw new InvalidArgumentError(
      `tombstoneGraceMs must be at least twice writerLagMs, or an acknowledged write could be ` +
        `ignored: found ${tombstoneGraceMs} and ${writerLagMs}`,
    );
  }
  return settings;
}

export const SETTING_NAMES: readonly (keyof ProtocolSettings)[] = [
  "leaseTtlMs",
  "gcGraceMs",
  "segmentGraceMs",
  "tombstoneGraceMs",
  "writerLagMs",
  "writeTimeoutMs",
  "refreshEveryMs",
];
