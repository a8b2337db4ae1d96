/** Whole, well-formed objects that are not those the manifest means. */
import { describe, expect, test } from "vitest";
import { CorruptionError } from "../../src/core/errors.ts";
import { BloomFilter } from "../../src/format/run-index.ts";
import {
  decodePartition,
  encodePartition,
  type PartitionContent,
} from "../../src/format/run-index.ts";
import type { GetResult } from "../../src/storage/backend.ts";
import { collect, INDEX_PATH, record, records, RUN_PATH, writeEntries } from "./support.ts";

const entries = records(200, 1_000);
const of = (n: number): (typeof entries)[number] => entries[n] ?? record("");

/** Blocks of the same lengths for other ids, or for the same ids with other content. */
const others = {
  ids: entries.map((entry) => ({ ...entry, id: entry.id.replace("r", "s") })),
  content: entries.map((entry) => ({ ...entry, text: entry.text?.replaceAll("x", "y") })),
};

/** Both objects of another run of the same length, under names of its own. */
async function otherRun(which: keyof typeof others): Promise<{ run: Buffer; index: Buffer }> {
  const { backend } = await writeEntries(others[which]);
  return { run: await backend.readBlob(RUN_PATH), index: await backend.readBlob(INDEX_PATH) };
}

/** The answers are right, with a warning, although the index cannot be used. */
async function expectRight({ reader, warnings }: Awaited<ReturnType<typeof writeEntries>>) {
  const one = reader();
  expect(await one.get(of(0).id)).toEqual(of(0));
  expect(await one.get(of(150).id)).toEqual(of(150));
  expect(await one.get(`${of(150).id}-absent`)).toBeUndefined();
  const some = [of(33), of(66)];
  expect([...(await one.getMany(some.map(({ id }) => id))).values()]).toEqual(some);
  const [from, to] = [of(10).id, of(190).id];
  expect(await collect(one.scan({ from, to }))).toEqual(entries.slice(10, 190));
  const reverse = await collect(one.scan({ from, to, reverse: true }));
  expect(reverse).toEqual(entries.slice(10, 190).toReversed());
  expect(warnings.join()).toContain(INDEX_PATH);
}

describe("an index that lies is not believed", () => {
  test.each(["ids", "content"] as const)("that of another run, with other %s", async (which) => {
    const written = await writeEntries(entries);
    const { index } = await otherRun(which);
    await written.backend.replace(INDEX_PATH, () => index);
    await expectRight(written);
  });

  const forgeries: [string, (content: PartitionContent) => PartitionContent][] = [
    [
      "separators that are too low",
      (content) => ({
        ...content,
        blocks: content.blocks.map((block, at) => ({
          ...block,
          separator: at === 0 ? "" : `a${at}`,
        })),
      }),
    ],
    [
      "checksums of other blocks",
      (content) => ({
        ...content,
        blocks: content.blocks.map((block) => ({ ...block, crc32: (block.crc32 ^ 1) >>> 0 })),
      }),
    ],
    [
      "other lengths",
      ({ blocks: [first, second, ...rest], ...content }) => ({
        ...content,
        blocks:
          first === undefined || second === undefined
            ? []
            : [
                { ...first, length: first.length + 1 },
                { ...second, length: second.length - 1 },
                ...rest,
              ],
      }),
    ],
    [
      "a filter that says maybe for everything",
      (content) => ({ ...content, bloom: new BloomFilter(Buffer.alloc(250, 0xff), 7) }),
    ],
    [
      "a filter that denies everything",
      (content) => ({ ...content, bloom: new BloomFilter(Buffer.alloc(250), 7) }),
    ],
  ];

  test.each(forgeries)("sealed again with %s", async (_, forge) => {
    const written = await writeEntries(entries);
    const { backend, run } = written;
    const { offset = 0, length = 0 } = run.partitions[0] ?? {};
    await backend.replace(INDEX_PATH, (bytes) => {
      const line = bytes.subarray(offset, offset + length);
      const forged = encodePartition(forge(decodePartition(line, { path: INDEX_PATH, offset })));
      return Buffer.concat([bytes.subarray(0, offset), Buffer.from(`${forged}\n`)]);
    });
    await expectRight(written);
  });

  test("a filter of all ones that the manifest vouches for costs a read, no answer", async () => {
    const { backend, run, reader } = await writeEntries(entries);
    const { offset = 0, length = 0, crc: _, ...part } = run.partitions[0] ?? {};
    await backend.replace(INDEX_PATH, (bytes) => {
      const content = decodePartition(bytes.subarray(offset, offset + length), {
        path: INDEX_PATH,
        offset,
      });
      const bloom = new BloomFilter(new Uint8Array(content.bloom.bytes.length).fill(0xff), 7);
      const forged = Buffer.from(`${encodePartition({ ...content, bloom })}\n`);
      return Buffer.concat([bytes.subarray(0, offset), forged]);
    });
    // As a manifest of before the checksum was noted there describes it.
    Object.assign(run, { partitions: [{ separator: "", dataOffset: 0, ...part, offset, length }] });
    const one = reader();
    expect(await one.get(of(7).id)).toEqual(of(7));
    backend.gets = [];
    expect(await one.get(`${of(150).id}-absent`)).toBeUndefined();
    expect(backend.gets).toHaveLength(1);
  });
});

