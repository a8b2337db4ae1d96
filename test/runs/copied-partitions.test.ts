/** Merges that copy partitions as they are stored, beside the same merges by entries. */
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { CorruptionError } from "../../src/core/errors.ts";
import type { RunEntry } from "../../src/core/version.ts";
import type { IdSpan, RunInfo } from "../../src/format/run-info.ts";
import { ByteCache } from "../../src/runs/byte-cache.ts";
import { fromSorted, mergeParts } from "../../src/runs/merge.ts";
import { checkRun } from "../../src/runs/run-check.ts";
import { RunReader } from "../../src/runs/run-reader.ts";
import { type RunLayout, writeRun } from "../../src/runs/run-writer.ts";
import { excise } from "../../src/runs/visible.ts";
import { WholePartition } from "../../src/runs/whole-partition.ts";
import type { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { propertyRuns } from "../support/effort.ts";
import { collect, COMPRESSIONS, flip, openBackend, record, SEED, texts } from "./support.ts";

const ALL: IdSpan = { from: "", to: undefined };
const SMALL: RunLayout = { blockBytesMax: 400, partitionBlocksMax: 3, partitionRecordsMax: 6 };

let count = 0;

async function write(
  backend: MemoryBackend,
  entries: Parameters<typeof writeRun>[1]["entries"],
  options: Partial<Parameters<typeof writeRun>[1]> = {},
): Promise<RunInfo | undefined> {
  const stem = `snapshots/snap-1-${String(count++).padStart(16, "0")}`;
  const paths = { path: `${stem}.jsonl`, indexPath: `${stem}.index` };
  const common = { base: 1, compression: "none", layout: SMALL } as const;
  return writeRun(backend, { ...common, ...options, ...paths, entries });
}

function open(backend: MemoryBackend, run: RunInfo): RunReader {
  return new RunReader(backend, new ByteCache(), run, (message) => {
    throw new Error(message);
  });
}

interface MergeOptions extends Partial<Parameters<typeof writeRun>[1]> {
  readonly indexBytesMin: number;
  readonly schemaMin?: number;
  readonly span?: IdSpan;
}

/** Merges runs over a span into a new one. */
function merge(
  backend: MemoryBackend,
  runs: readonly RunInfo[],
  { indexBytesMin, schemaMin = 0, span = ALL, ...options }: MergeOptions,
): Promise<RunInfo | undefined> {
  const copy = { indexBytesMin, schemaMin, hasTime: () => true };
  const sources = runs.map((run) => {
    return open(backend, run).parts({ ...span, byBlocks: true, spanBytesMax: 700, copy });
  });
  return write(backend, mergeParts<RunEntry, WholePartition>(sources), options);
}

const compression = fc.constantFrom(...COMPRESSIONS);
/** Ids of a run lie close together: between them there is often nothing of others. */
const runOf = fc
  .record({
    first: fc.nat({ max: 60 }),
    entries: fc.uniqueArray(
      fc.record({
        at: fc.nat({ max: 40 }),
        clock: fc.integer({ min: 1, max: 9 }),
        schemaVersion: fc.integer({ min: 1, max: 3 }),
        text: fc.oneof({ weight: 6, arbitrary: fc.constant('{"n":1}') }, texts),
      }),
      { selector: ({ at }) => at, minLength: 1, maxLength: 40 },
    ),
    excised: fc.option(fc.tuple(fc.nat({ max: 100 }), fc.nat({ max: 100 })), { nil: undefined }),
    compression,
  })
  .map(({ first, entries, ...rest }) => ({
    ...rest,
    entries: entries
      .toSorted((a, b) => a.at - b.at)
      .map(({ at, clock, ...entry }) => {
        const version = { clock, agent: "a", writerNonce: "0123456789abcdef" };
        return { ...entry, id: idOf(first + at), version };
      }),
  }));

/** Of several lengths, so that separators are shorter than ids. */
function idOf(at: number): string {
  return `${String(Math.floor(at / 7)).padStart(3, "0")}${"é".repeat(at % 7)}`;
}

test("hold what the same merges by entries hold, with an index as good", async () => {
  let [whole, partly] = [0, 0];
  const copying = vi.spyOn(WholePartition.prototype, "blocks");
  const runs = fc.array(runOf, { minLength: 1, maxLength: 4 });
  const bounds = fc.tuple(fc.nat({ max: 50 }), fc.integer({ min: 60, max: 100 }));
  await fc.assert(
    fc.asyncProperty(runs, compression, bounds, async (given, into, [low, high]) => {
      const backend = await openBackend();
      const sources: RunInfo[] = [];
      for (const { entries, excised, ...header } of given) {
        const run = await write(backend, fromSorted(entries), header);
        if (run === undefined) throw new Error("nothing was written");
        const [from, to] = (excised ?? []).toSorted((a, b) => a - b).map(idOf);
        sources.push(from === undefined ? run : excise(run, { from, to }));
      }
      const options = { compression: into, span: { from: idOf(low), to: idOf(high) } };
      const plain = await merge(backend, sources, { ...options, indexBytesMin: Infinity });
      copying.mockClear();
      const copied = await merge(backend, sources, { ...options, indexBytesMin: 1 });
      const copies = copying.mock.calls.length;
      if (plain === undefined || copied === undefined) {
        expect(copied).toEqual(plain);
        return;
      }
      if (copies === copied.partitions.length) whole++;
      else if (copies > 0) partly++;
      const expected = await collect(open(backend, plain).scan());
      expect(await collect(open(backend, copied).scan())).toEqual(expected);
      expect(await checkRun(backend, copied)).toEqual([]);
      const { records, tombstones, minId, maxId, minSchema, rawBytes } = plain;
      const counts = { records, tombstones, minId, maxId, minSchema };
      expect(copied).toMatchObject(counts);
      expect(copied.rawBytes).toBe(rawBytes);
      const found = await open(backend, copied).getMany(expected.map(({ id }) => id));
      expect([...found.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1))).toEqual(expected);
    }),
    { seed: SEED, numRuns: propertyRuns(1_000) },
  );
  expect(whole).toBeGreaterThan(3);
  expect(partly).toBeGreaterThan(20);
  copying.mockRestore();
});

