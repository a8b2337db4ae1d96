/**
 * Lookups that run during a refresh. The refresh includes them: what they look for is resident when it
 * ends, so that neither starts again for ever because of the other.
 */
import { Deferred } from "../core/deferred.ts";

export class Lookups {
  readonly #underWay = new Set<readonly string[]>();
  /** Settled when the refresh that is about to be seen has been. */
  #closed: Deferred | undefined;

  /** Ids of lookups under way. */
  *ids(): Generator<string> {
    for (const ids of this.#underWay) yield* ids;
  }

  async run(ids: readonly string[], work: () => Promise<void>): Promise<void> {
    // The same ids may be looked up twice at once.
    const entry = [...ids];
    this.#underWay.add(entry);
    try {
      await work();
    } finally {
      this.#underWay.delete(entry);
    }
  }

  /** To be awaited before a lookup makes something resident. */
  async opened(): Promise<void> {
    while (this.#closed !== undefined) await this.#closed.promise;
  }

  /** Nothing becomes resident by a lookup meanwhile. */
  async whileClosed(work: () => Promise<void>): Promise<void> {
    const closed = new Deferred();
    this.#closed = closed;
    try {
      await work();
    } finally {
      this.#closed = undefined;
      closed.resolve();
    }
  }
}
