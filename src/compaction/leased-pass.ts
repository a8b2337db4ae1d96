/** The steps of a compaction that holds the lease. From objects only, never from a Store's memory. */
import { hash } from "node:crypto";
import { ConflictError, type CorruptionError } from "../core/errors.ts";
import type { RunEntry } from "../core/version.ts";
import type { Manifest, Retired } from "../format/manifest-codec.ts";
import { retiredListPath, runPaths } from "../format/paths.ts";
import { encodeRetiredList } from "../format/retired-list.ts";
import type { RunInfo } from "../format/run-info.ts";
import type { CompactionInput } from "../log/log.ts";
import { dropTombstones, type EntryBatches, fromMap, mergeSorted } from "../runs/merge.ts";
import { RunReader } from "../runs/run-reader.ts";
import { writeRun } from "../runs/run-writer.ts";
import type { Lease } from "../storage/lease.ts";
import { checkManifestPresent, lacksManifest, listReferable } from "../view/lost-manifest.ts";
import { segmentLists, summarize } from "../view/published.ts";
import { deleteListed, orphans } from "./collector.ts";
import { mergeLog, type MergedLog } from "./merge-log.ts";
import { isOutdated, migrateEntries } from "./migrate.ts";
import { type CompactionPlan, planCompaction, purgeFloorAt, wantsPurge } from "./plan.ts";
import {
  nextHistory,
  preparePublication,
  segmentGraceOf,
  tombstoneGraceOf,
} from "./publication.ts";
import type { CompactorParts, PartialResult, PassOptions } from "./report.ts";
import { UpgradePass } from "./upgrade-pass.ts";

export class LeasedPass {
  readonly #parts: CompactorParts;
  readonly #lease: Lease;
  readonly #options: PassOptions;

  constructor(parts: CompactorParts, lease: Lease, options: PassOptions) {
    this.#parts = parts;
    this.#lease = lease;
    this.#options = options;
  }

