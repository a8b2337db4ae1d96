/** How fast this process compacts, as far as it has seen, and what it begins by that. */
import { Arrivals } from "./arrivals.ts";

/** How long a measurement is valid: the medium may be faster again. */
const MEASURE_MS_MAX = 10 * 60_000;
/** Time to write and publish log, by the time that reading it took, where it is not known. */
const WRITE_RATIO = 1;
/** Within these it is believed. */
const WRITE_RATIO_MIN = 1 / 4;
const WRITE_RATIO_MAX = 64;
/** What is begun must be done twice over in the time left. */
const SAFETY = 2;

export class Pace {
  readonly arrivals = new Arrivals();
  /** When this process began to seal the lanes last, by the steady clock. */
  lastSealMs = -Infinity;
  #runs: { readonly bytesPerMs: number; readonly atMs: number } | undefined;
  #writeRatio = WRITE_RATIO;

  /** @param steadyMs now */
  runBytesPerMs(steadyMs: number): number | undefined {
    const isTrusted = this.#runs !== undefined && steadyMs - this.#runs.atMs <= MEASURE_MS_MAX;
    return isTrusted ? this.#runs?.bytesPerMs : undefined;
  }

  /** @param bytes of runs that were read and rewritten in `ms` */
  mergedRuns(bytes: number, ms: number, steadyMs: number): void {
    this.#runs = { bytesPerMs: bytes / Math.max(ms, 1), atMs: steadyMs };
  }

  /** How long log may be read, so that there is time to write and publish what was read. */
  readMs(leftMs: number): number {
    return leftMs / (1 + SAFETY * this.#writeRatio);
  }

  /** @param readMs how long reading log took; writing and publishing it took `writeMs` */
  mergedLog(readMs: number, writeMs: number): void {
    const ratio = writeMs / Math.max(readMs, 1);
    this.#writeRatio = Math.min(Math.max(ratio, WRITE_RATIO_MIN), WRITE_RATIO_MAX);
  }

  /** Whether a step may be begun that takes as long to publish as the one before. */
  hasTime(leftMs: number, lastWriteMs: number): boolean {
    return leftMs > SAFETY * lastWriteMs;
  }

  /**
   * The time was up before anything was published: less log is read next time, and for a while no
   * runs are merged.
   */
  cutOff(steadyMs: number): void {
    this.#runs = { bytesPerMs: 0, atMs: steadyMs };
    this.#writeRatio = Math.min(Math.max(this.#writeRatio, WRITE_RATIO) * 2, WRITE_RATIO_MAX);
  }
}

/** Levels that join the log, and that would hold it up: the log is merged without them. */
export class TooSlow extends Error {
  override readonly name = "TooSlow";
  /** Bytes of their lines that were read. */
  readonly readBytes: number;

  constructor(readBytes: number) {
    super("the levels that join the log will not be merged in time");
    this.readBytes = readBytes;
  }
}
