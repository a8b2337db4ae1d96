/**
 * One compaction pass (PROTOCOL, C1 to C10): looks whether there is work, takes the lease, does
 * it, releases the lease. Any process may run it, and several at once are harmless.
 */
import { ConflictError } from "../core/errors.ts";
import type { Manifest } from "../format/manifest-codec.ts";
import { COMPACT_LEASE_PATH } from "../format/paths.ts";
import type { IsEnough, LogListing, LogRef } from "../log/log.ts";
import { RunGoneError } from "../runs/run-gone.ts";
import { Lease } from "../storage/lease.ts";
import type { LoadedManifest } from "../view/manifest-store.ts";
import { namesIn, sortListing, type SortedListing } from "../view/live-segments.ts";
import { amplificationOf, expectedWrites, forecastOf, paceOf, shapeOf } from "./measures.ts";
import { MergePass } from "./merge-pass.ts";
import { isOutdated } from "./migrate.ts";
import { hasUnit, overdueAt } from "./plan.ts";
import { dueRetired, fillIn, isCollectable, segmentGraceOf } from "./publication.ts";
import type {
  CompactionReport,
  CompactorParts,
  FoundBacklog,
  PartialResult,
  PassOptions,
  PassResult,
} from "./report.ts";

const NOTHING = {
  publications: 0,
  segments: 0,
  operations: 0,
  runsMerged: 0,
  records: 0,
  bytes: 0,
  lineBytes: 0,
  logBytes: 0,
  unitsMs: 0,
  deleted: 0,
  collected: 0,
  corrupt: 0,
  more: false,
  waiting: { runs: 0, bytes: 0 },
};

/** More of a backlog is not counted: it would take longer than it is worth. */
const BACKLOG_COUNTED_MAX = 200_000;
/** Nor is what takes more of the time of a pass to list. */
const LOOK_SHARE = 1 / 8;

/** What a look at a store shows. */
interface Look {
  readonly manifest: Manifest;
  readonly generation: number;
  readonly wanted: boolean;
  readonly found: Found;
  /** Segments that are written in a second. */
  readonly arriving: number;
}

type Found = ReturnType<typeof shapeOf> & Pick<CompactionReport, "backlog" | "quietMs">;

export class Compactor {
  readonly #parts: CompactorParts;

  constructor(parts: CompactorParts) {
    this.#parts = parts;
  }

