/**
 * Units over random levels, by a real compactor: after each publication all levels together hold the
 * same as before, and what was purged is what may be.
 */
import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { Compactor } from "../../src/compaction/compactor.ts";
import { DEFAULT_LIMITS } from "../../src/compaction/plan.ts";
import { LEVELS_MAX } from "../../src/compaction/tiers.ts";
import { DEFAULT_SETTINGS } from "../../src/core/settings.ts";
import type { Compression } from "../../src/core/compression.ts";
import { type RunEntry, wins } from "../../src/core/version.ts";
import { createEngine } from "../../src/engine/engine.ts";
import { flatLevels, type Level, levelsOf } from "../../src/format/levels.ts";
import {
  decodeManifest,
  EMPTY_MANIFEST,
  encodeManifest,
  type Manifest,
} from "../../src/format/manifest-codec.ts";
import type { RunInfo } from "../../src/format/run-info.ts";
import { ByteCache } from "../../src/runs/byte-cache.ts";
import { fromSorted } from "../../src/runs/merge.ts";
import { RunReader } from "../../src/runs/run-reader.ts";
import { checkRun } from "../../src/runs/run-check.ts";
import { RUN_LAYOUT, type RunLayout, writeRun } from "../../src/runs/run-writer.ts";
import { visibleSpans } from "../../src/runs/visible.ts";
import { WholePartition } from "../../src/runs/whole-partition.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { propertyRuns } from "../support/effort.ts";
import { manualRuntime } from "../support/manual-runtime.ts";
import { COMPRESSIONS } from "../runs/support.ts";
import { SEED } from "./arbitraries.ts";

const MANIFEST = "manifest.json";
const GENERATION = 40;
const IDS = Array.from({ length: 24 }, (_, n) => `${"abcdef"[Math.floor(n / 4)]}${n % 4}`);

/** A line is a block, and three blocks are a partition at most. */
const SMALL: RunLayout = { blockBytesMax: 1, partitionBlocksMax: 3, partitionRecordsMax: 3 };

class Medium extends MemoryBackend {
  readonly published: Manifest[] = [];

  override async put(
    ...args: Parameters<MemoryBackend["put"]>
  ): Promise<Awaited<ReturnType<MemoryBackend["put"]>>> {
    const result = await super.put(...args);
    if (args[0] === MANIFEST) this.published.push(await this.manifest());
    return result;
  }

  async manifest(): Promise<Manifest> {
    const found = await super.get(MANIFEST);
    if (found.status !== "found") throw new Error("no manifest");
    return decodeManifest(found.body, MANIFEST);
  }
}

interface Line {
  readonly at: number;
  readonly clock: number;
  readonly size: number | undefined;
  readonly since: number | undefined;
}

interface Given {
  readonly levels: readonly {
    readonly lines: readonly Line[];
    readonly cuts: number;
    readonly layout: RunLayout;
    readonly compression: Compression;
    readonly since: number | undefined;
    readonly isDraining: boolean;
    /** Its ids lie from this one on, where it has some there. */
    readonly first: number;
    readonly isWithoutDeletions: boolean;
  }[];
  readonly purgeFloor: number;
  readonly lastPurge: number;
}

const generations = fc.option(fc.integer({ min: 1, max: GENERATION }), { nil: undefined });

const given: fc.Arbitrary<Given> = fc.record({
  levels: fc.array(
    fc.record({
      lines: fc.uniqueArray(
        fc.record({
          at: fc.nat({ max: IDS.length - 1 }),
          clock: fc.integer({ min: 1, max: 12 }),
          size: fc.option(fc.nat({ max: 300 }), { nil: undefined, freq: 1 }),
          since: generations,
        }),
        { selector: ({ at }) => at, minLength: 1, maxLength: 12 },
      ),
      cuts: fc.integer({ min: 1, max: 8 }),
      layout: fc.constantFrom(SMALL, RUN_LAYOUT),
      compression: fc.constantFrom(...COMPRESSIONS),
      since: generations,
      isDraining: fc.boolean(),
      first: fc.constantFrom(0, 0, 6, 12, 18),
      isWithoutDeletions: fc.boolean(),
    }),
    { minLength: 1, maxLength: 12 },
  ),
  purgeFloor: fc.nat({ max: 12 }),
  lastPurge: fc.nat({ max: GENERATION }),
});

