/**
 * Writes a run and its index, create-only, in one pass over the entries and with bounded memory:
 * about one piece of the run, and the index, whose size is about a hundredth of the run's.
 */
import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { assert } from "../core/assert.ts";
import type { Compression } from "../core/compression.ts";
import { ConflictError } from "../core/errors.ts";
import type { RunEntry } from "../core/version.ts";
import { packBlock, repackBlock } from "../format/run-block.ts";
import { encodeRunHeader, encodeRunLine, type RunHeader } from "../format/run-codec.ts";
import type { RunInfo } from "../format/run-info.ts";
import { isTombstone, StoredLine } from "../format/stored-line.ts";
import type { StorageBackend } from "../storage/backend.ts";
import type { Block } from "../format/run-index.ts";
import { INDEX_LIMITS, IndexBuilder, type IndexLimits } from "./index-builder.ts";
import { WholePartition } from "./whole-partition.ts";

/** Of a block's lines. One point read fetches one block; larger blocks make a smaller index. */
export const BLOCK_BYTES_MAX = 32 * 1024;
/** How much is handed to the backend at a time. */
const PIECE_BYTES = 1024 * 1024;

/** How large the parts of a run become. */
export interface RunLayout extends IndexLimits {
  readonly blockBytesMax: number;
}

export const RUN_LAYOUT: RunLayout = { blockBytesMax: BLOCK_BYTES_MAX, ...INDEX_LIMITS };

/** Entries, or a partition of another run, which is copied. */
export type RunBatch = readonly RunEntry[] | WholePartition;
export type RunBatches = AsyncIterable<RunBatch>;

export interface WriteRunOptions extends RunHeader {
  readonly path: string;
  /** Path of the index object. */
  readonly indexPath: string;
  /** Ascending ids, each once; closed when the call ends. */
  readonly entries: RunBatches;
  readonly layout?: RunLayout | undefined;
  /** For each of the two objects; default: the backend's. */
  readonly timeoutMs?: number | undefined;
}

/**
 * Writes the run, then its index; a manifest assigns its level. Without entries it writes nothing and returns `undefined`.
 * @throws ConflictError when one of the paths is taken; AssertionError when entries do not ascend;
 *   what the entries or the backend throw
 */
export async function writeRun(
  backend: StorageBackend,
  { path, indexPath, entries, layout = RUN_LAYOUT, timeoutMs, ...header }: WriteRunOptions,
): Promise<RunInfo | undefined> {
  const encoder = new RunEncoder(path, header, layout);
  const pieces = new Pieces(encode(entries, encoder));
  const putNew = async (target: string, body: Uint8Array | Pieces): Promise<void> => {
    const put = await backend.put(target, body, { ifAbsent: true }, { timeoutMs });
    if (put.status === "conflict") {
      throw new ConflictError(`${target} exists already and is never replaced`, { path: target });
    }
  };
  try {
    const body = await pieces.open();
    if (body === undefined) return undefined;
    await putNew(path, body);
  } catch (error) {
    // A backend may wrap what its body throws; the caller needs the error of the source itself.
    throw pieces.failure ?? error;
  } finally {
    await pieces.close();
  }
  const { info, indexBytes } = encoder.result();
  await putNew(indexPath, indexBytes);
  return { path, index: indexPath, ...info, level: 0 };
}

async function* encode(entries: RunBatches, encoder: RunEncoder): AsyncGenerator<Buffer> {
  for await (const batch of entries) {
    if (batch instanceof WholePartition) {
      yield* encoder.copy(batch);
      continue;
    }
    for (const entry of batch) {
      encoder.add(entry);
      if (encoder.pieceBytes >= PIECE_BYTES) yield encoder.takePiece();
    }
  }
  if (encoder.finish()) yield encoder.takePiece();
}

/** The encoded run as a body for `put`; remembers why it broke off. */
class Pieces implements AsyncIterable<Uint8Array> {
  readonly #source: AsyncGenerator<Buffer>;
  readonly #ahead: Buffer[] = [];
  failure: unknown;

  constructor(source: AsyncGenerator<Buffer>) {
    this.#source = source;
  }

  /** The body: bytes when one piece is all, else a stream; `undefined` when there is nothing. */
  async open(): Promise<Uint8Array | Pieces | undefined> {
    for (let piece = 1; piece <= 2; piece++) {
      const next = await this.#source.next();
      if (next.done !== true) this.#ahead.push(next.value);
    }
    return this.#ahead.length > 1 ? this : this.#ahead[0];
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    try {
      yield* this.#ahead.splice(0);
      yield* this.#source;
    } catch (error) {
      this.failure = error;
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#source.return(undefined);
  }
}

/** What a run's description holds besides its paths. */
type Description = Omit<RunInfo, "path" | "index" | "level">;

/** Turns entries into bytes: lines into blocks, blocks into pieces. Does no I/O. */
class RunEncoder {
  readonly #sha256 = createHash("sha256");
  readonly #index: IndexBuilder;
  readonly #compression: Compression;
  readonly #blockBytesMax: number;
  #blockTombstones = 0;
  #blockSchema = Infinity;
  #block: (string | StoredLine)[] = [];
  #blockIds: string[] = [];
  #blockBytes = 0;
  #scratch: Buffer | undefined;
  #piece: Buffer[] = [];
  #bytes = 0;
  #rawBytes: number;
  #records = 0;
  #tombstones = 0;
  #minId: string | undefined;
  #maxId: string | undefined;
  #minSchema = Number.MAX_SAFE_INTEGER;
  #isFinished = false;
  pieceBytes = 0;

