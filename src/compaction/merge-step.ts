/** One step of a pass (C5 to C10): merges what was planned, publishes it, then deletes. */
import { append, maxOf, minOf } from "../core/bulk.ts";
import type { NameList } from "../core/name-list.ts";
import type { Manifest, Retired } from "../format/manifest-codec.ts";
import { runPaths } from "../format/paths.ts";
import { allRuns, type Level } from "../format/levels.ts";
import { isTombstone } from "../format/stored-line.ts";
import type { RunInfo } from "../format/run-info.ts";
import type { LogRef } from "../log/log.ts";
import { writeRuns } from "../runs/run-cutter.ts";
import type { Lease } from "../storage/lease.ts";
import type { LoadedManifest } from "../view/manifest-store.ts";
import { deleteListed, orphans } from "./collector.ts";
import type { PassedClaims } from "./claims.ts";
import { type Edit, isLanesOutrun, levelsAfter, takenRuns, wasPublished } from "./edit.ts";
import type { MergedLog } from "./merge-log.ts";
import { migrateEntries } from "./migrate.ts";
import { type CompactionPlan, planAlone } from "./plan.ts";
import { countSealed } from "./purge.ts";
import { writeClaimList, writeSegmentList, type WrittenList } from "./retired-lists.ts";
import { UnitMerge } from "./unit-merge.ts";
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
  /** Of the lanes, what is merged in place of log. */
  readonly claims?: PassedClaims | undefined;
  /** K4: deleted after the publication. */
  readonly strays: readonly string[];
  /** What a purge may raise the floor to: F, once all log up to it is merged; else the floor. */
  readonly floor: number;
  /** The floor rises even if nothing is merged. */
  readonly raises?: boolean;
  /** What the lists that the manifest names hold, by the list. */
  readonly lists: ReadonlyMap<string, NameList>;
  /** Objects in `snapshots/` and `archive/`; undefined: they are not listed, and none is collected. */
  readonly listed: readonly string[] | undefined;
  /** When a merge of a plan that is not whole ends, by the steady clock. */
  readonly untilMs: number;
}

export interface PublishedStep {
  readonly status: "published";
  /** As read back. */
  readonly loaded: LoadedManifest;
  readonly newRuns: readonly RunInfo[];
  /** How many runs are no longer named, because all that counted of them was merged. */
  readonly runsRetired: number;
  /** Bytes of runs that were read. */
  readonly readBytes: number;
  /** Lists that this step retires. */
  readonly lists: readonly { readonly path: string; readonly names: NameList }[];
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
  | {
      readonly status: "unchanged";
      readonly loaded: LoadedManifest;
      readonly deleted: number;
    }
  /** Nothing counts, nothing of the log was deleted. */
  | { readonly status: "lost"; readonly more: boolean };

/** How often what was merged is published over what others have published meanwhile. */
const ATTEMPTS_MAX = 50;
/** Of merged segments, held to be deleted together. */
const NAMES_MAX = 10_000;
/** How often log is written anew, for a later manifest: what was merged of it is in memory. */
const REWRITES_MAX = 3;

/** What a step has merged does not hold over a later manifest. */
interface Outrun {
  readonly status: "outrun";
  readonly current: LoadedManifest;
}

export class MergeStep {
  readonly #parts: CompactorParts;
  readonly #lease: Lease;
  readonly #options: PassOptions;
  #input: StepInput;
  #list: WrittenList | undefined;
  #claimList: WrittenList | undefined;
  #listedDeleted = 0;

  constructor(parts: CompactorParts, lease: Lease, options: PassOptions, input: StepInput) {
    this.#parts = parts;
    this.#lease = lease;
    this.#options = options;
    this.#input = input;
  }

  async run(): Promise<StepResult> {
    for (let rewrites = 0; ; rewrites++) {
      const made = await this.#writeRuns();
      const { loaded } = this.#input;
      const refs = this.#deletesNow ? [] : this.#refsToRetire();
      this.#list ??= await writeSegmentList(this.#parts, loaded, refs);
      this.#claimList ??= await writeClaimList(this.#parts, loaded, this.#input.claims?.paths);
      const result = await this.#publish(made);
      if (result.status !== "outrun") return result;
      const { plan: before, merged, claims } = this.#input;
      const { units } = before;
      const { current } = result;
      const isAlone = units.length > 0 || claims !== undefined;
      const isOutrun =
        merged.lo <= current.manifest.purgeFloor || isLanesOutrun(claims?.change, current.manifest);
      if (!isAlone || isOutrun || rewrites === REWRITES_MAX) return { status: "lost", more: true };
      // Levels that joined were merged by others meanwhile: the log does without them.
      const plan = planAlone(current.manifest, units);
      // The lists were made on the base, too, and may have been collected (ORPHAN).
      this.#list = undefined;
      this.#claimList = undefined;
      this.#input = { ...this.#input, loaded: current, plan, floor: current.manifest.purgeFloor };
    }
  }

  get #written(): WrittenList[] {
    return [this.#list, this.#claimList].filter((list) => list !== undefined);
  }

  get #deletesNow(): boolean {
    return segmentGraceOf(this.#input.loaded.manifest, this.#parts.settings) === 0;
  }

