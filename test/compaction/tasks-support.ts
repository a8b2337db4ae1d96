/** Stores in memory whose log is spread over all shards, for compactors that divide the work. */
import { createHash } from "node:crypto";
import { Compactor } from "../../src/compaction/compactor.ts";
import { type CompactionLimits, DEFAULT_LIMITS } from "../../src/compaction/plan.ts";
import type { CompactionReport, CompactionTask } from "../../src/compaction/report.ts";
import { DEFAULT_SETTINGS, type ProtocolSettings } from "../../src/core/settings.ts";
import { createEngine } from "../../src/engine/engine.ts";
import { decodeManifest, type Manifest } from "../../src/format/manifest-codec.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { Store } from "../../src/store/store.ts";
import { manualRuntime } from "../support/manual-runtime.ts";

const MANIFEST = "manifest.json";
export const GRACES = { segmentGraceMs: 10_000, tombstoneGraceMs: 60_000, writerLagMs: 1_000 };
export const LIMITS = {
  joinBytesMax: 0,
  portionBytesMin: 1,
  unitBytesMax: 4_000,
  runBytesMax: 2_000,
};

/** Memory whose time a test moves. */
export class Scene {
  #drawn = 0;
  readonly runtime = Object.assign(manualRuntime(), {
    randomHex: (digits: number) =>
      createHash("sha256")
        .update(`${this.#drawn++}`)
        .digest("hex")
        .slice(0, digits),
  });
  readonly backend = new MemoryBackend({ runtime: this.runtime });
  readonly warnings: string[] = [];

  async open(agentId: string): Promise<Store<string>> {
    const store = new Store<string>({ runtime: this.runtime });
    const onWarning = (message: string): void => void this.warnings.push(message);
    await store.open("store", {
      backend: this.backend,
      agentId,
      skipLoad: true,
      onWarning,
      ...GRACES,
    });
    return store;
  }

  /** A segment each, of a stream of its own: somewhere in the shards. */
  async write(records: readonly (readonly [string, string | undefined])[]): Promise<void> {
    for (const [n, [id, value]] of records.entries()) {
      const writer = await this.open(`w${n}`);
      await (value === undefined ? writer.delete(id) : writer.set(id, value));
      await writer.close();
    }
  }

  compactor(
    limits: Partial<CompactionLimits> = LIMITS,
    settings: Partial<ProtocolSettings> = {},
  ): Compactor {
    const { backend, runtime } = this;
    const engine = createEngine({
      backend,
      location: "store",
      runtime,
      settings: { ...DEFAULT_SETTINGS, ...GRACES, ...settings },
      onWarning: (message) => void this.warnings.push(message),
    });
    return new Compactor({ ...engine, limits: { ...DEFAULT_LIMITS, ...limits } });
  }

  async pass(
    task?: CompactionTask,
    limits?: Partial<CompactionLimits>,
    leftMs?: () => number,
  ): Promise<CompactionReport> {
    return (await this.compactor(limits).pass({ task, leftMs })).report;
  }

  async manifest(): Promise<Manifest> {
    const found = await this.backend.get(MANIFEST);
    if (found.status !== "found") throw new Error("no manifest");
    return decodeManifest(found.body, MANIFEST);
  }

  async paths(prefix: string): Promise<string[]> {
    const paths: string[] = [];
    for await (const { objects } of this.backend.list(prefix)) {
      paths.push(...objects.map(({ path }) => path));
    }
    return paths;
  }

  async contents(): Promise<[string, string][]> {
    const entries: [string, string][] = [];
    const store = await this.open("reader");
    for await (const entry of store.scan()) entries.push(entry);
    await store.close();
    return entries;
  }
}

export async function scene(): Promise<Scene> {
  const made = new Scene();
  await made.backend.initialize("store", { readOnly: false });
  await made.write([["a", "first"]]);
  await made.pass();
  return made;
}

export function ids(count: number): string[] {
  return Array.from({ length: count }, (_, n) => `r${String(n).padStart(4, "0")}`);
}

export const sorted = (entries: Iterable<[string, string]>): [string, string][] =>
  [...entries].toSorted(([a], [b]) => (a < b ? -1 : 1));