  /** C3 to C10. @throws RunGoneError when a run was replaced meanwhile */
  async run(): Promise<PartialResult> {
    const { backend, manifests, log, settings, limits } = this.#parts;
    const loaded = await manifests.load();
    if (loaded.originalManifest !== undefined) {
      const upgraded = await new UpgradePass(this.#parts, this.#lease).run();
      return { ...upgraded, more: upgraded.more === true || this.#options.migration !== undefined };
    }
    const { manifest } = loaded;
    const [prepared, listed, lists] = await Promise.all([
      log.prepareCompaction(),
      listReferable(backend),
      this.#readLists(manifest),
    ]);
    const input = withoutPublished(prepared, lists);
    if (lacksManifest(manifest, listed)) return this.#checkLacking(listed);

    const history = nextHistory(loaded);
    const graceMs = tombstoneGraceOf(manifest, settings);
    const floor = purgeFloorAt(manifest, history, input.firstDateMs, graceMs);
    // One run with nothing to merge into it, and nothing to purge from it, would only be copied.
    const mergeable = manifest.runs.length > 1 || input.units.length > 0;
    const full = (this.#options.full === true && mergeable) || wantsPurge(manifest, floor);
    const plan = planCompaction(manifest, input, limits, full, (run) =>
      isOutdated(run, this.#options),
    );
    const merged = await mergeLog(log, plan.units, manifest.purgeFloor, this.#options.signal);
    this.#reportCorrupt([...input.corrupt, ...merged.corrupt]);
    const corrupt = input.corrupt.length + merged.corrupt.length;

    const purgeFloor = this.#purgeFloor(manifest.purgeFloor, floor, plan, merged);
    const newRun = await this.#writeRun(manifest.generation, plan, merged, purgeFloor);
    const segments = merged.merged.length;
    const deletesNow = segmentGraceOf(manifest, settings) === 0;
    const kept = deletesNow ? [] : await this.#writeList(manifest.generation, merged);
    const { clock, done, operations } = merged;
    const schema = Math.max(merged.schema, newRun?.minSchema ?? 0);
    const change = {
      nonce: this.#nonce(done),
      dateMs: input.firstDateMs,
      newRuns: newRun === undefined ? [] : [newRun],
      keptRuns: plan.keptRuns,
      replacedRuns: plan.runs,
      purgeFloor,
      clock,
      schema,
      activeRecords: countActive(manifest, plan, newRun, merged.created),
      retired: kept,
    };
    const next = preparePublication(loaded, change, settings);
    const generation = manifest.generation;
    const changed =
      newRun !== undefined || plan.runs.length > 0 || next.due.length > 0 || segments > 0;
    if (!changed && !done.some((unit) => unit.segments.length > 0)) {
      await log.deleteUnits(done); // Empty files only: nothing of theirs needs publishing.
      return { outcome: "idle", generation, corrupt, deleted: done.length };
    }
    // While the manifest still names the list: a crash in here leaves it to the next pass.
    const listedDeleted = await deleteListed(this.#parts, next.due);
    this.#options.signal?.throwIfAborted();
    if (this.#lease.lost) return { outcome: "lost", generation, corrupt };
    const published = await manifests.publish(loaded, next.manifest, settings.writeTimeoutMs);
    if (published === undefined) return { outcome: "lost", generation, corrupt, more: true };

    // C8: not before the read back. With a grace, at once only what an earlier pass has listed.
    if (deletesNow) await log.deleteUnits(done);
    const due = next.due.flatMap(({ path }) => [...(lists.get(path) ?? [])]);
    const garbage = orphans(published.manifest, listed);
    await backend.delete([...due, ...garbage]);
    const mergedDeleted = (deletesNow ? done.length : 0) + due.length;
    const collected = listedDeleted + garbage.length;
    return {
      outcome: "published",
      generation: published.manifest.generation,
      segments,
      operations,
      runsMerged: plan.runs.length,
      records: newRun?.records ?? 0,
      bytes: newRun?.bytes ?? 0,
      deleted: collected + mergedDeleted,
      collected,
      runs: published.manifest.runs.length,
      retired: published.manifest.retired.length,
      corrupt,
      more: plan.more,
      replaced:
        newRun === undefined
          ? undefined
          : { runs: [newRun.path], sources: sourcesOf(plan, merged) },
    };
  }

  /** Objects of a lost manifest, or the first publications came between the two looks. */
  async #checkLacking(listed: readonly string[]): Promise<PartialResult> {
    const { manifest } = await this.#parts.manifests.load();
    checkManifestPresent(manifest, listed);
    return { outcome: "lost", generation: manifest.generation };
  }

  /**
   * Random, and bound to what the publication lets us delete: two clones of one process, with the
   * same dice, must not take each other's publication for their own.
   */
  #nonce(done: CompactionInput["units"]): string {
    const paths = done.flatMap((unit) => unit.paths);
    const text = JSON.stringify([this.#parts.runtime.randomHex(16), ...paths.toSorted()]);
    return hash("sha256", text).slice(0, 16);
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
    const all = untilAborted(mergeSorted([fromMap(entries), ...sources]), this.#options.signal);
    const { path, index } = runPaths(base, runtime.randomHex(16));
    return writeRun(backend, {
      path,
      indexPath: index,
      base,
      entries: migrateEntries(
        purgeFloor === undefined ? all : dropTombstones(all, purgeFloor),
        this.#options.migration,
      ),
      timeoutMs: settings.writeTimeoutMs,
    });
  }

  /** What the runs hold already. A list that cannot be read costs a second, harmless merge. */
  #readLists(manifest: Manifest): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
    const paths = segmentLists(manifest).map(({ path }) => path);
    return this.#parts.manifests.readLists(paths, ({ message }) => {
      this.#parts.onWarning(`a list of merged segments cannot be read: ${message}`);
    });
  }

  /** FAST-VIEW: names what the new run stands for, to be deleted by a later pass; or nothing. */
  async #writeList(base: number, { done, gone }: MergedLog): Promise<Retired[]> {
    const { backend, runtime, settings } = this.#parts;
    const refs = done.flatMap(({ segments }) => segments).filter(({ key }) => !gone.has(key));
    if (refs.length === 0) return [];
    const path = retiredListPath(base, runtime.randomHex(16));
    const body = encodeRetiredList(refs.map((ref) => ref.path));
    const timeoutMs = settings.writeTimeoutMs;
    const put = await backend.put(path, body, { ifAbsent: true }, { timeoutMs });
    if (put.status === "conflict") throw new ConflictError(`${path} exists already`, { path });
    return [{ path, list: true, segments: summarize(refs) }];
  }
}

/** @throws the signal's reason */
async function* untilAborted(
  entries: EntryBatches,
  signal: AbortSignal | undefined,
): AsyncGenerator<readonly RunEntry[]> {
  for await (const batch of entries) {
    signal?.throwIfAborted();
    yield batch;
  }
}

function withoutPublished(
  input: CompactionInput,
  lists: ReadonlyMap<string, ReadonlySet<string>>,
): CompactionInput {
  const published = new Set([...lists.values()].flatMap((keys) => [...keys]));
  const units = input.units.filter(({ paths }) => !paths.every((path) => published.has(path)));
  return published.size === 0 ? input : { ...input, units };
}

/** Exact when everything is in one run; otherwise by what the log says of the records before. */
function countActive(
  manifest: Manifest,
  { keptRuns }: CompactionPlan,
  newRun: RunInfo | undefined,
  created: number,
): number {
  if (keptRuns.length === 0) return newRun === undefined ? 0 : newRun.records - newRun.tombstones;
  return Math.max(0, (manifest.stats?.activeRecords ?? 0) + created);
}

/** What the new run stands for: runs by path, segments by key. */
function sourcesOf({ runs }: CompactionPlan, { merged }: MergedLog): string[] {
  return [...runs.map(({ path }) => path), ...merged];
}
