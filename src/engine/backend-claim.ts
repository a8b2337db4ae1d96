/**
 * Which location a backend instance serves. Stores may share an instance on one location; bound to
 * a second one meanwhile, it would write the records of the first store there.
 */
import { InvalidArgumentError } from "../core/errors.ts";
import { processWide } from "../core/process-wide.ts";
import type { StorageBackend } from "../storage/backend.ts";

interface Claims {
  readonly location: string;
  count: number;
}

/** Stores of another copy of this package claim the same instances. */
const allClaims = (): WeakMap<StorageBackend, Claims> =>
  processWide("claims", () => new WeakMap<StorageBackend, Claims>());

export class BackendClaim {
  /** Resolved once: it does not follow the working directory. */
  readonly location: string;
  readonly #backend: StorageBackend;

  /**
   * Initializes the backend.
   * @throws InvalidArgumentError while it serves another location; what `initialize` throws
   */
  static async take(
    backend: StorageBackend,
    given: string,
    options: { readonly readOnly: boolean },
  ): Promise<BackendClaim> {
    const location = backend.resolveLocation?.(given) ?? given;
    const claims = allClaims().get(backend) ?? { location, count: 0 };
    if (claims.location !== location) {
      throw new InvalidArgumentError(
        `this backend is in use for ${claims.location}; create another one for ${location}`,
        { path: location },
      );
    }
    claims.count++;
    allClaims().set(backend, claims);
    const claim = new BackendClaim(backend, location);
    try {
      await backend.initialize(location, options);
      return claim;
    } catch (error) {
      claim.#giveBack();
      throw error;
    }
  }

  private constructor(backend: StorageBackend, location: string) {
    this.#backend = backend;
    this.location = location;
  }

  /** To be called once. Shuts the backend down if no other store uses it. */
  async release(): Promise<void> {
    if (this.#giveBack()) await this.#backend.shutdown();
  }

  /** Whether this was the last claim. */
  #giveBack(): boolean {
    const claims = allClaims().get(this.#backend);
    if (claims === undefined || --claims.count > 0) return false;
    allClaims().delete(this.#backend);
    return true;
  }
}
