/** Builds a run's index while the run is written. */
import { assert } from "../core/assert.ts";
import { BloomBuilder, bloomBytes } from "../format/run-index.ts";
import {
  type Block,
  encodeBlock,
  encodeIndexHeader,
  encodePartition,
  separatorOf,
} from "../format/run-index.ts";
import type { IndexPartition } from "../format/run-info.ts";
import { sealOf } from "../format/json-line.ts";

/**
 * Of a partition's line: with a block of 32 KiB, a cold point read stays below 128,000 bytes. Only
 * a partition of one block can be longer, whose separator is an id of that length.
 */
export const PARTITION_BYTES_MAX = 92 * 1024;
/** Of a partition's line without blocks and bloom filter: names, two numbers, checksum. */
const PARTITION_FRAME_BYTES = 128;
/** With short ids a partition is about 45 KB. */
const PARTITION_BLOCKS_MAX = 512;
/** Keeps a partition's bloom filter to 20 KiB. */
const PARTITION_RECORDS_MAX = 16_384;

export class IndexBuilder {
  readonly #lines: Buffer[] = [];
  readonly #partitions: IndexPartition[] = [];
  #bytes = 0;
  /** Where the next block lies in the run. */
  #dataOffset: number;
  #lastId: string | undefined;
  #blocks: Block[] = [];
  #bloom = new BloomBuilder();
  #records = 0;
  /** Of the blocks' descriptions. */
  #blocksBytes = 0;

  /**
   * @param run path of the run
   * @param dataOffset where its first block lies: the length of the header line
   */
  constructor(run: string, dataOffset: number) {
    this.#dataOffset = dataOffset;
    this.#write(encodeIndexHeader(run));
  }

  /** @param ids of the block's lines, ascending, at least one */
  addBlock(ids: readonly string[], length: number, crc32: number): void {
    const [first, last] = [ids[0], ids.at(-1)];
    assert(first !== undefined && last !== undefined, "a block holds at least one line");
    // Nothing comes before the first block, so it begins below every id.
    const separator = this.#lastId === undefined ? "" : separatorOf(this.#lastId, first);
    const block = { separator, offset: this.#dataOffset, length, crc32 };
    if (!this.#hasRoom(block, ids.length)) this.#closePartition();
    this.#blocksBytes += descriptionBytes(block, this.#blocks.at(-1));
    this.#blocks.push(block);
    for (const id of ids) this.#bloom.add(id);
    this.#records += ids.length;
    this.#dataOffset += length;
    this.#lastId = last;
  }

  finish(): { readonly partitions: readonly IndexPartition[]; readonly indexBytes: Buffer } {
    this.#closePartition();
    return { partitions: this.#partitions, indexBytes: Buffer.concat(this.#lines) };
  }

  #hasRoom(block: Block, ids: number): boolean {
    const records = this.#records + ids;
    if (this.#blocks.length >= PARTITION_BLOCKS_MAX || records > PARTITION_RECORDS_MAX)
      return false;
    const blocksBytes = this.#blocksBytes + descriptionBytes(block, this.#blocks.at(-1));
    const bloomTextBytes = Math.ceil(bloomBytes(records) / 3) * 4;
    return PARTITION_FRAME_BYTES + blocksBytes + bloomTextBytes <= PARTITION_BYTES_MAX;
  }

  #closePartition(): void {
    const [first] = this.#blocks;
    if (first === undefined) return;
    const bloom = this.#bloom.build();
    const offset = this.#bytes;
    const line = encodePartition({ blocks: this.#blocks, records: this.#records, bloom });
    this.#write(line);
    const length = this.#bytes - offset - 1;
    const isBounded = length <= PARTITION_BYTES_MAX || this.#blocks.length === 1;
    assert(isBounded, `a partition of ${length} bytes`);
    const { separator, offset: dataOffset } = first;
    const crc = sealOf(line);
    assert(crc !== undefined, "a partition's line is sealed");
    this.#partitions.push({ separator, offset, length, dataOffset, crc });
    this.#blocks = [];
    this.#blocksBytes = 0;
    this.#bloom = new BloomBuilder();
    this.#records = 0;
  }

  #write(line: string): void {
    const bytes = Buffer.from(`${line}\n`);
    this.#lines.push(bytes);
    this.#bytes += bytes.length;
  }
}

/** With the comma behind it. */
function descriptionBytes(block: Block, before: Block | undefined): number {
  return Buffer.byteLength(JSON.stringify(encodeBlock(block, before))) + 1;
}
