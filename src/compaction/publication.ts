/** The content of the next manifest. Pure. */
import { hash } from "node:crypto";
import { assert } from "../core/assert.ts";
import type { ProtocolSettings } from "../core/settings.ts";
import {
  LINEAGE_MAX,
  type HistoryEntry,
  type ArchiveInfo,
  type Manifest,
  type Retired,
} from "../format/manifest-codec.ts";
import type { RunInfo } from "../format/run-info.ts";
import type { LoadedManifest } from "../view/manifest-store.ts";

export interface Change {
  readonly nonce: string;
  readonly keptRuns: readonly RunInfo[];
  readonly newRuns: readonly RunInfo[];
  readonly replacedRuns: readonly RunInfo[];
  /** Highest clock and schema version merged. */
  readonly clock: number;
  readonly schema: number;
  /** The new floor when this merge purged. */
  readonly purgeFloor: number | undefined;
  /** Records that are there afterwards. */
  readonly activeRecords: number;
  readonly archived?: readonly ArchiveInfo[];
  /** When the store was created, if its manifest does not contain it; default: now. */
  readonly created?: string;
  /** Retired in addition to the replaced runs. */
  readonly retired?: readonly Retired[];
  /** The publisher deletes nothing: what is due stays for a compaction. */
  readonly keepsDue?: true;
  readonly dateMs: number;
}

export interface Publication {
  readonly manifest: Manifest;
  /** Retired long enough: deleted after the publication, and left out of it. */
  readonly due: readonly Retired[];
}

export function preparePublication(
  loaded: LoadedManifest,
  change: Change,
  settings: ProtocolSettings,
): Publication {
  const { manifest } = loaded;
  const generation = manifest.generation + 1;
  const retired = [
    ...fillIn(manifest.retired, loaded.lastModifiedMs),
    ...change.replacedRuns.flatMap(({ path, index }) => [{ path }, { path: index }]),
    ...(change.retired ?? []),
  ];
  const archive = [...manifest.archive, ...(change.archived ?? [])];
  const segmentGraceMs = segmentGraceOf(manifest, settings);
  const tombstoneGraceMs = tombstoneGraceOf(manifest, settings);
  const graces = { gcGraceMs: settings.gcGraceMs, segmentGraceMs };
  const due = change.keepsDue === true ? [] : dueRetired(retired, change.dateMs, graces);
  const date = new Date(change.dateMs).toISOString();
  const next: Manifest = {
    generation,
    nonce: change.nonce,
    lineage: [manifest.nonce, ...manifest.lineage]
      .filter((nonce) => nonce !== "")
      .slice(0, LINEAGE_MAX),
    clock: Math.max(manifest.clock, change.clock),
    runs: [...change.keptRuns, ...change.newRuns],
    purgeFloor: change.purgeFloor ?? manifest.purgeFloor,
    lastPurge: change.purgeFloor === undefined ? manifest.lastPurge : generation,
    segmentGraceMs,
    tombstoneGraceMs,
    history: thinHistory(nextHistory(loaded), change.dateMs, tombstoneGraceMs),
    retired: retired.filter((entry) => !due.includes(entry)),
    archive,
    schema: Math.max(manifest.schema, change.schema),
    conditions: manifest.conditions,
    stats: {
      activeRecords: change.activeRecords,
      archivedRecords: archive.reduce((sum, { records }) => sum + records, 0),
      created: manifest.stats?.created ?? change.created ?? date,
      lastCheckpoint: date,
    },
  };
  checkSuccessor(manifest, next);
  return { manifest: next, due };
}

/**
 * The nonce of a manifest: 16 hex digits. Two clones of one process draw the same random digits and
 * must not take each other's publication for their own, so it depends on the content as well.
 * @param content of the publication: names that no other process makes
 */
export function publicationNonce(drawn: string, content: readonly string[]): string {
  return hash("sha256", JSON.stringify([drawn, ...content])).slice(0, 16);
}

/** Invariants of every publication; a violation is a defect and must never reach the store. */
function checkSuccessor(before: Manifest, after: Manifest): void {
  assert(after.generation === before.generation + 1, "generation grows by one");
  assert(after.clock >= before.clock, "the clock never goes back");
  assert(after.purgeFloor >= before.purgeFloor, "the purge floor never goes back");
  assert(after.segmentGraceMs >= before.segmentGraceMs, "the segment grace is never shortened");
  const { tombstoneGraceMs } = before;
  assert(after.tombstoneGraceMs >= tombstoneGraceMs, "the tombstone grace is never shortened");
  assert(after.schema >= before.schema, "the schema never goes back");
  const paths = new Set(after.runs.map(({ path }) => path));
  assert(paths.size === after.runs.length, "a run is referenced once");
  assert(!after.retired.some(({ path }) => paths.has(path)), "no referenced run is retired");
}

export function nextHistory({ manifest, lastModifiedMs }: LoadedManifest): HistoryEntry[] {
  const { generation, clock, history } = manifest;
  if (lastModifiedMs === undefined) return [...history];
  return [...history, { generation, clock, at: lastModifiedMs }];
}

/** Retired objects of the manifest itself have been so since it was written. */
export function fillIn(retired: readonly Retired[], lastModifiedMs: number | undefined): Retired[] {
  return retired.map((entry) =>
    entry.at === undefined && lastModifiedMs !== undefined
      ? { ...entry, at: lastModifiedMs }
      : entry,
  );
}

export function dueRetired(
  retired: readonly Retired[],
  dateMs: number,
  { gcGraceMs, segmentGraceMs }: Pick<ProtocolSettings, "gcGraceMs" | "segmentGraceMs">,
): Retired[] {
  return retired.filter(({ at, segments }) => {
    const graceMs = segments === undefined ? gcGraceMs : segmentGraceMs;
    return at !== undefined && dateMs - at >= graceMs;
  });
}

/**
 * What a publication promises to readers of its manifest, and what its deletions wait for. Readers
 * may still hold an earlier manifest, so it is never less than what that one promised.
 */
export function segmentGraceOf(
  { segmentGraceMs }: Manifest,
  settings: Pick<ProtocolSettings, "segmentGraceMs">,
): number {
  return Math.max(segmentGraceMs, Math.ceil(settings.segmentGraceMs));
}

/**
 * How long a purge waits, and what its manifest promises to writers: theirs may be a view of an
 * earlier one, so it is never less than what that one promised.
 */
export function tombstoneGraceOf(
  { tombstoneGraceMs }: Manifest,
  settings: Pick<ProtocolSettings, "tombstoneGraceMs">,
): number {
  return Math.max(tombstoneGraceMs, Math.ceil(settings.tombstoneGraceMs));
}

/** Keeps the newest entry old enough to purge by, then at most 24 in a grace period (one an hour). */
function thinHistory(
  history: readonly HistoryEntry[],
  dateMs: number,
  tombstoneGraceMs: number,
): HistoryEntry[] {
  const oldEnough = history.findLastIndex(({ at }) => dateMs - at >= tombstoneGraceMs);
  const spacingMs = tombstoneGraceMs / 24;
  const kept: HistoryEntry[] = [];
  for (const entry of history.slice(Math.max(oldEnough, 0))) {
    const last = kept.at(-1);
    if (last === undefined || entry.at - last.at >= spacingMs) kept.push(entry);
  }
  return kept;
}
