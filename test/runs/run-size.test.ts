/** What reads of large runs cost in requests and bytes, whatever the size of the run. */
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import type { RunEntry } from "../../src/core/version.ts";
import { EMPTY_MANIFEST, encodeManifest } from "../../src/format/manifest-codec.ts";
import { findBySeparator } from "../../src/format/run-index.ts";
import type { RunInfo } from "../../src/format/run-info.ts";
import { ByteCache } from "../../src/runs/byte-cache.ts";
import { IndexBuilder, PARTITION_BYTES_MAX } from "../../src/runs/index-builder.ts";
import { RunReader } from "../../src/runs/run-reader.ts";
import { BLOCK_BYTES_MAX, writeRun } from "../../src/runs/run-writer.ts";
import type { GetOptions, GetResult } from "../../src/storage/backend.ts";
import { FsBackend } from "../../src/storage/fs/fs-backend.ts";
import { boundedProcess } from "../support/bounded-process.ts";
import { tempDir } from "../support/temp-dir.ts";
import { INDEX_PATH, record, RUN_PATH } from "./support.ts";

/** Of a point read of a run whose index is cold. */
const COLD_BYTES_MAX = 128_000;
const WARM_BYTES_MAX = 64_000;
/** Of memory, above the idle process. */
const HANDLER_BYTES_MAX = 40_000_000;

const MILLION = 1_000_000;
const idOf = (n: number): string => `task-${String(n).padStart(8, "0")}`;

function manifestBytes(run: RunInfo): number {
  return encodeManifest({ ...EMPTY_MANIFEST, generation: 1, runs: [run] }).length;
}

test("a partition and a block are below the bytes of a cold read", () => {
  expect(PARTITION_BYTES_MAX + BLOCK_BYTES_MAX).toBeLessThan(COLD_BYTES_MAX);
});

/** Lengths of the partitions of an index over blocks of these ids. */
function partitionsOf(blocks: Iterable<readonly string[]>): readonly number[] {
  const builder = new IndexBuilder(RUN_PATH, 35);
  const most = { length: BLOCK_BYTES_MAX, crc32: 2 ** 32 - 1, tombstones: 0, minSchema: 99_999 };
  for (const ids of blocks) builder.addBlock({ ids, ...most });
  return builder.finish().partitions.map(({ length }) => length);
}

describe("no partition is above its bound", () => {
  /** Of ids that begin differently and end differently, so that separators are long. */
  const varied = (n: number, characters: number, character: string): string =>
    `${String(n).padStart(6, "0")}${character.repeat(characters)}`;
  const cases: [string, (n: number) => string[]][] = [
    ["short ids, 400 a block", (n) => Array.from({ length: 400 }, (_, i) => idOf(n * 400 + i))],
    ["ids of one character", (n) => [String.fromCharCode(n)]],
    ["separators of 300 characters", (n) => [varied(n, 300, "a"), varied(n, 300, "b")]],
    ["separators of 300 escaped ones", (n) => [varied(n, 300, "\u0001"), varied(n, 300, "\u0002")]],
    ["ids of 10 KB that begin alike", (n) => [`${"x".repeat(10_240)}${varied(n, 0, "")}`]],
    [
      "ids of 10 KB, of two kinds",
      (n) => [`${"xy"[n >> 9] ?? "z"}${"é".repeat(10_240)}${varied(n, 0, "")}`],
    ],
  ];

  test.each(cases)("%s", (_, idsOf) => {
    const lengths = partitionsOf(Array.from({ length: 1_200 }, (__, n) => idsOf(n)));
    expect(Math.max(...lengths)).toBeLessThanOrEqual(PARTITION_BYTES_MAX);
  });

  test("separators that share nothing and are long close it early", () => {
    // The next block's first id differs from the last one only in its last character.
    const blocks = Array.from({ length: 600 }, (_, n) => {
      const begins = String.fromCharCode(1_000 + n).repeat(500);
      return [`${begins}a`, `${String.fromCharCode(1_001 + n).repeat(500)}Z`];
    });
    const lengths = partitionsOf(blocks);
    expect(lengths.length).toBeGreaterThan(2);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(PARTITION_BYTES_MAX);
  });
});

