/** A large store in one level, written as runs at once, and the check of all that it holds. */
import { CLOCKS_PER_MS } from "../../src/core/hybrid-clock.ts";
import { DEFAULT_LIMITS } from "../../src/compaction/plan.ts";
import { preparePublication } from "../../src/compaction/publication.ts";
import type { RunEntry } from "../../src/core/version.ts";
import { runPaths } from "../../src/format/paths.ts";
import { lineBytes } from "../../src/format/run-info.ts";
import { entryBytes, writeRuns } from "../../src/runs/run-cutter.ts";
import { Store } from "../../src/store/store.ts";
import { idOf } from "../records.ts";
import { backendOf, withEngine } from "./place.ts";
import { type BenchRecord, isRecord, recordOf } from "./records.ts";

const BATCH = 500;
const LOADER = { agent: "loader", writerNonce: "0".repeat(16) };

export interface BigStore {
  readonly location: string;
  readonly records: number;
  readonly recordBytes: number;
}

/** How many records make so many bytes of lines. */
export function recordsIn(bytes: number, recordBytes: number): number {
  const version = { clock: 1, ...LOADER };
  const text = JSON.stringify(recordOf(0, recordBytes, 0));
  return Math.floor(bytes / entryBytes({ id: idOf(0), version, schemaVersion: 1, text }));
}

async function* entries({ records, recordBytes }: BigStore): AsyncGenerator<readonly RunEntry[]> {
  const clock = Math.floor((Date.now() - 60_000) * CLOCKS_PER_MS);
  for (let from = 0; from < records; from += BATCH) {
    yield Array.from({ length: Math.min(BATCH, records - from) }, (_, at) => ({
      id: idOf(from + at),
      version: { clock, ...LOADER },
      schemaVersion: 1,
      text: JSON.stringify(recordOf(from + at, recordBytes, 0)),
    }));
  }
}

/** @returns bytes of lines, and as they are stored */
export function makeBigStore(
  store: BigStore,
): Promise<{ readonly lines: number; readonly stored: number }> {
  return withEngine(
    store.location,
    {},
    async ({ backend, manifests, runtime, settings, ...parts }) => {
      const loaded = await manifests.load();
      await manifests.prove(loaded.manifest, { runtime, settings });
      const base = loaded.manifest.generation;
      const runs = await writeRuns(backend, {
        newPaths: () => runPaths(base, runtime.randomHex(16)),
        base,
        compression: parts.compression,
        entries: entries(store),
        runBytesMax: DEFAULT_LIMITS.runBytesMax,
        timeoutMs: settings.writeTimeoutMs,
      });
      const change = {
        nonce: runtime.randomHex(16),
        dateMs: loaded.dateMs,
        levels: [{ runs, isDraining: false }],
        clock: Math.floor(Date.now() * CLOCKS_PER_MS),
        schema: 1,
        activeRecords: store.records,
      };
      const { manifest } = preparePublication(loaded, change, settings);
      if ((await manifests.publish(loaded, manifest, settings.writeTimeoutMs)) === undefined)
        throw new Error(`${store.location} is not empty`);
      const sum = (of: (run: (typeof runs)[number]) => number): number =>
        runs.reduce((total, run) => total + of(run), 0);
      return { lines: sum(lineBytes), stored: sum(({ bytes }) => bytes) };
    },
  );
}

/** @param revisions of each record @returns what is not as it was written */
export async function checkBigStore(
  { location, records, recordBytes }: BigStore,
  revisions: Uint16Array,
): Promise<string[]> {
  const backend = backendOf(location);
  const options = { backend, readOnly: true, skipLoad: true, backlogSegments: Infinity };
  const store = await Store.open<BenchRecord>(location, options);
  const problems: string[] = [];
  let n = 0;
  for await (const [id, record] of store.scan()) {
    if (id !== idOf(n)) problems.push(`${id}: expected ${idOf(n)}`);
    else if (!isRecord(record, n, recordBytes, revisions[n] ?? 0))
      problems.push(`${id}: revision ${record.revision}, expected ${revisions[n]}`);
    n++;
    if (problems.length > 20) break;
  }
  if (problems.length === 0 && n !== records)
    problems.push(`found ${n} records, expected ${records}`);
  await store.close();
  return problems;
}