  async #publish(made: Made): Promise<StepResult | Outrun> {
    const { loaded } = this.#input;
    const edit = this.#edit(made);
    const nonce = this.#nonce(edit);
    let current = loaded;
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      const next = this.#prepare(edit, { current, nonce, merge: made.merge });
      if (next === undefined) {
        if (wasPublished(edit, current.manifest)) break;
        return { status: "outrun", current };
      }
      if (!this.#changes(edit, current, next)) return this.#unchanged(current);
      const published = await this.#swap(current, next);
      if (published === "lost") return { status: "lost", more: false };
      if (published !== undefined) return this.#clean(edit, published, { next, ...made });
      const { manifests } = this.#parts;
      const after = await manifests.load(current);
      // C8: its outcome is not known.
      if (after.etag === current.etag || after.legacyManifest !== undefined) break;
      current = await manifests.open(after);
    }
    return { status: "lost", more: true };
  }

  /** Undefined: another was faster, or the outcome is not known. */
  async #swap(
    current: LoadedManifest,
    next: Publication,
  ): Promise<LoadedManifest | "lost" | undefined> {
    const { manifests, settings } = this.#parts;
    // While the manifest still names the list: a crash in here leaves it to the next pass.
    this.#listedDeleted += await deleteListed(this.#parts, next.due);
    this.#options.signal?.throwIfAborted();
    if (this.#lease.lost) return "lost";
    return manifests.publish(current, next.manifest, settings.writeTimeoutMs);
  }

  /** C8: not before the read back. With a grace, at once only what an earlier pass has listed. */
  async #clean(
    edit: Edit,
    published: LoadedManifest,
    { next, runs, merge }: Made & CleanOptions,
  ): Promise<PublishedStep> {
    const { merged, listed = [], claims, strays } = this.#input;
    const { backend, log } = this.#parts;
    const deletesNow = this.#deletesNow;
    if (deletesNow) await log.deleteUnits(merged.done);
    const due = await this.#deleteDue(next);
    const collected = next.due.map(({ path }) => path);
    const garbage = [...new Set([...collected, ...orphans(published.manifest, listed)])];
    await backend.delete([...due.rest, ...garbage, ...strays]);
    const mergedDeleted = (deletesNow ? merged.done.length : 0) + due.count;
    const named = new Set(allRuns(published.manifest).map(({ path }) => path));
    const taken = takenRuns(edit).map(({ path }) => path);
    const sources = [...taken, ...merged.merged, ...(claims?.paths ?? [])];
    return {
      status: "published",
      loaded: published,
      newRuns: runs,
      runsRetired: taken.filter((path) => !named.has(path)).length,
      readBytes: merge.readBytes,
      lists: this.#written.map(({ retired, names }) => ({ path: retired.path, names })),
      garbage,
      deleted: this.#listedDeleted + garbage.length + mergedDeleted,
      mergedDeleted,
      replaced: runs.length === 0 ? undefined : { runs: runs.map(({ path }) => path), sources },
    };
  }

  /** What lists name that are due, but for the rest. @returns how many names there are */
  async #deleteDue({
    due,
  }: Publication): Promise<{ readonly count: number; readonly rest: string[] }> {
    let count = 0;
    let rest: string[] = [];
    for (const { path } of due) {
      append(rest, this.#input.lists.get(path)?.names() ?? []);
      if (rest.length < NAMES_MAX) continue;
      await this.#parts.backend.delete(rest);
      count += rest.length;
      rest = [];
    }
    return { count: count + rest.length, rest };
  }

  /** Empty files only: nothing of theirs needs publishing. */
  async #unchanged(loaded: LoadedManifest): Promise<StepResult> {
    const { done } = this.#input.merged;
    await this.#parts.log.deleteUnits(done);
    return { status: "unchanged", loaded, deleted: done.length };
  }

  #changes(
    { made, plan }: Edit,
    { manifest: before }: LoadedManifest,
    { due, manifest }: Publication,
  ): boolean {
    const { merged, done } = this.#input.merged;
    const { claims } = this.#input;
    const isLogMerge = merged.length > 0 || claims !== undefined;
    const isMerge = made.length > 0 || plan.taken.length > 0 || isLogMerge;
    const isCleaning =
      due.length > 0 ||
      (before.uncollected && !manifest.uncollected) ||
      (before.lanes === undefined && before.generation > 0);
    const isRaising = this.#input.raises === true && manifest.purgeFloor > before.purgeFloor;
    const hasLog = done.some((unit) => unit.segments.length > 0);
    return isMerge || isCleaning || isRaising || hasLog;
  }

  #edit({ runs: made, merge: { span } }: Made): Edit {
    const { loaded, plan, merged, claims } = this.#input;
    const { manifest: base } = loaded;
    const purgeFloor = this.#purgeFloor();
    const deletesLog = this.#deletesNow;
    const lanes = claims?.change;
    return { base, plan, made, lo: merged.lo, span, purgeFloor, deletesLog, lanes };
  }

  /** Undefined: what was merged does not hold over this manifest. */
  #prepare(edit: Edit, { current, nonce, merge }: PrepareOptions): Publication | undefined {
    const { merged, lists } = this.#input;
    const written = this.#written;
    const levels = levelsAfter(edit, current.manifest);
    if (levels === undefined) return undefined;
    const isRebased = current.manifest.generation !== edit.base.generation;
    const change = {
      nonce,
      dateMs: maxOf(
        written.map(({ dateMs }) => dateMs),
        current.dateMs,
      ),
      levels,
      purgeFloor:
        edit.purgeFloor === undefined
          ? undefined
          : Math.max(edit.purgeFloor, current.manifest.purgeFloor),
      purgedSince: merge.purgedSince,
      lanes: edit.lanes,
      clock: merged.clock,
      schema: Math.max(
        merged.schema,
        maxOf(
          edit.made.map(({ minSchema }) => minSchema),
          0,
        ),
      ),
      activeRecords: countActive(current.manifest, levels, merged.created),
      retired: written.map(({ retired }) => retired),
      listed: this.#input.listed,
      limits: this.#parts.limits,
      // What lists of others name is not known here.
      keepsDue: ({ path, list: isList, segments, claims }: Retired) =>
        segments === undefined && claims === undefined
          ? isRebased && isList === true
          : !lists.has(path),
    };
    return preparePublication(current, change, this.#parts.settings);
  }

  /** Bound to what the publication permits to delete. */
  #nonce(edit: Edit): string {
    const { merged, claims } = this.#input;
    const paths = [
      ...(claims?.paths ?? []),
      ...merged.done.flatMap((unit) => unit.paths),
      ...takenRuns(edit).map(({ path }) => path),
    ];
    const { from, to } = edit.span;
    const content = [...paths.toSorted(), from, to ?? "", ...edit.made.map(({ sha256 }) => sha256)];
    return publicationNonce(this.#parts.runtime.randomHex(16), content);
  }

  /** C9: undefined where some run that may hold a lower version of an id does not take part. */
  #purgeFloor(): number | undefined {
    const { loaded, plan, merged, floor } = this.#input;
    if (this.#input.raises === true) return Math.max(floor, loaded.manifest.purgeFloor);
    if (plan.taken.length < plan.levels.length) return undefined;
    const { purgeFloor, lanes } = loaded.manifest;
    const hasTombstones =
      countSealed(loaded.manifest) > 0 ||
      (lanes === undefined && [...merged.entries.values()].some(isTombstone));
    return hasTombstones ? Math.max(floor, purgeFloor) : purgeFloor;
  }

  async #writeRuns(): Promise<Made> {
    const { loaded, plan, merged, untilMs } = this.#input;
    const { backend, runtime, settings, limits, runs, compression } = this.#parts;
    const { signal, migration } = this.#options;
    const { generation: base } = loaded.manifest;
    const merge = new UnitMerge(runs, runtime, {
      plan,
      logged: merged.entries,
      generation: base,
      purgeFloor: this.#purgeFloor(),
      endedMs: loaded.dateMs - limits.endedKeptMs,
      sealing: loaded.manifest,
      unitBytesMax: limits.unitBytesMax,
      indexBytesMin: limits.copiedIndexBytesMin,
      schemaMin: migration?.version ?? 0,
      assumedBytesPerMs: limits.assumedBytesPerMs,
      untilMs,
      signal,
    });
    if (merged.entries.size === 0 && plan.taken.length === 0) return { runs: [], merge };
    const made = await writeRuns(backend, {
      newPaths: () => runPaths(base, runtime.randomHex(16)),
      base,
      compression,
      entries: migrateEntries(merge.entries(), migration),
      runBytesMax: limits.runBytesMax,
      layout: limits.layout,
      timeoutMs: settings.writeTimeoutMs,
    });
    const taken = takenRuns({ plan, span: merge.span });
    const dates = taken.map(({ oldestMs = loaded.dateMs }) => oldestMs);
    const oldestMs = Math.floor(minOf(dates, loaded.dateMs));
    return { runs: made.map((run) => ({ ...run, oldestMs })), merge };
  }

  #refsToRetire(): LogRef[] {
    const { done, gone } = this.#input.merged;
    return done.flatMap(({ segments }) => segments.filter(({ key }) => !gone.has(key)));
  }
}

/** Runs that were written, and what they are the merge of. */
interface Made {
  readonly runs: readonly RunInfo[];
  readonly merge: UnitMerge;
}

interface PrepareOptions {
  readonly current: LoadedManifest;
  readonly nonce: string;
  readonly merge: UnitMerge;
}

interface CleanOptions {
  readonly next: Publication;
}

/** Exact when everything is in one level of whole runs; otherwise by the `prev` in the log. */
function countActive(manifest: Manifest, levels: readonly Level[], created: number): number {
  const held = levels.filter(({ runs }) => runs.length > 0);
  const runs = held.flatMap((level) => level.runs);
  if (held.length <= 1 && runs.every(({ excised }) => excised === undefined)) {
    return runs.reduce((sum, { records, tombstones }) => sum + records - tombstones, 0);
  }
  return Math.max(0, (manifest.stats?.activeRecords ?? 0) + created);
}
