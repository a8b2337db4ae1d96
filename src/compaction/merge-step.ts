/** One step of a pass (C5 to C10): merges what was planned, publishes it, then deletes. */
import { ConflictError } from "../core/errors.ts";
import type { RunEntry } from "../core/version.ts";
import type { Manifest, Retired } from "../format/manifest-codec.ts";
import { retiredListPath, runPaths } from "../format/paths.ts";
import { encodeRetiredList } from "../format/retired-list.ts";
import { lineBytes, type RunInfo } from "../format/run-info.ts";
import type { LogRef } from "../log/log.ts";
import { dropTombstones, type EntryBatches, fromMap, mergeSorted } from "../runs/merge.ts";
import { writeRun } from "../runs/run-writer.ts";
import type { Lease } from "../storage/lease.ts";
import type { LoadedManifest } from "../view/manifest-store.ts";
import { summarize } from "../view/live-segments.ts";
import { deleteListed, orphans } from "./collector.ts";
import type { MergedLog } from "./merge-log.ts";
import { migrateEntries } from "./migrate.ts";
import { Progress } from "../engine/pace.ts";
import { type CompactionPlan, runBytes } from "./plan.ts";
import {
  preparePublication,
  type Publication,
  publicationNonce,
  segmentGraceOf,
} from "./publication.ts";
import type { CompactorParts, PassOptions, Replaced } from "./report.ts";

export interface StepInput {
  readonly loaded: LoadedManifest;
  readonly plan: CompactionPlan;
  /** What `plan.units` hold. */
  readonly merged: MergedLog;
  /** F: what a purge raises the floor to. */
  readonly floor: number;
  /** What the lists that the manifest names hold, by the list. */
  readonly lists: ReadonlyMap<string, ReadonlySet<string>>;
  /** Objects in `snapshots/` and `archive/`. */
  readonly listed: readonly string[];
  /** For the merge; Infinity: it has no end. */
  readonly leftMs: number;
}

export interface PublishedStep {
  readonly status: "published";
  /** As read back. */
  readonly loaded: LoadedManifest;
  readonly newRun: RunInfo | undefined;
  /** A list of segments that this step retires. */
  readonly list: { readonly path: string; readonly keys: ReadonlySet<string> } | undefined;
  /** Deleted of `listed`. */
  readonly garbage: readonly string[];
  /** How many objects, and how many of them were merged log. */
  readonly deleted: number;
  readonly mergedDeleted: number;
  readonly replaced: Replaced | undefined;
}

export type StepResult =
  | PublishedStep
  /** There was nothing to publish. */
  | { readonly status: "unchanged"; readonly deleted: number }
  /** Nothing counts, nothing of the log was deleted. */
  | { readonly status: "lost"; readonly more: boolean };

export class MergeStep {
  readonly #parts: CompactorParts;
  readonly #lease: Lease;
  readonly #options: PassOptions;
  readonly #input: StepInput;

  constructor(parts: CompactorParts, lease: Lease, options: PassOptions, input: StepInput) {
    this.#parts = parts;
    this.#lease = lease;
    this.#options = options;
    this.#input = input;
  }

  /** @throws TooSlow when it shows that the runs will not be merged in time; nothing is left */
  async run(): Promise<StepResult> {
    const { loaded, plan, merged } = this.#input;
    const { manifest } = loaded;
    const { log, settings } = this.#parts;
    const purgeFloor = this.#purgeFloor();
    const newRun = await this.#writeRun(purgeFloor);
    const deletesNow = segmentGraceOf(manifest, settings) === 0;
    const list = deletesNow ? undefined : await this.#writeList();
    const { retired = [], dateMs = loaded.dateMs } = list ?? {};
    const next = this.#prepare(newRun, purgeFloor, retired, dateMs);
    const changed =
      newRun !== undefined ||
      plan.runs.length > 0 ||
      next.due.length > 0 ||
      merged.merged.length > 0;
    if (!changed && !merged.done.some((unit) => unit.segments.length > 0)) {
      await log.deleteUnits(merged.done); // Empty files only: nothing of theirs needs publishing.
      return { status: "unchanged", deleted: merged.done.length };
    }
    return this.#publish(next, newRun, retired, deletesNow);
  }

