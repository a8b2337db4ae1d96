/** Builds a run's index while the run is written. */
import { assert } from "../core/assert.ts";
import {
  type Block,
  BloomBuilder,
  bloomBytes,
  encodeBlock,
  encodeIndexHeader,
  encodePartition,
  type PartitionContent,
  separatorOf,
} from "../format/run-index.ts";
import type { IndexPartition } from "../format/run-info.ts";
import { sealOf } from "../format/json-line.ts";

/**
 * Of a partition's line: with a block of 32 KiB, a cold point read stays below 128,000 bytes. Only
 * a partition of one block can be longer, whose separator is an id of that length.
 */
export const PARTITION_BYTES_MAX = 92 * 1024;
/** Of a partition's line without blocks and bloom filter: names, four numbers, checksum. */
const PARTITION_FRAME_BYTES = 176;
interface NewBlock {
  /** Of its lines, ascending, at least one. */
  readonly ids: readonly string[];
  readonly length: number;
  readonly crc32: number;
  readonly tombstones: number;
  readonly minSchema: number;
}

export interface IndexLimits {
  readonly partitionBlocksMax: number;
  /** Keeps a partition's bloom filter to 20 KiB. */
  readonly partitionRecordsMax: number;
}

/** With short ids a partition of so many blocks is about 45 KB. */
export const INDEX_LIMITS: IndexLimits = { partitionBlocksMax: 512, partitionRecordsMax: 16_384 };

export class IndexBuilder {
  readonly #limits: IndexLimits;
  readonly #lines: Buffer[] = [];
  readonly #partitions: IndexPartition[] = [];
  #bytes = 0;
  /** Where the next block lies in the run. */
  #dataOffset: number;
  #lastId: string | undefined;
  #blocks: Block[] = [];
  #bloom = new BloomBuilder();
  #records = 0;
  #tombstones = 0;
  #minSchema = Infinity;
  /** Of the blocks' descriptions. */
  #blocksBytes = 0;

  /**
   * @param run path of the run
   * @param dataOffset where its first block lies: the length of the header line
   */
  constructor(run: string, dataOffset: number, limits: IndexLimits = INDEX_LIMITS) {
    this.#limits = limits;
    this.#dataOffset = dataOffset;
    this.#write(encodeIndexHeader(run));
  }

  addBlock({ ids, length, crc32, tombstones, minSchema }: NewBlock): void {
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
    this.#tombstones += tombstones;
    this.#minSchema = Math.min(this.#minSchema, minSchema);
    this.#dataOffset += length;
    this.#lastId = last;
  }

  /**
   * A partition of another run, all of whose ids are above those that were added.
   * @param blocks as they are stored in this run now
   * @param from at or below its first id, and above those that were added
   */
  addPartition(
    { blocks, ...content }: PartitionContent,
    { from, lastId }: { readonly from: string; readonly lastId: string },
  ): void {
    this.#closePartition();
    const separator = this.#lastId === undefined ? "" : separatorOf(this.#lastId, from);
    const moved = blocks.map((block, at) => {
      const offset = this.#dataOffset;
      this.#dataOffset += block.length;
      return { ...block, offset, ...(at === 0 ? { separator } : {}) };
    });
    this.#writePartition({ ...content, blocks: moved });
    this.#lastId = lastId;
  }

  finish(): { readonly partitions: readonly IndexPartition[]; readonly indexBytes: Buffer } {
    this.#closePartition();
    return { partitions: this.#partitions, indexBytes: Buffer.concat(this.#lines) };
  }

  #hasRoom(block: Block, ids: number): boolean {
    const records = this.#records + ids;
    const { partitionBlocksMax, partitionRecordsMax } = this.#limits;
    if (this.#blocks.length >= partitionBlocksMax || records > partitionRecordsMax) return false;
    const blocksBytes = this.#blocksBytes + descriptionBytes(block, this.#blocks.at(-1));
    const bloomTextBytes = Math.ceil(bloomBytes(records) / 3) * 4;
    return PARTITION_FRAME_BYTES + blocksBytes + bloomTextBytes <= PARTITION_BYTES_MAX;
  }

  #closePartition(): void {
    if (this.#blocks.length === 0) return;
    this.#writePartition({
      blocks: this.#blocks,
      records: this.#records,
      tombstones: this.#tombstones,
      minSchema: this.#minSchema,
      bloom: this.#bloom.build(),
    });
    this.#blocks = [];
    this.#blocksBytes = 0;
    this.#bloom = new BloomBuilder();
    this.#records = 0;
    this.#tombstones = 0;
    this.#minSchema = Infinity;
  }

  #writePartition(content: PartitionContent): void {
    const [first] = content.blocks;
    assert(first !== undefined, "a partition holds at least one block");
    const offset = this.#bytes;
    const line = encodePartition(content);
    this.#write(line);
    const length = this.#bytes - offset - 1;
    const isBounded = length <= PARTITION_BYTES_MAX || content.blocks.length === 1;
    assert(isBounded, `a partition of ${length} bytes`);
    const { separator, offset: dataOffset } = first;
    const crc = sealOf(line);
    assert(crc !== undefined, "a partition's line is sealed");
    this.#partitions.push({ separator, offset, length, dataOffset, crc });
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
