/** Stores whose compactor has tiny limits, so that little is merged in many units. */
import { expect, onTestFinished } from "vitest";
import { Compactor } from "../../src/compaction/compactor.ts";
import { type CompactionLimits, DEFAULT_LIMITS } from "../../src/compaction/plan.ts";
import type { CompactionReport, CompactionTask } from "../../src/compaction/report.ts";
import { DEFAULT_SETTINGS } from "../../src/core/settings.ts";
import { createEngine } from "../../src/engine/engine.ts";
import { levelsOf } from "../../src/format/levels.ts";
import { decodeManifest, encodeManifest, type Manifest } from "../../src/format/manifest-codec.ts";
import type { RunInfo } from "../../src/format/run-info.ts";
import type { Log, LogUnit } from "../../src/log/log.ts";
import type { StoreOptions } from "../../src/session/options.ts";
import type { GetResult, StorageBackend } from "../../src/storage/backend.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { Store } from "../../src/store/store.ts";
import { manualRuntime, type ManualRuntime } from "../support/manual-runtime.ts";

export const MANIFEST = "manifest.json";
export const KB = 1_000;

/** Memory that records each manifest, and counts what is read of runs. */
export class Medium extends MemoryBackend {
  readonly published: Manifest[] = [];
  readBytes = 0;

  override async put(
    ...args: Parameters<MemoryBackend["put"]>
  ): Promise<Awaited<ReturnType<MemoryBackend["put"]>>> {
    const result = await super.put(...args);
    if (args[0] === MANIFEST && result.status !== "conflict") {
      this.published.push(await this.manifest());
    }
    return result;
  }

  override async get(...args: Parameters<MemoryBackend["get"]>): Promise<GetResult> {
    const result = await super.get(...args);
    const isRun = args[0].startsWith("snapshots/");
    if (isRun && result.status === "found") this.readBytes += result.body.length;
    return result;
  }

  /** Takes the lanes away, which no version does that knows of them. */
  async withoutLanes(): Promise<void> {
    const before = { ...(await this.manifest()), lanes: undefined, guardGraceMs: 0, sealed: 0 };
    await super.put(MANIFEST, encodeManifest(before), "none");
  }

  async manifest(): Promise<Manifest> {
    const found = await super.get(MANIFEST);
    if (found.status !== "found") throw new Error("no manifest");
    return decodeManifest(found.body, MANIFEST);
  }
}

/** All levels are small enough to be merged, and too large to be merged together with the log. */
export const UNITS: Partial<CompactionLimits> = {
  joinBytesMax: 0,
  portionBytesMin: 1_000 * KB,
  unitBytesMax: 40 * KB,
  runBytesMax: 20 * KB,
};
export const GRACES = { segmentGraceMs: 0, tombstoneGraceMs: 2_000, writerLagMs: 1_000 };
/** Longer than the graces, and than the dates of a medium may be wrong. */
export const GRACE_MS = 10 * 60_000;

export interface Invocation {
  /** How many publications fit into it. Default: all. */
  readonly steps?: number;
  readonly full?: boolean;
  /** Log is offered in the reverse order of its clocks. */
  readonly newestFirst?: boolean;
  readonly task?: CompactionTask;
  /** Of another process. Default: that of the scene. */
  readonly over?: StorageBackend;
}

export class Scene {
  readonly runtime: ManualRuntime = manualRuntime();
  readonly backend = new Medium({ runtime: this.runtime });
  readonly warnings: string[] = [];

  async open(options: StoreOptions<string> = {}): Promise<Store<string>> {
    const store = new Store<string>({ runtime: this.runtime });
    const onWarning = (message: string): void => void this.warnings.push(message);
    await store.open("store", { backend: this.backend, onWarning, ...GRACES, ...options });
    onTestFinished(() => store.close());
    return store;
  }

  reader(options: StoreOptions<string> = {}): Promise<Store<string>> {
    return this.open({ readOnly: true, ...options });
  }

  /** One publication of log each. Undefined deletes. */
  async write(records: Iterable<readonly [string, string | undefined]>): Promise<void> {
    const writer = await this.open({ agentId: "w", skipLoad: true });
    await writer.batch(() => {
      for (const [id, value] of records) {
        void (value === undefined ? writer.delete(id) : writer.set(id, value));
      }
    });
    await writer.close();
  }

  /** One invocation of a compactor. */
  async pass(
    limits: Partial<CompactionLimits>,
    {
      steps = Infinity,
      full = false,
      newestFirst = false,
      task,
      over: backend = this.backend,
    }: Invocation = {},
  ): Promise<CompactionReport> {
    const { runtime } = this;
    const { published } = this.backend;
    const engine = createEngine({
      backend,
      location: "store",
      runtime,
      settings: { ...DEFAULT_SETTINGS, ...GRACES },
      onWarning: (message) => void this.warnings.push(message),
    });
    if (newestFirst) reverseLog(engine.log);
    const compactor = new Compactor({ ...engine, limits: { ...DEFAULT_LIMITS, ...limits } });
    const end = published.length + steps;
    const leftMs = (): number => (published.length < end ? Infinity : 0);
    return (await compactor.pass({ full, leftMs, task })).report;
  }

  /** What a reader of another process sees. */
  async contents(): Promise<[string, string][]> {
    const entries: [string, string][] = [];
    const store = await this.reader({ skipLoad: true });
    for await (const entry of store.scan()) entries.push(entry);
    await store.close();
    return entries;
  }
}

function reverseLog(log: Log): void {
  const offer = log.offer.bind(log);
  const clockOf = ({ segments: [ref] }: LogUnit): number => ref?.hi ?? 0;
  log.offer = async function* () {
    for await (const part of offer()) {
      yield { ...part, units: part.units.toSorted((x, y) => clockOf(y) - clockOf(x)) };
    }
  };
}

export function text(label: string): string {
  return label.padEnd(KB, ".");
}

export function ids(count: number, every = 1): string[] {
  return Array.from({ length: count }, (_, n) => `r${String(n * every).padStart(5, "0")}`);
}

export function madeBy(manifest: Manifest): RunInfo[] {
  return manifest.runs.filter(({ since }) => since === manifest.generation);
}

export function bytesOf(runs: readonly RunInfo[]): number {
  return runs.reduce((sum, { bytes }) => sum + bytes, 0);
}

export function countLevels(manifest: Manifest | undefined): number {
  return manifest === undefined ? 0 : levelsOf(manifest).length;
}

/** Two levels: 300 records, and above them every second one of another value. */
export async function twoLevels(): Promise<{ scene: Scene; expected: [string, string][] }> {
  const scene = new Scene();
  await scene.backend.initialize("store", { readOnly: false });
  await scene.write(ids(300).map((id) => [id, text("old")]));
  await scene.pass(UNITS);
  await scene.write(ids(150, 2).map((id) => [id, text("new")]));
  await scene.pass(UNITS, { steps: 1 });
  const manifest = await scene.backend.manifest();
  expect(countLevels(manifest)).toBe(2);
  expect(manifest.runs.length).toBeGreaterThan(20);
  const changed = new Set(ids(150, 2));
  const expected = ids(300).map((id): [string, string] => [
    id,
    text(changed.has(id) ? "new" : "old"),
  ]);
  return { scene, expected };
}
