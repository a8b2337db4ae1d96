/**
 * Measures how runs are compressed: `npm run bench:runs`. First each compression at several levels and
 * sizes of block, then whole runs: what is stored, what reads fetch, and how fast runs are scanned and
 * merged; then merges in which all, nine tenths or none of the partitions are left alone. Records are the machine's package index, or generated. MB are those of the lines, per second
 * of CPU, of the best of some tries.
 */
import { constants, deflateRawSync, inflateRawSync } from "node:zlib";
import { type Compression, findZstd } from "../src/core/compression.ts";
import { compareText, type RunEntry } from "../src/core/version.ts";
import { encodeRunLine } from "../src/format/run-codec.ts";
import type { RunInfo } from "../src/format/run-info.ts";
import { ByteCache } from "../src/runs/byte-cache.ts";
import { type EntryBatches, fromSorted, mergeParts, mergeSorted } from "../src/runs/merge.ts";
import { RunReader } from "../src/runs/run-reader.ts";
import { RUN_LAYOUT, type RunBatches, writeRun } from "../src/runs/run-writer.ts";
import type { WholePartition } from "../src/runs/whole-partition.ts";
import type { GetOptions, GetResult, PutResult } from "../src/storage/backend.ts";
import { MemoryBackend } from "../src/storage/memory-backend.ts";
import { loadSource } from "../test/examples/packages/source.ts";

const TRIES = 4;
const POINTS = 100;
const MB = 1_000_000;

/** Counts what is read. What is written may be dropped, so that keeping it is not measured. */
class Medium extends MemoryBackend {
  bytesDown = 0;
  keeps = true;

  override async get(path: string, options?: GetOptions): Promise<GetResult> {
    const result = await super.get(path, options);
    if (result.status === "found") this.bytesDown += result.body.length;
    return result;
  }

  override async put(...args: Parameters<MemoryBackend["put"]>): Promise<PutResult> {
    if (this.keeps) return super.put(...args);
    const body = args[1];
    if (Symbol.asyncIterator in body) for await (const _ of body);
    return { status: "written", etag: "none", dateMs: 0 };
  }
}

/** Seconds of CPU, the least of some tries. */
async function secondsOf(work: () => unknown): Promise<number> {
  let least = Infinity;
  for (let turn = 0; turn < TRIES; turn++) {
    const before = process.cpuUsage();
    await work();
    const { user, system } = process.cpuUsage(before);
    least = Math.min(least, (user + system) / 1e6);
  }
  return least;
}

function blocksOf(lines: readonly Buffer[], bytesMax: number): Buffer[] {
  const blocks: Buffer[][] = [[]];
  let bytes = 0;
  for (const line of lines) {
    if (bytes > 0 && bytes + line.length > bytesMax) {
      blocks.push([]);
      bytes = 0;
    }
    blocks.at(-1)?.push(line);
    bytes += line.length;
  }
  return blocks.map((block) => Buffer.concat(block));
}

interface Codec {
  readonly name: string;
  readonly pack: (bytes: Buffer) => Buffer;
  readonly unpack: (bytes: Buffer) => Buffer;
}

function codecs(): Codec[] {
  const deflate = [1, 2, 3, 6].map((level) => ({
    name: `deflate ${level}`,
    pack: (bytes: Buffer) => deflateRawSync(bytes, { level, memLevel: 9 }),
    unpack: (bytes: Buffer) => inflateRawSync(bytes),
  }));
  const { zstdCompressSync, zstdDecompressSync } = findZstd();
  if (zstdCompressSync === undefined || zstdDecompressSync === undefined) return deflate;
  const level = Reflect.get(constants, "ZSTD_c_compressionLevel") as number;
  const zstd = [1, 3, 6].map((each) => ({
    name: `zstd ${each}`,
    pack: (bytes: Buffer) => zstdCompressSync(bytes, { params: { [level]: each } }),
    unpack: (bytes: Buffer) => zstdDecompressSync(bytes, {}),
  }));
  return [...deflate, ...zstd];
}

type Table = Record<string, Record<string, string | number>>;

async function measureCodecs(lines: readonly Buffer[]): Promise<Table> {
  const table: Table = {};
  for (const kib of [16, 32, 64]) {
    const blocks = blocksOf(lines, kib * 1024);
    const raw = blocks.reduce((sum, { length }) => sum + length, 0);
    for (const { name, pack, unpack } of codecs()) {
      const packed = blocks.map(pack);
      const stored = packed.reduce((sum, { length }) => sum + length, 0);
      const packing = await secondsOf(() => blocks.forEach((block) => pack(block)));
      const unpacking = await secondsOf(() => packed.forEach((block) => unpack(block)));
      table[`${kib} KiB, ${name}`] = {
        ratio: (raw / stored).toFixed(2),
        "compress MB/s": Math.round(raw / MB / packing),
        "decompress MB/s": Math.round(raw / MB / unpacking),
        "block kB": (stored / blocks.length / 1_000).toFixed(1),
      };
    }
  }
  return table;
}

