/** Reads a whole store and reports what is wrong with it. Changes nothing. */
import { append } from "../core/bulk.ts";
import { CorruptionError, StoreNotFoundError } from "../core/errors.ts";
import { AHEAD_MS_MAX, CLOCKS_PER_MS } from "../core/hybrid-clock.ts";
import { systemRuntime } from "../core/runtime.ts";
import { resolveSettings, SETTING_NAMES, type SettingOptions } from "../core/settings.ts";
import { orphans } from "../compaction/collector.ts";
import { compareText } from "../core/version.ts";
import { corrupt, shorten } from "../format/json-line.ts";
import type { Catalogue } from "../format/catalogue.ts";
import { allRuns, countRuns } from "../format/levels.ts";
import type { ListedArchives } from "../format/archive-list.ts";
import type { Manifest } from "../format/manifest-codec.ts";
import { filterAdmits, filterHash, MANIFEST_PATH } from "../format/paths.ts";
import { decodeRetiredList } from "../format/retired-list.ts";
import type { Segment } from "../format/segment.ts";
import type { LogRef } from "../log/log.ts";
import { listReferable } from "../view/lost-manifest.ts";
import { checkLevels } from "../runs/level-check.ts";
import { checkRun } from "../runs/run-check.ts";
import type { Run } from "../runs/run.ts";
import { RunGoneError } from "../runs/run-gone.ts";
import { RunReader } from "../runs/run-reader.ts";
import type { StorageBackend } from "../storage/backend.ts";
import { segmentLists } from "../view/live-segments.ts";
import type { LoadedManifest } from "../view/manifest-store.ts";
import { makeView, renewView, runsOf, settleView, type View, ViewLimit } from "../view/view.ts";
import { checkArchives } from "../read/archives.ts";
import { SegmentReader } from "../read/segment-reader.ts";
import { BackendClaim } from "../engine/backend-claim.ts";
import { backendFor, checkBackend } from "../engine/resolve-backend.ts";
import { checkNames } from "../core/options.ts";
import { createEngine, type Engine } from "../engine/engine.ts";

/** Options of `verify`. */
export interface VerifyOptions extends SettingOptions {
  /** Default `new FsBackend()`. */
  readonly backend?: StorageBackend | undefined;
}

/** What `verify` found. */
export interface VerifyReport {
  /** What is wrong, each with object and offset; empty when all is well. */
  readonly problems: readonly CorruptionError[];
  /** Generation of the manifest that was verified; 0 without one. */
  readonly generation: number;
  /** Runs that the manifest names. */
  readonly runs: number;
  /**
   * Lines in the runs: a record that several runs hold counts in each, tombstones count. Of a store
   * of the original opslog: records in its snapshot.
   */
  readonly records: number;
  /** Of the log that no run holds yet. */
  readonly segments: number;
  /** Operations of the log that no run holds yet. */
  readonly operations: number;
  /**
   * Objects that nothing refers to, left by compactions that crashed: the next one deletes them. Empty
   * where a catalogue cannot be read, as it is not known what it refers to.
   */
  readonly garbage: readonly string[];
  /**
   * By how many ms the highest clock is ahead of the medium's date, where that is more than a minute,
   * else 0. No damage: some clock was wrong, and it ends when time has caught up.
   */
  readonly clocksAheadMs: number;
}

const NAMES: ReadonlySet<string> = new Set([...SETTING_NAMES, "backend"]);

/**
 * Reads manifest, runs, indexes, archives, lists and log of the store at `location`, checks every
 * checksum, that they agree with each other, and what levels of runs promise. Writers and compactors may be at work meanwhile.
 * @throws InvalidArgumentError, StoreNotFoundError, AccessDeniedError, FormatVersionError,
 *   UnavailableError; CorruptionError when the manifest cannot be read or was lost
 */
export async function verify(location: string, options: VerifyOptions = {}): Promise<VerifyReport> {
  checkNames(options, NAMES);
  const backend = backendFor(location, checkBackend(options.backend));
  const settings = resolveSettings({ ...options });
  const claim = await BackendClaim.take(backend, location, { readOnly: true }).catch(
    (cause: unknown) => {
      if (!(cause instanceof StoreNotFoundError)) throw cause;
      const message = `Cannot verify: there is no store at ${location}`;
      throw new StoreNotFoundError(message, { path: location, cause });
    },
  );
  try {
    const { location: place } = claim;
    const onWarning = (): void => undefined;
    const runtime = systemRuntime;
    const engine = createEngine({ backend, location: place, runtime, settings, onWarning });
    const limit = new ViewLimit();
    for (;;) {
      limit.begin();
      const report = await checkView(engine);
      if (report !== "overtaken") return report;
    }
  } finally {
    await claim.release();
  }
}

