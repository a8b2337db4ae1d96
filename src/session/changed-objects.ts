/**
 * What changed between two views of a store whose records are not all in memory: by the segments
 * that came into view, and by the runs that only one of the two names (PROTOCOL, T5 to T7).
 */
import { FollowerExpiredError } from "../core/errors.ts";
import { laneOf } from "../core/lane.ts";
import { parseRecord } from "../core/record.ts";
import {
  compareVersions,
  operationKey,
  ResidentEntry,
  revisionOf,
  type RunEntry,
  type Version,
  wins,
} from "../core/version.ts";
import { filterAdmits, filterHash } from "../format/paths.ts";
import { type Segment, versionOf } from "../format/segment.ts";
import type { LogRef } from "../log/log.ts";
import { RunGoneError } from "../runs/run-gone.ts";
import { isIgnored } from "../view/live-segments.ts";
import { mayDescribe, runsWithin, type View } from "../view/view.ts";
import type { Catalogue } from "../format/catalogue.ts";
import { namesRun } from "../format/levels.ts";
import { gather } from "../read/load-records.ts";
import { countArchives } from "../format/archive-list.ts";
import type { Engine } from "../engine/engine.ts";
import { type Memtable } from "./memtable.ts";
import { runChanges } from "../read/run-changes.ts";
import { lookUpRuns } from "../read/merged-runs.ts";
import { migrateRecord } from "../core/schema.ts";
import type { NewOperation } from "./pending-changes.ts";

/** A segment that was reported to a follower, or that it has itself written. */
export interface KnownSegment {
  readonly ref: LogRef;
  /** Who wrote what lies in it (`writersOf`); undefined while it was not read. */
  readonly writers: readonly string[] | undefined;
}

/** What a follower has. */
export interface Base {
  readonly view: View;
  /** By key: those in view, and own ones since. */
  readonly known: Map<string, KnownSegment>;
  /** Nothing that the follower has is of a higher clock. */
  clock: number;
  /** Every record was in memory: what changes since is found there. */
  readonly isWhole: boolean;
}

/** What memory has of an id. */
export interface Memory {
  /** What the follower has of it is known without the objects. */
  isSettled(id: string): boolean;
  isResident(id: string): boolean;
}

/** A record of which the follower has something else. */
export interface ChangedRecord {
  /** What the store holds. */
  readonly after: ResidentEntry | undefined;
  /** New ones, in version order. */
  readonly operations: readonly NewOperation[];
}

interface Candidate {
  readonly operations: readonly NewOperation[];
  /** In the runs that came and in those that went; `isInRuns`: one of the two is another. */
  readonly entry: RunEntry | undefined;
  readonly before: RunEntry | undefined;
  readonly isInRuns: boolean;
}

/**
 * A flush has a `w` of its own, which identifies its operations; those of a legacy log share one, and a
 * guarded operation has that of the plain write below it.
 */
export function writersOf({ segments: read }: LogRef, segments: readonly Segment[]): string[] {
  return segments.flatMap((one) => {
    const isPlain = read === undefined && one.operations.every(({ base }) => base === undefined);
    if (isPlain) return [writerKey(one)];
    return one.operations.map((operation) => operationKey(operation.id, versionOf(one, operation)));
  });
}

/** Whether an operation lies in what `writersOf` was made of. */
export function isByWriter(writers: ReadonlySet<string>, id: string, version: Version): boolean {
  if (revisionOf(version) === 0 && writers.has(writerKey(version))) return true;
  return writers.has(operationKey(id, version));
}

function writerKey({ agent, writerNonce }: Pick<Version, "agent" | "writerNonce">): string {
  return JSON.stringify([agent, writerNonce]);
}

export class ChangedObjects {
  readonly #engine: Engine;
  readonly #base: Base;
  readonly #view: View;
  readonly #records: Memtable;
  readonly #shownGeneration: number;
  readonly #reportedWriters: ReadonlySet<string>;
  readonly #candidates = new Map<string, Candidate>();

  /** @param shownGeneration of the newest manifest of which a scan has shown records */
  constructor(
    engine: Engine,
    base: Base,
    view: View,
    { records, shownGeneration }: { readonly records: Memtable; readonly shownGeneration: number },
  ) {
    this.#engine = engine;
    this.#base = base;
    this.#view = view;
    this.#records = records;
    this.#shownGeneration = shownGeneration;
    const current = new Set([...view.segments.map(({ key }) => key), ...view.published]);
    // What the follower read meanwhile may lack a frame that went with its file.
    const reported = [...base.known.values()].filter(
      ({ ref }) => ref.mayVanish !== true || current.has(ref.key),
    );
    this.#reportedWriters = new Set(reported.flatMap(({ writers = [] }) => writers));
  }