test.each(["ids", "content"] as const)(
  "a run replaced by another of the same length, with other %s, is reported by object and offset",
  async (which) => {
    const { backend, reader } = await writeEntries(entries);
    const { run: foreign } = await otherRun(which);
    expect(foreign.length).toBe((await backend.readBlob(RUN_PATH)).length);
    await backend.replace(RUN_PATH, () => foreign);
    const reads: (() => Promise<unknown>)[] = [
      () => reader().get(of(5).id),
      () => reader().getMany([of(5).id, of(150).id]),
      () => collect(reader().scan()),
      () => collect(reader().scan({ from: of(5).id })),
      () => collect(reader().scan({ reverse: true })),
      () => collect(reader().scan({ firstBytes: 1 })),
    ];
    for (const read of reads) {
      const error: unknown = await read().catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(CorruptionError);
      expect(error).toMatchObject({ path: RUN_PATH, offset: expect.any(Number) });
    }
  },
);

test("a block that arrives cut short is reported by object and offset", async () => {
  const { backend, reader } = await writeEntries(entries);
  backend.onGet = (path, result): GetResult => {
    if (path !== RUN_PATH || result.status !== "found") return result;
    return { ...result, body: result.body.subarray(0, -1) };
  };
  for (const read of [
    () => reader().get(of(150).id),
    () => collect(reader().scan({ from: of(150).id })),
    () => collect(reader().scan({ from: of(150).id, reverse: true })),
  ]) {
    const error: unknown = await read().catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "CORRUPTION", path: RUN_PATH });
    expect(error).toMatchObject({ offset: expect.any(Number) });
  }
});

test("a run of one record is read in every way, the record of one byte or of 50 MB", async () => {
  for (const text of ["1", `"${"é".repeat(25_000_000)}"`]) {
    const only = record("k", text);
    const { run, reader } = await writeEntries([only]);
    expect(run.partitions).toHaveLength(1);
    const isOnly = (found: readonly unknown[]): boolean =>
      found.length === 1 && JSON.stringify(found[0]) === JSON.stringify(only);
    expect(isOnly([await reader().get("k")])).toBe(true);
    expect(isOnly(await collect(reader().scan()))).toBe(true);
    expect(isOnly(await collect(reader().scan({ reverse: true, firstBytes: 1 })))).toBe(true);
    expect(await reader().get("j")).toBeUndefined();
    expect(await collect(reader().scan({ from: "l" }))).toEqual([]);
  }
});

test("long ids that begin alike make neither a large partition nor a large description", async () => {
  const long = Array.from({ length: 2_000 }, (_, n) =>
    record(`${"x".repeat(10_240)}${String(n).padStart(6, "0")}`, "1"),
  );
  const { run, reader, backend } = await writeEntries(long);
  expect(JSON.stringify(run.partitions[0]).length).toBeLessThan(200);
  expect(run.partitions).toHaveLength(2);
  for (const n of [0, 1_000, 1_999]) expect(await reader().get(long[n]?.id ?? "")).toEqual(long[n]);
  backend.gets = [];
  await reader().get(long[1_700]?.id ?? "");
  const bytes = backend.gets.reduce((sum, get) => sum + Number(get.split("+")[1]), 0);
  expect(bytes).toBeLessThan(128_000);
});
