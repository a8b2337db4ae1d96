/** What the tests of runs share: a backend that counts reads, entries of every odd kind. */
import fc from "fast-check";
import { type Compression, findZstd } from "../../src/core/compression.ts";
import { CorruptionError } from "../../src/core/errors.ts";
import { CLOCK_MAX, type RunEntry, type Version } from "../../src/core/version.ts";
import { findBySeparator } from "../../src/format/run-index.ts";
import type { RunInfo } from "../../src/format/run-info.ts";
import { ByteCache } from "../../src/runs/byte-cache.ts";
import { type EntryBatches, fromSorted } from "../../src/runs/merge.ts";
import { RunObjects } from "../../src/runs/run-objects.ts";
import { RunReader } from "../../src/runs/run-reader.ts";
import { writeRun } from "../../src/runs/run-writer.ts";
import type { GetOptions, GetResult } from "../../src/storage/backend.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";

export const SEED = 20_261_122;
export const RUN_PATH = "snapshots/snap-1-0123456789abcdef.jsonl";
/** Those that this runtime can write. */
export const COMPRESSIONS: readonly Compression[] =
  findZstd().zstdCompressSync === undefined ? ["none", "deflate"] : ["none", "deflate", "zstd"];
export const INDEX_PATH = "snapshots/snap-1-0123456789abcdef.index";

/** Memory that records its reads; `onGet` may change an answer. */
export class ReadBackend extends MemoryBackend {
  gets: string[] = [];
  under = 0;
  underMax = 0;
  onGet: (path: string, result: GetResult, count: number) => GetResult = (_, result) => result;

  override async get(path: string, options: GetOptions = {}): Promise<GetResult> {
    const { offset, length } = options.range ?? { offset: 0, length: -1 };
    this.gets.push(`${path.split(".").at(-1)} ${offset}+${length}`);
    const count = this.gets.length;
    this.under++;
    this.underMax = Math.max(this.underMax, this.under);
    try {
      return this.onGet(path, await super.get(path, options), count);
    } finally {
      this.under--;
    }
  }

  async replace(path: string, change: (bytes: Buffer) => Uint8Array): Promise<void> {
    const result = await super.get(path);
    if (result.status !== "found") throw new Error(`no ${path}`);
    await this.put(path, change(Buffer.from(result.body)), "none");
  }
}

export async function openBackend(): Promise<ReadBackend> {
  const backend = new ReadBackend();
  await backend.initialize("test", { readOnly: false });
  return backend;
}

export interface WrittenRun {
  readonly backend: ReadBackend;
  readonly run: RunInfo;
  readonly warnings: string[];
  /** With a cache of its own unless one is given. */
  reader(cache?: RunReaderCache): PointReader;
  /** Those of the ids that the index admits. */
  admitted(ids: readonly string[]): Promise<string[]>;
}

/** Looks up one id. */
export class PointReader extends RunReader {
  async get(id: string): Promise<RunEntry | undefined> {
    return (await this.getMany([id])).get(id);
  }
}

type RunReaderCache = ConstructorParameters<typeof RunReader>[1];

/** @param compression Default: none, so that tests may look into the bytes. */
export async function writeEntries(
  entries: readonly RunEntry[],
  compression: Compression = "none",
): Promise<WrittenRun> {
  const backend = await openBackend();
  const run = await writeRun(backend, {
    path: RUN_PATH,
    indexPath: INDEX_PATH,
    base: 1,
    compression,
    entries: fromSorted(entries),
  });
  if (run === undefined) throw new Error("nothing was written");
  const warnings: string[] = [];
  const onWarning = (message: string): void => void warnings.push(message);
  const reader = (cache: RunReaderCache = new ByteCache()): PointReader =>
    new PointReader(backend, cache, run, onWarning);
  const objects = new RunObjects(backend, new ByteCache(), run, onWarning);
  const admitted = async (probed: readonly string[]): Promise<string[]> => {
    const found: string[] = [];
    for (const id of probed) {
      const partition = await objects.partition(findBySeparator(run.partitions, id));
      if (partition instanceof CorruptionError) throw partition;
      if (partition.bloom.mayContain(id)) found.push(id);
    }
    return found;
  };
  return { backend, run, warnings, reader, admitted };
}

