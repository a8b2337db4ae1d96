import fc from "fast-check";
import { expect, test } from "vitest";
import { CorruptionError, FormatVersionError } from "../../src/core/errors.ts";
import { BloomBuilder } from "../../src/format/run-index.ts";
import {
  decodeIndexHeader,
  decodePartition,
  encodeIndexHeader,
  encodePartition,
  findBySeparator,
  separatorOf,
} from "../../src/format/run-index.ts";
import { sealLine } from "../../src/format/json-line.ts";
import { ids, SEED } from "../runs/support.ts";
import { propertyRuns } from "../support/effort.ts";

const place = { path: "snapshots/a.index", offset: 50 };
const builder = new BloomBuilder();
builder.add("a");
const content = {
  blocks: [
    { separator: "", offset: 35, length: 10, crc32: 0 },
    { separator: "b\ud83d", offset: 45, length: 40_000, crc32: 2 ** 32 - 1 },
  ],
  records: 3,
  bloom: builder.build(),
};

test("a separator is the shortest prefix above what comes before", () => {
  expect(separatorOf("apple", "apricot")).toBe("apr");
  expect(separatorOf("a", "ab")).toBe("ab");
  expect(separatorOf("😀", "😁")).toBe("😁");
  expect(separatorOf("a", "😁")).toBe("\ud83d");
  fc.assert(
    fc.property(ids, ids, (one, other) => {
      fc.pre(one !== other);
      const [before, first] = one < other ? [one, other] : [other, one];
      const separator = separatorOf(before, first);
      expect(separator > before && separator <= first && first.startsWith(separator)).toBe(true);
      expect(separator.slice(0, -1) > before).toBe(false);
    }),
    { seed: SEED, numRuns: propertyRuns(300) },
  );
});

test("the item found is the last one whose separator is not above the id", () => {
  const items = ["", "b", "d", "f"].map((separator) => ({ separator }));
  const find = (id: string) => findBySeparator(items, id);
  expect(["", "a", "b", "c", "d", "e", "f", "g"].map(find)).toEqual([0, 0, 1, 1, 2, 2, 3, 3]);
  expect(findBySeparator(items.slice(1), "a")).toBe(-1);
  expect(findBySeparator([], "a")).toBe(-1);
});

test("a partition's line returns what it was made from", () => {
  const decoded = decodePartition(Buffer.from(encodePartition(content)), place);
  expect(decoded.blocks).toEqual(content.blocks);
  expect(decoded.records).toBe(3);
  expect(Buffer.from(decoded.bloom.bytes)).toEqual(Buffer.from(content.bloom.bytes));
  expect(decoded.bloom.k).toBe(content.bloom.k);
});

test("a partition with any single byte changed is corrupt", () => {
  const line = Buffer.from(encodePartition(content));
  for (const at of line.keys()) {
    for (const mask of [0x01, 0x20, 0x80]) {
      const damaged = Buffer.from(line);
      damaged[at] = (damaged[at] ?? 0) ^ mask;
      expect(() => decodePartition(damaged, place), `byte ${at}`).toThrow(CorruptionError);
    }
  }
});

test.each([
  ["no blocks", { blocks: [] }],
  ["blocks that are no arrays", { blocks: [1] }],
  ["a block without length", { blocks: [["", 0, 1]] }],
  [
    "separators that do not ascend",
    {
      blocks: [
        ["b", 1, 1],
        ["b", 1, 1],
      ],
    },
  ],
  ["a checksum above 32 bits", { blocks: [["", 1, 2 ** 32]] }],
  ["no offset", { dataOffset: null }],
  ["an empty filter", { bloom: "" }],
  ["too many hashes", { k: 1e9 }],
  ["no records", { records: 0 }],
])("a sealed line with %s is corrupt all the same", (_, change) => {
  const whole = { dataOffset: 35, records: 1, blocks: [["", 1, 1]], k: 7, bloom: "AAAA" };
  const line = (fields: object) => Buffer.from(sealLine(JSON.stringify(fields)));
  expect(decodePartition(line(whole), place).records).toBe(1);
  expect(() => decodePartition(line({ ...whole, ...change }), place)).toThrow(CorruptionError);
});

test("the header names the run", () => {
  expect(decodeIndexHeader(encodeIndexHeader("snapshots/a.jsonl"), place)).toBe(
    "snapshots/a.jsonl",
  );
  const newer = '{"format":2,"kind":"index"}';
  expect(() => decodeIndexHeader(newer, place)).toThrow(FormatVersionError);
  const foreign = '{"format":1,"kind":"run","base":1}';
  expect(() => decodeIndexHeader(foreign, place)).toThrow(CorruptionError);
});
