/** The content of the next manifest. Pure. */
import { hash } from "node:crypto";
import { maxOf } from "../core/bulk.ts";
import { assert } from "../core/assert.ts";
import type { ProtocolSettings } from "../core/settings.ts";
import { countArchives } from "../format/archive-list.ts";
import {
  LINEAGE_MAX,
  type HistoryEntry,
  laneFloor,
  type Manifest,
  type Retired,
} from "../format/manifest-codec.ts";
import { allRuns, flatLevels, type Level, levelsOf } from "../format/levels.ts";
import type { RunInfo } from "../format/run-info.ts";
import { piecesOf, takenOver } from "../runs/visible.ts";
import { cataloguePath, parseArchiveBase, parseRunBase } from "../format/paths.ts";
import type { LanesChange } from "./claims.ts";
import { orphans } from "./collector.ts";
import { type CatalogueLimits, DEFAULT_CATALOGUE_LIMITS, foldRuns } from "./fold.ts";
import type { LoadedManifest } from "../view/manifest-store.ts";

export interface Change {
  readonly nonce: string;
  /** Of the next manifest, the newest first. */
  readonly levels: readonly Level[];
  /** Highest clock and schema version merged. */
  readonly clock: number;
  readonly schema: number;
  /** The new floor. Default: as it is. */
  readonly purgeFloor?: number | undefined;
  /**
   * A memory of this generation has seen every tombstone that this publication purges; "new": only
   * one of the publication itself has. Default: none was purged.
   */
  readonly purgedSince?: number | "new" | undefined;
  /** Default: the lanes stay as they are. */
  readonly lanes?: Pick<LanesChange, "after" | "sealed"> | undefined;
  /** Records that are there afterwards. */
  readonly activeRecords: number;
  /** Default: as they are. */
  readonly archives?: Pick<Manifest, "archive" | "listedArchives">;
  /** When the store was created, if its manifest does not contain it; default: now. */
  readonly created?: string;
  /** Retired in addition to the replaced runs. */
  readonly retired?: readonly Retired[];
  /** Objects in `snapshots/` and `archive/`, seen after the manifest that this one replaces. */
  readonly listed?: readonly string[] | undefined;
  /** Nothing made on an earlier generation may be published any more. */
  readonly collected?: number;
  /** What is due and stays for another, as its publisher does not delete it. Default: nothing. */
  readonly keepsDue?: (due: Retired) => boolean;
  /** Default: `DEFAULT_CATALOGUE_LIMITS`. */
  readonly limits?: CatalogueLimits;
  readonly dateMs: number;
}

export interface Publication {
  readonly manifest: Manifest;
  /** Retired long enough: deleted after the publication, and left out of it. */
  readonly due: readonly Retired[];
}