const COMPRESSIONS: readonly Compression[] =
  findZstd().zstdCompressSync === undefined ? ["none", "deflate"] : ["none", "deflate", "zstd"];

async function measureRuns(entries: readonly RunEntry[]): Promise<Table> {
  const table: Table = {};
  for (const compression of COMPRESSIONS) {
    const medium = new Medium();
    await medium.initialize("bench", { readOnly: false });
    let count = 0;
    const write = async (source: EntryBatches): Promise<RunInfo> => {
      const stem = `snapshots/${++count}`;
      const target = { path: `${stem}.jsonl`, indexPath: `${stem}.index` };
      const run = await writeRun(medium, { ...target, base: 0, compression, entries: source });
      if (run === undefined) throw new Error("no entries");
      return run;
    };
    const open = (run: RunInfo): RunReader =>
      new RunReader(medium, new ByteCache(), run, console.warn);
    const whole = await write(fromSorted(entries));
    const parts = [
      await write(fromSorted(entries.filter((_, n) => n % 3 > 0))),
      await write(fromSorted(entries.filter((_, n) => n % 3 === 0))),
    ];
    let cold = 0;
    for (let point = 0; point < POINTS; point++) {
      const id = entries[(point * 7_919) % entries.length]?.id ?? "";
      medium.bytesDown = 0;
      await open(whole).getMany([id]);
      cold += medium.bytesDown / POINTS;
    }
    medium.keeps = false;
    const scanning = await secondsOf(async () => {
      for await (const _ of open(whole).scan());
    });
    const merging = await secondsOf(() =>
      write(mergeSorted(parts.map((run) => open(run).scan({ asLines: true })))),
    );
    const raw = (whole.rawBytes ?? whole.bytes) / MB;
    table[`run, ${compression}`] = {
      "stored MB": (whole.bytes / MB).toFixed(2),
      ratio: (raw / (whole.bytes / MB)).toFixed(2),
      "cold read kB": (cold / 1_000).toFixed(1),
      "scan MB/s": Math.round(raw / scanning),
      "merge MB/s": Math.round(raw / merging),
    };
  }
  return table;
}

/** Small, so that there are many of them. */
const PARTITION_RECORDS = 1_600;

/** A run, and one above it that updates every third record of a share of its partitions. */
async function measureCopies(entries: readonly RunEntry[], updated: number): Promise<Table> {
  const table: Table = {};
  const layout = { ...RUN_LAYOUT, partitionRecordsMax: PARTITION_RECORDS };
  for (const compression of COMPRESSIONS) {
    const medium = new Medium();
    await medium.initialize("bench", { readOnly: false });
    let count = 0;
    const write = (source: RunBatches): Promise<RunInfo | undefined> => {
      const stem = `snapshots/${++count}`;
      const target = { path: `${stem}.jsonl`, indexPath: `${stem}.index` };
      return writeRun(medium, { ...target, base: 0, compression, layout, entries: source });
    };
    const isUpdated = (n: number): boolean => {
      const at = Math.floor(n / PARTITION_RECORDS);
      return n % 3 === 0 && Math.floor((at + 1) * updated) > Math.floor(at * updated);
    };
    const written = [
      await write(fromSorted(entries)),
      await write(fromSorted(entries.filter((_, n) => isUpdated(n)))),
    ];
    const runs = written.filter((run) => run !== undefined);
    medium.keeps = false;
    const merging = (indexBytesMin: number): Promise<number> => {
      const copy = { indexBytesMin, schemaMin: 0, hasTime: () => true };
      const options = { from: "", to: undefined, byBlocks: true, spanBytesMax: undefined, copy };
      const open = (run: RunInfo): RunBatches =>
        new RunReader(medium, new ByteCache(), run, console.warn).parts(options);
      return secondsOf(() => write(mergeParts<RunEntry, WholePartition>(runs.map(open))));
    };
    const raw = runs.reduce((sum, { bytes, rawBytes = bytes }) => sum + rawBytes, 0) / MB;
    const [plain, copying] = [await merging(Infinity), await merging(1)];
    table[`${100 - updated * 100} % left alone, ${compression}`] = {
      "by lines MB/s": Math.round(raw / plain),
      "copied MB/s": Math.round(raw / copying),
      ratio: (plain / copying).toFixed(1),
    };
  }
  return table;
}

const { name, records } = await loadSource();
const entries = [...records]
  .toSorted(([a], [b]) => compareText(a, b))
  .map(([id, record], n) => ({
    id,
    version: {
      clock: 1_838_444_639_000_000 + n,
      agent: "writer-1",
      writerNonce: "650c35ec63fa1c20",
    },
    schemaVersion: 1,
    text: JSON.stringify(record),
  }));
console.log(`Node ${process.version}; ${entries.length} records: ${name}`);
console.table(await measureCodecs(entries.map((entry) => Buffer.from(encodeRunLine(entry)))));
console.table(await measureRuns(entries));
for (const updated of [0, 0.1, 1]) console.table(await measureCopies(entries, updated));