  /**
   * @param operations of segments that came into view, by id, in version order
   * @param requested ids that are reported whatever the objects hold
   * @returns why it cannot be reported; "outdated" when a compaction has changed what the view names
   * @throws RunGoneError when the view names a run that is not there
   */
  async find(
    operations: ReadonlyMap<string, readonly NewOperation[]>,
    requested: ReadonlySet<string>,
    memory: Memory,
  ): Promise<ReadonlyMap<string, ChangedRecord> | FollowerExpiredError | "outdated"> {
    const lost = this.#whatIsLost();
    if (lost !== undefined) return expired(lost);
    for (const [id, all] of operations) {
      const fresh = all.filter(({ version }) => !this.#isReported(id, version));
      if (fresh.length > 0 && !memory.isSettled(id)) this.#add(id, { operations: fresh });
    }
    for (const id of requested) if (!this.#candidates.has(id)) this.#add(id, {});
    try {
      await this.#compareRuns(memory);
      return await this.#changedRecords(requested, memory);
    } catch (error) {
      if (!(error instanceof RunGoneError)) throw error;
      if (await this.#isNamed(error.path)) throw error;
      return expired(`${error.path}, which held what was there before, was deleted`);
    }
  }

  /** Whether an object that is gone belongs to the view: then its manifest is not current any more. */
  async #isNamed(path: string | undefined): Promise<boolean> {
    const { manifest } = this.#view.loaded;
    if (path === undefined) return false;
    if (manifest.catalogues.some((catalogue) => catalogue.path === path)) return true;
    return namesRun(await this.#engine.manifests.openManifest(manifest), path);
  }

  /** What neither the current runs nor the current log show. */
  #whatIsLost(): string | undefined {
    const { view, known } = this.#base;
    const { loaded, legacy, segments } = this.#view;
    const { manifest } = loaded;
    if (legacy?.run.path !== view.legacy?.run.path) {
      return "the original opslog made a new snapshot, or its store was upgraded";
    }
    if (legacy !== undefined) {
      const keys = new Set(segments.map(({ key }) => key));
      // It truncates its log to undo.
      if (view.segments.some(({ key }) => !keys.has(key)))
        return "the original opslog undid writes";
    }
    // The former runs show which of their records are gone. The log was not in them: its deletions
    // may be purged, or it came too late and is ignored.
    const low = [...known.values()].some(({ ref }) => isIgnored(ref, manifest));
    return low ? "deletions were purged" : undefined;
  }

  #isReported(id: string, version: Version): boolean {
    return isByWriter(this.#reportedWriters, id, version);
  }

  #add(id: string, found: Partial<Candidate>): void {
    const nothing = { operations: [], entry: undefined, before: undefined, isInRuns: false };
    this.#candidates.set(id, { ...nothing, ...found });
  }

  async #compareRuns({ isSettled }: Memory): Promise<void> {
    const { manifest } = this.#base.view.loaded;
    const { manifest: current } = this.#view.loaded;
    // The tombstone of an archive has the version of what it replaces, which was reported.
    const mayArchive = countArchives(current).archives !== countArchives(manifest).archives;
    for await (const changes of runChanges(this.#engine, manifest, current)) {
      for (const { id, before, after } of changes) {
        if (isSettled(id)) continue;
        if (after === undefined && before?.text === undefined) continue;
        const isReported = after !== undefined && this.#isReported(id, after.version);
        if (isReported && !(mayArchive && after.text === undefined)) continue;
        const { operations = [] } = this.#candidates.get(id) ?? {};
        this.#add(id, { operations, entry: after, before, isInRuns: true });
      }
    }
  }

  async #changedRecords(
    requested: ReadonlySet<string>,
    memory: Memory,
  ): Promise<ReadonlyMap<string, ChangedRecord> | "outdated"> {
    const winners = await this.#winners(requested, memory);
    if (winners === "outdated") return "outdated";
    const changed = new Map<string, ChangedRecord>();
    const perhapsAbsent = new Set<string>();
    for (const [id, candidate] of this.#candidates) {
      const after = winners.get(id);
      if (!requested.has(id) && !isChange(candidate, after)) continue;
      const { operations, before } = candidate;
      changed.set(id, { after, operations });
      const isGone = after?.value === undefined && operations.length === 0;
      if (isGone && before?.text === undefined && !requested.has(id)) perhapsAbsent.add(id);
    }
    for (const id of await this.#neverThere(perhapsAbsent)) changed.delete(id);
    return changed;
  }

  /** What the store holds of each candidate. Most are above all that the follower has. */
  async #winners(
    requested: ReadonlySet<string>,
    { isResident }: Memory,
  ): Promise<ReadonlyMap<string, ResidentEntry | undefined> | "outdated"> {
    const winners = new Map<string, ResidentEntry | undefined>();
    const doubtful = new Set<string>();
    for (const [id, candidate] of this.#candidates) {
      if (isResident(id)) winners.set(id, this.#records.durable(id));
      else if (requested.has(id) || !this.#isAboveAll(candidate)) doubtful.add(id);
      else winners.set(id, this.#highest(candidate));
    }
    if (doubtful.size === 0) return winners;
    const { etag } = this.#view.loaded;
    const gathered = await gather(this.#engine, {
      view: this.#view,
      wanted: doubtful,
      merged: new Set(),
      // If it concerns a record, the refresh reported it.
      onCorrupt: () => {},
    });
    if (gathered.view.loaded.etag !== etag) return "outdated";
    for (const id of doubtful) winners.set(id, gathered.entries.get(id));
    return winners;
  }

  #isAboveAll({ operations, entry, isInRuns }: Candidate): boolean {
    if (isInRuns && entry === undefined) return false;
    const { clock } = this.#base;
    const first = operations[0]?.version.clock ?? Infinity;
    return first > clock && (entry?.version.clock ?? Infinity) > clock;
  }

  #highest({ operations, entry }: Candidate): ResidentEntry | undefined {
    const last = operations.at(-1);
    const { version: schema } = this.#engine.schema;
    const logged = last && new ResidentEntry(last.version, schema, last.operation.data);
    const merged = entry && this.#entryOf(entry);
    return merged !== undefined && wins(merged, logged) ? merged : logged;
  }

