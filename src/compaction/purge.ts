/** How far deletions may be purged, and when that is worth a merge of all levels (PROTOCOL, C9). Pure. */
import { described } from "../format/levels.ts";
import type { HistoryEntry, Manifest } from "../format/manifest-codec.ts";

/**
 * F: the highest clock that was included in a manifest at least the grace period ago.
 * @param dateMs Date of the first page of the listing that the merge is based on
 */
export function purgeFloorAt(
  manifest: Manifest,
  history: readonly HistoryEntry[],
  dateMs: number,
  tombstoneGraceMs: number,
): number {
  return history
    .filter(({ at }) => dateMs - at >= tombstoneGraceMs)
    .reduce((floor, { clock }) => Math.max(floor, clock), manifest.purgeFloor);
}

/** Share of tombstones from which a merge of all levels is worth it. */
const TOMBSTONE_SHARE = 0.25;

/** Whether deletions take so much room that they should be purged now that they may be. */
export function wantsPurge(manifest: Manifest, purgeFloor: number): boolean {
  const records = described(manifest).reduce((sum, run) => sum + run.records, 0);
  const tombstones = countTombstones(manifest);
  return purgeFloor > manifest.purgeFloor && tombstones > records * TOMBSTONE_SHARE;
}

export function countTombstones(manifest: Pick<Manifest, "runs" | "catalogues">): number {
  return described(manifest).reduce((sum, { tombstones }) => sum + tombstones, 0);
}
