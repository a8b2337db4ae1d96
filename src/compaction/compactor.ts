/**
 * One compaction pass, as the steps of PROTOCOL, "Compaction". It works from objects only, never
 * from a Store's memory, so anyone may run it, and several at once are harmless.
 */
import { ConflictError, type CorruptionError } from "../core/errors.ts";
import type { Runtime } from "../core/runtime.ts";
import type { ProtocolSettings } from "../core/settings.ts";
import { COMPACT_LEASE_PATH, runPaths } from "../format/paths.ts";
import type { RunInfo } from "../format/run-info.ts";
import type { CompactionInput, Log } from "../log/log.ts";
import { dropTombstones, fromMap, mergeSorted } from "../runs/merge.ts";
import { RunGoneError } from "../runs/run-gone.ts";
import type { RunCache } from "../runs/run-objects.ts";
import { RunReader } from "../runs/run-reader.ts";
import { writeRun } from "../runs/run-writer.ts";
import type { StorageBackend } from "../storage/backend.ts";
import { Lease } from "../storage/lease.ts";
import type { LoadedManifest, ManifestStore } from "../view/manifest-store.ts";
import { checkManifestPresent, lacksManifest, listRuns, orphans } from "./collector.ts";
import { mergeLog, type MergedLog } from "./merge-log.ts";
import {
  type CompactionLimits,
  type CompactionPlan,
  planCompaction,
  purgeFloorAt,
  wantsPurge,
} from "./plan.ts";
import { dueRetired, fillIn, nextHistory, preparePublication } from "./publication.ts";

export interface CompactionReport {
  /**
   * `published`: a new manifest is current. `idle`: there was nothing to do. `busy`: another
   * compactor holds the lease. `lost`: another published first, or the lease was lost; nothing of
   * this pass counts, nothing was deleted, the next pass starts anew.
   */
  readonly outcome: "published" | "idle" | "busy" | "lost";
  /** Generation of the manifest that is current as far as this pass knows. */
  readonly generation: number;
  /** Log segments and operations merged. */
  readonly segments: number;
  readonly operations: number;
  /** Runs replaced by the new one. */
  readonly runsMerged: number;
  /** Lines and bytes of the new run. */
  readonly records: number;
  readonly bytes: number;
  /** Objects deleted: merged log, retired and orphaned runs. */
  readonly deleted: number;
  /** Segments that could not be read; they were left where they are. */
  readonly corrupt: number;
  /** Whether log is left for another pass. */
  readonly more: boolean;
  readonly durationMs: number;
}

/** A report, and for a store that holds memory: which run now stands for what. */
export interface PassResult {
  readonly report: CompactionReport;
  readonly replaced?: { readonly run: string; readonly sources: readonly string[] } | undefined;
}

export interface CompactorParts {
  readonly backend: StorageBackend;
  readonly runtime: Runtime;
  readonly settings: ProtocolSettings;
  readonly limits: CompactionLimits;
  readonly log: Log;
  readonly manifests: ManifestStore;
  readonly cache: RunCache;
  readonly onWarning: (message: string) => void;
}

export interface PassOptions {
  /** Merge every run into one, whatever the tiers say. Default false. */
  readonly full?: boolean | undefined;
}

type PartialResult = Pick<PassResult, "replaced"> &
  Pick<CompactionReport, "outcome" | "generation"> &
  Partial<CompactionReport>;

const NOTHING = { segments: 0, operations: 0, runsMerged: 0, records: 0, bytes: 0, deleted: 0 };

export class Compactor {
  readonly #parts: CompactorParts;

  constructor(parts: CompactorParts) {
    this.#parts = parts;
  }

  /** @throws what the backend throws; CorruptionError when a run or the manifest cannot be read */
  async pass(options: PassOptions = {}): Promise<PassResult> {
    const { runtime, settings, backend } = this.#parts;
    const startedMs = runtime.nowMs();
    const result = ({ replaced, ...part }: PartialResult): PassResult => {
      const durationMs = runtime.nowMs() - startedMs;
      return { report: { ...NOTHING, corrupt: 0, more: false, ...part, durationMs }, replaced };
    };
    const current = await this.#look(options);
    if (!current.wanted) return result({ outcome: "idle", generation: current.generation });
    const lease = await Lease.take(backend, runtime, {
      path: COMPACT_LEASE_PATH,
      ttlMs: settings.leaseTtlMs,
    });
    if (lease === undefined) return result({ outcome: "busy", generation: current.generation });
    try {
      return result(await this.#passUnderLease(lease, options));
    } catch (error) {
      // 404 of a run: another pass has replaced it (step 3).
      if (error instanceof RunGoneError) return result(await this.#lostToAnother(error));
      // A name of 64 random bits is taken: by a write of this pass that was repeated on the way.
      if (error instanceof ConflictError) {
        return result({ outcome: "lost", generation: current.generation });
      }
      throw error;
    } finally {
      await lease.release().catch((error: unknown) => {
        // What was published counts all the same; the lease ends by its age.
        this.#parts.onWarning(`${COMPACT_LEASE_PATH} could not be released: ${String(error)}`);
      });
    }
  }

  /** Whether log, retired objects or the caller ask for a pass: two requests when none does. */
  async #look({ full }: PassOptions): Promise<{ generation: number; wanted: boolean }> {
    const { log, manifests, settings } = this.#parts;
    const [loaded, listing] = await Promise.all([manifests.load(), log.list()]);
    const { generation, retired, runs } = loaded.manifest;
    const dated = fillIn(retired, loaded.lastModifiedMs);
    const due = dueRetired(dated, loaded.dateMs, settings.gcGraceMs).length > 0;
    const hasLog = listing.segments.length > 0 || listing.corrupt.length > 0;
    return { generation, wanted: hasLog || due || (full === true && runs.length > 1) };
  }

  /** Runs without a manifest: the first publications came between the two looks, or it is lost. */
  async #checkLacking(listed: readonly string[]): Promise<PartialResult> {
    const { manifest } = await this.#parts.manifests.load();
    checkManifestPresent(manifest, listed);
    return { outcome: "lost", generation: manifest.generation };
  }