export async function collect(batches: EntryBatches): Promise<RunEntry[]> {
  const entries: RunEntry[] = [];
  for await (const batch of batches) for (const entry of batch) entries.push(entry);
  return entries;
}

/** The bytes with some bits of one of them changed. */
export function flip(bytes: Buffer, at: number, mask: number): Buffer {
  const flipped = Buffer.from(bytes);
  flipped[at] = (flipped[at] ?? 0) ^ mask;
  return flipped;
}

/** An ordinary record. */
export function record(id: string, text: string | undefined = `{"id":"${id}"}`): RunEntry {
  return {
    id,
    version: { clock: 7, agent: "a", writerNonce: "0123456789abcdef" },
    schemaVersion: 1,
    text,
  };
}

export function tombstone(id: string): RunEntry {
  return { ...record(id), text: undefined };
}

/** `count` records r000000, r000001, .. of about `bytes` each. */
export function records(count: number, bytes: number): RunEntry[] {
  const filler = "x".repeat(Math.max(0, bytes - 110));
  return Array.from({ length: count }, (_, i) => {
    const id = `r${String(i).padStart(6, "0")}`;
    return record(id, `{"i":${i},"filler":"${filler}"}`);
  });
}

const LONG = "long".repeat(2_500);

export const ids: fc.Arbitrary<string> = fc.oneof(
  fc.string({ unit: "binary", minLength: 1, maxLength: 12 }),
  fc.string({ minLength: 1, maxLength: 3 }),
  // Any UTF-16 code units, so lone surrogates too.
  fc
    .array(fc.integer({ min: 0, max: 0xffff }), { minLength: 1, maxLength: 4 })
    .map((units) => String.fromCharCode(...units)),
  fc.constantFrom("__proto__", "constructor", "\u0000", "\n", "\ud800", "\udfff", "😀", "\uffff"),
  fc.constantFrom('","data":', ',"deleted":true}', '{"id":"k","clock":', 'a"', "a\\", "k", "k,"),
  fc.string({ maxLength: 2 }).map((suffix) => `${LONG}${suffix}`),
);

/** JSON texts that JSON.stringify would spell otherwise: their bytes must survive. */
const oddTexts = [
  '{"a":1e2,"b": [1 , 2]}',
  '{"k":"\\u0041\\/","k":-0}',
  '{"id":"k","clock":1,"data":{},"deleted":true}',
  '"\\ud800"',
  '"é😀\u2028"',
  "-0.0E+1",
  "null",
  "[ ]",
];

export const texts: fc.Arbitrary<string | undefined> = fc.oneof(
  fc.constant(undefined),
  fc.json({ maxDepth: 2 }),
  fc.constantFrom(...oddTexts),
  fc.integer({ min: 5_000, max: 90_000 }).map((length) => `"${"é".repeat(length / 2)}"`),
);

const clocks = fc.oneof(fc.integer({ min: 1, max: 9 }), fc.constant(CLOCK_MAX));
const revisions = fc.oneof(
  fc.integer({ min: 1, max: 12 }),
  fc.constantFrom(10 ** 15 - 1, 10 ** 15, Number.MAX_SAFE_INTEGER),
);
const plainVersions = fc.record({
  clock: clocks,
  agent: fc.oneof(fc.constantFrom("", "a", '","data":', "\ud800"), fc.string()),
  writerNonce: fc.constantFrom("0123456789abcdef", "ffffffffffffffff", "0000000000000000"),
});
const versions: fc.Arbitrary<Version> = fc.oneof(
  { weight: 4, arbitrary: plainVersions },
  fc.tuple(plainVersions, revisions).map(([version, revision]) => ({ ...version, revision })),
  // On nothing.
  fc.record({
    clock: clocks,
    agent: fc.constant(""),
    writerNonce: fc.constant(""),
    revision: revisions,
  }),
);

export const entriesOf = (id: fc.Arbitrary<string>): fc.Arbitrary<RunEntry> =>
  fc.record({
    id,
    version: versions,
    schemaVersion: fc.integer({ min: 1, max: 5 }),
    text: texts,
  });

/** Sorted entries with different ids. */
export const sortedEntries = (maxLength: number): fc.Arbitrary<RunEntry[]> =>
  fc
    .uniqueArray(entriesOf(ids), { selector: ({ id }) => id, minLength: 1, maxLength })
    .map((entries) => entries.toSorted((a, b) => (a.id < b.id ? -1 : 1)));
