/** What there is to do, before a compaction takes a lease (PROTOCOL, C1). */
import type { Manifest } from "../format/manifest-codec.ts";
import type { RunInfo } from "../format/run-info.ts";
import { TextSet } from "../core/text-set.ts";
import type { Log, LogPart } from "../log/log.ts";
import type { LoadedManifest } from "../view/manifest-store.ts";
import { shapeOf } from "./measures.ts";
import { isOutdated } from "./migrate.ts";
import { overdueAt, planAnyUnit, runBytes, summaryOf } from "./plan.ts";
import { nextHistory, tombstoneGraceOf } from "./publication.ts";
import type { SeenLanes } from "./lanes-work.ts";
import { liveClaims } from "./lanes.ts";
import { isAnythingDue } from "./plan-input.ts";
import { purgeFloorAt, wantsPurge, wantsSeal } from "./purge.ts";
import { isSealDue } from "./seals.ts";
import type { CompactorParts, Found, FoundBacklog, PassOptions } from "./report.ts";
import { Survey, type Waiting } from "./survey.ts";
import { isForDue } from "./tasks.ts";

/** Of a pass that has nothing to do with the log. */
const NOTHING: Listed = { survey: new Survey(), isCut: false };

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
  readonly seen: SeenLanes;
}

/** Whether log, retired objects or the caller require a pass: two requests if none does. */
export async function look(parts: CompactorParts, options: PassOptions): Promise<Look> {
  const { log, manifests, settings, limits, pace } = parts;
  const { task } = options;
  const isNothing = task?.kind === "units" && task.index > 0;
  const part = task?.kind === "log" ? task : undefined;
  const [first, listed] = await Promise.all([
    manifests.load(),
    isNothing ? NOTHING : survey(log, part, options),
  ]);
  const loaded = await manifests.confirm(first, listed.survey.legacyLog);
  const { manifest } = loaded;
  // A look reads no catalogue.
  const summary = summaryOf(manifest);
  const waiting = await waitingOf(parts, manifest, listed.survey);
  const overdueMs = overdueAt(loaded.dateMs, settings);
  const units = planAnyUnit({ manifest: summary, limits, overdueMs });
  const claims = liveClaims(manifest, listed.survey.lanes.claims).length;
  const backlog = describeBacklog(waiting, claims, listed, loaded);
  const found = {
    ...shapeOf(manifest, loaded.dateMs),
    generation: manifest.generation,
    backlog,
    quietMs: Math.max(0, loaded.dateMs - (loaded.lastModifiedMs ?? loaded.dateMs)),
    waiting: { runs: countWaiting(manifest, units.waiting), bytes: runBytes(units.waiting) },
  };
  const isWhole = part === undefined && !isNothing;
  const floor = isWhole ? floorOf(parts, loaded, listed, waiting) : undefined;
  const arriving = isWhole ? pace.arrivals.looked(backlog, listed.survey.lastDateMs) : 0;
  const { lanes, firstDateMs } = listed.survey;
  const seen = { lanes, firstDateMs, isWhole: !listed.isCut };
  const looked = { manifest, found, floor, arriving, seen };
  if (loaded.legacyManifest !== undefined) return { ...looked, wanted: true };
  const hasLog = waiting.segments > 0 || listed.survey.isDamaged || listed.isCut;
  const hasUnits =
    units.step !== undefined ||
    (options.full === true && found.levels > 1) ||
    summary.runs.some((run) => isOutdated(run, options));
  // Log comes all the time where work is divided, so no other pass would look for it.
  const isPurge =
    task !== undefined &&
    floor !== undefined &&
    (wantsPurge(manifest, floor) || (wantsSeal(manifest, floor) && isSealDue(loaded, settings)));
  const wanted =
    (hasLog && task?.kind !== "units") ||
    ((hasUnits || isPurge) && task?.kind !== "log") ||
    ((claims > 0 || isAnythingDue(loaded, settings)) && isForDue(task));
  return { ...looked, wanted };
}

/** @param waiting of the summary, where a catalogue stands for its runs */
function countWaiting({ catalogues }: Manifest, waiting: readonly RunInfo[]): number {
  const counts = new Map(catalogues.map(({ path, runs }) => [path, runs]));
  return waiting.reduce((sum, { path }) => sum + (counts.get(path) ?? 1), 0);
}

/** What was listed. */
interface Listed {
  readonly survey: Survey;
  /** More follows: it was enough. */
  readonly isCut: boolean;
}

/** A backlog is counted, but not at the expense of merging it. */
async function survey(
  log: Pick<Log, "pages">,
  part: LogPart | undefined,
  { leftMs = () => Infinity }: PassOptions,
): Promise<Listed> {
  const untilMs = leftMs() * (1 - LOOK_SHARE);
  const found = new Survey();
  for await (const page of log.pages(part)) {
    found.add(page);
    const isEnough = found.count >= BACKLOG_COUNTED_MAX || leftMs() < untilMs;
    if (isEnough && !page.isLast) return { survey: found, isCut: true };
  }
  return { survey: found, isCut: false };
}

/** C9: F, if all was listed and nothing that begins at or below it is left to be merged. */
function floorOf(
  { settings }: CompactorParts,
  loaded: LoadedManifest,
  { survey: { isDamaged, firstDateMs = 0 }, isCut }: Listed,
  { lo }: Waiting,
): number | undefined {
  if (isCut || isDamaged) return undefined;
  const graceMs = tombstoneGraceOf(loaded.manifest, settings);
  const floor = purgeFloorAt(loaded.manifest, nextHistory(loaded), firstDateMs, graceMs);
  return lo > floor ? floor : undefined;
}

async function waitingOf(
  { manifests, onWarning }: CompactorParts,
  manifest: Manifest,
  found: Survey,
): Promise<Waiting> {
  const waiting = found.waiting(manifest);
  if (waiting.unread.length === 0) return waiting;
  const merged = new TextSet();
  // One after the other: each takes some megabytes while it is decoded.
  for (const path of waiting.unread) {
    const lists = await manifests.readLists([path], ({ message }) => onWarning(message));
    for (const name of lists.get(path)?.names() ?? []) merged.add(name);
  }
  return found.waiting(manifest, merged);
}

function describeBacklog(
  { segments, oldestMs }: Waiting,
  claims: number,
  { survey: { lastDateMs }, isCut }: Listed,
  { lastModifiedMs }: LoadedManifest,
): FoundBacklog {
  if (segments === 0) return { segments, claims, isCut, ageMs: 0, lagMs: 0 };
  const since = (thenMs: number): number => Math.max(0, lastDateMs - thenMs);
  const ageMs = since(oldestMs);
  return {
    segments,
    claims,
    isCut,
    ageMs,
    lagMs: lastModifiedMs === undefined ? ageMs : since(lastModifiedMs),
  };
}