const passes = fc.array(
  fc.record({
    unitBytesMax: fc.integer({ min: 1, max: 4_000 }),
    runBytesMax: fc.integer({ min: 1, max: 2_000 }),
    portionBytesMin: fc.integer({ min: 1, max: 2_000 }),
    copiedIndexBytesMin: fc.constantFrom(1, 1, Infinity),
    layout: fc.constantFrom(SMALL, SMALL, RUN_LAYOUT),
    full: fc.boolean(),
    steps: fc.integer({ min: 1, max: 4 }),
  }),
  { minLength: 1, maxLength: 6 },
);

type Pass = typeof passes extends fc.Arbitrary<(infer P)[]> ? P : never;

function linesOf({ lines, first, isWithoutDeletions }: Given["levels"][number]): Line[] {
  const from = first === 0 ? lines : lines.filter(({ at }) => at >= first && at < first + 6);
  const some = from.length === 0 ? lines : from;
  return some.map((line) => (isWithoutDeletions ? { ...line, size: line.size ?? 9 } : line));
}

/** A store of such levels, whose runs hold consecutive ids each. */
async function build({ levels, purgeFloor, lastPurge }: Given): Promise<Medium> {
  const backend = new Medium({ runtime: manualRuntime() });
  await backend.initialize("store", { readOnly: false });
  const made: Level[] = [];
  for (const [level, one] of levels.entries()) {
    const { cuts, layout, compression, since, isDraining } = one;
    const entries = linesOf(one)
      .map(({ at, clock, size, since: noted }): RunEntry => {
        const version = { clock, agent: "a", writerNonce: level.toString(16).padStart(16, "0") };
        const entry = { id: IDS[at] ?? "", version, schemaVersion: 1 };
        if (size !== undefined) return { ...entry, text: `"${level} ${"x".repeat(size)}"` };
        return { ...entry, text: undefined, ...(noted === undefined ? {} : { since: noted }) };
      })
      .toSorted((a, b) => (a.id < b.id ? -1 : 1));
    const runs: RunInfo[] = [];
    for (let start = 0; start < entries.length; start += cuts) {
      const stem = `snapshots/snap-1-${level}x${start}`;
      const run = await writeRun(backend, {
        path: `${stem}.jsonl`,
        indexPath: `${stem}.index`,
        base: 1,
        compression,
        layout,
        entries: fromSorted(entries.slice(start, start + cuts)),
      });
      if (run !== undefined) runs.push(since === undefined ? run : { ...run, since });
    }
    made.push({ runs, isDraining: isDraining && level < levels.length - 1 });
  }
  const manifest = {
    ...EMPTY_MANIFEST,
    generation: GENERATION,
    nonce: "first",
    clock: 12,
    purgeFloor,
    lastPurge,
    tombstoneGraceMs: 86_400_000,
    schema: 1,
    ...flatLevels(made),
  };
  await backend.put(MANIFEST, encodeManifest(manifest), "none");
  return backend;
}

interface Held {
  readonly entry: RunEntry;
  /** Undefined: only that it was there by the generation of the manifest. */
  readonly since: number | undefined;
}

/** What all levels together hold. Runs of one level must not share an id. */
async function winnersOf(backend: Medium, manifest: Manifest): Promise<Map<string, Held>> {
  const winners = new Map<string, Held>();
  const warn = (message: string): never => {
    throw new Error(message);
  };
  for (const { runs } of levelsOf(manifest)) {
    const seen = new Set<string>();
    for (const run of runs) {
      expect(visibleSpans(run).length, "a run of which nothing counts").toBeGreaterThan(0);
      const reader = new RunReader(backend, new ByteCache(), run, warn);
      for await (const batch of reader.scan()) {
        for (const entry of batch) {
          expect(seen.has(entry.id), `${entry.id} is in its level once`).toBe(false);
          seen.add(entry.id);
          const held = { entry, since: entry.since ?? run.since };
          if (wins(entry, winners.get(entry.id)?.entry)) winners.set(entry.id, held);
        }
      }
    }
  }
  return winners;
}

