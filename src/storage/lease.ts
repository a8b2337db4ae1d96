/**
 * A lease on one small object: taken, renewed and released by compare-and-swap, never deleted.
 * It is expired by the medium's clock only: Date - LastModified of the same response. It saves work
 * and keeps long work progressing; no safety rule may rest on it.
 */
import { UnavailableError, WriteOutcomeUnknownError } from "../core/errors.ts";
import { type Moment, momentOf } from "../core/medium-clock.ts";
import { SILENT_ABORT } from "../core/silent-abort.ts";
import { Mutex } from "../core/mutex.ts";
import type { Runtime } from "../core/runtime.ts";
import type { GetResult, Precondition, StorageBackend } from "./backend.ts";
import { beyondBudget } from "./wrapped-backend.ts";

/** No holder can block others for longer, whatever its options or the object say. */
const TTL_MAX_MS = 15 * 60_000;

/** How often a renewal may find an earlier attempt of its own. */
const ATTEMPTS_MAX = 3;

/** The last successful write of a holder. */
interface Held {
  readonly etag: string;
  /** Local clocks before it was sent. */
  readonly at: Moment;
  /** The medium's clock. */
  readonly dateMs: number;
}

interface LeaseContent {
  /** Random, new at each renewal, so that no two versions of the object are the same. */
  readonly owner: string | null;
  readonly ttlMs: number;
}

export interface LeaseOptions {
  readonly path: string;
  readonly ttlMs: number;
}

export class Lease {
  readonly #backend: StorageBackend;
  readonly #runtime: Runtime;
  readonly #options: LeaseOptions;
  /** Random names of the writes since the last that surely took effect; the object may hold any of them. */
  readonly #attempts = new Set<string>();
  readonly #stop = new AbortController();
  readonly #renewing: Promise<void>;
  readonly #turns = new Mutex();
  #held: Held;
  #taken = false;
  #failure: unknown;

  /** Takes the lease, or reports that another holds it. */
  static async take(
    backend: StorageBackend,
    runtime: Runtime,
    wanted: LeaseOptions,
  ): Promise<Lease | undefined> {
    const options = { ...wanted, ttlMs: Math.min(wanted.ttlMs, TTL_MAX_MS) };
    const held = await claim(backend, runtime, options);
    return held && new Lease(backend, runtime, options, held);
  }

  /** Takes the lease for its time, without renewing or releasing it. Returns whether it was free. */
  static async takeOnce(
    backend: StorageBackend,
    runtime: Runtime,
    wanted: LeaseOptions,
  ): Promise<boolean> {
    return (await claim(backend, runtime, wanted)) !== undefined;
  }

  /** Whether anybody holds it: one read. */
  static async isHeld(backend: StorageBackend, { path, ttlMs }: LeaseOptions): Promise<boolean> {
    return isHeldBy(await backend.get(path), ttlMs);
  }

  private constructor(
    backend: StorageBackend,
    runtime: Runtime,
    options: LeaseOptions,
    held: Held,
  ) {
    // The budget may refuse an acquisition, never a renewal or a release.
    this.#backend = beyondBudget(backend);
    this.#runtime = runtime;
    this.#options = options;
    this.#held = held;
    this.#renewing = this.#renewUntilStopped();
  }

  /** Whether another holder took over, or could have: it was not renewed for the whole time. */
  get lost(): boolean {
    return this.#taken || this.#ageMs(0) > this.#options.ttlMs;
  }

  /** What the last renewal failed with; undefined when it did not fail. */
  get failure(): unknown {
    return this.#failure;
  }

