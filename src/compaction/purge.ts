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

/**
 * Whether deletions take so much room that they should be purged now that they may be.
 * @param isFull the caller wants all levels merged: then every deletion is worth it
 */
export function wantsPurge(manifest: Manifest, purgeFloor: number, isFull = false): boolean {
  return mayDrop(manifest, purgeFloor) && isWorth(manifest, countSealed(manifest), isFull);
}

/** Whether they would be if every lane had passed a seal (SEAL). */
export function wantsSeal(manifest: Manifest, purgeFloor: number, isFull = false): boolean {
  if (manifest.lanes === undefined || !mayDrop(manifest, purgeFloor)) return false;
  const isEnough = isWorth(manifest, countSealed(manifest), isFull);
  return !isEnough && isWorth(manifest, countTombstones(manifest), isFull);
}

/** Where all clocks are at or below the floor, guarded deletions may be so without any rise of it. */
function mayDrop({ clock, lanes, ...manifest }: Manifest, purgeFloor: number): boolean {
  const isBelow = lanes !== undefined && clock <= manifest.purgeFloor;
  return purgeFloor > manifest.purgeFloor || isBelow;
}

function isWorth(manifest: Manifest, tombstones: number, isFull: boolean): boolean {
  const records = described(manifest).reduce((sum, run) => sum + run.records, 0);
  return tombstones > (isFull ? 0 : records * TOMBSTONE_SHARE);
}

export function countTombstones(manifest: Pick<Manifest, "runs" | "catalogues">): number {
  return described(manifest).reduce((sum, { tombstones }) => sum + tombstones, 0);
}

/**
 * Tombstones in runs that were named before the last seal. What was merged since may hold more of them,
 * which count again after the next one. Of a catalogue that was not read, all count.
 */
export function countSealed(
  manifest: Pick<Manifest, "runs" | "catalogues" | "lanes" | "sealed">,
): number {
  const { runs, catalogues, lanes, sealed } = manifest;
  if (lanes === undefined) return countTombstones(manifest);
  const known = [...catalogues.flatMap((one) => one.content ?? []), ...runs];
  const closed = catalogues.filter(({ content }) => content === undefined);
  return [...closed, ...known.filter(({ since = Infinity }) => since <= sealed)].reduce(
    (sum, { tombstones }) => sum + tombstones,
    0,
  );
}

/** SEAL: whether a deletion of a generation may be dropped under a manifest. */
export function isSealed(
  since: number | undefined,
  { lanes, sealed }: Pick<Manifest, "lanes" | "sealed">,
): boolean {
  return lanes === undefined || (since !== undefined && since <= sealed);
}
