/** Reads of one run: a point by at most two ranged GETs, many points together, or in id order. */
import { CorruptionError } from "../core/errors.ts";
import { mapParallel } from "../core/parallel.ts";
import type { RunEntry } from "../core/version.ts";
import { findRunLine } from "../format/run-codec.ts";
import { type Block, findBySeparator } from "../format/run-index.ts";
import type { RunInfo } from "../format/run-info.ts";
import type { StorageBackend } from "../storage/backend.ts";
import { ByteCache } from "./byte-cache.ts";
import type { EntryBatches } from "./merge.ts";
import type { Run } from "./run.ts";
import { type RunCache, RunObjects } from "./run-objects.ts";
import { intersection, isExcised, visibleSpans } from "./visible.ts";
import type { CopyOptions, WholePartition } from "./whole-partition.ts";
import { type RunScanOptions, scanAll, scanParts, scanRange, scanUnindexed } from "./run-scan.ts";

/** Reads under way at a time, for one call. */
const READS_MAX = 16;
/** Up to here neighbouring blocks are fetched together. */
const GROUP_BYTES_MAX = 1024 * 1024;

/** Of parts of indexes that runs read once hold together. */
const ONCE_BYTES_MAX = 1024 * 1024;

/** As `RunScanOptions` documents. */
export interface PartsOptions extends Pick<RunScanOptions, "spanBytesMax"> {
  readonly from: string;
  readonly to: string | undefined;
  readonly byBlocks: boolean;
  readonly copy: CopyOptions;
}

/** A block to look into, and for what. */
interface Lookup {
  readonly block: Block;
  readonly ids: string[];
}

/**
 * All methods throw RunGoneError when the run is not there any more (load the manifest again),
 * CorruptionError when its bytes are not what was written, and NotSupportedError when this runtime
 * cannot decompress them.
 */
export class RunReader implements Run {
  readonly isSorted = true;
  readonly #objects: RunObjects;

  /** @param onWarning called if a part of the index cannot be read and data is searched instead */
  constructor(
    backend: StorageBackend,
    cache: RunCache,
    run: RunInfo,
    onWarning: (message: string) => void,
  ) {
    this.#objects = new RunObjects(backend, cache, run, onWarning);
  }

  get run(): RunInfo {
    return this.#objects.run;
  }

  /** Its path: no other run ever has the same. */
  get name(): string {
    return this.run.path;
  }

  get path(): string {
    return this.run.path;
  }

  get bytes(): number {
    return this.run.bytes;
  }

  get records(): number {
    return this.run.records;
  }

