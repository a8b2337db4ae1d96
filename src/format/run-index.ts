/**
 * Index of a run: a header line, then one sealed line per partition (FORMAT, "Run index"). A
 * partition is read separately, so that a point read of a large run does not fetch the whole index.
 *
 * Separators stand between blocks, and between partitions in the manifest. Of one that shares a long
 * beginning with the one before, only the rest is written, so that long ids do not make a long index
 * or manifest.
 */
import { hashWords } from "../core/hash.ts";
import {
  checkHeader,
  checkReadable,
  checkSealedLine,
  corrupt,
  Fields,
  FORMAT,
  parseObject,
  type Place,
  sealLine,
} from "./json-line.ts";

const KIND = "index";
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
const LINE_PLACE = { path: "an index", offset: 0 };
const CRC_MAX = 2 ** 32 - 1;
/** A filter never gains by more; a damaged number must not cost a long loop. */
const HASHES_MAX = 30;
/** In code units; below, numbers in place of the text would gain little. */
const SHARED_MIN = 32;

/** Of a bloom filter. With 7 hashes: (1 − e^(−7/10))^7 = 0.82 % false positives. */
const BITS_PER_ID = 10;
/** The best number for 10 bits an id: 10 · ln 2, rounded. */
const HASHES = 7;
/** Shorter filters cycle through too few bits (LevelDB sets the same minimum). */
const FILTER_BITS_MIN = 64;
/** Hash words an id contributes: a, b and c. */
const WORDS = 3;

/** Consecutive whole lines of a run, the unit of point reads. */
export interface Block {
  /** Every id of the block is >= it, every id of the blocks before is below it. */
  readonly separator: string;
  /** Byte offset in the run. */
  readonly offset: number;
  readonly length: number;
  readonly crc32: number;
}

export interface PartitionContent {
  /** Ascending, at least one. */
  readonly blocks: readonly Block[];
  readonly records: number;
  /** How many of these are tombstones; undefined in an index of before it was counted. */
  readonly tombstones?: number | undefined;
  /** The lowest schema version inside; undefined alike. */
  readonly minSchema?: number | undefined;
  /** Over the ids of these blocks. */
  readonly bloom: BloomFilter;
}

/**
 * Position of the last element whose separator is at or below `id`; -1 when it is below them all.
 * Blocks and partitions are found alike.
 */