async function checkView(engine: Engine): Promise<VerifyReport | "overtaken"> {
  const view = await settleView(engine.manifests, await makeView(engine.manifests, engine.log));
  await engine.manifests.confirm(view.loaded, view.legacyLog);
  const problems = [...view.corrupt];
  const read = await readCatalogues(engine, view.loaded);
  if (read === "overtaken") return read;
  append(problems, read.problems);
  if (read.problems.length === 0) append(problems, checkLevels(withAllRuns(read.loaded.manifest)));
  let records = 0;
  const isRead = ({ content }: Catalogue): boolean => content !== undefined;
  for (const run of runsOf(engine.runs, { ...view, loaded: read.loaded }, isRead)) {
    const found = await checkRunOf(engine, run, view);
    if (found === "overtaken") return found;
    records += found.records;
    append(problems, found.problems);
  }
  const archives = await readArchiveLists(engine, read.loaded);
  if (archives === "overtaken") return archives;
  append(problems, archives.problems);
  append(problems, await checkArchives(engine.backend, { ...view, loaded: archives.loaded }));
  const lists = await checkLists(engine, view);
  if (lists === "overtaken") return lists;
  // The damage of a list that a view had to read is reported already.
  const reported = new Set(problems.map(({ message }) => message));
  append(
    problems,
    lists.filter(({ message }) => !reported.has(message)),
  );
  append(problems, await checkRetired(engine.backend, view.loaded.manifest));
  const reader = new SegmentReader(engine, view, { onCorrupt: (error) => problems.push(error) });
  let [segments, operations] = [0, 0];
  // What is gone was compacted meanwhile.
  const gone = await reader.read(view.segments, (ref, found) => {
    for (const segment of found) {
      append(problems, checkFilter(ref, segment));
      segments++;
      operations += segment.operations.length;
    }
  });
  append(problems, await lostClaims(engine, view, gone));
  const { manifest } = archives.loaded;
  const garbage = read.problems.length > 0 ? [] : await findGarbage(engine.backend, manifest);
  const clocksAheadMs = clocksAhead(view);
  const counts = { runs: countRuns(manifest), records, segments, operations };
  return { problems, generation: manifest.generation, ...counts, garbage, clocksAheadMs };
}

/** R2: a claim that is gone is at or below the floor of its lane by now, as the runs hold it. */
async function lostClaims(
  { manifests }: Engine,
  view: View,
  gone: ReadonlySet<string>,
): Promise<readonly CorruptionError[]> {
  const isLost = ({ key, claim }: LogRef): boolean => claim !== undefined && gone.has(key);
  if (!view.segments.some(isLost)) return [];
  const { corrupt: known } = view;
  return (await renewView(manifests, view, gone)).corrupt.filter((one) => !known.includes(one));
}

/** H7 */
function clocksAhead({ clock, loaded: { dateMs } }: View): number {
  const aheadMs = clock / CLOCKS_PER_MS - dateMs;
  return aheadMs > AHEAD_MS_MAX ? Math.round(aheadMs) : 0;
}

/** What archives there are, as far as lists of them can be read. */
async function readArchiveLists(
  { manifests }: Engine,
  loaded: LoadedManifest,
): Promise<{ loaded: LoadedManifest; problems: CorruptionError[] } | "overtaken"> {
  const problems: CorruptionError[] = [];
  const gone: RunGoneError[] = [];
  const opened = await manifests.openArchives(loaded, (error) => {
    if (error instanceof CorruptionError) problems.push(error);
    else gone.push(error);
  });
  if (gone.length > 0 && (await manifests.load(loaded)).etag !== loaded.etag) return "overtaken";
  append(
    problems,
    gone.map((error) => error.asDamage()),
  );
  append(problems, checkListed(opened.manifest.listedArchives));
  return { loaded: opened, problems };
}