  /**
   * Those of the ids that the run holds. Reads each part once, neighbouring blocks together: for one
   * id two reads cold, one when the index is in memory.
   */
  async getMany(ids: Iterable<string>): Promise<Map<string, RunEntry>> {
    const found = new Map<string, RunEntry>();
    const wanted = new Map<number, Set<string>>();
    for (const id of ids) {
      if (this.#isVisible(id)) {
        addTo(wanted, findBySeparator(this.run.partitions, id), id);
      }
    }
    const lookups = await mapParallel([...wanted], READS_MAX, ([at, some]) =>
      this.#plan(at, some, found),
    );
    await mapParallel(this.#group(lookups.flat()), READS_MAX, async (group) => {
      const blocks = await this.#objects.blocks(group.map(({ block }) => block));
      for (const [at, lookup] of group.entries()) {
        const bytes = blocks[at];
        if (bytes !== undefined) this.#search(bytes, lookup, found);
      }
    });
    return found;
  }

  /**
   * Entries in id order, by a few sequential reads. A scan of everything verifies the run's SHA-256
   * before its last batch, any other (of a part, `byBlocks` ..) the checksum of each block.
   */
  scan(options: RunScanOptions = {}): EntryBatches {
    const { from = "", to, byBlocks = false, reverse = false, firstBytes } = options;
    const mayBeAll = !byBlocks && !reverse && firstBytes === undefined;
    const isAll = mayBeAll && from <= this.run.minId && (to === undefined || to > this.run.maxId);
    if (this.run.excised !== undefined) return this.#scanVisible(options);
    return isAll ? scanAll(this.#objects, options) : scanRange(this.#objects, options);
  }

  async *#scanVisible(options: RunScanOptions): AsyncGenerator<RunEntry[]> {
    const wanted = { from: options.from ?? "", to: options.to };
    const spans = visibleSpans(this.run).flatMap((span) => intersection(span, wanted) ?? []);
    for (const span of options.reverse === true ? spans.reverse() : spans) {
      yield* scanRange(this.#objects, { ...options, ...span });
    }
  }

  entries(): EntryBatches {
    return this.scan();
  }

  /** What counts of a range, to be copied: by partitions where these may be copied whole. */
  async *parts(options: PartsOptions): AsyncGenerator<readonly RunEntry[] | WholePartition> {
    const { from, to, byBlocks, spanBytesMax, copy } = options;
    const { partitions } = this.run;
    if (!partitions.some(({ length }) => length >= copy.indexBytesMin)) {
      const lines = { isCopied: true, asLines: true };
      return yield* this.scan({ from, to, byBlocks, spanBytesMax, ...lines });
    }
    for (const span of visibleSpans(this.run)) {
      const shared = intersection(span, { from, to });
      if (shared !== undefined)
        yield* scanParts(this.#objects, { ...copy, ...shared, spanBytesMax });
    }
  }

  #isVisible(id: string): boolean {
    const { minId, maxId, excised } = this.run;
    if (id < minId || id > maxId) return false;
    return excised === undefined || !isExcised(this.run, id);
  }

  /** Blocks of one partition to look into; without an index it is searched here and now. */
  async #plan(
    at: number,
    ids: ReadonlySet<string>,
    found: Map<string, RunEntry>,
  ): Promise<Lookup[]> {
    const partition = await this.#objects.partition(at);
    if (partition instanceof CorruptionError) {
      await this.#searchUnindexed(at, ids, found, partition);
      return [];
    }
    const byBlock = new Map<Block, string[]>();
    for (const id of ids) {
      const block = partition.blocks[findBySeparator(partition.blocks, id)];
      if (block === undefined || !partition.bloom.mayContain(id)) continue;
      const same = byBlock.get(block);
      if (same === undefined) byBlock.set(block, [id]);
      else same.push(id);
    }
    return [...byBlock].map(([block, some]) => ({ block, ids: some }));
  }

  async #searchUnindexed(
    at: number,
    ids: ReadonlySet<string>,
    found: Map<string, RunEntry>,
    reason: CorruptionError,
  ): Promise<void> {
    let missing = ids.size;
    for await (const batch of scanUnindexed(this.#objects, at, reason)) {
      for (const entry of batch) {
        if (!ids.has(entry.id)) continue;
        found.set(entry.id, entry);
        missing--;
      }
      if (missing === 0) return;
    }
  }

  #search(bytes: Buffer, { block, ids }: Lookup, found: Map<string, RunEntry>): void {
    const lines = this.#objects.unpacked(bytes, block);
    for (const id of ids) {
      const entry = findRunLine(lines.bytes, id, { path: this.run.path, ...lines });
      if (entry !== undefined) found.set(id, entry);
    }
  }

  /** Lookups to be read together: neighbours that are not in memory. */
  #group(lookups: readonly Lookup[]): Lookup[][] {
    const groups: Lookup[][] = [];
    /** Where the last group ends in the run, and how much it may still take. */
    let end = -1;
    let room = 0;
    for (const lookup of lookups.toSorted((a, b) => a.block.offset - b.block.offset)) {
      const { block } = lookup;
      const isHeld = this.#objects.isBlockHeld(block);
      if (!isHeld && block.offset === end && block.length <= room) {
        groups.at(-1)?.push(lookup);
        room -= block.length;
      } else {
        groups.push([lookup]);
        room = GROUP_BYTES_MAX - block.length;
      }
      end = isHeld ? -1 : block.offset + block.length;
    }
    return groups;
  }
}

/** The runs of a store, opened for reading: the only place that makes their readers. */
export class RunStore {
  readonly #backend: StorageBackend;
  readonly #cache: RunCache;
  readonly #onWarning: (message: string) => void;

  /**
   * @param cache shared by all runs that it opens
   * @param onWarning as `RunReader` documents
   */
  constructor(backend: StorageBackend, cache: RunCache, onWarning: (message: string) => void) {
    this.#backend = backend;
    this.#cache = cache;
    this.#onWarning = onWarning;
  }

  /** No I/O. */
  open(run: RunInfo): RunReader {
    return new RunReader(this.#backend, this.#cache, run, this.#onWarning);
  }

  /**
   * With a small cache of its own: what is read once, by a stream of everything, would displace
   * what others come back to.
   */
  once(): RunStore {
    return new RunStore(this.#backend, new ByteCache(ONCE_BYTES_MAX), this.#onWarning);
  }
}

function addTo(sets: Map<number, Set<string>>, key: number, value: string): void {
  const set = sets.get(key);
  if (set === undefined) sets.set(key, new Set([value]));
  else set.add(value);
}
