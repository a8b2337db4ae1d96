/**
 * Collects what a view holds of some ids, or of all: from runs and live segments, the highest
 * version of each. Follows the manifest when a compaction deletes what it is about to read.
 */
import type { CorruptionError } from "../core/errors.ts";
import { mapParallel } from "../core/parallel.ts";
import { parseRecord } from "../core/record.ts";
import {
  compareText,
  compareVersions,
  ResidentEntry,
  type RunEntry,
  wins,
} from "../core/version.ts";
import type { Catalogue } from "../format/catalogue.ts";
import { filterAdmits, filterHash, hashesIn } from "../format/paths.ts";
import { type Segment, versionOf } from "../format/segment.ts";
import { type ClaimRef, isClaim } from "../log/claims.ts";
import type { LogRef } from "../log/log.ts";
import type { Run } from "../runs/run.ts";
import { RunGoneError } from "../runs/run-gone.ts";
import {
  type Attempt,
  followView,
  memoryBase,
  type MemoryBase,
  mayDescribe,
  openView,
  runsOf,
  settleView,
  type View,
} from "../view/view.ts";
import type { Engine } from "../engine/engine.ts";
import { readRecentClaims } from "./claims.ts";
import { SegmentReader } from "./segment-reader.ts";
import { migrateRecord } from "../core/schema.ts";

/** Ids to look for; "all" takes every record there is. */
export type Wanted = ReadonlySet<string> | "all";

export interface GatherOptions {
  readonly view: View;
  readonly wanted: Wanted;
  /** Runs by name and segments by key that memory has merged already. */
  readonly merged: ReadonlySet<string>;
  /** Of memory that has merged these. Default: that of the view. */
  readonly base?: MemoryBase | undefined;
  readonly onCorrupt: (error: CorruptionError) => void;
  /** The view must show which segments the runs hold, also where no record depends on it. */
  readonly settles?: boolean | undefined;
}

export interface Gathered {
  /** The view that the entries stand for: the one given, or a newer manifest with its listing. */
  readonly view: View;
  /** In the order of the snapshot, then of the log. */
  readonly entries: Map<string, ResidentEntry>;
  /** RELOAD: `entries` hold everything wanted, and what memory held before must go. */
  readonly replaces: boolean;
  /** Segments read, by key. */
  readonly segments: ReadonlyMap<string, readonly Segment[]>;
}

/** For so many records, and this share of a run, reading it whole is cheaper than by points. */
const SCAN_RECORDS_MIN = 100;
const SCAN_SHARE = 0.2;
/** Runs read at a time: a run of which nothing is wanted takes no time. */
const RUNS_MAX = 16;

/** @throws CorruptionError; UnavailableError when compactions never cease */
export async function gather(engine: Engine, options: GatherOptions): Promise<Gathered> {
  const gathering = new Gathering(engine, options);
  const wantsNone = options.wanted !== "all" && options.wanted.size === 0;
  if (!wantsNone || options.settles === true) {
    await followView(engine.manifests, options.view, (attempt) => gathering.read(attempt));
  }
  return gathering.result();
}

class Gathering {
  readonly #engine: Engine;
  readonly #wanted: Wanted;
  readonly #hashes: ReadonlySet<string>;
  readonly #onCorrupt: (error: CorruptionError) => void;
  readonly #settles: boolean;
  readonly #segments = new Map<string, readonly Segment[]>();
  /** What cannot be read of the view that it began on, which was reported. */
  readonly #known: ReadonlySet<CorruptionError>;
  #view: View;
  /** Of the runs; the log is merged last. */
  #entries = new Map<string, ResidentEntry>();
  #logged: { readonly id: string; readonly entry: ResidentEntry }[] = [];
  #merged: Set<string>;
  #base: MemoryBase;
  #replaces = false;

