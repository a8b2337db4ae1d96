/** The protocol settings: one set of names everywhere, defaults, and which sets cannot be safe. */
import { describeValue } from "./describe.ts";
import { InvalidArgumentError } from "./errors.ts";

/** Settings that all processes of one store should share. Times are in ms. */
export interface ProtocolSettings {
  /** How long a holder of a lease may be silent; 900,000 at most. Default 60,000. */
  readonly leaseTtlMs: number;
  /** How long replaced runs stay for slow readers; comfort, not safety. Default 3,600,000. */
  readonly gcGraceMs: number;
  /**
   * Bytes of records that were deleted or replaced are gone at most this long after, `gcGraceMs`
   * aside, as long as compactions keep up. Default 604,800,000 (7 days).
   */
  readonly eraseAfterMs: number;
  /**
   * How long merged segments stay on an object store, so that a look there takes one round trip.
   * The longest that any process of a store was given counts, and is never shortened again. 0: they
   * are deleted at once, and every look takes two steps. Without effect on directories. Default 60,000.
   */
  readonly segmentGraceMs: number;
  /**
   * How long merged guarded writes stay, on every medium; at least as long as `segmentGraceMs`, whatever
   * is given. The longest that any process of a store was given counts, and is never shortened again.
   * Default 60,000.
   */
  readonly guardGraceMs: number;
  /**
   * How long a deletion is remembered; at least twice `writerLagMs`. The longest that any process of
   * a store was given counts, and is never shortened again; it is never less than `writerLagMs` and
   * the room for dates that are wrong (4 minutes) together. Default 86,400,000.
   */
  readonly tombstoneGraceMs: number;
  /**
   * A write is acknowledged only this long after its store's last look, or for as long as the store's
   * deletions are remembered where that is shorter. Default 3,600,000.
   */
  readonly writerLagMs: number;
  /** How long one write is retried before its outcome counts as unknown. Default 20,000. */
  readonly writeTimeoutMs: number;
  /** A writer looks for other writers again when its view is older. Default 60,000. */
  readonly refreshEveryMs: number;
}

/** The settings as options: all may be left out, or be `undefined`. */
export type SettingOptions = { readonly [Name in keyof ProtocolSettings]?: number | undefined };

/** The protocol settings that apply where none are passed. */
export const DEFAULT_SETTINGS: ProtocolSettings = {
  leaseTtlMs: 60_000,
  gcGraceMs: 3_600_000,
  eraseAfterMs: 604_800_000,
  segmentGraceMs: 60_000,
  guardGraceMs: 60_000,
  tombstoneGraceMs: 86_400_000,
  writerLagMs: 3_600_000,
  writeTimeoutMs: 20_000,
  refreshEveryMs: 60_000,
};

/** What is added to dates, and written where integers end at 2^53-1. */
const SETTING_MS_MAX = 3_155_760_000_000;

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
    if (value > SETTING_MS_MAX) {
      throw new InvalidArgumentError(
        `option ${name} must be at most ${SETTING_MS_MAX} ms (a hundred years), found ${value}`,
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

/**
 * WINDOW: how long after a view a name in a lane means what the view says. Of the default grace these
 * are 20 s, half of it without the 10 s by which dates of one medium may differ.
 */
export function guardWindowMs({ guardGraceMs }: Pick<ProtocolSettings, "guardGraceMs">): number {
  return guardGraceMs / 3;
}

/** How far a date of the medium may be from the true time, where its backend does not say. */
export const DATE_SKEW_MS = 60_000;

/** LATE compares dates of four answers: view, flush, publication, purge. */
const DATES_COMPARED = 4;

/** A purge waits longer than a flush may take, by all that the dates may be wrong. */
function roomMs(dateSkewMs: number): number {
  return DATES_COMPARED * dateSkewMs + 1;
}

/** How long a purge waits by these settings: for whatever may still count that was not listed. */
export function purgeGraceMs(
  { tombstoneGraceMs, writerLagMs }: ProtocolSettings,
  dateSkewMs: number,
): number {
  // Also for those who write where no manifest promises anything yet: see `lagMsMax`.
  const lagMs = Math.max(writerLagMs, dateSkewMs);
  return Math.max(tombstoneGraceMs, lagMs + roomMs(dateSkewMs));
}

/**
 * How long after its view a flush counts (LATE).
 * @param promisedMs how long purges wait at least; undefined while no manifest promises it
 */
export function lagMsMax(
  { writerLagMs }: ProtocolSettings,
  promisedMs: number | undefined,
  dateSkewMs: number,
): number {
  const leastMs = dateSkewMs + roomMs(dateSkewMs);
  return Math.min(writerLagMs, (promisedMs ?? leastMs) - roomMs(dateSkewMs));
}

/** Every setting has a default, so the defaults name them all. */
export const SETTING_NAMES = Object.keys(DEFAULT_SETTINGS) as readonly (keyof ProtocolSettings)[];