export function findBySeparator(
  items: readonly { readonly separator: string }[],
  id: string,
): number {
  let [low, high] = [0, items.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((items[middle]?.separator ?? "") <= id) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** `[separator]`, or `[code units shared with the one before, rest]`. */
export type SeparatorItem = readonly [string] | readonly [number, string];

/** The shortest prefix of `first` above `before`; may end within a surrogate pair. */
export function separatorOf(before: string, first: string): string {
  return first.slice(0, sharedLength(before, first) + 1);
}

/** @param before the separator before in the list, "" for the first */
export function encodeSeparator(separator: string, before: string): SeparatorItem {
  const shared = sharedLength(before, separator);
  return shared < SHARED_MIN ? [separator] : [shared, separator.slice(shared)];
}

/** Takes the separator off an item's values. @throws CorruptionError */
export function decodeSeparator(
  item: unknown,
  before: string,
  place: Place,
): { readonly separator: string; readonly values: readonly unknown[] } {
  if (!Array.isArray(item)) throw corrupt("expected an array that begins with a separator", place);
  const [first, ...values]: readonly unknown[] = item;
  if (typeof first === "string") return { separator: first, values };
  const fields = new Fields({ shared: first, rest: values[0] }, place);
  const shared = fields.integer("shared", 0, before.length);
  return {
    separator: before.slice(0, shared) + fields.string("rest"),
    values: values.slice(1),
  };
}

function sharedLength(a: string, b: string): number {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length++;
  return length;
}

/** @param run path of the run; the result has no line feed */
export function encodeIndexHeader(run: string): string {
  return JSON.stringify({ format: FORMAT, kind: KIND, run });
}

/** The path of the run. @throws CorruptionError, FormatVersionError */
export function decodeIndexHeader(line: string, place: Place): string {
  const header = parseObject(line, place);
  checkHeader(header, KIND, place);
  return new Fields(header, place).string("run");
}

/** One line, without its line feed. */
export function encodePartition(content: PartitionContent): string {
  const { blocks, records, tombstones, minSchema, bloom } = content;
  const line = sealLine(
    JSON.stringify({
      dataOffset: blocks[0]?.offset,
      records,
      tombstones,
      v: minSchema,
      blocks: blocks.map((block, at) => encodeBlock(block, blocks[at - 1])),
      k: bloom.k,
      bloom: Buffer.from(bloom.bytes).toString("base64"),
    }),
  );
  checkReadable("a partition of an index", () => decodePartition(Buffer.from(line), LINE_PLACE));
  return line;
}

/** A block as its partition describes it. */
export function encodeBlock(
  { separator, length, crc32 }: Omit<Block, "offset">,
  before: Pick<Block, "separator"> | undefined,
): readonly unknown[] {
  return [...encodeSeparator(separator, before?.separator ?? ""), length, crc32];
}

/** Reads a partition's line, without its line feed. @throws CorruptionError */
export function decodePartition(bytes: Buffer, place: Place): PartitionContent {
  const line = bytes.toString("utf8");
  checkSealedLine(line, place);
  const fields = new Fields(parseObject(line, place), place);
  return {
    blocks: decodeBlocks(fields.array("blocks"), fields.integer("dataOffset"), place),
    records: fields.integer("records", 1),
    tombstones: fields.has("tombstones") ? fields.integer("tombstones") : undefined,
    minSchema: fields.has("v") ? fields.integer("v", 1) : undefined,
    bloom: new BloomFilter(
      Buffer.from(fields.matching("bloom", BASE64, "base64"), "base64"),
      fields.integer("k", 1, HASHES_MAX),
    ),
  };
}

function decodeBlocks(items: readonly unknown[], dataOffset: number, place: Place): Block[] {
  const blocks: Block[] = [];
  let offset = dataOffset;
  for (const item of items) {
    const before = blocks.at(-1);
    const { separator, values } = decodeSeparator(item, before?.separator ?? "", place);
    const [length, crc32] = values;
    const fields = new Fields({ length, crc32 }, place);
    const block = {
      separator,
      offset,
      length: fields.integer("length", 1),
      crc32: fields.integer("crc32", 0, CRC_MAX),
    };
    if (before !== undefined && block.separator <= before.separator) {
      throw corrupt("separators of blocks must ascend", place);
    }
    blocks.push(block);
    offset += block.length;
  }
  if (blocks.length === 0) throw corrupt("a partition without blocks", place);
  return blocks;
}

/**
 * Bloom filter over ids: never denies an id it was built from, admits at most about 1 % of others.
 *
 * Bit i of an id is a + i·b + c·i(i−1)/2 mod m: the double hashing of Kirsch and Mitzenmacher,
 * "Less Hashing, Same Performance: Building a Better Bloom Filter" (2006), with the quadratic term
 * of Dillinger and Manolios, "Bloom Filters in Probabilistic Verification" (2004). Without that
 * term filters of a few dozen ids admit twice as many (measured: 2 % at 10 ids).
 */
export class BloomFilter {
  readonly bytes: Uint8Array;
  /** Bits looked at for each id. */
  readonly k: number;

  /** @param bytes at least one */
  constructor(bytes: Uint8Array, k: number) {
    this.bytes = bytes;
    this.k = k;
  }

  /** `false`: surely not among the ids the filter was built from. */
  mayContain(id: string): boolean {
    const probe = new Probe(hashWords(id), this.bytes.length * 8);
    for (let i = 0; i < this.k; i++) {
      const bit = probe.next();
      if (((this.bytes[bit >>> 3] ?? 0) & (1 << (bit & 7))) === 0) return false;
    }
    return true;
  }
}

/** Length of the filter of so many ids. */
export function bloomBytes(ids: number): number {
  return Math.ceil(Math.max(ids * BITS_PER_ID, FILTER_BITS_MIN) / 8);
}

/** Collects ids, then makes a filter of the size they need. Keeps 12 bytes an id, not the id. */
export class BloomBuilder {
  readonly #words: number[] = [];

  add(id: string): void {
    const [a, b, c] = hashWords(id);
    this.#words.push(a, b, c);
  }

  build(): BloomFilter {
    const bytes = new Uint8Array(bloomBytes(this.#words.length / WORDS));
    const words = this.#words;
    for (let at = 0; at < words.length; at += WORDS) {
      const [a = 0, b = 0, c = 0] = [words[at], words[at + 1], words[at + 2]];
      const probe = new Probe([a, b, c], bytes.length * 8);
      for (let i = 0; i < HASHES; i++) {
        const bit = probe.next();
        bytes[bit >>> 3] = (bytes[bit >>> 3] ?? 0) | (1 << (bit & 7));
      }
    }
    return new BloomFilter(bytes, HASHES);
  }
}

/** The bits of an id, one after the other: each is the one before + b + i·c, so that sums stay small. */
class Probe {
  readonly #bits: number;
  readonly #c: number;
  #at: number;
  #step: number;

  constructor([a, b, c]: readonly [number, number, number], bits: number) {
    this.#bits = bits;
    this.#at = a % bits;
    this.#step = b % bits;
    this.#c = c % bits;
  }

  next(): number {
    const bit = this.#at;
    this.#at = this.#within(bit + this.#step);
    this.#step = this.#within(this.#step + this.#c);
    return bit;
  }

  #within(sum: number): number {
    return sum < this.#bits ? sum : sum - this.#bits;
  }
}