  constructor(engine: Engine, options: GatherOptions) {
    this.#engine = engine;
    this.#view = options.view;
    this.#known = new Set(options.view.corrupt);
    this.#wanted = options.wanted;
    this.#hashes = new Set(options.wanted === "all" ? [] : [...options.wanted].map(filterHash));
    this.#merged = new Set(options.merged);
    this.#base = options.base ?? memoryBase(options.view);
    this.#onCorrupt = options.onCorrupt;
    this.#settles = options.settles ?? options.wanted === "all";
  }

  /** To be called once, when everything is read. */
  result(): Gathered {
    this.#replayLog();
    this.#migrate();
    return {
      view: this.#view,
      entries: this.#entries,
      replaces: this.#replaces,
      segments: this.#segments,
    };
  }

  /** Reads what is missing, as far as it is there. */
  async read(attempt: Attempt): Promise<void> {
    this.#view = attempt.view;
    for (const error of this.#view.corrupt) if (!this.#known.has(error)) this.#onCorrupt(error);
    this.#reloadIfOutdated();
    await this.#settleIfNeeded();
    attempt.view = this.#view;
    // All of what an unchanged catalogue describes is merged.
    const isNeeded = (catalogue: Catalogue): boolean =>
      !this.#merged.has(catalogue.path) &&
      (this.#wanted === "all" || mayDescribe(catalogue, this.#wanted));
    this.#view = await openView(this.#engine.manifests, this.#view, isNeeded);
    attempt.view = this.#view;
    const runs = runsOf(this.#engine.runs, this.#view, isNeeded).filter(
      ({ name }) => !this.#merged.has(name),
    );
    const failures: unknown[] = [];
    const keep = (reason: unknown): void => void failures.push(reason);
    await Promise.all([
      this.#readSegments(attempt.gone).catch(keep),
      mapParallel(runs, RUNS_MAX, (run) => this.#readRun(run).catch(keep)),
    ]);
    const failure: unknown =
      failures.find((reason) => !(reason instanceof RunGoneError)) ?? failures[0];
    if (failure !== undefined) throw failure;
  }

  /**
   * After a purge, or where the floor has risen to log that memory has merged; and when a legacy store
   * is another now, or was upgraded (RELOAD).
   */
  #reloadIfOutdated(): void {
    const base = memoryBase(this.#view);
    const { lastPurge, purgeFloor } = this.#view.loaded.manifest;
    const isSame = base.fingerprint === this.#base.fingerprint;
    if (isSame && lastPurge <= this.#base.generation && purgeFloor < this.#base.lo) return;
    this.#base = base;
    this.#entries = new Map();
    this.#logged = [];
    this.#merged = new Set();
    this.#segments.clear();
    this.#replaces = true;
  }

  /** One list names many segments that need not be read. */
  async #settleIfNeeded(): Promise<void> {
    const { unreadLists, segments, corrupt } = this.#view;
    if (unreadLists.length === 0) return;
    const isNeeded = (ref: LogRef): boolean => this.#merged.has(ref.key) || this.#admits(ref);
    if (!this.#settles && !segments.some(isNeeded)) return;
    this.#view = await settleView(this.#engine.manifests, this.#view);
    for (const error of this.#view.corrupt) if (!corrupt.includes(error)) this.#onCorrupt(error);
  }

  async #readSegments(gone: Set<string>): Promise<void> {
    const isNeeded = (ref: LogRef): boolean => !this.#merged.has(ref.key) && this.#admits(ref);
    const needed = this.#view.segments.filter(isNeeded);
    if (needed.length === 0) return;
    // Of claims, a lookup needs few (R4).
    const claims = this.#wanted === "all" ? [] : needed.filter(isClaim);
    const rest = claims.length === 0 ? needed : needed.filter((ref) => !isClaim(ref));
    const reader = new SegmentReader(this.#engine, this.#view, {
      // A read of everything does not repeat; point reads may meet a segment many times.
      keeps: this.#wanted !== "all",
      onCorrupt: this.#onCorrupt,
    });
    const missing = await Promise.all([
      reader.read(rest, (ref, segments) => this.#mergeSegments(ref, segments)),
      claims.length === 0 ? [] : this.#readClaims(claims),
    ]);
    for (const key of missing.flatMap((keys) => [...keys])) gone.add(key);
  }

  async #readClaims(refs: readonly ClaimRef[]): Promise<ReadonlySet<string>> {
    const { claims, gone } = await readRecentClaims({
      sources: this.#engine,
      view: this.#view,
      refs,
      wanted: this.#wanted,
      onCorrupt: this.#onCorrupt,
    });
    for (const { ref, segments } of claims) {
      if (segments !== undefined) this.#mergeSegments(ref, segments);
    }
    return gone;
  }

  #admits({ filter }: LogRef): boolean {
    if (this.#wanted === "all" || filter === "any") return true;
    const hashes = hashesIn(filter);
    if (hashes.length <= this.#hashes.size) return hashes.some((hash) => this.#hashes.has(hash));
    return [...this.#hashes].some((hash) => filterAdmits(filter, hash));
  }

  #mergeSegments({ key }: LogRef, segments: readonly Segment[]): void {
    for (const segment of segments) {
      for (const operation of segment.operations) {
        const { id, data } = operation;
        if (this.#wanted !== "all" && !this.#wanted.has(id)) continue;
        const version = versionOf(segment, operation);
        this.#logged.push({ id, entry: new ResidentEntry(version, segment.schemaVersion, data) });
      }
    }
    this.#segments.set(key, segments);
    this.#merged.add(key);
  }

  async #readRun(run: Run): Promise<void> {
    const scanFrom = Math.max(SCAN_RECORDS_MIN, run.records * SCAN_SHARE);
    if (this.#wanted !== "all" && this.#wanted.size < scanFrom) {
      const found = await run.getMany(this.#wanted);
      for (const entry of found.values()) this.#mergeRunEntry(entry, run);
    } else {
      for await (const batch of run.entries()) {
        for (const entry of batch) this.#mergeRunEntry(entry, run);
      }
    }
    this.#merged.add(run.name);
  }

  /** Parses a record only when it is wanted and not below what is known already. */
  #mergeRunEntry({ id, version, schemaVersion, text }: RunEntry, run: Run): void {
    if (this.#wanted !== "all" && !this.#wanted.has(id)) return;
    const current = this.#entries.get(id);
    if (current !== undefined && version.clock < current.version.clock) return;
    const value = text === undefined ? undefined : parseRecord(id, text, run.path);
    const entry = new ResidentEntry(version, schemaVersion, value);
    // A run that is not sorted may hold an id twice.
    const isLater = !run.isSorted && compareVersions(version, current?.version ?? version) === 0;
    if (isLater || wins(entry, current)) this.#entries.set(id, entry);
  }

  /** In whatever order things were read, records come in the order in which they were written. */
  #replayLog(): void {
    const { runs, catalogues } = this.#view.loaded.manifest;
    if (runs.length > 1 || catalogues.length > 0) {
      this.#entries = new Map([...this.#entries].toSorted(([a], [b]) => compareText(a, b)));
    }
    this.#logged.sort((a, b) => compareVersions(a.entry.version, b.entry.version));
    for (const { id, entry } of this.#logged) {
      const current = this.#entries.get(id);
      if (!wins(entry, current)) continue;
      // A record that is set again after its deletion comes last.
      if (current?.value === undefined) this.#entries.delete(id);
      this.#entries.set(id, entry);
    }
  }

  /** Winners only: what another write has replaced need not be of a version known here. */
  #migrate(): void {
    const { schema } = this.#engine;
    for (const [id, { version, schemaVersion: from, value }] of this.#entries) {
      if (value === undefined || from === schema.version) continue;
      const migrated = migrateRecord(schema, id, value, from);
      this.#entries.set(id, new ResidentEntry(version, from, migrated));
    }
  }
}