  /**
   * Whether it is still held. Sends at most one renewal, and only when the last successful one is
   * older than two thirds of the time, by the local clock or by the medium's. When no other process
   * has taken the lease meanwhile, it is held again.
   * @param seenMs the latest date that a response of the medium carried
   * @throws what renewing fails with: the state is unknown then
   */
  async confirm(seenMs: number): Promise<boolean> {
    const limitMs = (this.#options.ttlMs * 2) / 3;
    if (!this.#taken && this.#ageMs(seenMs) > limitMs) await this.#renew();
    return !this.#taken;
  }

  /** Since the last renewal, the larger of the ages by both clocks: one may have been set, or stood still. */
  #ageMs(seenMs: number): number {
    const { at, dateMs } = this.#held;
    const now = momentOf(this.#runtime);
    return Math.max(now.wallMs - at.wallMs, now.steadyMs - at.steadyMs, seenMs - dateMs);
  }

  async #renewUntilStopped(): Promise<void> {
    const { signal } = this.#stop;
    while (!this.#taken) {
      await this.#runtime.idle(this.#options.ttlMs / 3, signal);
      if (signal.aborted) return;
      // A failure is kept and the renewal repeated: the lease is held until another process takes it.
      await this.#renew().catch(() => undefined);
    }
  }

  /** @throws what it fails with */
  async #renew(): Promise<void> {
    await this.#turns.run(async () => {
      if (this.#taken) return;
      try {
        await this.#write(this.#runtime.randomHex(16));
        this.#failure = undefined;
      } catch (error) {
        this.#failure = error;
        throw error;
      }
    });
  }

  /** Replaces the object if it is still this holder's; otherwise the lease is taken. */
  async #write(owner: string | null): Promise<void> {
    const { path, ttlMs } = this.#options;
    if (owner !== null) this.#attempts.add(owner);
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      const precondition = { ifMatch: this.#held.etag };
      const held = await swap(this.#backend, this.#runtime, this.#options, owner, precondition);
      if (held !== undefined) {
        this.#held = held;
        this.#attempts.clear();
        return;
      }
      const found = await this.#backend.get(path);
      const lying = found.status === "found" ? parseContent(found.body, ttlMs).owner : null;
      if (found.status !== "found" || lying === null || !this.#attempts.has(lying)) {
        this.#taken = true;
        return;
      }
      // An earlier attempt of its own, whose answer was lost, had landed.
      this.#held = { ...this.#held, etag: found.etag };
    }
    throw new UnavailableError(`${path} changed ${ATTEMPTS_MAX} times while it was renewed`, {
      path,
    });
  }

  /** Releases the lease for the next holder. A lease taken by another is left alone. */
  async release(): Promise<void> {
    if (this.#stop.signal.aborted) return;
    this.#stop.abort(SILENT_ABORT);
    await this.#renewing;
    await this.#turns.run(async () => {
      if (this.#taken) return;
      await this.#write(null).finally(() => (this.#taken = true));
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }
}

/** Takes the lease if it is free; undefined: it is held, or whether it was taken is unknown. */
async function claim(
  backend: StorageBackend,
  runtime: Runtime,
  options: LeaseOptions,
): Promise<Held | undefined> {
  const found = await backend.get(options.path);
  if (isHeldBy(found, options.ttlMs)) return undefined;
  const precondition: Precondition =
    found.status === "found" ? { ifMatch: found.etag } : { ifAbsent: true };
  const owner = runtime.randomHex(16);
  try {
    return await swap(backend, runtime, options, owner, precondition);
  } catch (error) {
    if (error instanceof WriteOutcomeUnknownError) return undefined;
    throw error;
  }
}

function isHeldBy(found: GetResult, defaultTtlMs: number): boolean {
  if (found.status !== "found") return false;
  const { owner, ttlMs } = parseContent(found.body, defaultTtlMs);
  const silentMs = found.dateMs - found.lastModifiedMs;
  // A lease from the future (a clock was set back since) counts as expired, too.
  const expired = silentMs > Math.min(ttlMs, TTL_MAX_MS) || silentMs < -TTL_MAX_MS;
  return owner !== null && !expired;
}

/** @returns undefined when another process was faster; @throws what the write fails with */
async function swap(
  backend: StorageBackend,
  runtime: Runtime,
  { path, ttlMs }: LeaseOptions,
  owner: string | null,
  precondition: Precondition,
): Promise<Held | undefined> {
  const content: LeaseContent = { owner, ttlMs };
  const body = Buffer.from(`${JSON.stringify(content)}\n`);
  const at = momentOf(runtime);
  const put = await backend.put(path, body, precondition, { timeoutMs: ttlMs });
  return put.status === "written" ? { etag: put.etag, at, dateMs: put.dateMs } : undefined;
}

/** The name of no holder, because those are hex digits. */
const UNREADABLE = "unreadable";

/** What cannot be read is treated as held: it expires by its age like any other. */
function parseContent(body: Uint8Array, defaultTtlMs: number): LeaseContent {
  try {
    const value: unknown = JSON.parse(Buffer.from(body).toString("utf8"));
    if (typeof value === "object" && value !== null && "owner" in value && "ttlMs" in value) {
      const ttlMs =
        typeof value.ttlMs === "number" && value.ttlMs >= 0 ? value.ttlMs : defaultTtlMs;
      const { owner } = value;
      return { owner: owner === null || typeof owner === "string" ? owner : UNREADABLE, ttlMs };
    }
  } catch {
    // Not JSON: as unreadable as an object without the fields.
  }
  return { owner: UNREADABLE, ttlMs: defaultTtlMs };
}
