/**
 * A store of the model: a real manifest, whose runs hold no records but bytes that are evenly spread
 * over their ids. Levels and publications are those of the engine. A level of thousands of runs is
 * held as fewer, of which each stands for several.
 */
import { type Edit, levelsAfter, takenRuns } from "../../src/compaction/edit.ts";
import { type CompactionPlan, DEFAULT_LIMITS, sizesOf } from "../../src/compaction/plan.ts";
import { preparePublication } from "../../src/compaction/publication.ts";
import { minOf } from "../../src/core/bulk.ts";
import { DEFAULT_SETTINGS, type ProtocolSettings } from "../../src/core/settings.ts";
import { countLevels, type Level, levelsOf } from "../../src/format/levels.ts";
import { EMPTY_MANIFEST, type Retired } from "../../src/format/manifest-codec.ts";
import { retiredListPath, runPaths } from "../../src/format/paths.ts";
import { separatorOf } from "../../src/format/run-index.ts";
import { type IdSpan, lineBytes, type RunInfo } from "../../src/format/run-info.ts";
import { COMPRESSION } from "./assumptions.ts";
import { catalogueReadBytes, type ManifestShape, shapeOf } from "./catalogues.ts";
import { intersection, piecesOf, visibleSpans } from "../../src/runs/visible.ts";
import type { LoadedManifest } from "../../src/view/manifest-store.ts";
import {
  cutExtents,
  endOf,
  type Extent,
  idOf,
  mergeExtents,
  type Merged,
  shareOf,
  STEP,
} from "./key-space.ts";

const MIB = 1024 * 1024;
const RUN_BYTES = DEFAULT_LIMITS.runBytesMax;
/**
 * The model's manifest names what was retired for this time only: longer than any step takes, so that
 * what a step has made is never collected. What the hour of the settings adds is counted apart.
 */
const RETIRED_MS = 300_000;
/** Runs stand for several: what catalogues would describe is counted instead. */
const UNFOLDED = { inlineBytesMax: Infinity, catalogueBytesMax: Infinity };
/** Longer than any invocation. */
const FORGET_MS = 1_200_000;
/** A partition of an index describes about so many bytes of a run, in so many of its own. */
const PARTITION_BYTES = 16 * MIB;
const PARTITION_LINE_BYTES = 40_900;
/** So many runs of a level are held one by one; in a larger level each stands for several. */
const LEVEL_RUNS_MAX = 16;
const PARTITIONS_MAX = 4;

export interface StoreShape {
  readonly recordBytes: number;
  /** All that a store holds whose records are only updated; Infinity: every write is a new record. */
  readonly capacityBytes: number;
  /** In one level, when the simulation begins. */
  readonly initialBytes: number;
  readonly settings?: Partial<ProtocolSettings>;
}

/** How many runs so many bytes of lines are cut into. */
export function runsOf(bytes: number): number {
  return Math.max(1, Math.ceil(bytes / RUN_BYTES - 0.01));
}

/** What a run of the model stands for. */
interface Held extends Extent {
  readonly runs: number;
}

export interface Step {
  readonly plan: CompactionPlan;
  /** Of the log: written to it as one run at most. */
  readonly logBytes: number;
  readonly bytesMax: number;
}

export class ModelStore {
  readonly settings: ProtocolSettings;
  readonly #shape: StoreShape;
  readonly #random: () => number;
  readonly #held = new Map<string, Held>();
  /** Objects that were retired, and when. */
  readonly #retired: { readonly atMs: number; readonly objects: number }[] = [];
  /** Runs that steps which are not published yet take over from: how many such steps. */
  readonly #inUse = new Map<string, number>();
  readonly #gcGraceMs: number;
  #unnamed: readonly string[] = [];
  #forgotMs = 0;
  #names = 0;
  loaded: LoadedManifest;

