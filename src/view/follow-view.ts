/**
 * Work on a view while compactions delete what it names (V4): when something is gone, the view is
 * renewed under the current manifest, and the work begins again on that.
 */
import { RunGoneError } from "../runs/run-gone.ts";
import type { ManifestStore } from "./manifest-store.ts";
import { renewView, type View } from "./view.ts";
import { ViewLimit } from "./view-limit.ts";

/** One attempt of a piece of work. */
export interface Attempt {
  /** What it works on. The work replaces it by the settled view, where it needs that one. */
  view: View;
  /** The work adds keys of segments that were deleted; its result counts only if there are none. */
  readonly gone: Set<string>;
}

/**
 * @param work what it throws is thrown, except RunGoneError; begun again, it goes on where it was
 * @throws CorruptionError when the current manifest names a run that is not there; UnavailableError
 *   when compactions never cease
 */
export async function followView<R>(
  manifests: ManifestStore,
  first: View,
  work: (attempt: Attempt) => Promise<R>,
): Promise<R> {
  const following = followStream(manifests, first, (attempt) => resultOf(work(attempt)));
  return (await following.next()).value;
}

/** As `followView`, for work that yields while it goes on. */
export async function* followStream<T, R>(
  manifests: ManifestStore,
  first: View,
  work: (attempt: Attempt) => AsyncGenerator<T, R>,
): AsyncGenerator<T, R> {
  const limit = new ViewLimit();
  let view = first;
  for (;;) {
    limit.begin();
    const attempt = { view, gone: new Set<string>() };
    let missing: RunGoneError | undefined;
    try {
      const result = yield* work(attempt);
      if (attempt.gone.size === 0) return result;
    } catch (error) {
      if (!(error instanceof RunGoneError)) throw error;
      missing = error;
    }
    view = await renewView(manifests, attempt.view, attempt.gone);
    const isSame = view.loaded.etag === attempt.view.loaded.etag;
    if (missing !== undefined && isSame) throw missing.asDamage();
  }
}

// eslint-disable-next-line require-yield -- a promise as work that only returns
async function* resultOf<R>(result: Promise<R>): AsyncGenerator<never, R> {
  return await result;
}
