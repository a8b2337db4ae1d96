/**
 * Records of a view as one sequence in id order, which continues under a newer manifest when a
 * compaction deletes what is being read.
 */
import { UnavailableError } from "../core/errors.ts";
import type { RunEntry } from "../core/version.ts";
import { type EntryBatches, mergeSorted } from "../runs/merge.ts";
import { RunGoneError } from "../runs/run-gone.ts";
import type { ManifestStore } from "../view/manifest-store.ts";
import { renewView, type View } from "../view/view.ts";

/** How often a compaction may delete under a stream before the stream gives up. */
export const VIEWS_MAX = 50;

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
  /** The requested one, or a newer one if the log had to be read again. */
  readonly view: View;
  readonly sources: readonly EntryBatches<E>[];
  /** As `MergeOptions` documents. */
  readonly isPrompt?: boolean;
}

/**
 * The winner of every id, tombstones included. An id that was there all the time is given once.
 * @throws UnavailableError when compactions never cease; CorruptionError
 */
export async function* streamView<E extends RunEntry>(
  manifests: ManifestStore,
  first: View,
  { from, to, reverse }: IdRange,
  open: (view: View, range: IdRange) => Promise<ViewSources<E>>,
): AsyncGenerator<E[]> {
  let view = first;
  let rest = { from, to, reverse };
  for (let attempt = 1; attempt <= VIEWS_MAX; attempt++) {
    try {
      const opened = await open(view, rest);
      view = opened.view;
      for await (const batch of mergeSorted(opened.sources, {
        reverse,
        isPrompt: opened.isPrompt,
      })) {
        const last = batch.at(-1)?.id;
        // No text lies between an id and the same with the lowest character behind it.
        if (last !== undefined) {
          rest = reverse === true ? { ...rest, to: last } : { ...rest, from: `${last}\0` };
        }
        yield batch;
      }
      return;
    } catch (error) {
      view = await renewedView(manifests, view, error);
    }
  }
  throw changedTooOften();
}

/** V4: the view under the manifest that replaced a run which is gone; other errors are thrown. */
export async function renewedView(
  manifests: ManifestStore,
  view: View,
  error: unknown,
): Promise<View> {
  if (!(error instanceof RunGoneError)) throw error;
  const renewed = await renewView(manifests, view);
  if (renewed.loaded.etag === view.loaded.etag) throw error.asDamage();
  return renewed;
}

export function changedTooOften(): UnavailableError {
  return new UnavailableError(
    `snapshots and log changed ${VIEWS_MAX} times while they were streamed; is a compaction running in a loop?`,
  );
}
