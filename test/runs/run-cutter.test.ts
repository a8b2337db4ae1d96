/** Entries cut into runs of a level. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AssertionError, ConflictError, UnavailableError } from "../../src/core/errors.ts";
import type { RunEntry } from "../../src/core/version.ts";
import type { RunInfo } from "../../src/format/run-info.ts";
import { encodeRunLine } from "../../src/format/run-codec.ts";
import { ByteCache } from "../../src/runs/byte-cache.ts";
import { type EntryBatches, fromSorted } from "../../src/runs/merge.ts";
import { entryBytes, writeRuns } from "../../src/runs/run-cutter.ts";
import { RunReader } from "../../src/runs/run-reader.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { propertyRuns } from "../support/effort.ts";
import { collect, records, SEED, sortedEntries, tombstone } from "./support.ts";

/** A source in batches of this size, that records whether it is open. */
class Source {
  readonly #entries: readonly RunEntry[];
  readonly #size: number;
  readonly #failure: Error | undefined;
  isOpen = false;
  read = 0;

  constructor(entries: readonly RunEntry[], size: number, failure?: Error) {
    this.#entries = entries;
    this.#size = size;
    this.#failure = failure;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<readonly RunEntry[]> {
    this.isOpen = true;
    try {
      for (let start = 0; start < this.#entries.length; start += this.#size) {
        const batch = this.#entries.slice(start, start + this.#size);
        this.read += batch.length;
        yield batch;
        await Promise.resolve();
        // Empty batches are none.
        yield [];
      }
      if (this.#failure !== undefined) throw this.#failure;
    } finally {
      this.isOpen = false;
    }
  }
}

async function opened(backend = new MemoryBackend()): Promise<MemoryBackend> {
  await backend.initialize("test", { readOnly: false });
  return backend;
}

function newNames(): () => { path: string; index: string } {
  let count = 0;
  return () => {
    const stem = `snapshots/snap-1-${String(count++).padStart(16, "0")}`;
    return { path: `${stem}.jsonl`, index: `${stem}.index` };
  };
}

function write(
  backend: MemoryBackend,
  entries: EntryBatches,
  runBytesMax: number,
): Promise<RunInfo[]> {
  return writeRuns(backend, {
    entries,
    runBytesMax,
    base: 1,
    compression: "none",
    newPaths: newNames(),
  });
}

function readBack(backend: MemoryBackend, run: RunInfo): Promise<RunEntry[]> {
  const warn = (message: string): never => {
    throw new Error(message);
  };
  return collect(new RunReader(backend, new ByteCache(), run, warn).scan());
}

test("all entries are in the runs, which follow each other and end where they are large", async () => {
  const sizes = fc.integer({ min: 1, max: 2_000 });
  await fc.assert(
    fc.asyncProperty(sortedEntries(25), sizes, fc.integer({ min: 1, max: 9 }), async (...given) => {
      const [entries, runBytesMax, batch] = given;
      const backend = await opened();
      const source = new Source(entries, batch);
      const runs = await write(backend, source, runBytesMax);
      expect(source.isOpen).toBe(false);
      const parts: RunEntry[][] = [];
      for (const run of runs) parts.push(await readBack(backend, run));
      expect(parts.flat()).toEqual(entries);
      for (const [at, part] of parts.entries()) {
        const bytes = part.map(entryBytes);
        const all = bytes.reduce((sum, each) => sum + each, 0);
        expect(all - (bytes.at(-1) ?? 0), "it ends with the entry that reaches it").toBeLessThan(
          runBytesMax,
        );
        if (at < parts.length - 1) expect(all).toBeGreaterThanOrEqual(runBytesMax);
        expect(runs[at]).toMatchObject({
          minId: part[0]?.id,
          maxId: part.at(-1)?.id,
          records: part.length,
          level: 0,
        });
        expect((runs[at - 1]?.maxId ?? "") < (runs[at]?.minId ?? "")).toBe(true);
      }
    }),
    { seed: SEED, numRuns: propertyRuns(200) },
  );
});

test("the length of an ordinary line is estimated to a sixth", () => {
  for (const bytes of [150, 300, 2_000]) {
    for (const entry of records(20, bytes)) {
      const exact = Buffer.byteLength(encodeRunLine(entry));
      expect(entryBytes(entry) / exact).toBeGreaterThan(5 / 6);
      expect(entryBytes(entry) / exact).toBeLessThan(7 / 6);
    }
  }
  const deleted = tombstone("r000001");
  expect(entryBytes(deleted) / Buffer.byteLength(encodeRunLine(deleted))).toBeGreaterThan(5 / 6);
});

test("runs of large stores have about the size that was given", async () => {
  const backend = await opened();
  const entries = records(20_000, 200);
  const runs = await write(backend, fromSorted(entries), 500_000);
  const bytes = runs.map((run) => run.bytes);
  expect(bytes.length).toBeGreaterThan(5);
  for (const each of bytes.slice(0, -1)) {
    expect(each).toBeGreaterThan(425_000);
    expect(each).toBeLessThan(575_000);
  }
  expect(runs.reduce((sum, run) => sum + run.records, 0)).toBe(20_000);
});

test("nothing is written without entries, and no empty run at the end", async () => {
  const backend = await opened();
  const source = new Source([], 1);
  expect(await write(backend, source, 10)).toEqual([]);
  const [first] = records(1, 200);
  if (first === undefined) throw new Error("no record");
  expect(await write(backend, new Source([first], 1), 1)).toHaveLength(1);
  expect(await paths(backend)).toHaveLength(2);
});

async function paths(backend: MemoryBackend): Promise<string[]> {
  const found: string[] = [];
  for await (const { objects } of backend.list("")) found.push(...objects.map(({ path }) => path));
  return found;
}

describe("what fails", () => {
  const entries = records(40, 200);

  test.each([1, 7, 40, 100])(
    "in the source comes out, and closes it (batches of %i)",
    async (size) => {
      const failure = new Error("cannot be read");
      const source = new Source(entries, size, failure);
      await expect(write(await opened(), source, 1_000)).rejects.toBe(failure);
      expect(source.isOpen).toBe(false);
    },
  );

  test("in the backend comes out, and closes the source", async () => {
    const failure = new UnavailableError("the medium is gone");
    class Failing extends MemoryBackend {
      left = 3;
      override put(...args: Parameters<MemoryBackend["put"]>): ReturnType<MemoryBackend["put"]> {
        if (this.left-- <= 0) throw failure;
        return super.put(...args);
      }
    }
    for (const left of [0, 1, 2, 3]) {
      const backend = new Failing();
      await opened(backend);
      backend.left = left;
      const source = new Source(entries, 7);
      await expect(write(backend, source, 1_000)).rejects.toBe(failure);
      expect(source.isOpen, `${left} objects were written`).toBe(false);
      expect(source.read).toBeLessThan(40);
    }
  });

  test("because a name is taken is a conflict, and closes the source", async () => {
    const backend = await opened();
    await write(backend, fromSorted(entries), 1_000);
    const source = new Source(entries, 7);
    await expect(write(backend, source, 1_000)).rejects.toThrow(ConflictError);
    expect(source.isOpen).toBe(false);
  });

  test("because ids do not ascend from one run to the next is a defect", async () => {
    const twice = [...entries.slice(0, 20), ...entries.slice(19)];
    for (const runBytesMax of [1, 1_000, 1e9]) {
      const source = new Source(twice, 7);
      const written = write(await opened(), source, runBytesMax);
      await expect(written, `runs of ${runBytesMax}`).rejects.toThrow(AssertionError);
      expect(source.isOpen).toBe(false);
    }
  });
});
