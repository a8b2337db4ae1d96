/**
 * VIEW = (manifest, listing): the manifest was current at some moment after the last page of the
 * listing had arrived. Every read and every write of a store starts from one.
 */
import type { CorruptionError } from "../core/errors.ts";
import type { Log, SegmentRef } from "../log/log.ts";
import type { OriginalBase } from "../original/original-base.ts";
import type { LoadedManifest, ManifestStore } from "./manifest-store.ts";

export interface View extends LoadedManifest {
  /** Live segments: those above the purge floor (FLOOR). */
  readonly segments: readonly SegmentRef[];
  readonly corrupt: readonly CorruptionError[];
  /** Highest clock of the manifest and of every listed segment. */
  readonly clock: number;
  /** Until the first compaction of a store of the original opslog; `segments` hold its log too. */
  readonly original?: OriginalBase;
}

/**
 * V1: manifest and listing in parallel. V2: the manifest again, 304 when it stands; a
 * newer one is used with the same listing, which is never repeated for this.
 */
export async function makeView(
  manifests: ManifestStore,
  log: Log,
  known?: LoadedManifest,
): Promise<View> {
  const [before, listing] = await Promise.all([manifests.load(known), log.list()]);
  const loaded = await manifests.load(before);
  return liveView(loaded, listing.segments, listing.corrupt);
}

/** The same listing under a newer manifest, without segments that turned out to be gone. */
export async function renewView(
  manifests: ManifestStore,
  view: View,
  gone: ReadonlySet<string> = new Set(),
): Promise<View> {
  const loaded = await manifests.load(view);
  const segments = view.segments.filter(({ key }) => !gone.has(key));
  const renewed = liveView(loaded, segments, view.corrupt);
  return { ...renewed, clock: Math.max(view.clock, renewed.clock) };
}

function liveView(
  loaded: LoadedManifest,
  listed: readonly SegmentRef[],
  corrupt: readonly CorruptionError[],
): View {
  const { purgeFloor } = loaded.manifest;
  const clock = listed.reduce((max, { hi }) => Math.max(max, hi), loaded.manifest.clock);
  return { ...loaded, segments: listed.filter(({ lo }) => lo > purgeFloor), corrupt, clock };
}
