/** Whether a store is there; its first manifest: empty, and there before anything is written. */
import { preparePublication } from "../compaction/publication.ts";
import { AccessDeniedError, StoreNotFoundError } from "../core/errors.ts";
import type { LoadedManifest } from "../view/manifest-store.ts";
import type { View } from "../view/view.ts";
import { lookWhole, type TimedView } from "../view/freshness.ts";
import type { Engine } from "../engine/engine.ts";

/**
 * Publishes generation 1 without runs, so that others can open the store beside a writer that has
 * written nothing yet. Needs no lease: it is created or left alone, and it refers to nothing.
 * @param absent a look that found no manifest; one that another process published since is as good
 */
export async function publishFirstManifest(
  { manifests, runtime, settings }: Engine,
  absent: LoadedManifest,
): Promise<void> {
  await manifests.prove(absent.manifest, { runtime, settings }).catch((error: unknown) => {
    // A role may write the manifest and no runs: then each writer's first segment is the proof.
    if (!(error instanceof AccessDeniedError)) throw error;
  });
  const change = {
    nonce: runtime.randomHex(16),
    dateMs: absent.dateMs,
    levels: [],
    clock: 0,
    schema: 0,
    activeRecords: 0,
  };
  const first = preparePublication(absent, change, settings);
  await manifests.publish(absent, first.manifest, settings.writeTimeoutMs);
}

/**
 * To be called with its view before a store writes: what is written where a manifest was lost would
 * be ignored once that is restored. One LIST for each view without a manifest, none for others.
 * @param confirmed a view that was looked at already
 * @returns throws CorruptionError when a manifest was lost
 */
export function lostManifestGuard(
  { manifests }: Pick<Engine, "manifests">,
  confirmed: View | undefined,
): (view: View) => Promise<void> {
  let last = confirmed;
  return async (view) => {
    if (view.loaded.manifest.generation > 0 || view === last) return;
    await manifests.confirm(view.loaded, view.legacyLog);
    last = view;
  };
}

/** Before its first compaction a store may be a log alone, which a snapshot does not look at. */
export async function checkExists(
  engine: Engine,
  { view: seen, listedAt }: Pick<TimedView, "view" | "listedAt">,
  location: string,
): Promise<void> {
  const isBlind = seen.loaded.etag === undefined && listedAt === undefined;
  const view = isBlind ? (await lookWhole(engine)).view : seen;
  if (view.loaded.etag !== undefined || view.segments.length > 0) return;
  throw new StoreNotFoundError(
    `Cannot open in readOnly mode: no existing store found at ${location}`,
    { path: location },
  );
}
