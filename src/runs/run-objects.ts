/**
 * The two objects of a run, read part by part. Every part is checked before it is handed out or
 * cached: length of the object, checksum of the block, checksum of the index partition.
 */
import { crc32 } from "node:zlib";
import { assert } from "../core/assert.ts";
import { CorruptionError } from "../core/errors.ts";
import { corrupt, SEAL_BYTES, sealOf } from "../format/json-line.ts";
import { type Block, decodePartition, type PartitionContent } from "../format/run-index.ts";
import { type Lines, unpackBlock } from "../format/run-block.ts";
import type { RunInfo } from "../format/run-info.ts";
import type { ByteRange, StorageBackend } from "../storage/backend.ts";
import type { ByteCache, Sized } from "./byte-cache.ts";
import { PARTITION_BYTES_MAX } from "./index-builder.ts";
import { RunGoneError } from "./run-gone.ts";

/** What is kept of runs between reads. */
export type RunPart =
  | { readonly kind: "partition"; readonly content: PartitionContent }
  | { readonly kind: "index"; readonly bytes: Buffer }
  | { readonly kind: "block"; readonly bytes: Buffer };

export type RunCache = ByteCache<RunPart>;

/**
 * Up to here an index is read as a whole, so that every later point read costs one GET: the index
 * of some 32,000 records. A first read takes no more of a larger one, which is read one partition
 * at a time: with a block less than 128,000 bytes, whatever the size of the run.
 */
const WHOLE_INDEX_BYTES_MAX = PARTITION_BYTES_MAX;

/** Rough cost in memory of a block's description, without its text. */
const BLOCK_ENTRY_BYTES = 100;

export class RunObjects {
  readonly run: RunInfo;
  readonly #backend: StorageBackend;
  readonly #cache: RunCache;
  readonly #onWarning: (message: string) => void;
  readonly #warned = new Set<number>();

  constructor(
    backend: StorageBackend,
    cache: RunCache,
    run: RunInfo,
    onWarning: (message: string) => void,
  ) {
    this.run = run;
    this.#backend = backend;
    this.#cache = cache;
    this.#onWarning = onWarning;
  }

  /**
   * Bytes of the run, from the backend.
   * @param range within the run
   * @throws RunGoneError, CorruptionError when the object has another length than in the manifest
   */
  async read(range: ByteRange): Promise<Buffer> {
    const { path, bytes } = this.run;
    const result = await this.#backend.get(path, { range });
    if (result.status === "absent") throw new RunGoneError(`run ${path} is not there`, { path });
    assert(result.status === "found", `unconditional read of ${path} answered ${result.status}`);
    if (result.objectBytes !== bytes) {
      const found = `${result.objectBytes} bytes, expected ${bytes}`;
      throw corrupt(`found an object of ${found}`, { path, offset: range.offset });
    }
    if (result.body.length !== range.length) {
      const found = `${result.body.length} bytes, expected ${range.length}`;
      throw corrupt(`found a range of ${found}`, { path, offset: range.offset });
    }
    return asBuffer(result.body);
  }

  /** Where the data of a partition lies in the run. */
  partitionRange(at: number): { readonly offset: number; readonly end: number } {
    const { partitions, bytes } = this.run;
    return { offset: this.#place(at).dataOffset, end: partitions[at + 1]?.dataOffset ?? bytes };
  }

  /** A partition of the index; why not, when it cannot be read: then its data must be. */
  async partition(at: number): Promise<PartitionContent | CorruptionError> {
    try {
      const part = await this.#cache.getOrLoad(this.#partitionKey(at), () =>
        this.#loadPartition(at),
      );
      assert(part.kind === "partition", "a cache key of a partition");
      return part.content;
    } catch (error) {
      if (error instanceof CorruptionError) return error;
      throw error;
    }
  }

  isBlockHeld(block: Block): boolean {
    return this.#cache.isHeldOrLoading(this.#blockKey(block));
  }