/** Files that count what is read of them. */
class CountingBackend extends FsBackend {
  gets = 0;
  bytes = 0;

  override async get(path: string, options?: GetOptions): Promise<GetResult> {
    const result = await super.get(path, options);
    this.gets++;
    if (result.status === "found") this.bytes += result.body.length;
    return result;
  }
}

async function* million(): AsyncGenerator<RunEntry[]> {
  for (let from = 0; from < MILLION; from += 1_000) {
    yield await Promise.resolve(
      Array.from({ length: 1_000 }, (_, n) => record(idOf(from + n), "1")),
    );
  }
}

test(
  "one of a million records: two reads, 128 KB; then one, 64 KB",
  { timeout: 120_000 },
  async () => {
    const directory = await tempDir();
    onTestFinished(() => directory[Symbol.asyncDispose]());
    const backend = new CountingBackend({ fsync: false });
    const location = join(directory.path, "store");
    await backend.initialize(location, { readOnly: false });
    onTestFinished(() => backend.shutdown());
    const target = { path: RUN_PATH, indexPath: INDEX_PATH, base: 1, compression: "none" } as const;
    const run = await writeRun(backend, { ...target, entries: million() });
    if (run === undefined) throw new Error("nothing was written");
    expect(run.records).toBe(MILLION);

    const cost = async (
      reader: RunReader,
      id: string,
    ): Promise<{ gets: number; bytes: number }> => {
      [backend.gets, backend.bytes] = [0, 0];
      expect((await reader.getMany([id])).get(id)?.id).toBe(id.endsWith("absent") ? undefined : id);
      return { gets: backend.gets, bytes: backend.bytes };
    };
    for (const n of [0, 1, 16_383, 16_384, 123_456, 500_000, 777_777, MILLION - 600]) {
      const reader = new RunReader(backend, new ByteCache(), run, () => undefined);
      const cold = await cost(reader, idOf(n));
      expect(cold.gets).toBe(2);
      expect(cold.bytes).toBeLessThanOrEqual(COLD_BYTES_MAX);
      const partOf = (m: number): number => findBySeparator(run.partitions, idOf(m));
      const neighbour = [n + 500, n - 500].find((m) => m >= 0 && partOf(m) === partOf(n));
      const warm = await cost(reader, idOf(neighbour ?? -1));
      expect(warm.gets).toBe(1);
      expect(warm.bytes).toBeLessThanOrEqual(WARM_BYTES_MAX);
      const absent = await cost(reader, `${idOf(n)}-absent`);
      expect(absent.gets).toBeLessThanOrEqual(1);
    }

    // A function that reads one of them, with the AWS SDK loaded as it is on Lambda.
    await backend.put(
      "manifest.json",
      encodeManifest({ ...EMPTY_MANIFEST, generation: 1, runs: [run] }),
      { ifAbsent: true },
    );
    const start = await boundedProcess();
    const { found, grownBytes } = await start([], "handler", location, idOf(123_456));
    expect(found).toEqual({ value: 1 });

    expect(grownBytes).toBeLessThan(HANDLER_BYTES_MAX);

    // Ten times as many make ten times as many partitions, described in a few dozen bytes each.
    const many = Array.from({ length: 10 }, () => run.partitions).flat();
    const partitions = many.map((part, at) => ({
      ...part,
      separator: idOf(at * 16_384),
      offset: at * PARTITION_BYTES_MAX,
      dataOffset: at * 16_384 * 1_000,
    }));
    expect(manifestBytes(run)).toBeLessThan(8_000);
    expect(manifestBytes({ ...run, partitions })).toBeLessThan(64_000);
  },
);
