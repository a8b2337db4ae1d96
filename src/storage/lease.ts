/**
 * A lease on one small object: taken, renewed and released by compare-and-swap, never deleted.
 * It is expired by the medium's clock only: Date - LastModified of the same response. It saves work
 * and keeps long work progressing; no safety rule may rest on it.
 */
import { WriteOutcomeUnknownError } from "../core/errors.ts";
import type { Runtime } from "../core/runtime.ts";
import type { Precondition, StorageBackend } from "./backend.ts";

/** No holder can block others for longer, whatever its object says. */
const TTL_MAX_MS = 15 * 60_000;

interface LeaseContent {
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
  readonly #owner: string;
  readonly #stop = new AbortController();
  #etag: string;
  #lost = false;
  #lostBecause: unknown;
  #renewing: Promise<void> = Promise.resolve();

  /** Takes the lease, or tells that another holds it. */
  static async take(
    backend: StorageBackend,
    runtime: Runtime,
    options: LeaseOptions,
  ): Promise<Lease | undefined> {
    const found = await backend.get(options.path);
    if (found.status === "found") {
      const { owner, ttlMs } = parseContent(found.body, options.ttlMs);
      const expired = found.dateMs - found.lastModifiedMs > Math.min(ttlMs, TTL_MAX_MS);
      if (owner !== null && !expired) return undefined;
    }
    const precondition: Precondition =
      found.status === "found" ? { ifMatch: found.etag } : { ifAbsent: true };
    const owner = runtime.randomHex(16);
    const etag = await swap(backend, options, owner, precondition);
    return etag === undefined ? undefined : new Lease(backend, runtime, options, owner, etag);
  }

  constructor(
    backend: StorageBackend,
    runtime: Runtime,
    options: LeaseOptions,
    owner: string,
    etag: string,
  ) {
    this.#backend = backend;
    this.#runtime = runtime;
    this.#options = options;
    this.#owner = owner;
    this.#etag = etag;
    this.#renewing = this.#renewUntilStopped();
  }

  /** Whether another holder took over, or a renewal failed for good. */
  get lost(): boolean {
    return this.#lost;
  }

  /** What the last renewal failed with; undefined when another holder took over. */
  get lostBecause(): unknown {
    return this.#lostBecause;
  }

  async #renewUntilStopped(): Promise<void> {
    const { signal } = this.#stop;
    for (;;) {
      await this.#runtime.idle(this.#options.ttlMs / 3, signal);
      if (signal.aborted) return;
      const etag = await this.#renew();
      if (etag === undefined) {
        this.#lost = true;
        return;
      }
      this.#etag = etag;
    }
  }

  async #renew(): Promise<string | undefined> {
    try {
      return await swap(this.#backend, this.#options, this.#owner, { ifMatch: this.#etag });
    } catch (error) {
      // Whatever the reason: a lease that cannot be renewed is treated as lost, its holder stops.
      this.#lostBecause = error;
      return undefined;
    }
  }

  /** Gives it up for the next one. A lease already lost is left alone. */
  async release(): Promise<void> {
    this.#stop.abort();
    await this.#renewing;
    if (this.#lost) return;
    this.#lost = true;
    await swap(this.#backend, this.#options, null, { ifMatch: this.#etag });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }
}

/** The new etag, or undefined when another was faster or the outcome is unknown. */
async function swap(
  backend: StorageBackend,
  { path, ttlMs }: LeaseOptions,
  owner: string | null,
  precondition: Precondition,
): Promise<string | undefined> {
  const content: LeaseContent = { owner, ttlMs };
  const body = Buffer.from(`${JSON.stringify(content)}\n`);
  try {
    const put = await backend.put(path, body, precondition, { timeoutMs: ttlMs });
    return put.status === "written" ? put.etag : undefined;
  } catch (error) {
    if (error instanceof WriteOutcomeUnknownError) return undefined;
    throw error;
  }
}

/** What nobody can read is treated as held: it expires by its age like any other. */
function parseContent(body: Uint8Array, defaultTtlMs: number): LeaseContent {
  try {
    const value: unknown = JSON.parse(Buffer.from(body).toString("utf8"));
    if (typeof value === "object" && value !== null && "owner" in value && "ttlMs" in value) {
      const ttlMs =
        typeof value.ttlMs === "number" && value.ttlMs >= 0 ? value.ttlMs : defaultTtlMs;
      return { owner: value.owner === null ? null : "another", ttlMs };
    }
  } catch {
    // Not JSON: as unreadable as an object without the fields.
  }
  return { owner: "unreadable", ttlMs: defaultTtlMs };
}