/** A reader looks for a period in the lists only if it is said to be there. */
function checkListed({ lists, periods }: ListedArchives): CorruptionError[] {
  return lists.flatMap(({ path, content = [] }) => {
    const untold = content.find(({ period }) => !periods.includes(period));
    if (untold === undefined) return [];
    const text = `${path} names an archive of ${shorten(untold.period)}, the manifest none`;
    return [corrupt(text, { path: MANIFEST_PATH, offset: 0 })];
  });
}

/** Lists of segments that the runs hold already. */
async function checkLists(
  { manifests }: Engine,
  view: View,
): Promise<CorruptionError[] | "overtaken"> {
  const problems: CorruptionError[] = [];
  const paths = segmentLists(view.loaded.manifest).map(({ path }) => path);
  const lists = await manifests.readLists(paths, (error) => problems.push(error));
  const gone = paths.find((path) => {
    return !lists.has(path) && !problems.some((problem) => problem.path === path);
  });
  if (gone === undefined) return problems;
  if ((await manifests.load(view.loaded)).etag !== view.loaded.etag) return "overtaken";
  const message = `the manifest names ${gone}, which is not there`;
  return [...problems, new CorruptionError(message, { path: gone })];
}

/** The manifest with the content of the catalogues that can be read. */
async function readCatalogues(
  { manifests }: Engine,
  loaded: LoadedManifest,
): Promise<{ loaded: LoadedManifest; problems: CorruptionError[] } | "overtaken"> {
  const problems: CorruptionError[] = [];
  let read = loaded;
  for (const { path } of loaded.manifest.catalogues) {
    try {
      read = await manifests.open(read, (catalogue) => catalogue.path === path);
    } catch (error) {
      if (error instanceof CorruptionError) problems.push(error);
      else if (!(error instanceof RunGoneError)) throw error;
      else if ((await manifests.load(loaded)).etag !== loaded.etag) return "overtaken";
      else problems.push(error.asDamage());
    }
  }
  return { loaded: read, problems };
}

/** As if there were no catalogues. */
function withAllRuns(manifest: Manifest): Manifest {
  if (manifest.catalogues.length === 0) return manifest;
  const runs = allRuns(manifest).toSorted(
    (a, b) => b.level - a.level || compareText(a.minId, b.minId),
  );
  return { ...manifest, runs, catalogues: [] };
}

/** A run of ours by its checksums; one without any is read, which shows that it can be. */
async function checkRunOf(
  { backend, manifests }: Engine,
  run: Run,
  { loaded }: View,
): Promise<{ records: number; problems: CorruptionError[] } | "overtaken"> {
  const problems: CorruptionError[] = [];
  let records = 0;
  try {
    if (run instanceof RunReader) {
      records = run.records;
      append(problems, await checkRun(backend, run.run));
    } else {
      for await (const batch of run.entries()) records += batch.length;
    }
  } catch (error) {
    if (error instanceof CorruptionError) problems.push(error);
    else if (!(error instanceof RunGoneError)) throw error;
    else if ((await manifests.load(loaded)).etag !== loaded.etag) return "overtaken";
    else problems.push(error.asDamage());
  }
  return { records, problems };
}

/** What is wrong with the lists of retired objects; one that was deleted meanwhile is fine. */
async function checkRetired(
  backend: StorageBackend,
  { retired }: Manifest,
): Promise<CorruptionError[]> {
  const problems: CorruptionError[] = [];
  for (const { path, list, segments } of retired) {
    // Lists of segments are part of what a view goes by.
    const found = list === true && segments === undefined ? await backend.get(path) : undefined;
    if (found?.status !== "found") continue;
    try {
      decodeRetiredList(found.body, path);
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
      problems.push(error);
    }
  }
  return problems;
}

/** A point read goes by the filter in a segment's name, so that must not deny an id inside. */
function checkFilter({ path, range, filter }: LogRef, { operations }: Segment): CorruptionError[] {
  const denied = operations.find(({ id }) => !filterAdmits(filter, filterHash(id)));
  if (denied === undefined) return [];
  const place = { path, offset: range?.offset ?? 0 };
  return [corrupt(`the name denies record ${shorten(denied.id)}, which lies inside`, place)];
}

/** Objects that crashed compactions left behind: the next one deletes them. */
async function findGarbage(backend: StorageBackend, manifest: Manifest): Promise<string[]> {
  return orphans(manifest, await listReferable(backend)).toSorted();
}