/** @param loaded with the content of its catalogues (`ManifestStore.open`) */
export function preparePublication(
  loaded: LoadedManifest,
  change: Change,
  settings: ProtocolSettings,
): Publication {
  const { manifest } = loaded;
  const generation = manifest.generation + 1;
  const { runs, draining } = flatLevels(change.levels);
  const { purgedSince = 0 } = change;
  const collectable = collectableAt(loaded, change.dateMs, settings);
  const collected = maxOf([manifest.collected, collectable, change.collected ?? 0]);
  const folded = foldRuns(datedRuns(runs, manifest, change), {
    limits: change.limits ?? DEFAULT_CATALOGUE_LIMITS,
    before: manifest.catalogues,
    newPath: cataloguePaths(manifest.generation, change.nonce),
  });
  const { archive, listedArchives } = change.archives ?? manifest;
  const named = [...runs, ...folded.catalogues, ...listedArchives.lists];
  const retired = [
    ...fillIn(manifest.retired, loaded.lastModifiedMs),
    ...replacedBy(named, manifest),
    ...(change.retired ?? []),
  ];
  const segmentGraceMs = segmentGraceOf(manifest, settings);
  const tombstoneGraceMs = tombstoneGraceOf(manifest, settings);
  const guards = guardsAfter(manifest, change, settings);
  const graces = { ...settings, segmentGraceMs, guardGraceMs: guards.guardGraceMs };
  const { keepsDue = () => false } = change;
  const due = dueRetired(retired, change.dateMs, graces).filter((entry) => !keepsDue(entry));
  const date = new Date(change.dateMs).toISOString();
  const next: Manifest = {
    generation,
    nonce: change.nonce,
    lineage: [manifest.nonce, ...manifest.lineage]
      .filter((nonce) => nonce !== "")
      .slice(0, LINEAGE_MAX),
    clock: Math.max(manifest.clock, change.clock),
    ...folded,
    draining,
    purgeFloor: change.purgeFloor ?? manifest.purgeFloor,
    collected,
    uncollected: manifest.uncollected,
    lastPurge: Math.max(manifest.lastPurge, purgedSince === "new" ? generation : purgedSince),
    segmentGraceMs,
    tombstoneGraceMs,
    ...guards,
    history: thinHistory(nextHistory(loaded), change.dateMs, tombstoneGraceMs),
    retired: retired.filter((entry) => !due.includes(entry)),
    archive,
    listedArchives,
    schema: Math.max(manifest.schema, change.schema),
    conditions: manifest.conditions,
    stats: {
      activeRecords: change.activeRecords,
      archivedRecords: countArchives({ archive, listedArchives }).records,
      created: manifest.stats?.created ?? change.created ?? date,
      lastCheckpoint: date,
    },
  };
  const gone = new Set(due.map(({ path }) => path));
  const left = change.listed?.filter((path) => !gone.has(path));
  const uncollected =
    left === undefined
      ? manifest.uncollected
      : unmentioned(next, left).some((base) => base >= collected);
  const noted = { ...next, uncollected };
  checkSuccessor(manifest, noted);
  return { manifest: noted, due };
}

/**
 * Every publication gives lanes to a store that has none (G0). All claims will have been decided on views
 * of that generation or a later one, so that it counts as a seal of all of them.
 */
function guardsAfter(
  before: Manifest,
  { lanes: change }: Change,
  settings: Pick<ProtocolSettings, "guardGraceMs" | "segmentGraceMs">,
): Pick<Manifest, "lanes" | "guardGraceMs" | "sealed"> {
  const { generation, lanes, sealed } = before;
  return {
    lanes: change?.after ?? lanes ?? [],
    guardGraceMs: guardGraceOf(before, settings),
    sealed: lanes === undefined ? generation + 1 : Math.max(sealed, change?.sealed ?? 0),
  };
}

/** What the manifest notes of a run when it names it: when its data came, and when it did first. */
function datedRuns(runs: readonly RunInfo[], manifest: Manifest, { dateMs }: Change): RunInfo[] {
  const known = new Set(allRuns(manifest).map(({ path }) => path));
  const oldest = maxOf(runs.map(({ level }) => level));
  return runs.map((run) => {
    if (known.has(run.path) && (run.oldestMs === undefined) === (run.level === oldest)) return run;
    const { oldestMs = Math.floor(dateMs), ...others } = run;
    const dated = run.level === oldest ? others : { ...others, oldestMs };
    return known.has(run.path) ? dated : { ...dated, since: manifest.generation + 1 };
  });
}

/** Objects of a manifest that the next one does not name. */
function replacedBy(named: readonly { readonly path: string }[], before: Manifest): Retired[] {
  const kept = new Set(named.map(({ path }) => path));
  const runs = allRuns(before).filter(({ path }) => !kept.has(path));
  const described = [...before.catalogues, ...before.listedArchives.lists];
  return [
    ...runs.flatMap(({ path, index }) => [{ path }, { path: index }]),
    ...described.flatMap(({ path }) => (kept.has(path) ? [] : [{ path }])),
  ];
}

