import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { AssertionError, ConflictError, UnavailableError } from "../../src/core/errors.ts";
import type { RunEntry } from "../../src/core/version.ts";
import { fromSorted } from "../../src/runs/merge.ts";
import { BLOCK_BYTES_MAX, writeRun } from "../../src/runs/run-writer.ts";
import type { Precondition, PutOptions, PutResult } from "../../src/storage/backend.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import {
  INDEX_PATH,
  openBackend,
  record,
  records,
  RUN_PATH,
  tombstone,
  writeEntries,
} from "./support.ts";

const target = { path: RUN_PATH, indexPath: INDEX_PATH, base: 1, compression: "none" } as const;

async function textOf(backend: MemoryBackend, path: string): Promise<string> {
  return (await backend.readBlob(path)).toString();
}

test("run, index and description are fixed by the format", async () => {
  const entries = [record("a", '{"n": 1e2}'), tombstone("b")];
  const { backend, run } = await writeEntries(entries);
  const head = '"clock":7,"agent":"a","w":"0123456789abcdef","v":1';
  const text = [
    '{"format":1,"kind":"run","base":1}',
    `{"id":"a",${head},"data":{"n": 1e2}}`,
    `{"id":"b",${head},"deleted":true}`,
    "",
  ].join("\n");
  expect(await textOf(backend, RUN_PATH)).toBe(text);
  expect(await textOf(backend, INDEX_PATH)).toBe(
    [
      `{"format":1,"kind":"index","run":"${RUN_PATH}"}`,
      '{"dataOffset":35,"records":2,"tombstones":1,"v":1,"blocks":[["",157,3231537145]],"k":7,' +
        '"bloom":"hBA0MgiAIEA=","crc":"166ba0d6"}',
      "",
    ].join("\n"),
  );
  expect(run).toEqual({
    path: RUN_PATH,
    index: INDEX_PATH,
    bytes: text.length,
    records: 2,
    tombstones: 1,
    minId: "a",
    maxId: "b",
    minSchema: 1,
    sha256: createHash("sha256").update(text).digest("hex"),
    partitions: [{ separator: "", offset: 76, length: 127, dataOffset: 35, crc: "166ba0d6" }],
    level: 0,
  });
});

test("without entries nothing is written", async () => {
  const backend = await openBackend();
  expect(await writeRun(backend, { ...target, entries: fromSorted([]) })).toBeUndefined();
  for await (const page of backend.list("snapshots/")) expect(page.objects).toEqual([]);
});

test("blocks hold whole lines up to 32 KiB, a longer line alone", async () => {
  const small = records(100, 1_000);
  const [before, after] = [small.slice(0, 50), small.slice(50)];
  const huge = record("r000049-huge", `"${"é".repeat(40_000)}"`);
  const { backend, run } = await writeEntries([...before, huge, ...after]);
  const line = (await textOf(backend, INDEX_PATH)).split("\n")[1] ?? "";
  const { blocks }: { blocks: [string, number, number][] } = JSON.parse(line);
  const lengths = blocks.map(([, length]) => length);
  expect(lengths.filter((length) => length > BLOCK_BYTES_MAX)).toHaveLength(1);
  expect(Math.max(...lengths)).toBeGreaterThan(80_000);
  const data = await backend.readBlob(RUN_PATH);
  let offset = run.partitions[0]?.dataOffset ?? 0;
  for (const length of lengths) {
    expect(data[offset - 1]).toBe(10);
    offset += length;
  }
  expect(offset).toBe(run.bytes);
  const full = lengths.filter((length) => length > BLOCK_BYTES_MAX - 1_100).length;
  expect(full).toBeGreaterThanOrEqual(lengths.length - 3);
});

test("a partition ends at 16,384 records or 512 blocks", async () => {
  const { run: many } = await writeEntries(records(20_000, 0));
  expect(many.partitions).toHaveLength(2);
  const { run: large } = await writeEntries(records(520, 33_000));
  expect(large.partitions).toHaveLength(2);
  expect(large.partitions[1]?.separator).toBe("r000512");
});

test("a path that is taken is a conflict, of the run or of its index", async () => {
  for (const path of [RUN_PATH, INDEX_PATH]) {
    const backend = await openBackend();
    await backend.writeBlob(path, "taken");
    const writing = writeRun(backend, { ...target, entries: fromSorted([record("a")]) });
    await expect(writing).rejects.toThrow(ConflictError);
    await expect(writing).rejects.toMatchObject({ path });
    expect(await textOf(backend, path)).toBe("taken");
  }
});

/** Entries of about 3 MB, then what the test wants; tells whether it was closed. */
class LongSource {
  readonly #last: () => RunEntry[];
  isClosed = false;

  constructor(last: () => RunEntry[]) {
    this.#last = last;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<RunEntry[]> {
    try {
      yield* fromSorted(records(3_000, 1_000));
      yield await Promise.resolve(this.#last());
    } finally {
      this.isClosed = true;
    }
  }
}

test("an error of the entries comes out as it is, whatever the backend makes of it", async () => {
  const failure = new Error("a source run cannot be read");
  class Wrapping extends MemoryBackend {
    override async put(...args: Parameters<MemoryBackend["put"]>): Promise<PutResult> {
      try {
        return await super.put(...args);
      } catch (cause) {
        throw new UnavailableError("upload broke off", { cause });
      }
    }
  }
  const backend = new Wrapping();
  await backend.initialize("test", { readOnly: false });
  const entries = new LongSource(() => {
    throw failure;
  });
  await expect(writeRun(backend, { ...target, entries })).rejects.toBe(failure);
  expect(entries.isClosed).toBe(true);
});

test("a large run is handed over in pieces, with the timeout given", async () => {
  const seen: unknown[] = [];
  class Watching extends MemoryBackend {
    override async put(
      path: string,
      body: Uint8Array | AsyncIterable<Uint8Array>,
      precondition: Precondition,
      options?: PutOptions,
    ): Promise<PutResult> {
      seen.push([path, body instanceof Uint8Array, precondition, options?.timeoutMs]);
      return super.put(path, body, precondition);
    }
  }
  const backend = new Watching();
  await backend.initialize("test", { readOnly: false });
  const entries = new LongSource(() => [record("z")]);
  const run = await writeRun(backend, { ...target, entries, timeoutMs: 5_000 });
  expect(run?.records).toBe(3_001);
  expect((await backend.readBlob(RUN_PATH)).length).toBe(run?.bytes);
  expect(seen).toEqual([
    [RUN_PATH, false, { ifAbsent: true }, 5_000],
    [INDEX_PATH, true, { ifAbsent: true }, 5_000],
  ]);
});

test("entries are closed when the backend refuses before reading them", async () => {
  class Refusing extends MemoryBackend {
    override put(): Promise<PutResult> {
      return Promise.resolve({ status: "conflict", dateMs: 0 });
    }
  }
  const backend = new Refusing();
  const entries = new LongSource(() => []);
  await expect(writeRun(backend, { ...target, entries })).rejects.toThrow(ConflictError);
  expect(entries.isClosed).toBe(true);
});

test("entries that do not ascend are a defect, and no run appears", async () => {
  const backend = await openBackend();
  const entries = fromSorted([record("b"), record("a")]);
  await expect(writeRun(backend, { ...target, entries })).rejects.toThrow(AssertionError);
  await expect(backend.readBlob(RUN_PATH)).rejects.toThrow("not found");
});
