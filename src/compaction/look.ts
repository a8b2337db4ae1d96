/** What there is to do, before a compaction takes a lease (PROTOCOL, C1). */
import type { Manifest } from "../format/manifest-codec.ts";
import type { RunInfo } from "../format/run-info.ts";
import type { IsEnough, LogListing, LogRef } from "../log/log.ts";
import { isIgnored, namesIn, sortListing, type SortedListing } from "../view/live-segments.ts";
import type { LoadedManifest } from "../view/manifest-store.ts";
import { shapeOf } from "./measures.ts";
import { isOutdated } from "./migrate.ts";
import { overdueAt, planAnyUnit, runBytes, summaryOf } from "./plan.ts";
import {
  dueRetired,
  fillIn,
  isCollectable,
  nextHistory,
  segmentGraceOf,
  tombstoneGraceOf,
} from "./publication.ts";
import { purgeFloorAt, wantsPurge } from "./purge.ts";
import type { CompactorParts, Found, FoundBacklog, PassOptions } from "./report.ts";
import { isForDue } from "./tasks.ts";

/** Of a pass that has nothing to do with the log. */
const NO_LISTING: LogListing = {
  segments: [],
  corrupt: [],
  writtenMs: () => new Map(),
  firstDateMs: 0,
  lastDateMs: 0,
  isCut: false,
};

/** More of a backlog is not counted: it would take longer than it is worth. */
const BACKLOG_COUNTED_MAX = 200_000;
/** Nor is what takes more of the time of a pass to list. */
const LOOK_SHARE = 1 / 8;

/** What a look at a store shows. */
export interface Look {
  readonly manifest: Manifest;
  readonly wanted: boolean;
  readonly found: Found;
  /** Segments that are written in a second; 0 where not all of them were listed for it. */
  readonly arriving: number;
  /** What the floor may rise to by what is listed; undefined: it was not all listed, or stays. */
  readonly floor: number | undefined;
}

/** Whether log, retired objects or the caller require a pass: two requests if none does. */
export async function look(parts: CompactorParts, options: PassOptions): Promise<Look> {
  const { log, manifests, settings, limits, pace } = parts;
  const { task } = options;
  const isNothing = task?.kind === "units" && task.index > 0;
  const part = task?.kind === "log" ? task : undefined;
  const [first, listing] = await Promise.all([
    manifests.load(),
    isNothing ? NO_LISTING : log.list(enough(options), part),
  ]);
  const loaded = await manifests.confirm(first, listing.legacyLog);
  const { manifest } = loaded;
  // A look reads no catalogue.
  const summary = summaryOf(manifest);
  const live = await liveOf(parts, manifest, listing);
  const overdueMs = overdueAt(loaded.dateMs, settings);
  const units = planAnyUnit({ manifest: summary, limits, overdueMs });
  const backlog = describeBacklog(live, listing, loaded);
  const found = {
    ...shapeOf(manifest, loaded.dateMs),
    generation: manifest.generation,
    backlog,
    quietMs: Math.max(0, loaded.dateMs - (loaded.lastModifiedMs ?? loaded.dateMs)),
    waiting: { runs: countWaiting(manifest, units.waiting), bytes: runBytes(units.waiting) },
  };
  const isWhole = part === undefined && !isNothing;
  const floor = isWhole ? floorOf(parts, loaded, listing, live) : undefined;
  const arriving = isWhole ? pace.arrivals.looked(backlog, listing.lastDateMs) : 0;
  const seen = { manifest, found, floor, arriving };
  if (loaded.legacyManifest !== undefined) return { ...seen, wanted: true };
  const hasLog = live.length > 0 || listing.corrupt.length > 0 || listing.isCut;
  const hasUnits =
    units.step !== undefined ||
    (options.full === true && found.levels > 1) ||
    summary.runs.some((run) => isOutdated(run, options));
  // Log comes all the time where work is divided, so no other pass would look for it.
  const isPurge = task !== undefined && floor !== undefined && wantsPurge(manifest, floor);
  const wanted =
    (hasLog && task?.kind !== "units") ||
    ((hasUnits || isPurge) && task?.kind !== "log") ||
    (isDue(parts, loaded) && isForDue(task));
  return { ...seen, wanted };
}

/** @param waiting of the summary, where a catalogue stands for its runs */
function countWaiting({ catalogues }: Manifest, waiting: readonly RunInfo[]): number {
  const counts = new Map(catalogues.map(({ path, runs }) => [path, runs]));
  return waiting.reduce((sum, { path }) => sum + (counts.get(path) ?? 1), 0);
}

function isDue({ settings }: CompactorParts, loaded: LoadedManifest): boolean {
  const { manifest, lastModifiedMs, dateMs } = loaded;
  const dated = fillIn(manifest.retired, lastModifiedMs);
  const graces = { ...settings, segmentGraceMs: segmentGraceOf(manifest, settings) };
  return dueRetired(dated, dateMs, graces).length > 0 || isCollectable(loaded, settings);
}

/** C9: F, if all was listed and nothing that begins at or below it is left to be merged. */
function floorOf(
  { settings }: CompactorParts,
  loaded: LoadedManifest,
  { isCut, corrupt, firstDateMs }: LogListing,
  live: readonly LogRef[],
): number | undefined {
  if (isCut || corrupt.length > 0) return undefined;
  const graceMs = tombstoneGraceOf(loaded.manifest, settings);
  const floor = purgeFloorAt(loaded.manifest, nextHistory(loaded), firstDateMs, graceMs);
  const isClear = live.every((ref) => ref.lo > floor || isIgnored(ref, loaded.manifest));
  return isClear ? floor : undefined;
}

/** A backlog is counted, but not at the expense of merging it. */
function enough({ leftMs = () => Infinity }: PassOptions): IsEnough {
  const untilMs = leftMs() * (1 - LOOK_SHARE);
  return (segments) => segments >= BACKLOG_COUNTED_MAX || leftMs() < untilMs;
}

/** What waits to be merged: not what the runs hold and only waits to be deleted. */
async function liveOf(
  { manifests, onWarning }: CompactorParts,
  manifest: Manifest,
  { segments }: LogListing,
): Promise<readonly LogRef[]> {
  const waiting = ({ live, ignored }: SortedListing): LogRef[] => [...live, ...ignored];
  const sorted = sortListing(manifest, segments);
  if (sorted.unread.length === 0) return waiting(sorted);
  const lists = await manifests.readLists(sorted.unread, ({ message }) => onWarning(message));
  return waiting(sortListing(manifest, segments, namesIn(lists)));
}

function describeBacklog(
  live: readonly LogRef[],
  listing: LogListing,
  { lastModifiedMs }: LoadedManifest,
): FoundBacklog {
  const { lastDateMs, isCut } = listing;
  if (live.length === 0) return { segments: 0, isCut, ageMs: 0, lagMs: 0 };
  const since = (thenMs: number): number => Math.max(0, lastDateMs - thenMs);
  const dates = listing.writtenMs();
  const written = live.map(({ path }) => dates.get(path) ?? lastDateMs);
  const ageMs = since(written.reduce((oldest, ms) => Math.min(oldest, ms), lastDateMs));
  const lagMs = lastModifiedMs === undefined ? ageMs : since(lastModifiedMs);
  return { segments: live.length, isCut, ageMs, lagMs };
}
