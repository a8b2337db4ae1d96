/**
 * How large a manifest is, and what its catalogues hold, where the runs of a level are only counted:
 * as the engine folds them, the oldest levels first.
 */

/** Of the description of a run with ids as long as those of the model, and of a retired object. */
const INFO_BYTES = 560;
const RETIRED_BYTES = 110;
const REST_BYTES = 1_400;
/** What a manifest keeps of a catalogue. */
const ENTRY_BYTES = 200;
const KIB = 1_024;
/** As the engine limits them. */
const INLINE_BYTES_MAX = 24 * KIB;
const CATALOGUE_BYTES_MAX = 24 * KIB;

export interface ManifestShape {
  readonly bytes: number;
  readonly catalogues: number;
  readonly catalogueBytes: number;
  /** Levels whose runs are in catalogues. */
  readonly foldedLevels: number;
}

/** @param levels how many runs each has, the oldest first @param retired objects that wait to be deleted */
export function shapeOf(levels: readonly number[], retired: number): ManifestShape {
  let inline = levels.reduce((sum, runs) => sum + runs, 0) * INFO_BYTES;
  let [catalogues, catalogueBytes, foldedLevels] = [0, 0, 0];
  for (const runs of levels) {
    if (inline <= INLINE_BYTES_MAX) break;
    const bytes = runs * INFO_BYTES;
    inline -= bytes;
    catalogueBytes += bytes;
    catalogues += Math.ceil(bytes / CATALOGUE_BYTES_MAX);
    foldedLevels++;
  }
  const bytes = REST_BYTES + inline + catalogues * ENTRY_BYTES + retired * RETIRED_BYTES;
  return { bytes, catalogues, catalogueBytes, foldedLevels };
}

/** Catalogues that a publication writes anew: for its runs, and for what it cut off their neighbours. */
export function rewrittenBy(runs: number): number {
  return Math.ceil((runs * INFO_BYTES) / CATALOGUE_BYTES_MAX) + 1;
}

/** What a read of one record reads of them at most. */
export function catalogueReadBytes({ foldedLevels }: ManifestShape): number {
  return foldedLevels * CATALOGUE_BYTES_MAX;
}