describe("a run of several partitions", async () => {
  const numbered = (from: number, to: number): RunEntry[] =>
    Array.from({ length: to - from }, (_, n) => record(`r${String(from + n).padStart(4, "0")}`));
  const backend = await openBackend();
  const low = await write(backend, fromSorted(numbered(0, 60)));
  const high = await write(backend, fromSorted(numbered(100, 160)));
  if (low === undefined || high === undefined) throw new Error("nothing was written");

  const copiesOf = async (work: () => Promise<unknown>): Promise<number> => {
    const copying = vi.spyOn(WholePartition.prototype, "blocks");
    await work();
    const { length } = copying.mock.calls;
    copying.mockRestore();
    return length;
  };

  test("is copied unread where no other has ids in between", async () => {
    const partitions = low.partitions.length + high.partitions.length;
    expect(partitions).toBeGreaterThan(10);
    const all = (): Promise<unknown> => merge(backend, [low, high], { indexBytesMin: 1 });
    expect(await copiesOf(all)).toBe(partitions);
    const between = await write(backend, fromSorted([record("r0030x"), record("r0099")]));
    const runs = [low, high, ...(between === undefined ? [] : [between])];
    const most = (): Promise<unknown> => merge(backend, runs, { indexBytesMin: 1 });
    expect(await copiesOf(most)).toBe(partitions - 1);
  });

  test("is not copied if it is short, of an older schema, or of before partitions were counted", async () => {
    const shorter = (): Promise<unknown> => merge(backend, [low], { indexBytesMin: 10_000 });
    expect(await copiesOf(shorter)).toBe(0);
    const older = (): Promise<unknown> => merge(backend, [low], { indexBytesMin: 1, schemaMin: 2 });
    expect(await copiesOf(older)).toBe(0);
    const same = (): Promise<unknown> => merge(backend, [low], { indexBytesMin: 1, schemaMin: 1 });
    expect(await copiesOf(same)).toBe(low.partitions.length);
  });

  test.each(COMPRESSIONS)("no damage of a block is copied (%s)", async (method) => {
    const run = await write(backend, fromSorted(numbered(200, 230)), { compression: method });
    if (run === undefined) throw new Error("nothing was written");
    const from = run.partitions[0]?.dataOffset ?? 0;
    for (let at = from; at < run.bytes; at += 7) {
      await backend.replace(run.path, (bytes) => flip(bytes, at, 1 << (at % 8)));
      const copied = merge(backend, [run], { indexBytesMin: 1, compression: method });
      await expect(copied, `byte ${at}`).rejects.toThrow(CorruptionError);
      await backend.replace(run.path, (bytes) => flip(bytes, at, 1 << (at % 8)));
    }
    await merge(backend, [run], { indexBytesMin: 1, compression: method });
  });
});