  #entryOf({ id, version, schemaVersion, text }: RunEntry): ResidentEntry {
    if (text === undefined) return new ResidentEntry(version, schemaVersion, undefined);
    const value = migrateRecord(this.#engine.schema, id, parseRecord(id, text), schemaVersion);
    return new ResidentEntry(version, schemaVersion, value);
  }

  /** Of ids that are deleted now, those of which the follower cannot have had a record. */
  async #neverThere(ids: ReadonlySet<string>): Promise<string[]> {
    const { view, known } = this.#base;
    // Since then a scan has shown records of newer runs.
    if (this.#shownGeneration > view.loaded.manifest.generation) return [];
    const { manifests } = this.#engine;
    const isNeeded = (catalogue: Catalogue): boolean => mayDescribe(catalogue, ids);
    const now = await manifests.openManifest(this.#view.loaded.manifest, isNeeded);
    const before = await manifests.openManifest(view.loaded.manifest, isNeeded);
    const current = new Set(runsWithin(now, isNeeded).map(({ path }) => path));
    const stayed = runsWithin(before, isNeeded).filter(({ path }) => current.has(path));
    const runs = stayed.map((run) => this.#engine.runs.open(run));
    const held = await lookUpRuns(runs, ids);
    const refs = [...known.values()].map(({ ref }) => ref);
    return [...ids].filter((id) => {
      return held.get(id)?.text === undefined && !refs.some((ref) => mayHold(ref, id));
    });
  }
}

function mayHold({ filter, claim }: LogRef, id: string): boolean {
  return claim === undefined ? filterAdmits(filter, filterHash(id)) : claim.lane === laneOf(id);
}

/** Whether what the store holds is one of the new things: else they had lost to what was there. */
function isChange(
  { operations, entry, isInRuns }: Candidate,
  after: ResidentEntry | undefined,
): boolean {
  if (isInRuns && entry === undefined && after?.value === undefined) return true;
  if (after === undefined) return false;
  const isOf = (version: Version): boolean => compareVersions(version, after.version) === 0;
  return (
    (entry !== undefined && isOf(entry.version)) || operations.some(({ version }) => isOf(version))
  );
}

function expired(reason: string): FollowerExpiredError {
  return new FollowerExpiredError(
    `what changed since the last look cannot be reported any more: ${reason}. Read what you follow ` +
      "again (scan, readMany, hydrate); tail and watch continue with what changes from now on",
  );
}
