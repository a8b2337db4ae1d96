/** How long readers follow manifests that are replaced while they read. */
import { UnavailableError } from "../core/errors.ts";

const VIEWS_MAX = 50;

/** Counts the views that one piece of work was begun on. */
export class ViewLimit {
  #views = 0;

  /** To be called before the work begins on a view. @throws UnavailableError after too many */
  begin(): void {
    if (++this.#views <= VIEWS_MAX) return;
    throw new UnavailableError(
      `snapshots and log changed ${VIEWS_MAX} times while they were read; is a compaction running in a loop?`,
    );
  }
}