  constructor(path: string, header: RunHeader, layout: RunLayout) {
    this.#compression = header.compression;
    this.#blockBytesMax = layout.blockBytesMax;
    this.#rawBytes = encodeRunHeader({ ...header, compression: "none" }).length + 1;
    const line = Buffer.from(`${encodeRunHeader(header)}\n`);
    this.#index = new IndexBuilder(path, line.length, layout);
    this.#write(line);
  }

  add(entry: RunEntry): void {
    const { id } = entry;
    assert(this.#maxId === undefined || this.#maxId < id, `entries do not ascend at '${id}'`);
    const isStored = entry instanceof StoredLine;
    const line = isStored ? entry : encodeRunLine(entry);
    const lineBytes = isStored ? entry.end - entry.start : Buffer.byteLength(line as string);
    if (this.#blockBytes + lineBytes > this.#blockBytesMax) this.#closeBlock();
    this.#block.push(line);
    this.#blockIds.push(id);
    this.#blockBytes += lineBytes;
    this.#records++;
    if (isTombstone(entry)) this.#blockTombstones++;
    this.#blockSchema = Math.min(this.#blockSchema, entry.schemaVersion);
    this.#minId ??= id;
    this.#maxId = id;
  }

  /** A partition as it is stored; what was added before it ends with a shorter block. */
  async *copy(part: WholePartition): AsyncGenerator<Buffer> {
    this.#closeBlock();
    const { content, path, from } = part;
    const blocks: Block[] = [];
    let last: Buffer | undefined;
    for await (const { block, bytes: stored } of part.blocks()) {
      this.#minId ??= part.idsOf(stored, block).first;
      const { bytes, raw } = repackBlock(stored, this.#compression, { path, offset: block.offset });
      const isSame = bytes === stored;
      const sum = isSame ? block.crc32 : crc32(bytes);
      blocks.push({ ...block, length: bytes.length, crc32: sum });
      this.#rawBytes += raw;
      last = stored;
      this.#write(bytes);
      if (this.pieceBytes >= PIECE_BYTES) yield this.takePiece();
    }
    const end = content.blocks.at(-1);
    assert(last !== undefined && end !== undefined, "a partition holds at least one block");
    const lastId = part.idsOf(last, end).last;
    assert(this.#maxId === undefined || this.#maxId < from, `entries do not ascend at '${from}'`);
    this.#maxId = lastId;
    this.#index.addPartition({ ...content, blocks }, { from, lastId });
    this.#records += content.records;
    this.#count(content.tombstones ?? 0, content.minSchema ?? 1);
  }

  takePiece(): Buffer {
    const piece = Buffer.concat(this.#piece);
    this.#piece = [];
    this.pieceBytes = 0;
    return piece;
  }

  /** `false` when there was no entry: then there is no run. */
  finish(): boolean {
    this.#closeBlock();
    this.#isFinished = true;
    return this.#records > 0;
  }

  result(): { readonly info: Description; readonly indexBytes: Buffer } {
    const [minId, maxId] = [this.#minId, this.#maxId];
    assert(this.#isFinished, "the backend stored a run without reading all of it");
    assert(minId !== undefined && maxId !== undefined, "a run holds at least one entry");
    const { partitions, indexBytes } = this.#index.finish();
    const info = {
      bytes: this.#bytes,
      ...(this.#compression === "none" ? {} : { rawBytes: this.#rawBytes }),
      records: this.#records,
      tombstones: this.#tombstones,
      minId,
      maxId,
      minSchema: this.#minSchema,
      sha256: this.#sha256.digest("hex"),
      partitions,
    };
    return { info, indexBytes };
  }

  #closeBlock(): void {
    if (this.#block.length === 0) return;
    const isPacked = this.#compression !== "none";
    const lines = joinLines(this.#block, this.#roomFor(this.#blockBytes, isPacked));
    this.#rawBytes += lines.length;
    const bytes = isPacked ? packBlock(lines, this.#compression) : lines;
    const [tombstones, minSchema] = [this.#blockTombstones, this.#blockSchema];
    const sizes = { length: bytes.length, crc32: crc32(bytes) };
    this.#index.addBlock({ ids: this.#blockIds, ...sizes, tombstones, minSchema });
    this.#count(tombstones, minSchema);
    this.#write(bytes);
    this.#block = [];
    this.#blockIds = [];
    this.#blockBytes = 0;
    this.#blockTombstones = 0;
    this.#blockSchema = Infinity;
  }

  /** Lines that are packed are copied: the next block takes their place. */
  #roomFor(bytes: number, isPacked: boolean): Buffer {
    if (!isPacked || bytes > this.#blockBytesMax) return Buffer.allocUnsafe(bytes);
    this.#scratch ??= Buffer.allocUnsafeSlow(this.#blockBytesMax);
    return this.#scratch.subarray(0, bytes);
  }

  #count(tombstones: number, minSchema: number): void {
    this.#tombstones += tombstones;
    this.#minSchema = Math.min(this.#minSchema, minSchema);
  }

  #write(bytes: Buffer): void {
    this.#sha256.update(bytes);
    this.#piece.push(bytes);
    this.pieceBytes += bytes.length;
    this.#bytes += bytes.length;
  }
}

/** Lines that follow each other where they are stored are copied together. */
function joinLines(lines: readonly (string | StoredLine)[], joined: Buffer): Buffer {
  let at = 0;
  for (let next = 0; next < lines.length;) {
    const line = lines[next++];
    if (line === undefined) break;
    if (typeof line === "string") {
      at += joined.write(line, at);
      continue;
    }
    let { end } = line;
    for (let more = lines[next]; ; more = lines[++next]) {
      if (!(more instanceof StoredLine) || more.bytes !== line.bytes || more.start !== end) break;
      end = more.end;
    }
    at += line.bytes.copy(joined, at, line.start, end);
  }
  assert(at === joined.length, "lines are as long as they were counted");
  return joined;
}