/** A run that was written is as a check of all of it wants it. */
async function verify(backend: Medium, before: Manifest, after: Manifest): Promise<void> {
  const known = new Set(before.runs.map(({ path }) => path));
  for (const run of after.runs) {
    if (!known.has(run.path)) expect(await checkRun(backend, run)).toEqual([]);
  }
}

/** @returns how many deletions were purged */
async function compare(backend: Medium, before: Manifest, after: Manifest): Promise<number> {
  const [old, now] = [await winnersOf(backend, before), await winnersOf(backend, after)];
  for (const id of now.keys()) expect(old.has(id), `${id} came from nowhere`).toBe(true);
  let lastPurge = before.lastPurge;
  let purged = 0;
  for (const [id, { entry, since }] of old) {
    const held = now.get(id);
    const { since: _, ...content } = entry;
    if (held !== undefined) {
      const { since: __, ...found } = held.entry;
      expect(found).toEqual(content);
      if (since !== undefined && entry.text === undefined) expect(held.since).toBe(since);
      continue;
    }
    expect(entry.text, `the record ${id} is lost`).toBeUndefined();
    expect(entry.version.clock).toBeLessThanOrEqual(before.purgeFloor);
    lastPurge = Math.max(lastPurge, since ?? before.generation);
    purged++;
  }
  expect(after.lastPurge).toBe(lastPurge);
  expect(after.purgeFloor).toBe(before.purgeFloor);
  expect(after.generation).toBe(before.generation + 1);
  return purged;
}

/** Publications of a pass that ends after some. */
async function carryOut(backend: Medium, { full, steps, ...limits }: Pass): Promise<Manifest[]> {
  const runtime = manualRuntime();
  const engine = createEngine({
    backend,
    location: "store",
    runtime,
    settings: DEFAULT_SETTINGS,
    onWarning: (message) => {
      throw new Error(message);
    },
  });
  const compactor = new Compactor({ ...engine, limits: { ...DEFAULT_LIMITS, ...limits } });
  const first = backend.published.length;
  const left = (): number => (backend.published.length - first < steps ? Infinity : 0);
  const { report } = await compactor.pass({ full, leftMs: left });
  const published = backend.published.slice(first);
  expect(report.outcome).toBe(published.length > 0 ? "published" : "idle");
  expect(report.publications).toBe(published.length);
  expect(report.publications).toBeLessThanOrEqual(steps);
  expect(
    report.more ||
      published.length < steps ||
      !full ||
      levelsOf(published.at(-1) ?? EMPTY_MANIFEST).length <= 1,
  ).toBe(true);
  return published;
}

test("units in any order and of any size change neither what is there nor what was deleted", async () => {
  let [purged, units] = [0, 0];
  const copying = vi.spyOn(WholePartition.prototype, "blocks");
  await fc.assert(
    fc.asyncProperty(given, passes, async (store, all) => {
      const backend = await build(store);
      let before = await backend.manifest();
      for (const pass of all) {
        for (const after of await carryOut(backend, pass)) {
          purged += await compare(backend, before, after);
          await verify(backend, before, after);
          units++;
          before = after;
        }
      }
    }),
    { seed: SEED, numRuns: propertyRuns(250) },
  );
  expect(units).toBeGreaterThan(40);
  expect(purged).toBeGreaterThan(10);
  expect(copying.mock.calls.length).toBeGreaterThan(15);
  copying.mockRestore();
});

test("units come to an end, and then there are few levels, or one if the caller wants it", async () => {
  await fc.assert(
    fc.asyncProperty(given, passes, fc.boolean(), async (store, [pass], full) => {
      const backend = await build(store);
      const first = await backend.manifest();
      const lines = first.runs.reduce((sum, { records }) => sum + records, 0);
      let count = 0;
      for (;;) {
        const published = await carryOut(backend, { ...(pass as Pass), full, steps: 1 });
        if (published.length === 0) break;
        count += published.length;
        // Each takes in an id at least, of a level that does not drain into itself.
        expect(count).toBeLessThanOrEqual(lines * (first.runs.length + 1));
      }
      const last = await backend.manifest();
      const found = levelsOf(last);
      expect(found.length).toBeLessThanOrEqual(full ? 1 : LEVELS_MAX);
      expect(found.filter(({ isDraining }) => isDraining)).toEqual([]);
    }),
    { seed: SEED, numRuns: propertyRuns(200) },
  );
});