  /** A run that the current manifest still names must be there: otherwise the store is damaged. */
  async #lostToAnother(error: RunGoneError): Promise<PartialResult> {
    const { manifest } = await this.#parts.manifests.load();
    if (manifest.runs.some(({ path, index }) => path === error.path || index === error.path))
      throw error;
    return { outcome: "lost", generation: manifest.generation };
  }

  async #passUnderLease(lease: Lease, options: PassOptions): Promise<PartialResult> {
    const { backend, manifests, log, settings, limits } = this.#parts;
    const loaded = await manifests.load();
    const [input, listed] = await Promise.all([log.prepareCompaction(), listRuns(backend)]);
    const { manifest } = loaded;
    if (lacksManifest(manifest, listed)) return this.#checkLacking(listed);

    const history = nextHistory(loaded);
    const floor = purgeFloorAt(manifest, history, input.firstDateMs, settings.tombstoneGraceMs);
    const full = options.full === true || wantsPurge(manifest, floor);
    const plan = planCompaction(manifest, input, limits, full);
    const merged = await mergeLog(log, plan.units, manifest.purgeFloor);
    this.#reportCorrupt([...input.corrupt, ...merged.corrupt]);
    const corrupt = input.corrupt.length + merged.corrupt.length;

    const purgeFloor = this.#purgeFloor(manifest.purgeFloor, floor, plan, merged);
    const newRun = await this.#writeRun(manifest.generation, plan, merged, purgeFloor);
    const segments = merged.merged.length;
    const { clock, schema, done, operations } = merged;
    const change = {
      nonce: this.#parts.runtime.randomHex(16),
      dateMs: input.firstDateMs,
      newRun,
      keptRuns: plan.keptRuns,
      replacedRuns: plan.runs,
      purgeFloor,
      clock,
      schema,
    };
    const next = preparePublication(loaded, change, settings);
    const generation = manifest.generation;
    const changed =
      newRun !== undefined || plan.runs.length > 0 || next.due.length > 0 || segments > 0;
    if (!changed && !done.some((unit) => unit.segments.length > 0)) {
      await log.deleteUnits(done); // Empty files only: nothing of theirs needs publishing.
      return { outcome: "idle", generation, corrupt, deleted: done.length };
    }
    if (lease.lost) return { outcome: "lost", generation, corrupt };
    const published = await manifests.publish(loaded, next.manifest, settings.writeTimeoutMs);
    if (published === undefined) return { outcome: "lost", generation, corrupt, more: true };

    const deleted = await this.#collect(done, published, listed);
    return {
      outcome: "published",
      generation: published.manifest.generation,
      segments,
      operations,
      runsMerged: plan.runs.length,
      records: newRun?.records ?? 0,
      bytes: newRun?.bytes ?? 0,
      deleted,
      corrupt,
      more: plan.more,
      replaced:
        newRun === undefined ? undefined : { run: newRun.path, sources: sourcesOf(plan, merged) },
    };
  }

  #reportCorrupt(errors: readonly CorruptionError[]): void {
    for (const { message } of errors) {
      this.#parts.onWarning(`not compacted, because it cannot be read: ${message}`);
    }
  }

  /** The new floor, when this merge may purge and has something to purge. */
  #purgeFloor(
    old: number,
    floor: number,
    plan: CompactionPlan,
    merged: MergedLog,
  ): number | undefined {
    const complete = plan.full && merged.corrupt.length === 0;
    const tombstones =
      plan.runs.some((run) => run.tombstones > 0) ||
      [...merged.entries.values()].some(({ text }) => text === undefined);
    return complete && tombstones && floor > old ? floor : undefined;
  }

  async #writeRun(
    base: number,
    { runs }: CompactionPlan,
    { entries }: MergedLog,
    purgeFloor: number | undefined,
  ): Promise<RunInfo | undefined> {
    if (entries.size === 0 && runs.length === 0) return undefined;
    const { backend, cache, runtime, onWarning, settings } = this.#parts;
    const sources = runs.map((run) => new RunReader(backend, cache, run, onWarning).scan());
    const all = mergeSorted([fromMap(entries), ...sources]);
    const { path, index } = runPaths(base, runtime.randomHex(16));
    return writeRun(backend, {
      path,
      indexPath: index,
      base,
      entries: purgeFloor === undefined ? all : dropTombstones(all, purgeFloor),
      timeoutMs: settings.writeTimeoutMs,
    });
  }

  /** Steps 6 and 7. A crash in here costs a second, harmless merge, or orphans that the next finds. */
  async #collect(
    done: CompactionInput["units"],
    published: LoadedManifest,
    listed: readonly string[],
  ): Promise<number> {
    const { backend, log } = this.#parts;
    await log.deleteUnits(done);
    const garbage = orphans(published.manifest, listed);
    await backend.delete(garbage);
    return done.length + garbage.length;
  }
}

/** What the new run stands for: runs by path, segments by key. */
function sourcesOf({ runs }: CompactionPlan, { merged }: MergedLog): string[] {
  return [...runs.map(({ path }) => path), ...merged];
}
