/**
 * Least-recently-used cache bounded in bytes. What it holds is valid by construction, because the
 * objects it was read from never change; so entries never expire. One cache per location.
 */

import { BudgetExceededError } from "../core/errors.ts";

/** Default bound of a cache. */
export const CACHE_BYTES_MAX = 32 * 1024 * 1024;

/** A value with what it costs to keep. */
export interface Sized<V> {
  readonly value: V;
  readonly bytes: number;
}

export class ByteCache<V> {
  readonly #bytesMax: number;
  /** In order of last use, oldest first. */
  readonly #held = new Map<string, Sized<V>>();
  readonly #loading = new Map<string, Promise<V>>();
  #bytes = 0;

  constructor(cacheBytesMax: number = CACHE_BYTES_MAX) {
    this.#bytesMax = cacheBytesMax;
  }

  /** Declared cost of everything held. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The value when it is held now. */
  get(key: string): V | undefined {
    const found = this.#held.get(key);
    if (found === undefined) return undefined;
    this.#held.delete(key);
    this.#held.set(key, found);
    return found.value;
  }

  /** Whether `getOrLoad` would answer without a load of its own. */
  isHeldOrLoading(key: string): boolean {
    return this.#held.has(key) || this.#loading.has(key);
  }

  /**
   * The value held, or what `load` returns. Concurrent calls for one key share one load; a failed
   * load fails them all and leaves nothing behind. Except when it was refused by the budget of the
   * store that began it: the other stores then load for themselves.
   */
  async getOrLoad(key: string, load: () => Promise<Sized<V>>): Promise<V> {
    const held = this.get(key);
    if (held !== undefined) return held;
    const running = this.#loading.get(key);
    if (running !== undefined) {
      try {
        return await running;
      } catch (error) {
        if (!(error instanceof BudgetExceededError)) throw error;
        return this.getOrLoad(key, load);
      }
    }
    const loading = this.#load(key, load);
    this.#loading.set(key, loading);
    try {
      return await loading;
    } finally {
      this.#loading.delete(key);
    }
  }

  async #load(key: string, load: () => Promise<Sized<V>>): Promise<V> {
    const loaded = await load();
    this.keep(key, loaded);
    return loaded.value;
  }

  /** Holds a value, at the cost of those used longest ago. */
  keep(key: string, loaded: Sized<V>): void {
    // What exceeds the whole bound would drive out everything else and stay itself not.
    if (loaded.bytes > this.#bytesMax || this.#held.has(key)) return;
    this.#held.set(key, loaded);
    this.#bytes += loaded.bytes;
    for (const [oldest, { bytes }] of this.#held) {
      if (this.#bytes <= this.#bytesMax) break;
      this.#held.delete(oldest);
      this.#bytes -= bytes;
    }
  }
}