  constructor(shape: StoreShape, startMs: number, random: () => number) {
    this.#shape = shape;
    this.#random = random;
    const settings = { ...DEFAULT_SETTINGS, ...shape.settings };
    this.#gcGraceMs = settings.gcGraceMs;
    this.settings = { ...settings, gcGraceMs: Math.min(settings.gcGraceMs, RETIRED_MS) };
    this.loaded = loadedOf({ ...EMPTY_MANIFEST, generation: 1, nonce: "0".repeat(16) }, startMs);
    const { initialBytes: bytes } = shape;
    if (bytes === 0) return;
    const size = Math.max(RUN_BYTES, bytes / LEVEL_RUNS_MAX);
    const runs = cutExtents([{ from: 0, to: 1, bytes }], size).map((each) => this.#make(each));
    this.loaded = loadedOf({ ...this.loaded.manifest, runs }, startMs);
  }

  /** What the step would read and write. */
  merge({ plan, logBytes, bytesMax }: Step): Merged {
    const span = { from: plan.from, to: plan.to };
    const sources = plan.taken.flatMap((at) => this.#sources(plan.levels[at]?.runs ?? [], span));
    if (logBytes > 0) sources.push(this.#logged(logBytes));
    const to = endOf(plan.to);
    const limits = { from: shareOf(plan.from), to, bytesMax: plan.isWhole ? Infinity : bytesMax };
    return mergeExtents(sources, limits, this.#shape.capacityBytes);
  }

  /** The change that publishes what was merged on a manifest. To be given up or published. */
  edit({ manifest, dateMs }: LoadedManifest, plan: CompactionPlan, merged: Merged): Edit {
    const span = { from: plan.from, to: merged.to >= endOf(plan.to) ? plan.to : idOf(merged.to) };
    const taken = takenRuns({ plan, span });
    const dates = taken.map((run) => run.oldestMs ?? dateMs);
    const oldestMs = Math.floor(minOf(dates, dateMs));
    const levelBytes = Math.max(merged.writtenBytes, sizesOf(plan.levels)[plan.into] ?? 0);
    const size = Math.max(RUN_BYTES, levelBytes / LEVEL_RUNS_MAX);
    const made = cutExtents(merged.extents, size).map((each) => ({
      ...this.#make(each),
      oldestMs,
    }));
    for (const { path } of taken) this.#inUse.set(path, (this.#inUse.get(path) ?? 0) + 1);
    return { base: manifest, plan, made, span, purgeFloor: undefined, deletesLog: false };
  }

  /** The levels with it over the current manifest; undefined: what others published does not go with it. */
  levelsWith(edit: Edit): Level[] | undefined {
    return levelsAfter(edit, this.loaded.manifest);
  }

  giveUp(edit: Edit): void {
    for (const { path } of takenRuns(edit)) {
      const count = (this.#inUse.get(path) ?? 1) - 1;
      if (count === 0) this.#inUse.delete(path);
      else this.#inUse.set(path, count);
    }
  }

  /** @param levels of `levelsWith` @returns the lists and runs that are deleted */
  publish(
    edit: Edit,
    levels: readonly Level[],
    segments: number,
    dateMs: number,
  ): readonly Retired[] {
    const { manifest } = this.loaded;
    this.giveUp(edit);
    const name = this.#name();
    const list: Retired = {
      path: retiredListPath(manifest.generation, name),
      list: true,
      segments: { count: Math.max(1, segments), hi: Math.floor(dateMs), digest: name },
    };
    const change = {
      nonce: name,
      dateMs,
      levels,
      clock: Math.floor(dateMs * 1_024),
      schema: 1,
      activeRecords: 0,
      retired: segments > 0 ? [list] : [],
      limits: UNFOLDED,
    };
    const before = this.runs;
    const next = preparePublication({ ...this.loaded, dateMs }, change, this.settings);
    this.loaded = loadedOf(next.manifest, dateMs);
    this.#retire(before, edit, dateMs);
    this.#join();
    this.#forget();
    return next.due;
  }

  /** Runs and their indexes, which stay for a while. */
  #retire(runsBefore: number, { made }: Edit, dateMs: number): void {
    const madeRuns = made.reduce((sum, run) => sum + this.#of(run.path).runs, 0);
    const objects = 2 * Math.max(0, runsBefore + madeRuns - this.runs);
    if (objects > 0) this.#retired.push({ atMs: dateMs, objects });
    const kept = this.#retired.findIndex(({ atMs }) => dateMs - atMs < this.#gcGraceMs);
    this.#retired.splice(0, kept < 0 ? this.#retired.length : kept);
  }

  get levels(): number {
    return countLevels(this.loaded.manifest);
  }

  /** How many runs these are in a store. */
  get runs(): number {
    return this.loaded.manifest.runs.reduce((sum, run) => sum + this.#runsOf(run), 0);
  }

  /** Bytes of what counts. */
  get bytes(): number {
    return this.#sources(this.loaded.manifest.runs, { from: "", to: undefined }).reduce(
      (sum, { bytes }) => sum + bytes,
      0,
    );
  }

  /** Of the manifest with as many runs as there would be. */
  shape(): ManifestShape {
    const { manifest } = this.loaded;
    const levels = levelsOf(manifest).map(({ runs }) =>
      runs.reduce((sum, run) => sum + this.#runsOf(run), 0),
    );
    const lists = manifest.retired.filter(({ segments }) => segments !== undefined).length;
    const objects = this.#retired.reduce((sum, each) => sum + each.objects, 0);
    return shapeOf(levels.toReversed(), lists + objects);
  }

  /** A cold point read at most: manifest, catalogues, a part of the index of each level, one block. */
  coldReadBytes(): number {
    const shape = this.shape();
    const indexes = this.levels * PARTITION_LINE_BYTES;
    return Math.round(shape.bytes + catalogueReadBytes(shape) + indexes + 32 * 1_024);
  }

  /** Since when the oldest data waits to be merged into the oldest level. */
  waitingMs(): number {
    const { runs } = this.loaded.manifest;
    const oldest = this.levels - 1;
    const newer = runs.filter(({ level }) => level < oldest);
    return (
      this.loaded.dateMs -
      minOf(
        newer.map((run) => run.oldestMs ?? Infinity),
        this.loaded.dateMs,
      )
    );
  }

  #sources(runs: readonly RunInfo[], span: IdSpan): Extent[] {
    return piecesOf(runs).flatMap(({ run, span: visible }) => {
      const shared = intersection(visible, span);
      if (shared === undefined) return [];
      const held = this.#of(run.path);
      const from = Math.max(held.from, shareOf(shared.from));
      const to = Math.min(held.to, endOf(shared.to));
      return to > from
        ? [{ from, to, bytes: (held.bytes * (to - from)) / (held.to - held.from) }]
        : [];
    });
  }

  /** Records of a portion lie anywhere: the lowest and the highest of them not at the very ends. */
  #logged(bytes: number): Extent {
    const { capacityBytes, recordBytes } = this.#shape;
    const unique =
      capacityBytes === Infinity ? bytes : capacityBytes * (1 - Math.exp(-bytes / capacityBytes));
    const gap = (): number => {
      const share = (-Math.log(1 - this.#random()) * recordBytes) / bytes;
      return shareOf(idOf(Math.min(0.4, share)));
    };
    return { from: gap(), to: 1 - gap(), bytes: unique };
  }

  #make({ from, to, bytes }: Extent): RunInfo {
    const name = this.#name();
    const paths = runPaths(this.loaded.manifest.generation, name);
    const parts = Math.min(PARTITIONS_MAX, Math.max(1, Math.ceil(bytes / PARTITION_BYTES)));
    const width = (to - from) / parts;
    const gap = Math.min(width / 2, ((to - from) * this.#shape.recordBytes) / bytes);
    const rawBytes = Math.max(8 * parts, Math.round(bytes));
    const size = Math.ceil(rawBytes / COMPRESSION);
    const partitions = Array.from({ length: parts }, (_, at) => ({
      separator:
        at === 0 ? "" : separatorOf(idOf(from + at * width - gap), idOf(from + at * width)),
      offset: at * PARTITION_LINE_BYTES,
      length: PARTITION_LINE_BYTES,
      dataOffset: Math.floor((at * size) / parts),
      crc: name.slice(0, 8),
    }));
    this.#held.set(paths.path, {
      from,
      to,
      bytes,
      runs: runsOf(bytes),
    });
    return {
      ...paths,
      bytes: size,
      rawBytes,
      records: Math.max(1, Math.round(bytes / this.#shape.recordBytes)),
      tombstones: 0,
      minId: idOf(from),
      maxId: idOf(to - STEP),
      minSchema: 1,
      sha256: name.repeat(4),
      partitions,
      level: 0,
    };
  }

  /** Runs of one level that follow each other become one that stands for them. */
  #join(): void {
    const { manifest } = this.loaded;
    if (manifest.runs.length <= LEVEL_RUNS_MAX) return;
    const levels = levelsOf(manifest).map(({ runs }) => this.#joined(runs));
    if (levels.every((runs) => runs === undefined)) return;
    const before = levelsOf(manifest);
    const runs = before.map((level, at) => levels[at] ?? level.runs).toReversed();
    this.loaded = { ...this.loaded, manifest: { ...manifest, runs: runs.flat() } };
  }

  #joined(runs: readonly RunInfo[]): RunInfo[] | undefined {
    if (runs.length <= LEVEL_RUNS_MAX * 1.5) return undefined;
    const bytesMax = runs.reduce((sum, run) => sum + lineBytes(run), 0) / (LEVEL_RUNS_MAX * 0.75);
    const joined: RunInfo[] = [];
    // Of a run in part the pieces lie between others.
    for (const { run } of piecesOf(runs)) {
      const last = joined.at(-1);
      const isWhole = last !== undefined && this.#isFree(last) && this.#isFree(run);
      if (isWhole && lineBytes(last) + lineBytes(run) <= bytesMax)
        joined[joined.length - 1] = this.#pair(last, run);
      else joined.push(run);
    }
    return [...new Set(joined)];
  }

  /** Whether nothing depends on its name. */
  #isFree(run: RunInfo): boolean {
    return isAllVisible(run) && !this.#inUse.has(run.path);
  }

  #pair(a: RunInfo, b: RunInfo): RunInfo {
    const [first, second] = [this.#of(a.path), this.#of(b.path)];
    const bytes = first.bytes + second.bytes;
    const made = this.#make({ from: first.from, to: second.to, bytes });
    this.#held.set(made.path, {
      ...this.#of(made.path),
      runs: first.runs + second.runs,
    });
    const { level, since } = a;
    const dates = [a, b].flatMap(({ oldestMs }) => oldestMs ?? []);
    const dated = dates.length === 0 ? {} : { oldestMs: minOf(dates) };
    return { ...made, level, ...dated, ...(since === undefined ? {} : { since }) };
  }

  #runsOf(run: RunInfo): number {
    const { from, to, runs } = this.#of(run.path);
    if (run.excised === undefined || runs === 1) return runs;
    return visibleSpans(run).reduce((sum, span) => {
      const end = Math.min(to, endOf(span.to));
      const share = (end - Math.max(from, shareOf(span.from))) / (to - from);
      return sum + Math.max(1, Math.ceil(runs * share));
    }, 0);
  }

  /** What was not named the last time either: no step that began on it is still under way. */
  #forget(): void {
    const { manifest, dateMs } = this.loaded;
    if (dateMs - this.#forgotMs < FORGET_MS) return;
    const named = new Set(manifest.runs.map(({ path }) => path));
    for (const path of this.#unnamed) if (!named.has(path)) this.#held.delete(path);
    this.#unnamed = [...this.#held.keys()].filter((path) => !named.has(path));
    this.#forgotMs = dateMs;
  }

  #of(path: string): Held {
    const held = this.#held.get(path);
    if (held === undefined) throw new Error(`the model has no run ${path}`);
    return held;
  }

  #name(): string {
    return (++this.#names).toString(16).padStart(16, "0");
  }
}

function isAllVisible(run: RunInfo): boolean {
  const [first, ...others] = visibleSpans(run);
  const isToEnd = first?.to === undefined || first.to > run.maxId;
  return first?.from === run.minId && isToEnd && others.length === 0;
}

function loadedOf(manifest: LoadedManifest["manifest"], dateMs: number): LoadedManifest {
  return { manifest, etag: `"${manifest.generation}"`, lastModifiedMs: dateMs, dateMs };
}