  async #publish(
    next: Publication,
    newRun: RunInfo | undefined,
    retired: readonly Retired[],
    deletesNow: boolean,
  ): Promise<StepResult> {
    const { loaded, plan, merged, lists, listed } = this.#input;
    const { backend, manifests, log, settings } = this.#parts;
    // While the manifest still names the list: a crash in here leaves it to the next pass.
    const listedDeleted = await deleteListed(this.#parts, next.due);
    this.#options.signal?.throwIfAborted();
    if (this.#lease.lost) return { status: "lost", more: false };
    const published = await manifests.publish(loaded, next.manifest, settings.writeTimeoutMs);
    if (published === undefined) return { status: "lost", more: true };

    // C8: not before the read back. With a grace, at once only what an earlier pass has listed.
    if (deletesNow) await log.deleteUnits(merged.done);
    const due = next.due.flatMap(({ path }) => [...(lists.get(path) ?? [])]);
    const garbage = orphans(published.manifest, listed);
    await backend.delete([...due, ...garbage]);
    const mergedDeleted = (deletesNow ? merged.done.length : 0) + due.length;
    const [list] = retired;
    const sources = [...plan.runs.map(({ path }) => path), ...merged.merged];
    return {
      status: "published",
      loaded: published,
      newRun,
      list: list && { path: list.path, keys: new Set(this.#refsToRetire().map((ref) => ref.path)) },
      garbage,
      deleted: listedDeleted + garbage.length + mergedDeleted,
      mergedDeleted,
      replaced: newRun && { runs: [newRun.path], sources },
    };
  }

  #prepare(
    newRun: RunInfo | undefined,
    purgeFloor: number | undefined,
    retired: readonly Retired[],
    dateMs: number,
  ): Publication {
    const { loaded, plan, merged } = this.#input;
    const change = {
      nonce: this.#nonce(),
      dateMs,
      newRuns: newRun === undefined ? [] : [newRun],
      keptRuns: plan.keptRuns,
      replacedRuns: plan.runs,
      purgeFloor,
      clock: merged.clock,
      schema: Math.max(merged.schema, newRun?.minSchema ?? 0),
      activeRecords: countActive(loaded.manifest, plan, newRun, merged.created),
      retired,
    };
    return preparePublication(loaded, change, this.#parts.settings);
  }

  /** Bound to what the publication permits to delete. */
  #nonce(): string {
    const { plan, merged } = this.#input;
    const paths = [
      ...merged.done.flatMap((unit) => unit.paths),
      ...plan.runs.map(({ path }) => path),
    ];
    return publicationNonce(this.#parts.runtime.randomHex(16), paths.toSorted());
  }

  /** The new floor, when this merge may purge and has something to purge. */
  #purgeFloor(): number | undefined {
    const { loaded, plan, merged, floor } = this.#input;
    const complete = plan.full && merged.corrupt.length === 0;
    const tombstones =
      plan.runs.some((run) => run.tombstones > 0) ||
      [...merged.entries.values()].some(({ text }) => text === undefined);
    return complete && tombstones && floor > loaded.manifest.purgeFloor ? floor : undefined;
  }

  async #writeRun(purgeFloor: number | undefined): Promise<RunInfo | undefined> {
    const { loaded, plan, merged } = this.#input;
    if (merged.entries.size === 0 && plan.runs.length === 0) return undefined;
    const { backend, runtime, settings, compression } = this.#parts;
    const base = loaded.manifest.generation;
    const all = this.#mergeInTime();
    const { path, index } = runPaths(base, runtime.randomHex(16));
    return writeRun(backend, {
      path,
      indexPath: index,
      base,
      compression,
      entries: migrateEntries(
        purgeFloor === undefined ? all : dropTombstones(all, purgeFloor),
        this.#options.migration,
      ),
      timeoutMs: settings.writeTimeoutMs,
    });
  }

  /** @throws the signal's reason; TooSlow */
  async *#mergeInTime(): AsyncGenerator<readonly RunEntry[]> {
    const { plan, merged, leftMs } = this.#input;
    const { runs, runtime } = this.#parts;
    const startedMs = runtime.steadyMs();
    const progress = new Progress(runBytes(plan.runs), leftMs);
    const sources = plan.runs.map((run) => counted(runs.open(run).scan(), run, progress));
    for await (const batch of mergeSorted([fromMap(merged.entries), ...sources])) {
      this.#options.signal?.throwIfAborted();
      progress.check(runtime.steadyMs() - startedMs);
      yield batch;
    }
  }

  /**
   * FAST-VIEW: names what the new run stands for, to be deleted by a later pass; undefined for
   * nothing. By the date of the answer, which is later than the manifest's, a list of the pass
   * before is due where the grace is as long as the time from pass to pass.
   */
  async #writeList(): Promise<{ retired: Retired[]; dateMs: number } | undefined> {
    const { backend, runtime, settings } = this.#parts;
    const { loaded } = this.#input;
    const refs = this.#refsToRetire();
    if (refs.length === 0) return undefined;
    const path = retiredListPath(loaded.manifest.generation, runtime.randomHex(16));
    const body = encodeRetiredList(refs.map((ref) => ref.path));
    const timeoutMs = settings.writeTimeoutMs;
    const put = await backend.put(path, body, { ifAbsent: true }, { timeoutMs });
    if (put.status === "conflict") throw new ConflictError(`${path} exists already`, { path });
    const dateMs = Math.max(loaded.dateMs, put.dateMs);
    return { retired: [{ path, list: true, segments: summarize(refs) }], dateMs };
  }

  #refsToRetire(): LogRef[] {
    const { done, gone } = this.#input.merged;
    return done.flatMap(({ segments }) => segments.filter(({ key }) => !gone.has(key)));
  }
}

/** By records: their bytes are known on an average only. */
async function* counted(
  batches: EntryBatches,
  run: RunInfo,
  progress: Progress,
): AsyncGenerator<readonly RunEntry[]> {
  for await (const batch of batches) {
    progress.add((batch.length / run.records) * lineBytes(run));
    yield batch;
  }
}

/** Exact when everything is in one run; otherwise by the `prev` in the log. */
function countActive(
  manifest: Manifest,
  { keptRuns }: CompactionPlan,
  newRun: RunInfo | undefined,
  created: number,
): number {
  if (keptRuns.length === 0) return newRun === undefined ? 0 : newRun.records - newRun.tombstones;
  return Math.max(0, (manifest.stats?.activeRecords ?? 0) + created);
}
