/** The first manifest of a store: empty, and there before anything is written. */
import { preparePublication } from "../compaction/publication.ts";
import type { LoadedManifest } from "../view/manifest-store.ts";
import type { StoreParts } from "./parts.ts";

/**
 * Publishes generation 1 without runs, so that others can open the store beside a writer that has
 * written nothing yet. Needs no lease: it is created or left alone, and it refers to nothing.
 * @param absent a look that found no manifest; one that somebody else published since is as good
 */
export async function publishFirstManifest(
  { manifests, runtime, settings }: StoreParts,
  absent: LoadedManifest,
): Promise<void> {
  const change = {
    nonce: runtime.randomHex(16),
    dateMs: absent.dateMs,
    keptRuns: [],
    newRuns: [],
    replacedRuns: [],
    clock: 0,
    schema: 0,
    purgeFloor: undefined,
    activeRecords: 0,
  };
  const first = preparePublication(absent, change, settings);
  await manifests.publish(absent, first.manifest, settings.writeTimeoutMs);
}