  /**
   * @throws what the backend throws; CorruptionError when a run or the manifest cannot be read;
   *   NotSupportedError when the medium ignores preconditions
   */
  async pass(options: PassOptions = {}): Promise<PassResult> {
    const { runtime, settings, backend, pace } = this.#parts;
    const startedMs = runtime.nowMs();
    const result = (part: PartialResult): PassResult => {
      const durationMs = runtime.nowMs() - startedMs;
      return this.#report(current, part, durationMs);
    };
    const current = await this.#look(options);
    const { signal } = options;
    if (!current.wanted) return result({ outcome: "idle", generation: current.generation });
    await this.#parts.manifests.prove(current.manifest, this.#parts);
    const lease = await Lease.take(backend, runtime, {
      path: COMPACT_LEASE_PATH,
      ttlMs: settings.leaseTtlMs,
    });
    if (lease === undefined) return result({ outcome: "busy", generation: current.generation });
    const pass = new MergePass(this.#parts, lease, options);
    const { generation } = current;
    try {
      return result(await pass.run());
    } catch (error) {
      if (signal?.aborted === true && error === signal.reason) {
        const ended = pass.endedBy({ outcome: "stopped", generation, more: true });
        if (ended.outcome === "stopped") pace.cutOff(runtime.steadyMs());
        return result(ended);
      }
      // 404 of a run: another pass has replaced it (C5).
      if (error instanceof RunGoneError) {
        return result(pass.endedBy(await this.#lostToAnother(error)));
      }
      // A name of 64 random bits is taken: by a write of this pass that was repeated on the way.
      if (error instanceof ConflictError) {
        return result(pass.endedBy({ outcome: "lost", generation }));
      }
      throw error;
    } finally {
      await lease.release().catch((error: unknown) => {
        // What was published counts all the same; the lease ends by its age.
        this.#parts.onWarning(`${COMPACT_LEASE_PATH} could not be released: ${String(error)}`);
      });
    }
  }

  #report(
    { found, arriving }: Look,
    { replaced = [], isDrained = false, portions = 0, ...part }: PartialResult,
    durationMs: number,
  ): PassResult {
    const { limits, pace: known } = this.#parts;
    const done = { ...NOTHING, ...found, ...part, durationMs };
    const left = found.backlog.segments - done.segments - done.corrupt;
    const pace = paceOf(done);
    known.arrivals.merged(done.segments);
    const report = {
      ...done,
      amplification: amplificationOf(done),
      expectedAmplification: expectedWrites(done, { ...done, portions }, limits),
      pace,
      forecast: forecastOf(isDrained ? 0 : Math.max(0, left), arriving, pace, done.outcome),
    };
    return { report, replaced };
  }

  /** Whether log, retired objects or the caller require a pass: two requests if none does. */
  async #look(options: PassOptions): Promise<Look> {
    const { log, manifests, settings } = this.#parts;
    const [first, listing] = await Promise.all([manifests.load(), log.list(this.#enough(options))]);
    const loaded = await manifests.confirm(first, listing.legacyLog);
    const { manifest } = loaded;
    const { generation, retired, runs } = manifest;
    const live = await this.#liveOf(manifest, listing);
    const backlog = describeBacklog(live, listing, loaded);
    const quietMs = Math.max(0, loaded.dateMs - (loaded.lastModifiedMs ?? loaded.dateMs));
    const found = { ...shapeOf(manifest, loaded.dateMs), backlog, quietMs };
    const arriving = this.#parts.pace.arrivals.looked(backlog, listing.lastDateMs);
    const look = { manifest, generation, found, arriving };
    if (loaded.legacyManifest !== undefined) return { ...look, wanted: true };
    const dated = fillIn(retired, loaded.lastModifiedMs);
    const graces = { ...settings, segmentGraceMs: segmentGraceOf(manifest, settings) };
    const overdueMs = overdueAt(loaded.dateMs, settings);
    const due =
      dueRetired(dated, loaded.dateMs, graces).length > 0 || isCollectable(loaded, settings);
    const hasLog = live.length > 0 || listing.corrupt.length > 0 || listing.isCut;
    const wanted =
      hasLog ||
      due ||
      hasUnit({ manifest, limits: this.#parts.limits, overdueMs }) ||
      (options.full === true && runs.some(({ level }) => level > 0)) ||
      runs.some((run) => isOutdated(run, options));
    return { ...look, wanted };
  }

  /** A backlog is counted, but not at the expense of merging it. */
  #enough({ leftMs = () => Infinity }: PassOptions): IsEnough {
    const untilMs = leftMs() * (1 - LOOK_SHARE);
    return (segments) => segments >= BACKLOG_COUNTED_MAX || leftMs() < untilMs;
  }

  /** What waits to be merged: not what the runs hold and only waits to be deleted. */
  async #liveOf(manifest: Manifest, { segments }: LogListing): Promise<readonly LogRef[]> {
    const { manifests, onWarning } = this.#parts;
    const waiting = ({ live, ignored }: SortedListing): LogRef[] => [...live, ...ignored];
    const sorted = sortListing(manifest, segments);
    if (sorted.unread.length === 0) return waiting(sorted);
    const lists = await manifests.readLists(sorted.unread, ({ message }) => onWarning(message));
    return waiting(sortListing(manifest, segments, namesIn(lists)));
  }

  /** A run that the current manifest still names must be there: otherwise the store is damaged. */
  async #lostToAnother(error: RunGoneError): Promise<PartialResult> {
    const { manifest, legacyManifest } = await this.#parts.manifests.load();
    const snapshot = legacyManifest?.currentSnapshot;
    if (snapshot !== undefined && snapshot === error.path) throw error.asDamage();
    if (manifest.runs.some(({ path, index }) => path === error.path || index === error.path))
      throw error;
    return { outcome: "lost", generation: manifest.generation };
  }
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
