/**
 * Records of a view as one sequence in id order, which continues under a newer manifest when a
 * compaction deletes what is being read.
 */
import type { RunEntry } from "../core/version.ts";
import { type EntryBatches, mergeSorted } from "../runs/merge.ts";
import type { ManifestStore } from "../view/manifest-store.ts";
import { type Attempt, followStream, type View } from "../view/view.ts";

/** Ids with from <= id < to, whatever the direction. */
export interface IdRange {
  /** Default: from the lowest. */
  readonly from?: string | undefined;
  /** Default: to the highest. */
  readonly to?: string | undefined;
  /** From the highest to the lowest. Default false. */
  readonly reverse?: boolean | undefined;
}

/** What a view's records in a range are merged from, in the order of the range. */
export interface ViewSources<E extends RunEntry> {
  readonly sources: readonly EntryBatches<E>[];
  /** As `MergeOptions` documents. */
  readonly isPrompt?: boolean;
}

/**
 * The winner of every id, tombstones included. An id that was there all the time is given once.
 * @param open opens what is merged; where it finds segments gone, what it returns is not read
 * @throws UnavailableError when compactions never cease; CorruptionError
 */
export function streamView<E extends RunEntry>(
  manifests: ManifestStore,
  first: View,
  { from, to, reverse }: IdRange,
  open: (attempt: Attempt, range: IdRange) => Promise<ViewSources<E>>,
): AsyncGenerator<E[]> {
  let rest = { from, to, reverse };
  return followStream(manifests, first, async function* (attempt) {
    const { sources, isPrompt } = await open(attempt, rest);
    if (attempt.gone.size > 0) return;
    for await (const batch of mergeSorted(sources, { reverse, isPrompt })) {
      const last = batch.at(-1)?.id;
      // No text lies between an id and the same with the lowest character behind it.
      if (last !== undefined) {
        rest = reverse === true ? { ...rest, to: last } : { ...rest, from: `${last}\0` };
      }
      yield batch;
    }
  });
}