/** Names by the nonce, which no other publication over this generation has. */
function cataloguePaths(generation: number, nonce: string): () => string {
  let made = 0;
  return () => cataloguePath(generation, publicationNonce(nonce, ["catalogue", `${made++}`]));
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
  assert(after.guardGraceMs >= before.guardGraceMs, "the guard grace is never shortened");
  assert(
    (before.lanes ?? []).every((n, lane) => n <= laneFloor(after, lane)),
    "no lane goes back",
  );
  const keepsLanes = before.lanes === undefined || after.lanes !== undefined;
  assert(keepsLanes && after.sealed >= before.sealed, "lanes and seals stay");
  assert(after.collected >= before.collected, "what was given up stays so");
  assert(after.schema >= before.schema, "the schema never goes back");
  const areKept = countArchives(after).archives >= countArchives(before).archives;
  assert(areKept, "no archive is forgotten");
  const runs = allRuns(after);
  const paths = new Set(runs.map(({ path }) => path));
  assert(paths.size === runs.length, "a run is referenced once");
  assert(!after.retired.some(({ path }) => paths.has(path)), "no referenced run is retired");
  for (const level of levelsOf(after)) {
    const pieces = piecesOf(level.runs);
    const isApart = pieces.every(({ span }, at) => {
      const next = pieces[at + 1];
      return next === undefined || span.to <= next.span.from;
    });
    assert(isApart, "no id is visible in two runs of a level");
  }
  const named = new Map(runs.map((run) => [run.path, run]));
  for (const run of allRuns(before)) {
    const now = named.get(run.path);
    const returned = now === undefined ? [] : takenOver(now, run);
    assert(returned.length === 0, "what was taken over from a run stays so");
  }
}

/** Bases of objects that no manifest before `manifest`, nor it, has made any use of. */
function unmentioned(manifest: Manifest, listed: readonly string[]): number[] {
  return orphans({ ...manifest, collected: manifest.generation }, listed).flatMap(
    (path) => parseRunBase(path) ?? parseArchiveBase(path) ?? [],
  );
}

/** Nobody waits for what was made on an earlier generation: each was replaced `gcGraceMs` ago. */
function collectableAt(
  loaded: LoadedManifest,
  dateMs: number,
  { gcGraceMs }: Pick<ProtocolSettings, "gcGraceMs">,
): number {
  if (gcGraceMs === 0) return loaded.manifest.generation + 1;
  const old = nextHistory(loaded).filter(({ at }) => dateMs - at >= gcGraceMs);
  return maxOf(
    old.map(({ generation }) => generation),
    0,
  );
}

/** Whether objects that could not be collected yet can be now: those that the last publisher saw. */
export function isCollectable(
  { manifest, lastModifiedMs, dateMs }: LoadedManifest,
  { gcGraceMs }: Pick<ProtocolSettings, "gcGraceMs">,
): boolean {
  return manifest.uncollected && dateMs - (lastModifiedMs ?? dateMs) >= gcGraceMs;
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
  { gcGraceMs, segmentGraceMs, guardGraceMs }: Graces,
): Retired[] {
  return retired.filter(({ at, segments, claims }) => {
    const plainMs = segments === undefined ? gcGraceMs : segmentGraceMs;
    const graceMs = claims === true ? guardGraceMs : plainMs;
    return at !== undefined && dateMs - at >= graceMs;
  });
}

type Graces = Pick<ProtocolSettings, "gcGraceMs" | "segmentGraceMs" | "guardGraceMs">;

/** By which the deletions of a publication over this manifest wait. */
export function gracesOf(manifest: Manifest, settings: ProtocolSettings): Graces {
  return {
    gcGraceMs: settings.gcGraceMs,
    segmentGraceMs: segmentGraceOf(manifest, settings),
    guardGraceMs: guardGraceOf(manifest, settings),
  };
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

/** KEEP: how long claims stay that a publication has merged. */
export function guardGraceOf(
  manifest: Manifest,
  settings: Pick<ProtocolSettings, "guardGraceMs" | "segmentGraceMs">,
): number {
  // FAST-VIEW reads claims as long as it reads segments.
  const ownMs = Math.max(Math.ceil(settings.guardGraceMs), segmentGraceOf(manifest, settings));
  return Math.max(manifest.guardGraceMs, ownMs);
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
