/** Compaction without a store: what the scheduled function does. */
import { Compactor } from "./compactor.ts";
import type { CompactionReport, PassOptions } from "./report.ts";
import { DEFAULT_LIMITS } from "./plan.ts";
import { checkCompression, type Compression } from "../core/compression.ts";
import { type Cost, type PriceOptions, resolvePrices } from "../core/cost.ts";
import { CostMeter } from "../core/cost-meter.ts";
import { type Runtime, systemRuntime } from "../core/runtime.ts";
import { resolveSettings, SETTING_NAMES, type SettingOptions } from "../core/settings.ts";
import type { StorageBackend } from "../storage/backend.ts";
import { BackendClaim } from "../engine/backend-claim.ts";
import { backendFor, checkBackend } from "../engine/resolve-backend.ts";
import { checkFlag, checkNames, warningsTo } from "../core/options.ts";
import { createEngine } from "../engine/engine.ts";

/** Options of `compact`. */
export interface CompactOptions extends SettingOptions {
  /** Default `new FsBackend()`. */
  readonly backend?: StorageBackend | undefined;
  /** Merge all levels into one, whatever their sizes. Default false. */
  readonly full?: boolean | undefined;
  /**
   * How the runs that the pass writes are compressed; readers read every kind. "zstd" is a little
   * smaller and takes less time, but only Node 22.15 and later can write and read it. Default
   * "deflate".
   */
  readonly compression?: Compression | undefined;
  /** Called with each problem that the pass recovered from. Default: one line on stderr. */
  readonly onWarning?: ((message: string) => void) | undefined;
  /** For `cost.usd`. Default: S3 Standard in us-east-1 (`DEFAULT_PRICES`). */
  readonly prices?: PriceOptions | undefined;
}

/** What `compact` did. */
export interface CompactReport extends CompactionReport {
  /** What it took: on S3 HTTP attempts, as they are billed; on other media calls. */
  readonly cost: Cost;
}

const NAMES: ReadonlySet<string> = new Set([
  ...SETTING_NAMES,
  "backend",
  "compression",
  "full",
  "onWarning",
  "prices",
]);

/**
 * Runs one compaction pass over the store at `location` and reports what it did. Safe at any time,
 * from any number of processes; two requests when there is nothing to do.
 * @throws InvalidArgumentError, StoreNotFoundError, AccessDeniedError, CorruptionError,
 *   FormatVersionError, UnavailableError; NotSupportedError where the server ignores conditions, or
 *   this runtime lacks the compression
 */
export async function compact(
  location: string,
  options: CompactOptions = {},
): Promise<CompactReport> {
  checkNames(options, NAMES);
  return compactMetered(location, options, new CostMeter(resolvePrices(options.prices)));
}

/** The time of a pass that has an end, and its part of the work. */
export interface PassWithin extends Pick<PassOptions, "signal" | "leftMs" | "task" | "divide"> {
  readonly runtime?: Runtime | undefined;
}

/** As `compact`, with the cost added to what the meter has counted; stops once `signal` aborts. */
export async function compactMetered(
  location: string,
  options: CompactOptions,
  meter: CostMeter,
  { runtime = systemRuntime, ...within }: PassWithin = {},
): Promise<CompactReport> {
  checkNames(options, NAMES);
  const full = checkFlag(options.full, "full", false);
  const compression = checkCompression(options.compression, "compression");
  const onWarning = warningsTo(options.onWarning);
  const backend = backendFor(location, checkBackend(options.backend));
  const settings = resolveSettings({ ...options });
  const claim = await BackendClaim.take(backend, location, { readOnly: false });
  try {
    const { location: place } = claim;
    // Compaction copies records without looking into them: it needs no schema.
    const given = { backend, location: place, runtime, settings, compression, onWarning, meter };
    const engine = createEngine(given);
    const { report } = await new Compactor({ ...engine, limits: DEFAULT_LIMITS }).pass({
      full,
      ...within,
    });
    return { ...report, cost: meter.cost };
  } finally {
    await claim.release();
  }
}