  /**
   * Blocks that lie one after the other, from the cache or by one read for all of them.
   * @throws CorruptionError, RunGoneError
   */
  async blocks(adjacent: readonly Block[]): Promise<Buffer[]> {
    const offset = adjacent[0]?.offset ?? 0;
    const length = adjacent.reduce((sum, block) => sum + block.length, 0);
    let reading: Promise<Buffer> | undefined;
    const load = async (block: Block): Promise<Buffer> => {
      reading ??= this.read({ offset, length });
      const start = block.offset - offset;
      const bytes = (await reading).subarray(start, start + block.length);
      // A copy, since a view would keep the whole body in memory.
      return Buffer.copyBytesFrom(await this.verified(bytes, block));
    };
    return Promise.all(
      adjacent.map(async (block) => {
        const part = await this.#cache.getOrLoad(this.#blockKey(block), async () => {
          return { value: { kind: "block", bytes: await load(block) }, bytes: block.length };
        });
        assert(part.kind === "block", "a cache key of a block");
        return part.bytes;
      }),
    );
  }

  /** The block's bytes when their checksum holds, else read once more. @throws CorruptionError */
  async verified(bytes: Buffer, block: Block): Promise<Buffer> {
    if (crc32(bytes) === block.crc32) return bytes;
    const again = await this.read({ offset: block.offset, length: block.length });
    const found = crc32(again);
    if (found === block.crc32) return again;
    throw corrupt(`checksum of the block: expected ${block.crc32}, found ${found}`, {
      path: this.run.path,
      offset: block.offset,
    });
  }

  /** The block's lines. @throws CorruptionError, NotSupportedError */
  unpacked(bytes: Buffer, { offset }: Pick<Block, "offset">): Lines {
    return unpackBlock(bytes, { path: this.run.path, offset });
  }

  /** Tells, once for each partition, that the run is read without it. */
  warnUnreadable(at: number, reason: CorruptionError): void {
    if (this.#warned.has(at)) return;
    this.#warned.add(at);
    this.#onWarning(`reading ${this.run.path} without its index: ${reason.message}`);
  }

  /** One partition, and where the index is small the others as well. */
  async #loadPartition(at: number): Promise<Sized<RunPart>> {
    const { partitions } = this.run;
    const [start, end] = [this.#place(0), this.#place(partitions.length - 1)];
    const whole = { offset: start.offset, length: end.offset + end.length - start.offset };
    if (whole.length > WHOLE_INDEX_BYTES_MAX || partitions.length === 1) {
      const { offset, length } = this.#place(at);
      return this.#decodePartition(at, await this.#readIndex({ offset, length }), offset);
    }
    const bytes = await this.#readWholeIndex(whole);
    for (const other of partitions.keys()) {
      if (other !== at) this.#keepReadable(other, bytes, whole.offset);
    }
    return this.#decodePartition(at, bytes, whole.offset);
  }

  /** Lookups of one moment share the read. */
  async #readWholeIndex(whole: ByteRange): Promise<Buffer> {
    const part = await this.#cache.getOrLoad(`${this.run.index}:whole`, async () => {
      // Never held, only its partitions are: nothing fits into so many bytes.
      const bytes = Number.POSITIVE_INFINITY;
      return { value: { kind: "index", bytes: await this.#readIndex(whole) }, bytes };
    });
    assert(part.kind === "index", "a cache key of an index");
    return part.bytes;
  }

  async #readIndex(range: ByteRange): Promise<Buffer> {
    const { index } = this.run;
    const result = await this.#backend.get(index, { range });
    if (result.status === "found") return asBuffer(result.body);
    throw corrupt("the index is not there", { path: index, offset: range.offset });
  }

  /** What cannot be read is reported when it is needed. */
  #keepReadable(at: number, bytes: Buffer, start: number): void {
    try {
      this.#cache.keep(this.#partitionKey(at), this.#decodePartition(at, bytes, start));
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
    }
  }

  /** @param bytes part of the index, from the offset `start` on */
  #decodePartition(at: number, bytes: Buffer, start: number): Sized<RunPart> {
    const { offset, length, separator, crc } = this.#place(at);
    const place = { path: this.run.index, offset };
    const line = bytes.subarray(offset - start, offset - start + length);
    if (line.length !== length) {
      throw corrupt(`found ${line.length} bytes, expected ${length}`, place);
    }
    const content = decodePartition(line, place);
    const found = sealOf(line.toString("latin1", line.length - SEAL_BYTES));
    if (crc !== undefined && found !== crc) {
      throw corrupt(`partition is of another run: checksum ${found}, expected ${crc}`, place);
    }
    const [first, last] = [content.blocks[0], content.blocks.at(-1)];
    const data = this.partitionRange(at);
    const end = last === undefined ? 0 : last.offset + last.length;
    if (first?.separator !== separator || first.offset !== data.offset || end !== data.end) {
      const covered = `${first?.offset}..${end}, expected ${data.offset}..${data.end}`;
      throw corrupt(`partition is of another run: it covers ${covered}`, place);
    }
    const value: RunPart = { kind: "partition", content };
    return { value, bytes: length + content.blocks.length * BLOCK_ENTRY_BYTES };
  }

  #place(at: number): RunInfo["partitions"][number] {
    const place = this.run.partitions[at];
    assert(place !== undefined, `partition ${at} of ${this.run.partitions.length}`);
    return place;
  }

  #partitionKey(at: number): string {
    return `${this.run.index}:${this.#place(at).offset}`;
  }

  #blockKey(block: Block): string {
    return `${this.run.path}:${block.offset}`;
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
