/** Builds a run's index while the run is written. */
import { assert } from "../core/assert.ts";
import { BloomBuilder } from "../format/bloom.ts";
import {
  type Block,
  encodeIndexHeader,
  encodePartition,
  separatorOf,
} from "../format/run-index.ts";
import type { IndexPartition } from "../format/run-info.ts";

/** Keeps a partition to about 50 KB, one cheap ranged GET. */
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
    const records = this.#records + ids.length;
    if (this.#blocks.length >= PARTITION_BLOCKS_MAX || records > PARTITION_RECORDS_MAX) {
      this.#closePartition();
    }
    // Nothing comes before the first block, so it begins below every id.
    const separator = this.#lastId === undefined ? "" : separatorOf(this.#lastId, first);
    this.#blocks.push({ separator, offset: this.#dataOffset, length, crc32 });
    for (const id of ids) this.#bloom.add(id);
    this.#records += ids.length;
    this.#dataOffset += length;
    this.#lastId = last;
  }

  finish(): { readonly partitions: readonly IndexPartition[]; readonly indexBytes: Buffer } {
    this.#closePartition();
    return { partitions: this.#partitions, indexBytes: Buffer.concat(this.#lines) };
  }

  #closePartition(): void {
    const [first] = this.#blocks;
    if (first === undefined) return;
    const bloom = this.#bloom.build();
    const offset = this.#bytes;
    this.#write(encodePartition({ blocks: this.#blocks, records: this.#records, bloom }));
    const length = this.#bytes - offset - 1;
    const { separator, offset: dataOffset } = first;
    this.#partitions.push({ separator, offset, length, dataOffset });
    this.#blocks = [];
    this.#bloom = new BloomBuilder();
    this.#records = 0;
  }

  #write(line: string): void {
    const bytes = Buffer.from(`${line}\n`);
    this.#lines.push(bytes);
    this.#bytes += bytes.length;
  }
}
