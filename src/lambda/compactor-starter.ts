/** Starts the compactor out of turn: once, however many processes see the same backlog. */
import { callback, checkNames, positive } from "../core/options.ts";
import { type Runtime, systemRuntime } from "../core/runtime.ts";
import { BackendClaim } from "../engine/backend-claim.ts";
import { COMPACT_LEASE_PATH, COMPACT_START_PATH } from "../format/paths.ts";
import type { Backlog } from "../session/backlog-alarm.ts";
import type { StorageBackend } from "../storage/backend.ts";
import { Lease } from "../storage/lease.ts";
import { invokeFunction } from "./invoke-function.ts";
import type { S3Access } from "./s3-access.ts";
import type { StartCompactor, StartCompactorOptions } from "./start-compactor.ts";
import { type OpenLocation, WarmLocation } from "./warm-location.ts";

const NAMES: ReadonlySet<string> = new Set(["functionName", "intervalMs", "start", "backend"]);
const INTERVAL_MS = 15_000;
const LEASE_MS_MAX = 900_000;

/** `startCompactor` where S3 is reached so; tests bring another clock. */
export function makeStartCompactor(s3: S3Access, runtime?: Runtime): StartCompactor {
  return (options = {}) => {
    const { backend, ...given } = options;
    const starter = new CompactorStarter(given, runtime);
    const places = new Map<string, WarmLocation>();
    return async (backlog) => {
      const { location } = backlog;
      const place = places.get(location) ?? new WarmLocation({ location, backend }, s3);
      places.set(location, place);
      await starter.start(backlog, () => place.get());
    };
  };
}

/** The function that the environment names. */
export function compactorOfEnvironment(): string | undefined {
  return process.env["OPSLOG_COMPACTOR"] || undefined;
}

export class CompactorStarter {
  readonly #runtime: Runtime;
  readonly #intervalMs: number;
  readonly #start: (backlog: Backlog) => void | Promise<void>;
  /** When this process tried last, by location. */
  readonly #triedMs = new Map<string, number>();

  /** @throws InvalidArgumentError */
  constructor(
    options: Omit<StartCompactorOptions, "backend"> = {},
    runtime: Runtime = systemRuntime,
  ) {
    checkNames(options, NAMES);
    this.#runtime = runtime;
    this.#intervalMs = positive(options.intervalMs, "intervalMs", INTERVAL_MS, LEASE_MS_MAX);
    this.#start =
      callback(options.start, "start") ??
      (({ location, segments }) => {
        const name = options.functionName ?? compactorOfEnvironment();
        return invokeFunction(name, { location, segments, reason: "backlog" }, runtime);
      });
  }

  /** @throws what the backend throws, and what starting it fails with */
  async start(backlog: Backlog, open: () => OpenLocation): Promise<void> {
    const nowMs = this.#runtime.steadyMs();
    const triedMs = this.#triedMs.get(backlog.location);
    if (triedMs !== undefined && nowMs - triedMs < this.#intervalMs) return;
    this.#triedMs.set(backlog.location, nowMs);
    const { location, backend } = open();
    const claim = await BackendClaim.take(backend, location, { readOnly: false });
    try {
      if (!(await this.#isFirst(backend))) return;
    } finally {
      await claim.release();
    }
    await this.#start(backlog);
  }

  /** Whether no compactor is at work, and no other process has started it within the interval. */
  async #isFirst(backend: StorageBackend): Promise<boolean> {
    const compaction = { path: COMPACT_LEASE_PATH, ttlMs: LEASE_MS_MAX };
    if (await Lease.isHeld(backend, compaction)) return false;
    const started = { path: COMPACT_START_PATH, ttlMs: this.#intervalMs };
    return Lease.takeOnce(backend, this.#runtime, started);
  }
}
